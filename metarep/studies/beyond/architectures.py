"""Pretrained on networks of some architectures, tested on others: what a window model carries over.

Networks of many widths and depths that learned several tasks. One model reads some architectures, another all of them; both
are tested on networks of the architectures that the first has never seen. Three figures: how much of hidden values is
predicted, whether a linear probe that was fitted on the seen architectures names the task of a network, and whether it tells
its error. Beside them the same of an untrained model and of weight statistics, and probes fitted on the target itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from metarep.artefact import is_done, open_artefact
from metarep.evaluation.probes import balanced_accuracy, linear_classifier, linear_regressor
from metarep.evaluation.weight_statistics import weight_statistics
from metarep.report.wording import num
from metarep.studies.beyond.architecture_figures import targets_figure
from metarep.studies.experiment import Claim, Context, Picture, Result
from metarep.studies.settings import ArchitecturesConfig
from metarep.training.settings import ZooConfig
from metarep.windows.bank import batch_of
from metarep.windows.embed import Network, load_network, read_networks, untrained_like
from metarep.windows.model import WindowModel
from metarep.windows.pretrain import hidden_states, load_window_model, pretrain_windows
from metarep.windows.settings import WindowEmbedConfig
from metarep.windows.tokens import N_CLASSES
from metarep.zoos.zoo import Zoo, open_zoo

SEEN, LEFT_OUT = "architectures_seen", "architectures_left_out"
N_THIRDS = 3
MODELS = {"others": (SEEN,), "all": (SEEN, LEFT_OUT)}
"""Each model by the zoos that it is pretrained on."""

METRICS = ("masked_r2", "task", "log10_valid_mse")
N_PERMUTATIONS = 10


@dataclass(frozen=True)
class Side:
    """The finished networks of one zoo: spec, task and split (N,) text, error (N,) log10, vectors by representation (N, D)."""

    spec: np.ndarray
    task: np.ndarray
    split: np.ndarray
    error: np.ndarray
    vectors: dict[str, np.ndarray]

    def rows(self, split: str, spec: str | None = None) -> np.ndarray:
        """Indices of the networks of a split, of one architecture or of all."""
        return np.flatnonzero((self.split == split) & ((self.spec == spec) | (spec is None)))


def run(context: Context) -> Result:
    """See the head of this file."""
    config: ArchitecturesConfig = context.config.architectures
    zoos = {SEEN: build(context, SEEN, config.seen), LEFT_OUT: build(context, LEFT_OUT, config.left_out)}
    models = {name: load_window_model(pretrained(context, name, zoos)) for name in MODELS}
    models["untrained"] = untrained_like(models["others"], seed=context.config.seed)
    subjects = {name: open_zoo(path).finite() for name, path in zoos.items()}
    sides = {name: read_side(one, models, context) for name, one in subjects.items()}
    rows: list[dict[str, Any]] = []
    for spec in config.left_out:
        rows += masked_rows(models, subjects[LEFT_OUT], sides[LEFT_OUT].rows("test", spec), spec, context)
        rows += list(probe_rows(sides, spec, context))
    counts = {name: len(side.spec) for name, side in sides.items()}
    return Result(
        claims=claims(rows),
        sentences=sentences(rows, config, counts),
        tables={"cells": rows},
        pictures={
            "targets": Picture(
                targets_figure(rows, config.left_out),
                "Architectures that the model never saw, a row each; dots with 95 % intervals over networks; bars: chance.",
            )
        },
        shown=("cells",),
    )


def build(context: Context, name: str, specs: tuple[str, ...]) -> Path:
    """A zoo of every architecture and task."""
    config = context.config.architectures
    shared = {"variant": "e09", "n_networks": config.n_networks, "n_steps": config.n_training_steps}
    families = [{**shared, "spec": spec, "task": task} for spec in specs for task in config.tasks]
    offset = (SEEN, LEFT_OUT).index(name)
    return context.zoo(name, ZooConfig(families=families, seed=context.config.seed + 100 + offset)).artefact.path


def pretrained(context: Context, name: str, zoos: dict[str, Path]) -> Path:
    """The model of that name, pretrained where it does not stand yet."""
    paths = [zoos[zoo] for zoo in MODELS[name]]
    artefacts = [open_artefact(path) for path in paths]
    inputs = {"zoo" if len(paths) == 1 else f"zoo_{i}": one for i, one in enumerate(artefacts)}
    settings = context.config.architectures.pretrain.model_copy(update={"seed": context.config.seed})
    path = context.shared / "models" / f"architectures_{name}"
    if not is_done(path, "window-model", settings.resolved(), inputs):
        pretrain_windows(settings, paths, path, overwrite=True, progress=context.progress)
    context.used[f"model_{name}"] = open_artefact(path)
    return path


def read_side(subjects: Zoo, models: dict[str, WindowModel], context: Context) -> Side:
    """The vectors of every finished network of a zoo."""
    zoo = open_zoo(subjects.artefact.path)
    final = zoo.final()
    place = {str(name): i for i, name in enumerate(final["network_id"])}
    order = np.array([place.get(str(name), -1) for name in subjects.network_id])
    kept = np.flatnonzero(order >= 0)
    vectors = {name: embedded(model, subjects)[kept] for name, model in models.items()}
    statistics = [
        weight_statistics(subjects.architecture_of(i), subjects.stacked(np.array([i])), N_THIRDS, stretch=True)
        for i in range(len(subjects))
    ]
    vectors["weight statistics"] = np.concatenate(statistics)[kept]
    rows = order[kept]
    error = np.log10(np.maximum(final["valid_mse"][rows], 1e-12))
    return Side(
        final["spec"][rows].astype(str), final["task"][rows].astype(str), final["split"][rows].astype(str), error, vectors
    )


def embedded(model: WindowModel, subjects: Zoo) -> np.ndarray:
    """(N, D) float32: the "layers" embedding of each network."""
    return np.stack([reading.network for _, reading in read_networks(model, subjects, WindowEmbedConfig())])


def masked_rows(
    models: dict[str, WindowModel], subjects: Zoo, rows: np.ndarray, spec: str, context: Context
) -> list[dict[str, Any]]:
    """Masked R² on the test networks of an architecture, of every model and of the mean of what a window shows."""
    names = [i for i in range(len(subjects)) if subjects.is_final[i]]
    chosen = [names[i] for i in rows]
    found = []
    for name, model in models.items():
        moments = np.stack([hidden_moments(model, load_network(model, subjects, i, WindowEmbedConfig())) for i in chosen])
        found.append(
            {"target": spec, "representation": name, "fitted_on": "", "metric": "masked_r2"} | r2_interval(moments, context)
        )
    return found


def hidden_moments(model: WindowModel, network: Network) -> np.ndarray:
    """(C, 4): for each class of kind and role count, sum and sum of squares of the values, and of the squared errors of what
    the model predicts for them when they are hidden, one token in eight at a time; values as the model sees them."""
    found = np.zeros((N_CLASSES, 4))
    batch = batch_of([network.shown(number) for number in range(len(network.plan.windows))])
    with torch.no_grad():
        z, expected = model.normalise(batch), model.predict(hidden_states(model, batch)).expectation()
    member = batch.ids[..., 4].unsqueeze(-1).expand_as(z)[batch.present].numpy()
    truth, error = z[batch.present].double().numpy(), (z - expected)[batch.present].double().numpy()
    for column, part in enumerate((np.ones_like(truth), truth, truth**2, error**2)):
        np.add.at(found[:, column], member, part)
    return found


def r2_interval(moments: np.ndarray, context: Context) -> dict[str, Any]:
    """R² about the means of classes from moments (N, C, 4), with its 95 % bootstrap interval over networks; 0 is the null."""

    def r2(total: np.ndarray) -> np.ndarray:
        count, first, second, error = np.moveaxis(total, -1, 0)
        spread = (second - np.divide(first**2, count, out=np.zeros_like(first), where=count > 0)).sum(-1)
        return 1 - error.sum(-1) / spread

    n = len(moments)
    rng = np.random.default_rng(context.config.seed)
    weights = rng.multinomial(n, np.full(n, 1 / n), size=context.config.n_bootstraps)
    draws = r2(np.einsum("bn,ncm->bcm", weights, moments))
    low, high = np.quantile(draws, (0.025, 0.975))
    return {"value": float(r2(moments.sum(axis=0))), "low": float(low), "high": float(high), "null": 0.0, "n": n}


def probe_rows(sides: dict[str, Side], spec: str, context: Context) -> Iterator[dict[str, Any]]:
    """Linear probes for task and error, fitted on the seen architectures or on the target, measured on its test networks."""
    seen, left = sides[SEEN], sides[LEFT_OUT]
    test = left.rows("test", spec)
    for name in left.vectors:
        for fitted_on, side, train in (("others", seen, seen.rows("train")), ("itself", left, left.rows("train", spec))):
            x, y = side.vectors[name][train], left.vectors[name][test]
            shared = {"target": spec, "representation": name, "fitted_on": fitted_on}
            yield shared | {"metric": "task"} | scored(linear_classifier, x, side.task[train], y, left.task[test], context)
            yield (
                shared
                | {"metric": "log10_valid_mse"}
                | scored(linear_regressor, x, side.error[train], y, left.error[test], context)
            )


def scored(
    build: Callable, x: np.ndarray, labels: np.ndarray, y: np.ndarray, truth: np.ndarray, context: Context
) -> dict[str, Any]:
    """A probe's figure with its bootstrap interval over test networks, and the 95th percentile under permuted labels."""
    rng = np.random.default_rng(context.config.seed)
    score = balanced_accuracy if labels.dtype.kind == "U" else _r2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        predicted = build().fit(x, labels).predict(y)
        nulls = [score(truth, build().fit(x, rng.permutation(labels)).predict(y)) for _ in range(N_PERMUTATIONS)]
    draws = []
    for _ in range(context.config.n_bootstraps):
        rows = rng.integers(0, len(y), len(y))
        draws.append(score(truth[rows], predicted[rows]))
    low, high = np.quantile(draws, (0.025, 0.975))
    null = float(np.quantile(nulls, 0.95))
    return {"value": float(score(truth, predicted)), "low": float(low), "high": float(high), "null": null, "n": len(y)}


def _r2(truth: np.ndarray, predicted: np.ndarray) -> float:
    return 1 - float(np.square(truth - predicted).sum()) / max(float(np.square(truth - truth.mean()).sum()), 1e-12)


def picked(rows: list[dict[str, Any]], metric: str, representation: str, fitted_on: str = "") -> dict[str, dict[str, Any]]:
    """The rows of one metric and representation by target."""
    wanted = (metric, representation, fitted_on)
    return {row["target"]: row for row in rows if (row["metric"], row["representation"], row["fitted_on"]) == wanted}


def claims(rows: list[dict[str, Any]]) -> tuple[Claim, ...]:
    """The mean share of the figures of the model of all architectures that the model of other ones keeps."""
    found = []
    for metric, fitted, title in (("task", "others", "task by a linear probe"), ("masked_r2", "", "masked R²")):
        kept, bound = picked(rows, metric, "others", fitted), picked(rows, metric, "all", fitted and "itself")
        shares = [kept[target]["value"] / bound[target]["value"] for target in kept if bound[target]["value"] > 0]
        if shares:
            name = f"{title}: share of what a model and a probe of the target itself reach, mean over architectures never seen"
            span = {"low": min(shares), "high": max(shares), "over": "architectures"}
            found.append(Claim(name, float(np.mean(shares)), decimals=2, **span))
    return tuple(found)


def sentences(rows: list[dict[str, Any]], config: ArchitecturesConfig, counts: dict[str, int]) -> tuple[str, ...]:
    """In plain words."""
    said = [
        f"{counts[SEEN]:,} networks of {', '.join(config.seen)} and {counts[LEFT_OUT]:,} of {', '.join(config.left_out)}, "
        f"trained on {', '.join(config.tasks)}; the model of the others reads the latter first when it is tested."
    ]
    for metric, title in zip(METRICS, ("Masked R²", "Task, balanced accuracy", "Error, R² of its logarithm"), strict=True):
        fitted = "" if metric == "masked_r2" else "others"
        parts = [_figures(title_of(name), picked(rows, metric, name, fitted)) for name in names_of(rows, metric)]
        own = picked(rows, metric, "all", "itself") if fitted else {}
        more = f" Fitted on the target itself: {_figures('model of all', own)}." if own else ""
        said.append(f"{title}, median of {len(config.left_out)} architectures: " + "; ".join(parts) + "." + more)
    return tuple(said)


def names_of(rows: list[dict[str, Any]], metric: str) -> list[str]:
    """The representations that have rows of a metric."""
    return list(dict.fromkeys(row["representation"] for row in rows if row["metric"] == metric))


def title_of(name: str) -> str:
    """A representation in words."""
    return {"others": "model of other architectures", "all": "model of all", "untrained": "untrained"}.get(name, name)


def _figures(title: str, cells: dict[str, dict[str, Any]]) -> str:
    values = [cell["value"] for cell in cells.values()]
    least = min(cells, key=lambda target: cells[target]["value"])
    return f"{title} {num(float(np.median(values)))} (least on {least}: {num(cells[least]['value'])})"
