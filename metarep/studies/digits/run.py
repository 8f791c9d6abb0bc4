"""What frozen embeddings say of small convolutional networks: test accuracy, epoch, generalisation gap.

A model is pretrained on the training runs of a zoo of digit networks, and never told anything but parameters. Ridge
regression and boosted trees read its embeddings, an untrained model's, and weight statistics; all are measured on held-out
runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from metarep.domains.digits.build import build_digits
from metarep.embeddings.settings import EmbedConfig
from metarep.embeddings.stage import embed_networks
from metarep.evaluation.arena import Representation
from metarep.evaluation.baselines import BASELINES, N_STATISTICS
from metarep.evaluation.folds import Fold
from metarep.evaluation.predict import prediction_rows
from metarep.model.transformer import ClozeModel, untrained_like
from metarep.report.dots import Panel, Series, dots_figure
from metarep.report.style import PALETTE
from metarep.report.wording import plain
from metarep.runner import Stage
from metarep.studies.rows import Row, Rows, relation, spoken, values, where
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.zoos.zoo import KIND, Zoo, open_zoo

TARGETS = {"test_accuracy": "test accuracy", "epoch": "epoch", "gap": "generalisation gap"}
BASELINE = "weight_statistics"
MOMENTS = "mean and spread of weights"
"""Weight statistics without their quartiles: what these add is what an average over tokens cannot say."""

EMBEDDINGS = {"layers": "layers", "pooled": "pooled", "untrained": "layers"}
"""Embeddings by name, with their kinds."""

JOINT = {"layers + statistics": ("layers", BASELINE)}


def figure(rows: Rows) -> Figure:
    """A panel a target, a row a representation."""
    names, panels = {name: plain(name) for name in values(rows, "representation")}, []
    for target, title in TARGETS.items():
        own = [best(rows, target, name) for name in names]
        panels.append(Panel(title, [Series.of("R²", own, "representation", PALETTE[0])]))
    return Figure(
        dots_figure(panels, names, chance="permuted labels"),
        "Held-out runs; the better of ridge regression and boosted trees for each representation; 95 % intervals over runs.",
    )


def best(rows: Rows, target: str, name: str) -> Row:
    """R² at the better regressor."""
    return max(where(rows, target=target, representation=name, metric="r2"), key=lambda row: row["value"])


def claims(rows: Rows) -> tuple[Claim, ...]:
    """R² of the embeddings for each target, with that of weight statistics as the value to beat."""
    found = []
    for target, title in TARGETS.items():
        own, other = best(rows, target, "layers"), best(rows, target, BASELINE)
        name = f"{title}: R² from the layers embedding ({own['regressor']}); weight statistics reach the last value"
        found.append(Claim.of(name, own, decimals=3, over="runs", best=other["value"]))
    return tuple(found)


def sentences(rows: Rows, n_networks: int, n_runs: int) -> Iterator[str]:
    """How well accuracy, epoch and gap are predicted, in words."""
    yield f"{n_networks:,} snapshots of {n_runs:,} runs; splits by run. R² is that of the better regressor."
    for target, title in TARGETS.items():
        parts = [f"{name} {spoken(best(rows, target, name), digits=3)}" for name in values(rows, "representation")]
        own, base = (best(rows, target, name) for name in ("layers", BASELINE))
        yield f"{title.capitalize()}: {', '.join(parts)}. The embedding is {relation(own, base)} weight statistics."


def run(context: Context) -> Result:
    """Accuracy, epoch and gap of digit networks from their parameters, on runs held out."""
    config, zoo = context.config.digits, digit_zoo(context)
    vectors = represented(context, zoo)
    columns = {name: zoo[name].astype(np.float64) for name in TARGETS}
    run_id, split = zoo.run_id.astype(str), zoo.split.astype(str)
    train, test = np.flatnonzero(split == "train"), np.flatnonzero(split == "test")
    settings = config.predict.model_copy(update={"seed": context.config.seed})
    shown = [Representation(name, "", "", "", name == "untrained", "", x) for name, x in vectors.items()]
    found = prediction_rows(shown, columns, run_id, [Fold(train, test, train)], settings, context.progress)
    kept = ("representation", "target", "regressor", "metric", "value", "low", "high", "null", "n_networks", "n_runs")
    rows = [{name: row[name] for name in kept} for row in found]
    return Result(
        claims=claims(rows),
        sentences=tuple(sentences(rows, len(zoo), len(set(run_id)))),
        tables={"predictions": rows},
        figures={"targets": figure(rows)},
    )


def digit_zoo(context: Context) -> Zoo:
    """The zoo of digit networks: the finite ones."""
    config = context.config.digits.zoo.model_copy(update={"seed": context.config.seed})
    (artefact,) = context.made(Stage("digits", KIND, config.resolved(), partial(build_digits, config)))
    return open_zoo(artefact.path).finite()


def digit_model(context: Context, zoo: Zoo) -> ClozeModel:
    """The model of digit networks."""
    settings = context.config.digits.pretrain.model_copy(update={"seed": context.config.seed})
    return context.models({"digits": (settings, [zoo.artefact.path])})["digits"]


def represented(context: Context, zoo: Zoo) -> dict[str, np.ndarray]:
    """The vectors (N, D) of every network, by representation."""
    model, rows = digit_model(context, zoo), np.arange(len(zoo))
    models = {"untrained": untrained_like(model, seed=context.config.seed)}
    found = {
        name: embed_networks(models.get(name, model), zoo, rows, EmbedConfig(kind=kind)).astype(np.float64)
        for name, kind in EMBEDDINGS.items()
    }
    statistics = BASELINES[BASELINE].make(zoo, zoo.split == "train")
    found |= {BASELINE: statistics, MOMENTS: without_quartiles(statistics)}
    return found | {name: np.concatenate([found[part] for part in parts], axis=1) for name, parts in JOINT.items()}


def without_quartiles(statistics: np.ndarray) -> np.ndarray:
    """(N, F): of weight statistics (N, 1 + groups · 7) the mean and the standard deviation of each group of weights."""
    groups = statistics[:, 1:].reshape(len(statistics), -1, N_STATISTICS)
    return groups[:, :, :2].reshape(len(statistics), -1)
