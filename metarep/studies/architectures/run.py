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
from metarep.evaluation.baselines import weight_statistics
from metarep.evaluation.masked_r2 import masked_r2_rows
from metarep.evaluation.probes import read_linearly
from metarep.evaluation.settings import MaskedR2Config
from metarep.model.transformer import ClozeModel, untrained_like
from metarep.report.dots import Panel, Series, dots_figure, series_of
from metarep.report.style import PALETTE
from metarep.report.wording import num
from metarep.studies.rows import Row, Rows, by, values, where
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
    """Models of other architectures, read for the first time, beside models of their own zoos."""
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
        sentences=tuple(sentences(rows, config, (len(zoos[SEEN]), len(zoos[LEFT_OUT])))),
        tables={"cells": rows},
        figures=figures(rows, config.left_out),
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
        row = {"target": spec, "representation": name, "fitted_on": "", "metric": "masked_r2"}
        yield row | {key: found[key] for key in ("value", "low", "high", "null")} | {"n": len(target)}


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
    draws = {"seed": context.config.seed, "n_bootstraps": context.config.n_bootstraps}
    for name in vectors[LEFT_OUT]:
        for fitted_on, (side, train) in sides.items():
            x, x_test = vectors[side][name][train], vectors[LEFT_OUT][name][test]
            row = {"target": spec, "representation": name, "fitted_on": fitted_on}
            for metric in ("task", "log_error"):
                found = read_linearly(x, zoos[side][metric][train], x_test, left[metric][test], **draws)
                yield row | {"metric": metric} | found | {"n": len(test)}


METRICS = {"masked_r2": "Masked R²", "task": "Task, balanced accuracy", "log_error": "Error, R² of its logarithm"}
TITLES = {
    "others": "model of other architectures",
    "all": "model of all",
    "untrained": "untrained model",
    STATISTICS: STATISTICS,
}


def figures(rows: Rows, targets: tuple[str, ...]) -> dict[str, Figure]:
    """A panel a metric, a row an architecture that was left out, a dot a representation with its interval."""
    panels, others = [], {name: title for name, title in TITLES.items() if name != "all"}
    for metric, title in METRICS.items():
        fitted = where(rows, metric=metric, fitted_on="" if metric == "masked_r2" else "others")
        own = where(rows, metric=metric, fitted_on="" if metric == "masked_r2" else "itself", representation="all")
        bound = Series.of("model of all, probe of its own", own, "target", PALETTE[4], "D")
        panels.append(Panel(title, [*series_of(fitted, "representation", others, "target"), bound], floor=-0.3))
    figure = dots_figure(panels, {target: target for target in targets})
    caption = "Architectures that the model never saw, a row each; dots with 95 % intervals over networks; ticks: the null."
    return {"targets": Figure(figure, caption)}


def picked(rows: Rows, metric: str, representation: str, fitted_on: str) -> dict[str, Row]:
    """The rows of one metric and representation by target; masked R² is fitted on nothing."""
    fitted_on = "" if metric == "masked_r2" else fitted_on
    return by(rows, "target", metric=metric, representation=representation, fitted_on=fitted_on)


def claims(rows: Rows) -> tuple[Claim, ...]:
    """The mean share of what the model of all architectures reaches that the model of other ones keeps."""
    found = []
    for metric, title in (("task", "task by a linear probe"), ("masked_r2", "masked R²")):
        kept, bound = picked(rows, metric, "others", "others"), picked(rows, metric, "all", "itself")
        shares = [kept[target]["value"] / bound[target]["value"] for target in kept if bound[target]["value"] > 0]
        name = f"{title}: share of what a model and a probe of the target itself reach, mean over architectures never seen"
        if shares:
            span = {"low": min(shares), "high": max(shares), "over": "architectures"}
            found.append(Claim(name, float(np.mean(shares)), decimals=2, **span))
    return tuple(found) or (Claim("architectures on which the model of all predicts anything", 0),)


def sentences(rows: Rows, config: ArchitecturesConfig, counts: tuple[int, int]) -> Iterator[str]:
    """What the cells say, in words."""
    yield (
        f"{counts[0]:,} networks of {', '.join(config.seen)} and {counts[1]:,} of {', '.join(config.left_out)}, trained on "
        f"{', '.join(config.tasks)}; the model of the others reads the latter first when it is tested."
    )
    for metric, title in METRICS.items():
        names = values(where(rows, metric=metric), "representation")
        parts = [median(TITLES[name], picked(rows, metric, name, "others")) for name in names]
        own = median(TITLES["all"], picked(rows, metric, "all", "itself"))
        more = "" if metric == "masked_r2" else f" Fitted on the target itself: {own}."
        yield f"{title}, median of {len(config.left_out)} architectures: {'; '.join(parts)}.{more}"


def median(title: str, cells: dict[str, Row]) -> str:
    """The middle value of a representation, and the least."""
    least = min(cells, key=lambda target: cells[target]["value"])
    middle = float(np.median([cell["value"] for cell in cells.values()]))
    return f"{title} {num(middle)} (least on {least}: {num(cells[least]['value'])})"
