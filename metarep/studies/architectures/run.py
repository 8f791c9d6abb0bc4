"""Pretrained on networks of some architectures, tested on others: what a model carries over.

Networks of many widths and depths that learned several tasks. One model reads some architectures, another all of them; both
are tested on networks of the architectures that the first has never seen. Three metrics: how much of masked values is
predicted, whether a linear probe that was fitted on the seen architectures names the task of a network, and whether it tells
its error. Beside them the same of an untrained model and of weight statistics, and probes fitted on the target itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from metarep.embeddings.settings import EmbedConfig
from metarep.embeddings.stage import embed_networks
from metarep.evaluation.masked_r2 import masked_r2_rows
from metarep.evaluation.probes import fit_probe, linear_classifier, linear_regressor
from metarep.evaluation.resampling import class_metric, r2_metric
from metarep.evaluation.settings import MaskedR2Config
from metarep.evaluation.weight_statistics import weight_statistics
from metarep.model.transformer import ClozeModel, untrained_like
from metarep.report.style import MUTED, PALETTE, drawing
from metarep.report.wording import num
from metarep.studies.drawing import legend_outside, marks
from metarep.studies.settings import ArchitecturesConfig
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.training.settings import ZooConfig
from metarep.zoos.zoo import Zoo

SEEN, LEFT_OUT = "architectures_seen", "architectures_left_out"
MODELS = {"others": (SEEN,), "all": (SEEN, LEFT_OUT)}
"""Each model by the zoos that it is pretrained on."""

STATISTICS = "weight statistics"
N_BINS = 3
"""Parts of the depth of which weight statistics are taken."""


def run(context: Context) -> Result:
    """See the head of this file."""
    config = context.config.architectures
    zoos = {SEEN: build(context, SEEN, config.seen), LEFT_OUT: build(context, LEFT_OUT, config.left_out)}
    settings = config.pretrain.changed({"seed": context.config.seed}, where="architectures.pretrain")
    wanted = {f"architectures_{name}": [zoos[zoo].artefact.path for zoo in of] for name, of in MODELS.items()}
    made = context.models({name: (settings, paths) for name, paths in wanted.items()})
    models = {name: made[f"architectures_{name}"] for name in MODELS}
    models["untrained"] = untrained_like(models["others"], seed=context.config.seed)
    vectors = {name: vectors_of(models, zoo) for name, zoo in zoos.items()}
    rows: list[dict[str, Any]] = []
    for spec in config.left_out:
        rows += masked_rows(context, models, zoos, spec)
        rows += probe_rows(context, zoos, vectors, spec)
    return Result(
        claims=claims(rows),
        sentences=sentences(rows, config, {name: len(zoo) for name, zoo in zoos.items()}),
        tables={"cells": rows},
        figures=figures(rows, config.left_out),
        shown=("cells",),
    )


def build(context: Context, name: str, specs: tuple[str, ...]) -> Zoo:
    """A zoo of every architecture and task: its finished networks."""
    config = context.config.architectures
    shared = {"variant": "e09", "n_networks": config.n_networks, "n_steps": config.n_training_steps}
    families = [{**shared, "spec": spec, "task": task} for spec in specs for task in config.tasks]
    offset = 100 + (SEEN, LEFT_OUT).index(name)
    return context.zoo(name, ZooConfig(families=families, seed=context.config.seed + offset)).final()


def vectors_of(models: Mapping[str, ClozeModel], zoo: Zoo) -> dict[str, np.ndarray]:
    """The vectors (N, D) of the networks of a zoo by representation."""
    rows = np.arange(len(zoo))
    found = {name: embed_networks(model, zoo, rows, EmbedConfig(kind="layers")).astype(float) for name, model in models.items()}
    statistics = np.zeros((len(zoo), 2 * 7 * N_BINS))
    for number, architecture in enumerate(zoo.architectures):
        own = np.flatnonzero(zoo.architecture == number)
        if len(own):
            statistics[own] = weight_statistics(architecture, zoo.stacked(own), N_BINS, stretch=True)
    return found | {STATISTICS: statistics}


def masked_rows(context: Context, models: Mapping[str, ClozeModel], zoos: Mapping[str, Zoo], spec: str) -> Iterator[dict]:
    """Masked R² on the test networks of an architecture, one token in eight masked at a time."""
    target = zoos[LEFT_OUT].where(split="test", spec=spec)
    config = MaskedR2Config(maskings=("one in eight",), n_bootstraps=context.config.n_bootstraps, seed=context.config.seed)
    for name, model in models.items():
        train = zoos[LEFT_OUT].where(split="train", spec=spec)
        rows = masked_r2_rows(config, model, train, target)
        found = next(row for row in rows if (row["predictor"], row["group"]) == ("cloze", "all"))
        row = {"target": spec, "representation": name, "fitted_on": "", "metric": "masked_r2", "value": found["r2"]}
        yield row | {"low": found["low"], "high": found["high"], "null": found["null_p95"], "n": len(target)}


def probe_rows(
    context: Context, zoos: Mapping[str, Zoo], vectors: Mapping[str, dict[str, np.ndarray]], spec: str
) -> Iterator[dict]:
    """Linear probes for task and error, fitted on the seen architectures or on the target, measured on its test networks."""
    left = zoos[LEFT_OUT]
    test = np.flatnonzero((left.split == "test") & (left["spec"] == spec))
    sides = {
        "others": (SEEN, np.flatnonzero(zoos[SEEN].split == "train")),
        "itself": (LEFT_OUT, np.flatnonzero((left.split == "train") & (left["spec"] == spec))),
    }
    draws = {"seed": context.config.seed, "n_draws": context.config.n_bootstraps}
    for name in vectors[LEFT_OUT]:
        for fitted_on, (side, train) in sides.items():
            x, y = vectors[side][name][train], vectors[LEFT_OUT][name][test]
            row = {"target": spec, "representation": name, "fitted_on": fitted_on}
            for metric, column, build, measure in (
                ("task", "task", linear_classifier, class_metric),
                ("log_error", "log_error", linear_regressor, r2_metric),
            ):
                predicted = fit_probe(build, x, zoos[side][column][train])(y)
                yield row | {"metric": metric} | measure(left[column][test], predicted, **draws) | {"n": len(test)}


PANELS = {"masked_r2": "masked R²", "task": "task: balanced accuracy", "log_error": "log error: R²"}
SERIES = (
    ("others", "others", PALETTE[0], "o", "model of other architectures"),
    ("all", "itself", PALETTE[1], "D", "model of all, probe of its own"),
    ("weight statistics", "others", PALETTE[2], "s", "weight statistics"),
    ("untrained", "others", PALETTE[3], "^", "untrained model"),
)
FLOOR = -0.3
"""R² that lie below are drawn at the edge."""


def figures(rows: list[dict[str, Any]], targets: tuple[str, ...]) -> dict[str, Figure]:
    """A panel a metric, a row an architecture that was left out, a dot a representation with its interval."""
    cells = {(row["metric"], row["representation"], row["fitted_on"], row["target"]): row for row in rows}
    with drawing(10.5, 1.6 + 0.62 * len(targets)) as figure:
        axes = figure.subplots(1, len(PANELS), sharey=True)
        for ax, (metric, title) in zip(axes, PANELS.items(), strict=True):
            for at, (name, fitted_on, colour, marker, label) in enumerate(SERIES):
                keys = [(metric, name, "" if metric == "masked_r2" else fitted_on, target) for target in targets]
                own = [(row + 0.17 * (at - 1.5), cells[key]) for row, key in enumerate(keys) if key in cells]
                if not own:
                    continue
                y, found = zip(*own, strict=True)
                marks(ax, np.array(y), found, "value", across=True, floor=FLOOR, color=colour, fmt=marker, label=label)
                nulls = [max(row["null"], FLOOR) for row in found]
                ax.plot(nulls, y, "|", color=MUTED, ms=7)
            ax.set(title=title, ylim=(len(targets) - 0.5, -0.5))
            ax.grid(axis="y", alpha=0.0)
            ax.set_xlim(right=1.03)
        axes[0].set_yticks(range(len(targets)), targets)
        legend_outside(figure, axes[1], "lower center")
    caption = "Architectures that the model never saw, a row each; dots with 95 % intervals over networks; ticks: the null."
    return {"targets": Figure(figure, caption)}


METRICS = {"masked_r2": "Masked R²", "task": "Task, balanced accuracy", "log_error": "Error, R² of its logarithm"}
TITLES = {"others": "model of other architectures", "all": "model of all", "untrained": "untrained"}
Rows = list[dict[str, Any]]


def picked(rows: Rows, metric: str, representation: str, fitted_on: str = "") -> dict[str, dict[str, Any]]:
    """The rows of one metric and representation by target."""
    wanted = (metric, representation, fitted_on)
    return {row["target"]: row for row in rows if (row["metric"], row["representation"], row["fitted_on"]) == wanted}


def claims(rows: Rows) -> tuple[Claim, ...]:
    """The mean share of what the model of all architectures reaches that the model of other ones keeps."""
    found = []
    for metric, fitted, title in (("task", "others", "task by a linear probe"), ("masked_r2", "", "masked R²")):
        kept, bound = picked(rows, metric, "others", fitted), picked(rows, metric, "all", fitted and "itself")
        shares = [kept[target]["value"] / bound[target]["value"] for target in kept if bound[target]["value"] > 0]
        name = f"{title}: share of what a model and a probe of the target itself reach, mean over architectures never seen"
        if shares:
            span = {"low": min(shares), "high": max(shares), "over": "architectures"}
            found.append(Claim(name, float(np.mean(shares)), decimals=2, **span))
    return tuple(found) or (Claim("architectures on which the model of all predicts anything", 0),)


def sentences(rows: Rows, config: ArchitecturesConfig, counts: dict[str, int]) -> tuple[str, ...]:
    """In plain words."""
    seen, left_out = counts.values()
    said = [
        f"{seen:,} networks of {', '.join(config.seen)} and {left_out:,} of {', '.join(config.left_out)}, trained on "
        f"{', '.join(config.tasks)}; the model of the others reads the latter first when it is tested."
    ]
    for metric, title in METRICS.items():
        fitted = "" if metric == "masked_r2" else "others"
        names = dict.fromkeys(row["representation"] for row in rows if row["metric"] == metric)
        parts = [_median(TITLES.get(name, name), picked(rows, metric, name, fitted)) for name in names]
        own = picked(rows, metric, "all", "itself") if fitted else {}
        more = f" Fitted on the target itself: {_median('model of all', own)}." if own else ""
        said.append(f"{title}, median of {len(config.left_out)} architectures: {'; '.join(parts)}.{more}")
    return tuple(said)


def _median(title: str, cells: dict[str, dict[str, Any]]) -> str:
    least = min(cells, key=lambda target: cells[target]["value"])
    middle = float(np.median([cell["value"] for cell in cells.values()]))
    return f"{title} {num(middle)} (least on {least}: {num(cells[least]['value'])})"
