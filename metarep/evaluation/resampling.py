"""Intervals and nulls of every metric, in one place.

A resample of networks says how often each network is drawn, so a metric that follows from sums over networks costs one product
of (B, N) weights with these sums. A null permutes what was predicted (or the labels) among networks; it is the 95th
percentile of the metric over permutations. Where classes and predictions are all that counts, both follow from their
contingency table: resampling is a multinomial draw of its cells, permuting a random table with its margins (Patefield 1981).

Networks of one run are drawn together. Below `FEW_RUNS` runs two things keep intervals from claiming too much: percentiles are
those of Student's t (Hesterberg, "What teachers should know about the bootstrap", 2015), and of tables one run in each resample
may tell nothing, so that 10 right answers out of 10 are no certainty (as in the Wilson interval).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.sparse import coo_array
from scipy.stats import binomtest, norm, random_table, t

from metarep.zoos.columns import FEW_RUNS
from metarep.zoos.readings import ROUNDING, varies

LEVELS = (0.025, 0.975)
N_DRAWS = 200
"""Resamples of the networks, and permutations of the predictions, where nothing else is said."""

VANISHING = 0.01
"""A resample that varies by less than this share of what the sample does has no R²: it is not drawn."""

MIN_DRAWN = 0.5
"""With fewer of the resamples than this share there is no interval."""


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


def steady(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Squared deviations (B,) of `count` (B,) values in resamples, the first one the sample; 0 in those that hardly vary."""
    return np.where(total / np.maximum(count, 1) >= VANISHING * total[0] / max(count[0], 1), total, 0.0)


def r2_draws(truth: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(B,): R² of predictions for N networks, truth and predicted (N,) or (N, M), all entries in one, for weights (B, N).

    The total is about the mean of the resample; this is scikit-learn's `r2_score` of the resampled entries, NaN where these
    hardly vary. The first weights are those of the sample itself.
    """
    truth, predicted = (np.asarray(part, np.float64).reshape(len(part), -1) for part in (truth, predicted))
    centred = truth - truth.mean()  # the same R², and no cancellation where the mean is far from 0
    sums = np.stack([np.full(len(truth), truth.shape[1]), centred.sum(1), np.square(centred).sum(1)], axis=1)
    count, first, second = (weights @ sums).T
    total = steady(total_squares(count, first, second), count)
    return explained(weights @ np.square(truth - predicted).sum(axis=1), total)


def permuted_r2(truth: np.ndarray, predicted: np.ndarray, *, seed: int, n_draws: int = N_DRAWS) -> np.ndarray:
    """(n_draws,): the same when predictions are permuted among networks."""
    rng = np.random.default_rng(seed)
    truth, predicted = (np.asarray(part, np.float64).reshape(len(part), -1) for part in (truth, predicted))
    total = np.square(truth - truth.mean()).sum() if varies(truth) else np.zeros(())
    squares = np.square(truth).sum() + np.square(predicted).sum()
    products = np.array([np.vdot(truth, predicted[rng.permutation(len(truth))]) for _ in range(n_draws)])
    return explained(squares - 2 * products, total)


def r2_metric(
    truth: np.ndarray, *predicted: np.ndarray, seed: int, n_draws: int = N_DRAWS, groups: np.ndarray | None = None
) -> dict[str, float]:
    """`value`, `low`, `high` and `null` of the mean R² of one or several sets of predictions for N networks; groups (N,) are
    their runs.
    """
    weights = resamples(n_draws, len(truth), seed=seed, groups=groups)
    draws = np.mean([r2_draws(truth, one, weights) for one in predicted], axis=0)
    permuted = np.mean([permuted_r2(truth, one, seed=seed, n_draws=n_draws) for one in predicted], axis=0)
    return summary(draws, permuted, n_groups(len(truth), groups))


def class_metric(
    truth: np.ndarray,
    predicted: np.ndarray,
    *,
    seed: int,
    n_draws: int = N_DRAWS,
    score: Callable | None = None,
    groups: np.ndarray | None = None,
) -> dict[str, float]:
    """`value`, `low`, `high` and `null` of the balanced accuracy of predictions (N,), or of another `score` of tables.

    Predictions (N, S) are those of S probes: value and interval are of their mean score, the null of the first. groups (N,) are
    the runs of the networks.
    """
    names, codes = np.unique(np.column_stack([truth, predicted]).astype(str), return_inverse=True)
    codes, score = codes.reshape(len(truth), -1), score or mean_recall
    answers, answer = np.unique(codes[:, 1:], axis=0, return_inverse=True)
    rows, columns, counts = resampled_cells(codes[:, 0], answer.reshape(-1), n_draws, seed=seed, groups=groups)
    given = answers[columns]
    draws = np.mean([score(_tables(rows, one, counts, len(names))) for one in given.T], axis=0)
    table = _tables(rows, given[:, 0], counts[0], len(names))
    return summary(draws, score(permuted_tables(table, n_draws, seed=seed)), n_groups(len(truth), groups))


def resampled_cells(
    rows: np.ndarray, columns: np.ndarray, n_draws: int, *, seed: int, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The cells (C,) and (C,) of a contingency table of codes (N,) and (N,) that a resample may fill, and the counts
    (n_draws + 1, C) in resamples of runs, the first that of the sample itself.

    Below FEW_RUNS runs a resample draws one more than there are, one that has the margins of the table and tells nothing.
    """
    n, n_runs, rng = len(rows), n_groups(len(rows), groups), np.random.default_rng(seed)
    shape = (rows.max() + 1, columns.max() + 1)
    own = np.unique(rows * shape[1] + columns)
    cells, nothing = own, None
    if n_runs < FEW_RUNS:
        margins = np.bincount(rows) / n, np.bincount(columns) / n
        nothing = np.outer(*margins).ravel()
        cells = np.flatnonzero(nothing)
        nothing = nothing[cells]
    cell = np.searchsorted(cells, rows * shape[1] + columns)
    table = np.bincount(cell, minlength=len(cells))
    if n_runs == n:
        share = table / n if nothing is None else (table + nothing) / (n + 1)
        drawn = rng.multinomial(n, share, size=n_draws)
    else:
        _, member = np.unique(groups, return_inverse=True)
        by_run = coo_array((np.ones(n), (cell, member)), shape=(len(cells), n_runs)).tocsr()
        n_empty = np.zeros(n_draws, int) if nothing is None else rng.binomial(n_runs, 1 / (n_runs + 1), size=n_draws)
        drawn = (by_run @ rng.multinomial(n_runs - n_empty, np.full(n_runs, 1 / n_runs)).T).T.astype(np.int64)
        if nothing is not None:
            drawn += rng.multinomial(n_empty * max(1, round(n / n_runs)), nothing)
    return cells // shape[1], cells % shape[1], np.concatenate([table[None], drawn])


def n_groups(n: int, groups: np.ndarray | None) -> int:
    """How many runs n networks are of; each is one where nothing is said."""
    return n if groups is None else len(set(groups.tolist()))


def permuted_tables(table: np.ndarray, n_draws: int, *, seed: int) -> np.ndarray:
    """(n_draws, K, L): contingency tables as (K, L) is, when labels are permuted among networks."""
    margins = table.sum(1), table.sum(0)
    if min(np.count_nonzero(margin) for margin in margins) < 2:  # one class: SciPy's sampler would read beyond its table
        return np.repeat(table[None], n_draws, axis=0)
    return random_table(*margins, seed=seed).rvs(n_draws)


def _tables(rows: np.ndarray, columns: np.ndarray, counts: np.ndarray, n_labels: int) -> np.ndarray:
    """Tables (…, L, L) of truth and predictions that hold `counts` (…, C) networks in cells of rows (C,) and columns (C,)."""
    tables = np.zeros((*counts.shape[:-1], n_labels, n_labels), dtype=np.int64)
    np.add.at(tables, (..., rows, columns), counts)
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


def interval(draws: np.ndarray, n_runs: int | None = None) -> tuple[float, float]:
    """The ends of 95 % of draws of so many runs, those left out that are not finite; NaN where most are, or of one run."""
    finite = draws[np.isfinite(draws)]
    if len(finite) < MIN_DRAWN * len(draws) or not len(finite) or n_runs == 1:
        return math.nan, math.nan
    levels = LEVELS
    if n_runs is not None and n_runs < FEW_RUNS:
        below = float(norm.cdf(np.sqrt(n_runs / (n_runs - 1)) * t.ppf(LEVELS[0], n_runs - 1)))
        levels = (below, 1 - below)
    low, high = np.quantile(finite, levels)
    return float(low), float(high)


def summary(draws: np.ndarray, permuted: np.ndarray, n_runs: int | None = None) -> dict[str, float]:
    """`value`, `low`, `high` and `null` from draws (B,), whose first is the sample itself, and from permutations."""
    low, high = interval(draws[1:], n_runs)
    return {"value": float(draws[0]), "low": low, "high": high, "null": float(np.quantile(permuted, 0.95))}


def wilson(count: int, n: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a share (Wilson 1927); (0, 1) where there is nothing to count."""
    if n == 0:
        return 0.0, 1.0
    found = binomtest(int(count), int(n)).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)


def share_of(count: int, n: int) -> dict[str, float | None]:
    """The columns n, of, share, low, high of `count` among n: a share with its 95 % Wilson interval; None where n is 0."""
    low, high = wilson(int(count), int(n))
    return {"n": int(count), "of": int(n), "share": float(count / n) if n else None, "low": low, "high": high}
