"""Trained: the parts of 4-16-2 and of 2-16-1 networks, found by a model of 2-2-1 networks and then ablated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Drawing

from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.domains.multiplier.sections.one_hidden import OneHidden, usual_ratio
from metarep.model.transformer import ClozeModel, untrained_like
from metarep.networks.spec import NetworkSpec
from metarep.report.style import MUTED, PALETTE, drawing
from metarep.report.wording import listed, num, times
from metarep.studies.drawing import legend_outside, marks
from metarep.studies.multipliers import pretrained
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.studies.trained.parts import (
    Ablated,
    cluster_rows,
    cluster_units,
    groupings,
    off_shares,
    selectivity,
    selectivity_row,
    selectivity_rows,
)
from metarep.studies.trained.two_products import SPEC, Trained, train_two_products
from metarep.studies.units import off_probabilities
from metarep.studies.words import named, spoken
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


Row = Mapping[str, Any]

LEAST = 1e-8
"""Rises of the error below this are drawn at the edge of the logarithmic axis."""


def figures(rows: Sequence[Row], clusters: Sequence[Row]) -> dict[str, Figure]:
    """The figures of the page."""
    return {
        "selectivity": Figure(
            selectivity_figure(rows),
            "4-16-2 networks of two products. Groups of hidden units give their means: how far the rise of the error is "
            "that of one output and not of the other. 95 % bootstrap intervals over networks; grey, random groups of the "
            "same sizes.",
            "Dots with intervals by grouping, beside those of random groups",
        ),
        "clusters": Figure(
            clusters_figure(clusters),
            "2-16-1 networks. Units clustered by what the model predicts of them; the rise of the error where a cluster's "
            "units give their means, beside as many random units of the same network.",
            "Dots with intervals by cluster on a logarithmic axis",
        ),
    }


def selectivity_figure(rows: Sequence[Row]) -> Drawing:
    """A line for each grouping: its groups, and random ones of the same sizes."""
    own = [row for row in rows if row["selectivity"] is not None]
    with drawing(8.4, 0.5 * len(own) + 1.5) as figure:
        ax = figure.subplots()
        at = np.arange(len(own))
        grouped = [number for number, row in enumerate(own) if row["grouping"] != "alone"]
        marks(ax, at, own, "selectivity", across=True, label="groups found", color=PALETTE[0])
        marks(ax, at[grouped], [own[i] for i in grouped], "random", across=True, label="random groups", color=MUTED, fmt="s")
        ax.set_yticks(at, [f"{TITLES[row['method']]}, {row['grouping']}" for row in own])
        ax.set(xlim=(-0.02, 1.02), xlabel="selectivity: 1 where each group matters for one output alone")
        ax.invert_yaxis()
        legend_outside(figure, ax)
    return figure


def clusters_figure(rows: Sequence[Row]) -> Drawing:
    """A panel for each method: the rise of the error by cluster, beside random units, as many."""
    methods = list(dict.fromkeys(row["method"] for row in rows))
    with drawing(5.2 * len(methods), 4.2) as figure:
        axes = figure.subplots(1, len(methods), sharex=True, squeeze=False)[0]
        for ax, method in zip(axes, methods, strict=True):
            own = [row for row in rows if row["method"] == method and row["rise"] is not None]
            at = np.arange(len(own))
            marks(ax, at - 0.1, own, "rise", across=True, floor=LEAST, label="the cluster", color=PALETTE[0])
            marks(ax, at + 0.1, own, "random", across=True, floor=LEAST, label="as many random units", color=MUTED, fmt="s")
            names = [f"{row['cluster']}: {row['units']:.1f} units,\noff on {row['off']:.0%}" for row in own]
            ax.set_yticks(at, names)
            ax.set(title=TITLES[method][0].upper() + TITLES[method][1:], xscale="log", xlabel="rise of the error, ablated")
            ax.set_ylim(len(own) - 0.5, -0.5)
        legend_outside(figure, axes[0])
    return figure


Row = Mapping[str, Any]

CLOZE, UNTRAINED, CONNECTIVITY = "cloze", "untrained", "connectivity"
TITLES = {CLOZE: "the model", UNTRAINED: "an untrained model", CONNECTIVITY: "connectivity alone", "each unit": "each unit"}
ABOUT = {"decimals": 2, "over": "networks"}
MUST, MUST_NOT = 1.5, 0.67
"""A cluster whose ablation costs so many times as much as that of random units is called needed, or idle."""


def row_of(rows: Sequence[Row], method: str, grouping: str) -> Row:
    """The row of one grouping."""
    return next(row for row in rows if (row["method"], row["grouping"]) == (method, grouping))


def claims(rows: Sequence[Row], clusters: Sequence[Row]) -> tuple[Claim, ...]:
    """How far selectivity leads that of random groups; then what ablated clusters cost."""
    made = []
    for method, grouping in ((CLOZE, "pairs"), (CLOZE, "communities"), (CONNECTIVITY, "pairs"), (CONNECTIVITY, "communities")):
        row = row_of(rows, method, grouping)
        if row["lead"] is not None:
            title = f"4-16-2: selectivity of {grouping} by {TITLES[method]}, above random groups"
            made.append(Claim.of(title, row, "lead", **ABOUT))
    for row in clusters:
        if row["method"] == CLOZE and row["ratio"] is not None:
            name = f"2-16-1: cost of cluster {row['cluster']} ablated, by that of random units"
            made.append(Claim.of(name, row, "ratio", **ABOUT))
    return tuple(made) or (Claim("4-16-2: networks with a section", 0.0, decimals=2),)


def sentences(
    rows: Sequence[Row], clusters: Sequence[Row], error: float, correlation: Mapping[str, float], n_test: int
) -> tuple[str, ...]:
    """Everything that was found."""
    return (
        material(rows, error),
        *(selective(rows, grouping) for grouping in ("pairs", "communities")),
        predictions(correlation, n_test),
        *(ablated(clusters, method) for method in (CLOZE, UNTRAINED)),
    )


def material(rows: Sequence[Row], error: float) -> str:
    """What was trained, and how much one output's units are its own at all."""
    alone = row_of(rows, "each unit", "alone")
    return (
        f"{alone['n_networks']} networks 4-16-2 learned two products at once, to a median error of {num(error, 4)}. One by one "
        f"their units have a selectivity of {spoken(alone, 'selectivity')}: 1 if each mattered for one output alone."
    )


def selective(rows: Sequence[Row], grouping: str) -> str:
    """How selective the groups of one kind are, by method."""
    own = [row_of(rows, method, grouping) for method in (CLOZE, CONNECTIVITY, UNTRAINED)]
    parts = [
        f"{TITLES[row['method']]} {spoken(row, 'selectivity')} (random groups of the same sizes {num(row['random'])}; "
        f"{num(row['groups'], 1)} groups of {num(row['units'], 1)} units a network)"
        if row["lead"] is not None
        else f"{TITLES[row['method']]} finds none"
        for row in own
    ]
    better = [TITLES[row["method"]] for row in own if row["lead"] is not None and row["lead_low"] > 0]
    verdict = f"clearly above random groups are those of {listed(better)}" if better else "none is clearly above random groups"
    title = {"pairs": "Sections of two units", "communities": "Communities of any size"}[grouping]
    return f"{title}, ablated: {'; '.join(parts)}. By intervals, {verdict}."


def predictions(correlation: Mapping[str, float], n_test: int) -> str:
    """How well predictions about units of wider networks fit what the units do."""
    return (
        f"Of the units of {n_test} held-out 2-16-1 networks, the like of which it was never shown, the model predicts shares "
        f"of the square on which each is off that correlate with the shares of inputs at which they are by "
        f"{num(correlation[CLOZE])} (an untrained model {num(correlation[UNTRAINED])})."
    )


def ablated(clusters: Sequence[Row], method: str) -> str:
    """What ablation of each cluster costs."""
    own = [row for row in clusters if row["method"] == method and row["ratio"] is not None]
    if not own:
        return f"By {TITLES[method]} all units of 2-16-1 networks are of one cluster."
    parts = [
        f"cluster {row['cluster']} ({num(row['units'], 1)} units, off on {row['off']:.0%} of the inputs) "
        f"{times(row['ratio'])} [{num(row['ratio_low'])}, {num(row['ratio_high'])}]"
        for row in own
    ]
    idle = [f"{row['cluster']}" for row in own if row["ratio_high"] < MUST_NOT]
    needed = [f"{row['cluster']}" for row in own if row["ratio_low"] > MUST]
    verdicts = named({"needed": needed, "idle": idle})
    return (
        f"Clustered by what {TITLES[method]} predicts of units, ablation raises the error, beside random units, as many: "
        f"{'; '.join(parts)}. By intervals, {' and '.join(verdicts) or 'no cluster is clearly needed or idle'}."
    )
