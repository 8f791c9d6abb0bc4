"""R² of hidden parameters with an interval and a null, by kind of parameter.

Every figure is a function of sums over networks, so a resample of networks is a row of weights times those sums. Dealing
the predictions out anew to other networks changes nothing but the products of values and predictions.
"""

from __future__ import annotations

import math

import numpy as np

LEVELS = (0.025, 0.975)
N_DRAWS = 200
"""Resamples of the networks, and deals of the predictions."""

ROUNDING = 1e-12
"""A smaller share of the sum of squares than this is no variance."""


def resamples(n_bootstraps: int, n: int, *, seed: int) -> np.ndarray:
    """(n_bootstraps + 1, n): how often each network is drawn; the first row is the sample itself, each network once."""
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_bootstraps)
    return np.concatenate([np.ones((1, n)), drawn])


def by_kind(values: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Sums (N, C) of values (N, P) over the parameters of each kind (P,), numbered from 0."""
    return values @ (kinds[:, None] == np.arange(kinds.max() + 1)).astype(np.float64)


def total_squares(truth: np.ndarray, kinds: np.ndarray, weights: np.ndarray, hidden: np.ndarray | None = None) -> np.ndarray:
    """(B, C): squared deviations of truth (N, P) from the mean of each kind, summed, for resamples weights (B, N); of what
    is hidden (N, P) alone, which is everything where it is None. Exactly 0 where nothing varies but by rounding.
    """
    truth = truth.astype(np.float64)
    hidden = np.ones(truth.shape, dtype=bool) if hidden is None else hidden
    sums = (by_kind(np.where(hidden, part, 0.0), kinds) for part in (1.0, truth, np.square(truth)))
    count, first, second = (weights @ part for part in sums)
    total = second - np.square(first) / np.maximum(count, 1)
    return np.where(total > ROUNDING * second, total, 0.0)


def left_squares(
    truth: np.ndarray, predicted: np.ndarray, kinds: np.ndarray, weights: np.ndarray, hidden: np.ndarray | None = None
) -> np.ndarray:
    """(B, C): squared residuals of predicted (N, P), summed; the rest as in `total_squares`."""
    squares = np.square(truth.astype(np.float64) - predicted)
    return weights @ by_kind(squares if hidden is None else np.where(hidden, squares, 0.0), kinds)


def dealt_squares(
    truth: np.ndarray,
    predicted: np.ndarray,
    kinds: np.ndarray,
    hidden: np.ndarray | None = None,
    *,
    seed: int,
    n_deals: int = N_DRAWS,
) -> np.ndarray:
    """(n_deals, C): the squared residuals when predictions (N, P) are dealt out to other networks.

    What is hidden (N, P) stays as it is: what was predicted of a parameter goes to another network in which it is hidden too.
    All that was predicted of a network goes to one and the same, where everything is hidden of every network.
    """
    hidden = np.ones(truth.shape, dtype=bool) if hidden is None else hidden
    truth, predicted = (np.where(hidden, part, 0.0).T.astype(np.float64) for part in (truth, predicted))  # (P, N)
    columns, everything, rng = np.ascontiguousarray(hidden.T), bool(hidden.all()), np.random.default_rng(seed)
    given = [own[column] for own, column in zip(truth, columns, strict=True)]
    products = np.empty((n_deals, len(truth)))
    for deal in range(n_deals):
        order = rng.permutation(truth.shape[1])
        for slot, (own, column) in enumerate(zip(given, columns, strict=True)):
            others = order if everything else order[column[order]]
            products[deal, slot] = own @ predicted[slot, others]
    squares = (np.square(truth) + np.square(predicted)).sum(axis=1)
    return by_kind(squares - 2 * products, kinds)


def explained(left: np.ndarray, total: np.ndarray) -> np.ndarray:
    """1 − left / total; NaN where nothing varies."""
    total = np.broadcast_to(total, np.broadcast_shapes(left.shape, total.shape))
    return 1 - np.divide(left, total, out=np.full(total.shape, np.nan), where=total > 0)


def share_explained(left: np.ndarray, total: np.ndarray) -> np.ndarray:
    """(B, C + 1): 1 − left / total for sums (B, C), and for both summed over kinds."""
    return explained(*(np.concatenate([sums, sums.sum(axis=1, keepdims=True)], axis=1) for sums in (left, total)))


def r2_draws(truth: np.ndarray, predicted: np.ndarray, kinds: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(B, C + 1): R² of every kind and, last, of all together, for resamples weights (B, N) of networks.

    truth and predicted are (N, P), in standard deviations of their kind; the total is about each kind's mean in the
    resample. NaN where nothing varies.
    """
    return share_explained(left_squares(truth, predicted, kinds, weights), total_squares(truth, kinds, weights))


def dealt_r2(truth: np.ndarray, predicted: np.ndarray, kinds: np.ndarray, *, seed: int, n_deals: int = N_DRAWS) -> np.ndarray:
    """(n_deals, C + 1): the same of the networks as they are when predictions are dealt out to others of them."""
    total = total_squares(truth, kinds, np.ones((1, len(truth))))
    return share_explained(dealt_squares(truth, predicted, kinds, seed=seed, n_deals=n_deals), total)


def interval(draws: np.ndarray) -> tuple[float, float]:
    """The ends of 95 % of draws, those left out that are not finite; NaN where none is."""
    finite = draws[np.isfinite(draws)]
    low, high = np.quantile(finite, LEVELS) if len(finite) else (math.nan, math.nan)
    return float(low), float(high)


def spread(draws: np.ndarray, dealt: np.ndarray) -> dict[str, float]:
    """`value`, `low`, `high` and `null_p95` from draws (B,), whose first is the sample itself, and from deals (D,)."""
    low, high = interval(draws[1:])
    return {"value": float(draws[0]), "low": low, "high": high, "null_p95": float(np.quantile(dealt, 0.95))}


def number(value: float) -> float | None:
    """A plain float, or None for what is not finite."""
    return float(value) if math.isfinite(value) else None


def figure(name: str, draws: np.ndarray) -> dict[str, float | None]:
    """Three columns of a table from draws (B,) whose first one is the sample itself: value, low, high."""
    low, high = interval(draws[1:])
    return {name: number(draws[0]), f"{name}_low": number(low), f"{name}_high": number(high)}
