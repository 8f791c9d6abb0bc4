"""The zoos between which question 2 carries things over: each is a source and a target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

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


class SourceZoo(NamedTuple):
    """What figures call a zoo, its group, and what its family differs in from e09."""

    title: str
    group: str
    family: dict[str, Any]


SOURCES: dict[SourceName, SourceZoo] = {
    "product": SourceZoo("product", "the recipe", {}),
    "seeds": SourceZoo("other seeds", "the recipe", {}),
    "e05": SourceZoo("e05", "variants", {"variant": "e05"}),
    "e06": SourceZoo("e06", "variants", {"variant": "e06"}),
    "e07": SourceZoo("e07", "variants", {"variant": "e07"}),
    "e08": SourceZoo("e08", "variants", {"variant": "e08"}),
    "inputs": SourceZoo("even inputs", "data and rates", {"input_distribution": "square"}),
    "wide": SourceZoo("inputs to 2", "data and rates", {"input_distribution": "wide"}),
    "diagonal": SourceZoo("alike inputs", "data and rates", {"input_distribution": "diagonal"}),
    "slow": SourceZoo("lr 3e-4", "data and rates", {"lr": 3e-4}),
    "fast": SourceZoo("lr 1e-2", "data and rates", {"lr": 1e-2}),
    "width3": SourceZoo("2-3-1", "architectures", {"spec": "2-3-1"}),
    "width4": SourceZoo("2-4-1", "architectures", {"spec": "2-4-1"}),
    "depth2": SourceZoo("2-2-2-1", "architectures", {"spec": "2-2-2-1"}),
    "sum": SourceZoo("x + y", "tasks", {"task": "sum"}),
    "quotient": SourceZoo("x / (y + ½)", "tasks", {"task": "quotient"}),
    "square": SourceZoo("x²", "tasks", {"task": "square"}),
    "max": SourceZoo("max", "tasks", {"task": "max"}),
    "random": SourceZoo("random", "control", {"n_steps": 0}),
}
"""In the order of figures. e03 and e04 are the recipe of e09 by other names: other seeds of it stand for them."""


@dataclass(frozen=True)
class Networks:
    """What is taken of one zoo: the first training and test networks (N, P) float32, of one architecture."""

    name: SourceName
    spec: NetworkSpec
    train: np.ndarray
    test: np.ndarray

    @classmethod
    def of(cls, name: SourceName, zoo: Zoo, *, max_fit: int, max_test: int) -> Networks:
        """At most so many of each split."""
        return cls(name, zoo.spec, zoo.where(split="train").params[:max_fit], zoo.where(split="test").params[:max_test])


def source_zoos(context: Context) -> dict[SourceName, Zoo]:
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
