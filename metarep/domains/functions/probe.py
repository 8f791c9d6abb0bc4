"""Crisp labels: which of many random functions did a network learn? Probes on representations tell.

Networks of one architecture, each trained on one function of many. Probes are fitted on training networks and measured
on test networks, for the first few functions and for more and more of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from pydantic import Field

from metarep.embeddings.store import Embeddings
from metarep.errors import MetarepError
from metarep.evaluation.arena import BASELINE, Representation, representations_of
from metarep.evaluation.folds import Fold
from metarep.evaluation.probes import linear_classifier, neighbour_classifier
from metarep.evaluation.resampling import class_metric, wilson
from metarep.networks.forward import forward
from metarep.networks.spec import NetworkSpec
from metarep.settings import Settings
from metarep.zoos.zoo import Zoo

PROBES = {"linear": linear_classifier, "nearest_neighbours": neighbour_classifier}
OUTPUTS = "outputs"
"""The baseline that runs the networks; all others read their parameters."""

MIN_TRAIN_NETWORKS = 10


class FunctionsConfig(Settings):
    """How many functions the probes tell apart, where the outputs are read, and how the figure is drawn."""

    seed: int = Field(0, ge=0, description="of the resampled test networks and the permuted predictions")
    counts: tuple[int, ...] = Field((5, 10, 25, 50), min_length=1, description="the first so many functions")
    n_points: int = Field(64, ge=2, description="inputs at which the outputs are read, evenly spaced")
    domain: tuple[float, float] = Field((-1.0, 1.0), description="from where to where they reach")
    dpi: int = Field(160, ge=40, le=600, description="pixels per inch of the figure")


def representations(config: FunctionsConfig, zoo: Zoo, embeddings: Sequence[Embeddings]) -> list[Representation]:
    """What needs no pretraining, and embeddings, of a zoo of one architecture."""
    rows = np.arange(len(zoo))
    found = representations_of(
        zoo, embeddings, [Fold(rows, rows, rows)], baselines=("raw", "canonical", "weight_statistics"), joint={}
    )
    outputs = outputs_along(zoo.spec, zoo.params.astype(np.float64), *config.domain, config.n_points)
    words = "the outputs at evenly spaced inputs"
    baselines = [
        *(one for one in found if one.origin == BASELINE),
        Representation(OUTPUTS, BASELINE, "", OUTPUTS, False, words, outputs),
    ]
    return [*baselines, *(one for one in found if one.origin != BASELINE)]


def outputs_along(spec: NetworkSpec, params: np.ndarray, low: float, high: float, n_points: int) -> np.ndarray:
    """The outputs (N, S) at evenly spaced inputs; MetarepError for networks that do not have one input and one output."""
    if (spec.widths[0], spec.widths[-1]) != (1, 1):
        raise MetarepError("functions: not a function of one number", met=f"{spec} networks", expected="such as 1-16-1")
    return forward(spec, params, np.linspace(low, high, n_points)[:, None])[..., 0]


def usable_counts(counts: tuple[int, ...], n_functions: int) -> list[int]:
    """The counts that the zoo has functions for, all of its functions if it has fewer than each of them."""
    if n_functions < 2 or min(counts) < 2:
        raise MetarepError("probes tell two functions or more apart", met=min(n_functions, *counts), expected="at least 2")
    return sorted({min(count, n_functions) for count in counts})


def function_rows(x: np.ndarray, function: np.ndarray, split: np.ndarray, counts: list[int], *, seed: int) -> Iterator[dict]:
    """Rows (n_functions, probe, metric, value, low, high, null, n_test) of one representation x (N, D).

    function (N,) and split (N,) are text; "first" means first by name. `value` is the balanced accuracy on test networks,
    the rest as in `with_interval`. Raises MetarepError where a split has too few networks.
    """
    names = np.unique(function.astype(str))
    for count in counts:
        labels = function.astype(str)
        chosen = np.isin(labels, names[:count])
        train, test = (np.flatnonzero(chosen & (split == part)) for part in ("train", "test"))
        if len(train) < max(MIN_TRAIN_NETWORKS, count) or not len(test):
            met = f"{len(train)} train and {len(test)} test networks"
            raise MetarepError(f"too few networks of {count} functions", met=met)
        for probe, build in PROBES.items():
            predicted = build().fit(x[train], labels[train]).predict(x[test])
            score = with_interval(labels[test], predicted, seed=seed) | {"n_test": len(test)}
            yield {"n_functions": count, "probe": probe, "metric": "balanced_accuracy", **score}


def with_interval(truth: np.ndarray, predicted: np.ndarray, *, seed: int) -> dict[str, float]:
    """The balanced accuracy `value` of predictions (N,), with `low`, `high` and `null`.

    low and high are the 95 % bootstrap interval over test networks; where all predictions are right, or all wrong, resampling
    changes nothing, and they are the Wilson interval. null is the 95th percentile when predictions are permuted.
    """
    score = class_metric(truth, predicted, seed=seed)
    if score["value"] in (0, 1):
        score["low"], score["high"] = wilson(round(score["value"] * len(truth)), len(truth))
    return score


def about(config: FunctionsConfig, zoo: Zoo) -> dict:
    """metrics.json: of how many networks, and how well they learned their functions."""
    errors = 10 ** zoo["log_error"].astype(np.float64)
    return {
        "spec": str(zoo.spec),
        "n_networks": len(zoo),
        "n_train": int((zoo["split"] == "train").sum()),
        "n_test": int((zoo["split"] == "test").sum()),
        "n_functions": len(set(zoo["task"])),
        "valid_mse": dict(zip(("p10", "median", "p90"), np.quantile(errors, (0.1, 0.5, 0.9)).tolist(), strict=True)),
        "seed": config.seed,
    }
