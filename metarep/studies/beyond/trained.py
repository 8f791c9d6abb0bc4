"""Trained: the parts of 4-16-2 and of 2-16-1 networks, found by a model of 2-2-1 networks and then silenced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from metarep.cloze.embed import untrained_like
from metarep.cloze.model import ClozeModel
from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.domains.multiplier.sections.one_hidden import OneHidden, usual_ratio
from metarep.networks.spec import NetworkSpec
from metarep.studies.beyond.ablation import selectivity
from metarep.studies.beyond.context import BeyondContext
from metarep.studies.beyond.parts_of_trained import (
    Ablated,
    cluster_rows,
    cluster_units,
    groupings,
    off_shares,
    selectivity_row,
    selectivity_rows,
)
from metarep.studies.beyond.trained_figures import clusters_figure, selectivity_figure
from metarep.studies.beyond.trained_words import CLOZE, UNTRAINED, claims, sentences
from metarep.studies.beyond.two_products import SPEC, Trained, train_two_products
from metarep.studies.beyond.unit_beliefs import unit_beliefs
from metarep.studies.experiment import Picture, Result
from metarep.training.recipe import draw_reference
from metarep.training.settings import ZooConfig
from metarep.zoos.zoo import Zoo

WIDE = NetworkSpec((2, 16, 1))
SEEDS = 1000
"""Networks of two products have the seeds from so many times the settings' seed on."""


@dataclass(frozen=True)
class WideNetworks:
    """What was found of 2-16-1 networks: rows of clusters, the rule's curve, and how well beliefs fit what units do."""

    rows: list[dict[str, Any]]
    curve: list[dict[str, Any]]
    correlation: dict[str, float]
    n_test: int


def run(context: BeyondContext) -> Result:
    """Two products first, then wide networks of one."""
    config, seed = context.config.trained, context.config.seed
    model, zoo = context.pretrained()
    models = {CLOZE: model, UNTRAINED: untrained_like(model, seed=seed)}
    seeds = SEEDS * seed + np.arange(config.n_two_products)
    trained = train_two_products(seeds, n_samples=config.n_samples, n_steps=config.n_steps, progress=context.progress)
    errors, rows = two_products(context, trained, models, usual_ratio(zoo.where(split="train").params))
    wide = wide_networks(context, models)
    return Result(
        claims(rows, wide.rows),
        sentences(rows, wide.rows, errors, wide.correlation, wide.n_test),
        tables={"selectivity": rows, "clusters": wide.rows, "chosen_k": wide.curve},
        pictures={
            "selectivity": Picture(
                selectivity_figure(rows),
                "4-16-2 networks of two products. Groups of hidden units give their means: how far the rise of the error is "
                "that of one output and not of the other. 95 % bootstrap intervals over networks; grey, random groups of the "
                "same sizes.",
                "Dots with intervals by grouping, beside those of random groups",
            ),
            "clusters": Picture(
                clusters_figure(wide.rows),
                "2-16-1 networks. Units clustered by what the model believes of them; the rise of the error where a cluster's "
                "units give their means, beside as many random units of the same network.",
                "Dots with intervals by cluster on a logarithmic axis",
            ),
        },
        numbers={"mse_two_products": errors, "belief_correlation": wide.correlation},
        shown=("selectivity", "clusters"),
    )


def two_products(
    context: BeyondContext, trained: Trained, models: dict[str, ClozeModel], ratio: float
) -> tuple[float, list[dict[str, Any]]]:
    """The median error of the networks, and the rows of selectivity; last, every unit a group of its own: the most there is."""
    networks = [
        Ablated.on(OneHidden.of(SPEC, params), x.astype(np.float64), y.astype(np.float64))
        for params, x, y in zip(trained.params, trained.inputs, trained.targets, strict=True)
    ]
    labels = []
    with context.progress.task("sections", len(networks), "networks") as task:
        for one in networks:
            labels.append(groupings(one.network, models, ratio))
            task.advance(1)
    shared = {"n_bootstraps": context.config.n_bootstraps, "seed": context.config.seed}
    rows = selectivity_rows(networks, labels, n_random=context.config.trained.n_random, **shared)
    units = np.eye(SPEC.widths[1], dtype=bool)
    alone = np.array([selectivity(one.rises(units)) for one in networks])
    own = np.stack([alone, alone, np.full(len(alone), len(units)), np.full(len(alone), len(units))], axis=1)
    rows.append(selectivity_row("each unit", "alone", own, len(networks), **shared))
    return float(np.median([np.square(one.errors).mean() for one in networks])), rows


def wide_networks(context: BeyondContext, models: dict[str, ClozeModel]) -> WideNetworks:
    """Clusters of the units of held-out 2-16-1 networks by each model's beliefs, silenced."""
    config, seed = context.config.trained, context.config.seed
    families = [{"variant": "e09", "spec": str(WIDE), "n_networks": config.n_wide}]
    zoo = context.zoo("wide", ZooConfig(families=families, seed=seed)).final()
    test = zoo.where(split="test")
    x, y = (part[: config.n_samples].astype(np.float64) for part in draw_reference(seed, "product", MULTIPLIER).valid)
    networks = [Ablated.on(OneHidden.of(WIDE, params), x, y[:, None]) for params in test.params]
    off = np.stack([off_shares(one.network, x) for one in networks])
    rows, curve, correlation = [], [], {}
    for name, model in models.items():
        believed = beliefs_by_split(model, zoo)
        found = cluster_units(believed["train"], believed["test"], config.ks, seed=seed)
        shared = {"n_random": config.n_random, "n_bootstraps": context.config.n_bootstraps, "seed": seed}
        rows += [{"method": name} | row for row in cluster_rows(networks, found.labels, off, **shared)]
        curve += [{"method": name} | row for row in found.curve]
        correlation[name] = float(np.corrcoef(believed["test"].mean(axis=2).ravel(), off.ravel())[0, 1])
    return WideNetworks(rows, curve, correlation, len(test))


def beliefs_by_split(model: ClozeModel, zoo: Zoo) -> dict[str, np.ndarray]:
    """(N, U, S) of the training and of the test networks of a zoo."""
    reader = model.reading(zoo.spec)
    return {split: unit_beliefs(reader, zoo.where(split=split).params) for split in ("train", "test")}
