"""Trained: the parts of 4-16-2 and of 2-16-1 networks, found by a model of 2-2-1 networks and then ablated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.domains.multiplier.sections.one_hidden import OneHidden, usual_ratio
from metarep.model.transformer import ClozeModel, untrained_like
from metarep.networks.spec import NetworkSpec
from metarep.studies.multipliers import pretrained
from metarep.studies.study import Context, Result
from metarep.studies.trained.ablation import selectivity
from metarep.studies.trained.figures import figures
from metarep.studies.trained.parts import (
    Ablated,
    cluster_rows,
    cluster_units,
    groupings,
    off_shares,
    selectivity_row,
    selectivity_rows,
)
from metarep.studies.trained.text import CLOZE, UNTRAINED, claims, sentences
from metarep.studies.trained.two_products import SPEC, Trained, train_two_products
from metarep.studies.units import off_probabilities
from metarep.training.recipe import draw_reference
from metarep.training.settings import ZooConfig

WIDE = NetworkSpec((2, 16, 1))
SEEDS = 1000
"""Networks of two products have the seeds from so many times the settings' seed on."""


@dataclass(frozen=True)
class WideNetworks:
    """What was found of 2-16-1 networks: rows of clusters, the rule's curve, and how well predictions fit what units do."""

    rows: list[dict[str, Any]]
    curve: list[dict[str, Any]]
    correlation: dict[str, float]
    n_test: int


def run(context: Context) -> Result:
    """Two products first, then wide networks of one."""
    config, seed = context.config.trained, context.config.seed
    model, zoo = pretrained(context)
    models = {CLOZE: model, UNTRAINED: untrained_like(model, seed=seed)}
    seeds = SEEDS * seed + np.arange(config.n_two_products)
    trained = train_two_products(seeds, n_samples=config.n_samples, n_steps=config.n_steps, progress=context.progress)
    errors, rows = two_products(context, trained, models, usual_ratio(zoo.where(split="train").params))
    wide = wide_networks(context, models)
    return Result(
        claims(rows, wide.rows),
        sentences(rows, wide.rows, errors, wide.correlation, wide.n_test),
        tables={"selectivity": rows, "clusters": wide.rows, "chosen_k": wide.curve},
        figures=figures(rows, wide.rows),
        numbers={"mse_two_products": errors, "off_correlation": wide.correlation},
        shown=("selectivity", "clusters"),
    )


def two_products(
    context: Context, trained: Trained, models: dict[str, ClozeModel], ratio: float
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


def wide_networks(context: Context, models: dict[str, ClozeModel]) -> WideNetworks:
    """Clusters of the units of held-out 2-16-1 networks by each model's predictions, ablated."""
    config, seed = context.config.trained, context.config.seed
    families = [{"variant": "e09", "spec": str(WIDE), "n_networks": config.n_wide}]
    zoo = context.zoo("wide", ZooConfig(families=families, seed=seed)).final()
    test = zoo.where(split="test")
    x, y = (part[: config.n_samples].astype(np.float64) for part in draw_reference(seed, "product", MULTIPLIER).valid)
    networks = [Ablated.on(OneHidden.of(WIDE, params), x, y[:, None]) for params in test.params]
    off = np.stack([off_shares(one.network, x) for one in networks])
    rows, curve, correlation = [], [], {}
    for name, model in models.items():
        told = {part: off_probabilities(model, zoo.spec, zoo.where(split=part).params) for part in ("train", "test")}
        found = cluster_units(told["train"], told["test"], config.ks, seed=seed)
        shared = {"n_random": config.n_random, "n_bootstraps": context.config.n_bootstraps, "seed": seed}
        rows += [{"method": name} | row for row in cluster_rows(networks, found.labels, off, **shared)]
        curve += [{"method": name} | row for row in found.curve]
        correlation[name] = float(np.corrcoef(told["test"].mean(axis=2).ravel(), off.ravel())[0, 1])
    return WideNetworks(rows, curve, correlation, len(test))
