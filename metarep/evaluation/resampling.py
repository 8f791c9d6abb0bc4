"""Intervals and nulls of every metric, in one place.

A resample of networks says how often each network is drawn, so a metric that follows from sums over networks costs one product
of (B, N) weights with these sums. A null permutes what was predicted (or the labels) among networks; it is the 95th
percentile of the metric over permutations. Where classes and predictions are all that counts, both follow from their
contingency table: resampling is a multinomial draw of its cells, permuting a random table with its margins (Patefield 1981).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.stats import binomtest, random_table

LEVELS = (0.025, 0.975)
N_DRAWS = 200
"""Resamples of the networks, and permutations of the predictions, where nothing else is said."""

ROUNDING = 1e-12
"""A smaller share of the sum of squares than this is no variance."""


def resamples(n_bootstraps: int, n: int, *, seed: int, groups: np.ndarray | None = None) -> np.ndarray:
    """(n_bootstraps + 1, n): how often each network is drawn; the first row is the sample itself, each network once.

    With groups (n,), the run of each network, whole runs are drawn.
    """
    _, member = np.unique(np.arange(n) if groups is None else groups, return_inverse=True)
    n_groups = int(member.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=n_bootstraps)
    return np.concatenate([np.ones((1, n)), drawn[:, member]])


def explained(left: np.ndarray, total: np.ndarray) -> np.ndarray:
    """R² = 1 − left / total of sums of squares; NaN where nothing varies."""
    total = np.broadcast_to(total, np.broadcast_shapes(np.shape(left), np.shape(total)))
    return 1 - np.divide(left, total, out=np.full(total.shape, np.nan), where=total > 0)


def total_squares(count: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Squared deviations from the mean, from how many values there are, their sum and the sum of their squares. Exactly 0 where
    nothing varies but by rounding.
    """
    total = second - np.square(first) / np.maximum(count, 1)
    return np.where(total > ROUNDING * second, total, 0.0)


def r2_draws(truth: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(B,): R² of predictions for N networks, truth and predicted (N,) or (N, M), all entries in one, for weights (B, N).

    The total is about the mean of the resample; this is scikit-learn's `r2_score` of the resampled entries.
    """
    truth, predicted = (np.asarray(part, np.float64).reshape(len(part), -1) for part in (truth, predicted))
    centred = truth - truth.mean()  # the same R², and no cancellation where the mean is far from 0
    sums = np.stack([np.full(len(truth), truth.shape[1]), centred.sum(1), np.square(centred).sum(1)], axis=1)
    count, first, second = (weights @ sums).T
    return explained(weights @ np.square(truth - predicted).sum(axis=1), total_squares(count, first, second))


def permuted_r2(truth: np.ndarray, predicted: np.ndarray, *, seed: int, n_draws: int = N_DRAWS) -> np.ndarray:
    """(n_draws,): the same when predictions are permuted among networks."""
    rng = np.random.default_rng(seed)
    truth, predicted = (np.asarray(part, np.float64).reshape(len(part), -1) for part in (truth, predicted))
    total = np.square(truth - truth.mean()).sum()
    squares = np.square(truth).sum() + np.square(predicted).sum()
    products = np.array([np.vdot(truth, predicted[rng.permutation(len(truth))]) for _ in range(n_draws)])
    return explained(squares - 2 * products, total)


def r2_metric(truth: np.ndarray, *predicted: np.ndarray, seed: int, n_draws: int = N_DRAWS) -> dict[str, float]:
    """`value`, `low`, `high` and `null` of the mean R² of one or several sets of predictions for N networks."""
    weights = resamples(n_draws, len(truth), seed=seed)
    draws = np.mean([r2_draws(truth, one, weights) for one in predicted], axis=0)
    return summary(draws, np.mean([permuted_r2(truth, one, seed=seed, n_draws=n_draws) for one in predicted], axis=0))


def class_metric(
    truth: np.ndarray, predicted: np.ndarray, *, seed: int, n_draws: int = N_DRAWS, score: Callable | None = None
) -> dict[str, float]:
    """`value`, `low`, `high` and `null` of the balanced accuracy of predictions (N,), or of another `score` of tables.

    Predictions (N, S) are those of S probes: value and interval are of their mean score, the null of the first.
    """
    names, codes = np.unique(np.column_stack([truth, predicted]).astype(str), return_inverse=True)
    cells, n_networks = np.unique(codes.reshape(len(truth), -1), axis=0, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(len(truth), n_networks / len(truth), size=n_draws)
    counts, score = np.concatenate([n_networks[None], drawn]), score or mean_recall
    draws = np.mean([score(_tables(cells[:, [0, probe]], counts, len(names))) for probe in range(1, cells.shape[1])], axis=0)
    table = _tables(cells[:, :2], n_networks, len(names))
    return summary(draws, score(permuted_tables(table, n_draws, seed=seed)))


def permuted_tables(table: np.ndarray, n_draws: int, *, seed: int) -> np.ndarray:
    """(n_draws, K, L): contingency tables as (K, L) is, when labels are permuted among networks."""
    margins = table.sum(1), table.sum(0)
    if min(np.count_nonzero(margin) for margin in margins) < 2:  # one class: SciPy's sampler would read beyond its table
        return np.repeat(table[None], n_draws, axis=0)
    return random_table(*margins, seed=seed).rvs(n_draws)


def _tables(cells: np.ndarray, counts: np.ndarray, n_labels: int) -> np.ndarray:
    """Tables (…, L, L) of truth and predictions that hold `counts` (…, C) networks in `cells` (C, 2)."""
    tables = np.zeros((*counts.shape[:-1], n_labels, n_labels), dtype=np.int64)
    np.add.at(tables, (..., cells[:, 0], cells[:, 1]), counts)
    return tables


def mean_recall(tables: np.ndarray) -> np.ndarray:
    """The balanced accuracy (…,) of tables (…, L, L) of true classes and predictions, over the classes that occur."""
    n = tables.sum(axis=-1)
    hits = np.diagonal(tables, axis1=-2, axis2=-1)
    return (hits / np.maximum(n, 1)).sum(axis=-1) / np.maximum((n > 0).sum(axis=-1), 1)


def accuracy(tables: np.ndarray) -> np.ndarray:
    """The share of right predictions (…,) of tables (…, L, L) of true classes and predictions."""
    return np.trace(tables, axis1=-2, axis2=-1) / tables.sum(axis=(-2, -1))


def balanced_accuracy(truth: np.ndarray, predicted: np.ndarray) -> float:
    """The mean recall over the classes that occur in `truth`; scikit-learn's would warn of others in `predicted`."""
    return float(np.mean([(predicted[truth == label] == label).mean() for label in np.unique(truth)]))


def interval(draws: np.ndarray) -> tuple[float, float]:
    """The ends of 95 % of draws, those left out that are not finite; NaN where none is."""
    finite = draws[np.isfinite(draws)]
    low, high = np.quantile(finite, LEVELS) if len(finite) else (math.nan, math.nan)
    return float(low), float(high)


def summary(draws: np.ndarray, permuted: np.ndarray) -> dict[str, float]:
    """`value`, `low`, `high` and `null` from draws (B,), whose first is the sample itself, and from permutations."""
    low, high = interval(draws[1:])
    return {"value": float(draws[0]), "low": low, "high": high, "null": float(np.quantile(permuted, 0.95))}


def wilson(count: int, n: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a share (Wilson 1927); (0, 1) where there is nothing to count."""
    if n == 0:
        return 0.0, 1.0
    found = binomtest(int(count), int(n)).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)
