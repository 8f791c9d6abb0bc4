"""Question 2: does it transfer? A matrix of zoos, each a source and a target; `cells` says what is measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from metarep.report.style import INK, amounts_map, cells, colour_bar, use_style
from metarep.report.wording import capital, num
from metarep.studies.multipliers import question_model
from metarep.studies.rows import Row, Rows, by, grouped, relation, spoken, where
from metarep.studies.settings import SourceName
from metarep.studies.sources.cells import SourceNetworks, carry_over
from metarep.studies.study import Claim, Context, Figure, Result
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

TITLES = {
    "masked_r2": "Masked parameters predicted: masked R²",
    "unit_probe": "What units do: probe, balanced accuracy",
    "clusters_ari": "Clusters of networks: ARI",
}
SHORT = {"masked_r2": "masked R²", "unit_probe": "unit probe", "clusters_ari": "clusters (ARI)"}
BASELINES = {
    "masked_r2": {"source_mean": "the means of the source's networks", "linear_gaussian": "the linear-Gaussian imputer"},
    "unit_probe": {"untrained": "an untrained model of the same shape", "raw": "raw parameters"},
    "clusters_ari": {"untrained": "an untrained model of the same shape", "raw": "raw parameters"},
}
"""What the model is held against, carried over in the same way, metric by metric, with its name in sentences."""

LEAST_OWN = 0.05
"""Of a smaller value of the target's own model no share can be retained."""

CAPTION = (
    "What is fitted on the training networks of a source (rows), measured on the test networks of a target (columns), in "
    "hundredths. On the diagonal, framed, a model meets new networks of its own zoo. Orange cells with a minus lie below 0; "
    "empty ones are not defined, since networks or units of the target are all alike. Units are judged on the unit square, "
    "whatever inputs their networks were trained on."
)


def run(context: Context) -> Result:
    """Every source's model, probes and clusters on every target, beside the target's own model and baselines."""
    rows = with_own(measured_cells(context, source_zoos(context)))
    return Result(
        claims(rows),
        tuple(sentences(rows)),
        tables={"matrix": matrix_rows(rows), "cells": rows},
        figures={"matrix": Figure(matrix_figure(rows), CAPTION)},
        shown=("matrix",),
    )


def measured_cells(context: Context, zoos: Mapping[SourceName, Zoo]) -> list[dict[str, Any]]:
    """The rows of all sources, in order."""
    own = context.config.sources
    settings = question_model(context, n_steps=own.n_steps)
    context.models({f"source_{name}": (settings, [zoo.artefact.path]) for name, zoo in zoos.items()})
    take = {"max_fit": own.max_fit_networks, "max_test": own.max_test_networks}
    networks = [SourceNetworks.of(name, zoo, **take) for name, zoo in zoos.items()]
    how = {"k": own.k, "n_bootstraps": context.config.n_bootstraps, "seed": context.config.seed}
    paths = {one.name: context.model_artefact(f"source_{one.name}").path for one in networks}
    jobs = {SOURCES[one.name].title: partial(carry_over, one, networks, paths[one.name], **how) for one in networks}
    return list(chain.from_iterable(context.side_by_side("carry over", jobs)))


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


def with_own(rows: Rows) -> list[dict[str, Any]]:
    """The rows, each with the value of the same kind that was fitted on the target itself, and `retained`, their ratio."""
    key, found = ("target", "representation", "metric"), []
    itself = by([row for row in rows if row["source"] == row["target"]], *key)
    for row in rows:
        own = itself[tuple(row[name] for name in key)]["value"]
        defined = row["value"] is not None and own is not None and own >= LEAST_OWN
        found.append({**row, "own": own, "retained": row["value"] / own if defined else None})
    return found


def main_source(rows: Rows) -> SourceName:
    """The product zoo, or the first source where it is not among them."""
    return PRODUCT if where(rows, source=PRODUCT) else rows[0]["source"]


def carried(rows: Rows, representation: str, metric: str) -> dict[SourceName, Row]:
    """The rows with a value from the main source to every other target that is no control, by target."""
    source = main_source(rows)
    found = by(rows, "target", source=source, representation=representation, metric=metric)
    return {name: row for name, row in found.items() if row["value"] is not None and name not in (source, RANDOM)}


def retained(rows: Rows, metric: str) -> dict[str, float]:
    """The share of what the target's own model reaches that the main source's model retains, by the target's title."""
    found = carried(rows, "cloze", metric).items()
    return {SOURCES[name].title: row["retained"] for name, row in found if row["retained"] is not None}


def on_random(rows: Rows) -> dict[SourceName, Row]:
    """The masked R² of every source's model on random initialisations, the control."""
    return by(rows, "source", target=RANDOM, representation="cloze", metric="masked_r2")


def matrix_rows(rows: Rows) -> list[dict[str, Any]]:
    """A row a target, for the page: the main source's model, the target's own, and the BASELINES, metric by metric."""
    cells = by(rows, "target", "metric", "representation", source=main_source(rows))
    found = []
    for target in dict.fromkeys(target for target, *_ in cells):
        row = {"target": SOURCES[target].title}
        for metric, baselines in BASELINES.items():
            model = cells[target, metric, "cloze"]
            row |= {metric: model["value"], f"{metric}_own": model["own"]}
            row |= {f"{metric}_{name}": cells[target, metric, name]["value"] for name in baselines}
        found.append(row)
    return found


def matrix_figure(rows: Rows) -> Drawing:
    """Sources by targets, a panel a metric side by side, each cell's value written into it in hundredths."""
    names = [name for name in SOURCES if where(rows, target=name)]
    labels = [SOURCES[name].title for name in names]
    with use_style():
        figure = Drawing(figsize=(12.6, 5.0), layout="compressed")
        axes = figure.subplots(1, 3, sharey=True)
        for ax, (metric, title) in zip(axes, TITLES.items(), strict=True):
            found = by(rows, "source", "target", representation="cloze", metric=metric)
            values = np.array([[found[a, b]["value"] for b in names] for a in names], float)
            values[np.abs(values) < 0.005] = 0.0  # what rounds to 0 is not below it
            texts = np.array([["" if np.isnan(v) else f"{100 * v:.0f}" if v >= 0 else "−" for v in row] for row in values])
            look = {"vmin": 0, "vmax": 1, "cmap": amounts_map(below="#F4D3BF"), "aspect": "equal"}
            image = cells(ax, values, texts, labels, labels, fontsize=min(10.0, 135 / len(names)), **look)
            frame(ax, names)
            ax.set_title(title, fontsize=10)
            ax.tick_params(axis="x", rotation=90)
            ax.set_xlabel("measured on")
        axes[0].set_ylabel("fitted on")
        bar = {"ax": axes, "shrink": 0.75, "aspect": 28, "pad": 0.012, "extend": "min"}
        colour_bar(figure, image, "in cells: hundredths; orange: below 0", **bar)
    return figure


def frame(ax: Axes, names: list[SourceName]) -> None:
    """A frame about each cell of the diagonal, a white line between groups and a dark one before the control."""
    for i in range(len(names)):
        ax.plot(i + np.array([-1, 1, 1, -1, -1]) / 2, i + np.array([-1, -1, 1, 1, -1]) / 2, color=INK, lw=0.7)
    for at, (one, other) in enumerate(pairwise(names)):
        if SOURCES[one].group != SOURCES[other].group:
            line = {"color": INK, "lw": 1.3} if other == RANDOM else {"color": "white", "lw": 1.6}
            ax.axhline(at + 0.5, **line)
            ax.axvline(at + 0.5, **line)


def claims(rows: Rows) -> tuple[Claim, ...]:
    """The mean share that is retained of each metric, and the control."""
    found = []
    for metric, title in SHORT.items():
        shares = retained(rows, metric)
        if shares:
            span = {"low": min(shares.values()), "high": max(shares.values()), "over": "targets", "decimals": 2}
            found.append(Claim(f"{title}: share of the own model's retained, mean", float(np.mean([*shares.values()])), **span))
    if control := on_random(rows):
        best = max(control.values(), key=lambda row: row["value"])
        found.append(Claim.of("control: the highest masked R² of any model on random initialisations", best, decimals=2))
    return tuple(found) or (Claim("targets on which anything can be retained", 0),)


def sentences(rows: Rows) -> Iterator[str]:
    """How much is kept, what baselines make of it, and whether the control fails."""
    source = SOURCES[main_source(rows)].title
    for metric, title in SHORT.items():
        shares = retained(rows, metric)
        if shares:
            least, most = (pick(shares, key=shares.__getitem__) for pick in (min, max))
            yield (
                f"{capital(title)}: of what each target's own model reaches, the model of {source} networks keeps "
                f"{np.median([*shares.values()]):.0%} in the median of {len(shares)} targets, least on {least} "
                f"({shares[least]:.0%}), most on {most} ({shares[most]:.0%}). {' '.join(baseline_sentences(rows, metric))}"
            )
    if control := on_random(rows):
        yield control_sentence(control)


def baseline_sentences(rows: Rows, metric: str) -> Iterator[str]:
    """The model carried over from the main source against each baseline carried over in the same way."""
    ours = carried(rows, "cloze", metric)
    for baseline, words in BASELINES[metric].items():
        theirs = carried(rows, baseline, metric)
        both = [target for target in ours if target in theirs]
        if not both:
            continue
        middle = [num(float(np.median([found[target]["value"] for target in both]))) for found in (ours, theirs)]
        apart = {SOURCES[target].title: relation(ours[target], theirs[target]) for target in both}
        apart = {name: word for name, word in apart.items() if word.startswith("clearly")}
        yield (
            f"Against {words} it is {middle[0]} to {middle[1]} in the median of {len(both)}; the model is "
            f"{grouped(apart, '{} on {}') or 'nowhere clearly apart'}."
        )


def control_sentence(control: Mapping[SourceName, Row]) -> str:
    """Whether the cloze test fails on random initialisations, as it must."""
    succeeded = [f"{SOURCES[name].title} ({spoken(row)})" for name, row in control.items() if row["low"] > 0]
    if succeeded:
        verdict = f"the control does not fail as it must: {', '.join(succeeded)} predict what is independent by construction"
    else:
        best = num(max(row["value"] for row in control.values()))
        verdict = f"the control fails as it must: no model predicts a masked initial parameter (highest masked R² {best})"
    return f"Random initialisations are independent draws: {verdict}."
