"""Trained: the parts of 4-16-2 and of 2-16-1 networks, found by a model of 2-2-1 networks and then ablated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.domains.multiplier.sections.one_hidden import OneHidden, usual_ratio
from metarep.model.transformer import ClozeModel, untrained_like
from metarep.networks.spec import NetworkSpec
from metarep.report.style import MUTED, PALETTE
from metarep.report.wording import listed, num, times
from metarep.studies.drawing import Series, dots_figure
from metarep.studies.multipliers import pretrained
from metarep.studies.rows import Rows, by, where
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.studies.trained.parts import (
    Ablated,
    cluster_rows,
    cluster_units,
    groupings,
    selectivity,
    selectivity_row,
    selectivity_rows,
)
from metarep.studies.trained.two_products import SPEC, train_two_products
from metarep.studies.units import off_probabilities
from metarep.studies.words import grouped, spoken
from metarep.training.recipe import draw_reference

WIDE = NetworkSpec((2, 16, 1))
SEEDS = 1000
"""Networks of two products have the seeds from so many times the settings' seed on."""

CLOZE, UNTRAINED, CONNECTIVITY = "cloze", "untrained", "connectivity"
TITLES = {CLOZE: "the model", UNTRAINED: "an untrained model", CONNECTIVITY: "connectivity alone", "each unit": "each unit"}
GROUPINGS = {"pairs": "Sections of two units", "communities": "Communities of any size"}
LEAST = 1e-8
"""Rises of the error below this are drawn at the edge of the logarithmic axis."""

MUST, MUST_NOT = 1.5, 0.67
"""A cluster whose ablation costs so many times as much as that of random units is called needed, or idle."""


class WideNetworks(NamedTuple):
    """What was found of 2-16-1 networks: rows of clusters, the rule's curve, and how well predictions fit what units do."""

    rows: list[dict[str, Any]]
    curve: list[dict[str, Any]]
    correlation: dict[str, float]
    n_test: int


def run(context: Context) -> Result:
    """Two products first, then wide networks of one."""
    model, zoo = pretrained(context)
    models = {CLOZE: model, UNTRAINED: untrained_like(model, seed=context.config.seed)}
    error, rows = two_products(context, models, usual_ratio(zoo.where(split="train").params))
    wide = wide_networks(context, models)
    return Result(
        claims(rows, wide.rows),
        (
            *(selective(rows, grouping) for grouping in GROUPINGS),
            material(by(rows, "method")["each unit"], error, wide),
            *(ablated(wide.rows, method) for method in models),
        ),
        tables={"selectivity": rows, "clusters": wide.rows, "chosen_k": wide.curve},
        figures=figures(rows, wide.rows),
        numbers={"mse_two_products": error, "off_correlation": wide.correlation},
        shown=("selectivity", "clusters"),
    )


def two_products(context: Context, models: Mapping[str, ClozeModel], ratio: float) -> tuple[float, list[dict[str, Any]]]:
    """The median error of the networks, and the rows of selectivity; last, every unit a group of its own: the most there is."""
    config, seed = context.config.trained, context.config.seed
    seeds = SEEDS * seed + np.arange(config.n_two_products)
    trained = train_two_products(seeds, n_samples=config.n_samples, n_steps=config.n_steps, progress=context.progress)
    params, *samples = (part.astype(np.float64) for part in trained)
    networks = [Ablated.on(OneHidden.of(SPEC, one), x, y) for one, x, y in zip(params, *samples, strict=True)]
    labels = []
    with context.progress.task("sections", len(networks), "networks") as task:
        for one in networks:
            labels.append(groupings(one.network, models, ratio))
            task.advance(1)
    draws = {"n_bootstraps": context.config.n_bootstraps, "seed": seed}
    rows = selectivity_rows(networks, labels, n_random=config.n_random, **draws)
    units = np.eye(SPEC.widths[1], dtype=bool)
    alone = [2 * (selectivity(one.rises(units)),) + 2 * (len(units),) for one in networks]
    rows.append(selectivity_row("each unit", "alone", alone, len(networks), **draws))
    return float(np.median([np.square(one.errors).mean() for one in networks])), rows


def wide_networks(context: Context, models: Mapping[str, ClozeModel]) -> WideNetworks:
    """Clusters of the units of held-out 2-16-1 networks by each model's predictions, ablated."""
    config, seed = context.config.trained, context.config.seed
    zoo = context.family("wide", variant="e09", spec=str(WIDE), n_networks=config.n_wide).final()
    x, y = (part[: config.n_samples].astype(np.float64) for part in draw_reference(seed, "product", MULTIPLIER).valid)
    networks = [Ablated.on(OneHidden.of(WIDE, params), x, y[:, None]) for params in zoo.where(split="test").params]
    draws = {"n_random": config.n_random, "n_bootstraps": context.config.n_bootstraps, "seed": seed}
    rows, curve, correlation = [], [], {}
    for name, model in models.items():
        told = [off_probabilities(model, zoo.spec, zoo.where(split=part).params) for part in ("train", "test")]
        found = cluster_units(*told, config.ks, seed=seed)
        rows += [{"method": name} | row for row in cluster_rows(networks, found.labels, **draws)]
        curve += [{"method": name} | row for row in found.curve]
        measured = np.concatenate([one.off for one in networks])
        correlation[name] = float(np.corrcoef(told[1].mean(axis=2).ravel(), measured)[0, 1])
    return WideNetworks(rows, curve, correlation, len(networks))


def figures(rows: Rows, clusters: Rows) -> dict[str, Figure]:
    own = [row | {"name": f"{TITLES[row['method']]}, {row['grouping']}"} for row in rows if row["selectivity"] is not None]
    random = [row for row in own if row["grouping"] != "alone"]
    found = [
        Series("groups found", own, PALETTE[0], of="selectivity"),
        Series("random groups", random, MUTED, "s", of="random"),
    ]
    costs = []
    for row in (row for row in clusters if row["rise"] is not None):
        units = f"cluster {row['cluster']}: {row['units']:.1f} units, off on {row['off']:.0%}"
        costs.append(row | {"name": f"{TITLES[row['method']]},\n{units}"})
    rise = [Series("the cluster", costs, PALETTE[0], of="rise"), Series("as many random units", costs, MUTED, "s", of="random")]
    return {
        "selectivity": Figure(
            dots_figure(
                {"Selectivity: 1 where each group matters for one output alone": found},
                "name",
                {row["name"]: row["name"] for row in own},
            ),
            "4-16-2 networks of two products. Groups of hidden units give their means: how far the rise of the error is "
            "that of one output and not of the other. 95 % bootstrap intervals over networks; grey, random groups of the "
            "same sizes.",
        ),
        "clusters": Figure(
            dots_figure(
                {"Rise of the error, ablated": rise},
                "name",
                {row["name"]: row["name"] for row in costs},
                floor=LEAST,
                xscale="log",
            ),
            "2-16-1 networks. Units clustered by what the model predicts of them; the rise of the error where a cluster's "
            "units give their means, beside as many random units of the same network.",
        ),
    }


def claims(rows: Rows, clusters: Rows) -> tuple[Claim, ...]:
    """How far selectivity leads that of random groups; then what ablated clusters cost."""
    about = {"decimals": 2, "over": "networks"}
    made = []
    for method in (CLOZE, CONNECTIVITY):
        for grouping in GROUPINGS:
            (row,) = where(rows, method=method, grouping=grouping)
            title = f"4-16-2: selectivity of {grouping} by {TITLES[method]}, above random groups"
            made += [Claim.of(title, row, "lead", **about)] if row["lead"] is not None else []
    for row in where(clusters, method=CLOZE):
        name = f"2-16-1: cost of cluster {row['cluster']} ablated, by that of random units"
        made += [Claim.of(name, row, "ratio", **about)] if row["ratio"] is not None else []
    return tuple(made) or (Claim("4-16-2: networks with a section", 0.0, decimals=2),)


def selective(rows: Rows, grouping: str) -> str:
    """How selective the groups of one kind are, by method."""
    found = by(rows, "method", grouping=grouping)
    own = {TITLES[method]: found[method] for method in (CLOZE, CONNECTIVITY, UNTRAINED)}
    parts = [
        f"{title} {spoken(row, 'selectivity')} (random groups of the same sizes {num(row['random'])}; "
        f"{num(row['groups'], 1)} groups of {num(row['units'], 1)} units a network)"
        if row["lead"] is not None
        else f"{title} finds none"
        for title, row in own.items()
    ]
    better = [title for title, row in own.items() if row["lead"] is not None and row["lead_low"] > 0]
    verdict = f"clearly above random groups are those of {listed(better)}" if better else "none is clearly above random groups"
    return f"{GROUPINGS[grouping]} of 4-16-2 networks, ablated: {'; '.join(parts)}. By intervals, {verdict}."


def material(alone: Mapping[str, Any], error: float, wide: WideNetworks) -> str:
    """How much one output's units are its own at all, and how well predictions about wider networks fit what units do."""
    return (
        f"The {alone['n_networks']} networks 4-16-2 have a median error of {num(error, 4)}; one by one their units have a "
        f"selectivity of {spoken(alone, 'selectivity')}: 1 if each mattered for one output alone. Of the units of "
        f"{wide.n_test} held-out 2-16-1 networks, the like of which it was never shown, the model predicts shares of the "
        f"square on which each is off that correlate with the shares of inputs at which they are by "
        f"{num(wide.correlation[CLOZE])} (an untrained model {num(wide.correlation[UNTRAINED])})."
    )


def ablated(clusters: Rows, method: str) -> str:
    """What ablation of each cluster costs."""
    own = [row for row in where(clusters, method=method) if row["ratio"] is not None]
    if not own:
        return f"By {TITLES[method]} all units of 2-16-1 networks are of one cluster."
    parts = [
        f"cluster {row['cluster']} ({num(row['units'], 1)} units, off on {row['off']:.0%} of the inputs) "
        f"{times(row['ratio'])} [{num(row['ratio_low'])}, {num(row['ratio_high'])}]"
        for row in own
    ]
    words = {
        f"{row['cluster']}": "needed" if row["ratio_low"] > MUST else "idle" if row["ratio_high"] < MUST_NOT else ""
        for row in own
    }
    return (
        f"Clustered by what {TITLES[method]} predicts of units, ablation raises the error, beside random units, as many: "
        f"{'; '.join(parts)}. By intervals, {grouped(words) or 'no cluster is clearly needed or idle'}."
    )
