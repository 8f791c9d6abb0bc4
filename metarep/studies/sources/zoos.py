"""The zoos between which question 2 carries things over: each is a source and a target."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from metarep.networks.spec import NetworkSpec
from metarep.studies.settings import SourceName
from metarep.studies.study import Context
from metarep.training.settings import ZooConfig
from metarep.zoos.zoo import Zoo

PRODUCT: SourceName = "product"
RANDOM: SourceName = "random"
"""The product zoo's own initial parameters: the control."""

ZOO_SEEDS = 100
"""Zoo seeds are this and the settings' seed, then counted on, so that no two zoos share a network's seed."""


@dataclass(frozen=True)
class SourceZoo:
    """One zoo: its name in settings, what figures call it, its group, and what its family differs in from e09."""

    name: SourceName
    title: str
    group: str
    family: dict[str, Any]


SOURCES = {
    source.name: source
    for source in (
        SourceZoo("product", "product", "the recipe", {}),
        SourceZoo("seeds", "other seeds", "the recipe", {}),
        SourceZoo("e05", "e05", "variants", {"variant": "e05"}),
        SourceZoo("e06", "e06", "variants", {"variant": "e06"}),
        SourceZoo("e07", "e07", "variants", {"variant": "e07"}),
        SourceZoo("e08", "e08", "variants", {"variant": "e08"}),
        SourceZoo("inputs", "even inputs", "data and rates", {"input_distribution": "square"}),
        SourceZoo("wide", "inputs to 2", "data and rates", {"input_distribution": "wide"}),
        SourceZoo("diagonal", "alike inputs", "data and rates", {"input_distribution": "diagonal"}),
        SourceZoo("slow", "lr 3e-4", "data and rates", {"lr": 3e-4}),
        SourceZoo("fast", "lr 1e-2", "data and rates", {"lr": 1e-2}),
        SourceZoo("width3", "2-3-1", "architectures", {"spec": "2-3-1"}),
        SourceZoo("width4", "2-4-1", "architectures", {"spec": "2-4-1"}),
        SourceZoo("depth2", "2-2-2-1", "architectures", {"spec": "2-2-2-1"}),
        SourceZoo("sum", "x + y", "tasks", {"task": "sum"}),
        SourceZoo("quotient", "x / (y + ½)", "tasks", {"task": "quotient"}),
        SourceZoo("square", "x²", "tasks", {"task": "square"}),
        SourceZoo("max", "max", "tasks", {"task": "max"}),
        SourceZoo("random", "random", "control", {"n_steps": 0}),
    )
}
"""By name, in the order of figures. e03 and e04 are the recipe of e09 by other names, and have no zoo of their own."""


@dataclass(frozen=True)
class Networks:
    """What is taken of one zoo: training and test networks params (N, P) float32 of one architecture."""

    name: SourceName
    spec: NetworkSpec
    train: np.ndarray
    test: np.ndarray


def source_zoos(context: Context) -> dict[str, Zoo]:
    """The zoos that the settings name, in the order of SOURCES, those networks that did not diverge."""
    chosen = [name for name in SOURCES if name in context.config.sources.sources]
    return {name: context.zoo(f"source_{name}", zoo_config(context, name)).final() for name in chosen}


def zoo_config(context: Context, name: SourceName) -> ZooConfig:
    """The settings of one zoo. The parents of e05 are the product zoo, which is built for that where it is not there yet."""
    own, seed = context.config.sources, context.config.seed
    family = {"n_networks": own.n_deep_networks if name == "depth2" else own.n_networks, **SOURCES[name].family}
    if name == "e05":
        family["parents"] = str(context.zoo(f"source_{PRODUCT}", zoo_config(context, PRODUCT)).artefact.path)
    number = 0 if name == RANDOM else list(SOURCES).index(name)
    return ZooConfig(families=[family], seed=(seed + 1) * ZOO_SEEDS + number)


def taken(zoos: dict[str, Zoo], context: Context) -> Iterator[Networks]:
    """The networks of each zoo that probes and clusters are fitted and measured on; the first of each split."""
    own = context.config.sources
    for name, zoo in zoos.items():
        train, test = (zoo.where(split=split).params for split in ("train", "test"))
        yield Networks(name, zoo.spec, train[: own.max_fit_networks], test[: own.max_test_networks])
