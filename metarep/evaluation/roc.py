"""How well a score tells two classes apart: ROC curve and AUC, with a bootstrap interval.

The interval is that of a score cut into at most 2 × 100 steps, at the quantiles of both classes, so that a resample of
networks is a multinomial draw over the steps; it is moved by what the steps changed in the value. Scores may be (D, N), D draws
of a scan that depends on chance: the value is then the mean over the draws, and the interval holds the spread of one draw too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

N_STEPS = 100
LEVELS = (0.025, 0.975)
FPR_GRID = np.unique(np.r_[0.0, np.geomspace(1e-3, 0.1, 21), np.linspace(0, 1, 101)])


@dataclass(frozen=True)
class Roc:
    """Shares of positives (tpr) and negatives (fpr) at or above falling thresholds, (…, K), from 0 to 1."""

    tpr: np.ndarray
    fpr: np.ndarray


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def row(self, name: str) -> dict[str, float]:
        """The three columns of a table."""
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}


def roc(positive: np.ndarray, negative: np.ndarray) -> Roc:
    """The curve of scores (P,) and (N,), a point for every distinct score."""
    thresholds = np.unique(np.concatenate([positive, negative]))[::-1]
    return Roc(_share_from_top(positive, thresholds), _share_from_top(negative, thresholds))


def stepwise(positive: np.ndarray, negative: np.ndarray) -> Roc:
    """The curve of scores (P,) and (N,) at their quantiles only: at most 2 × N_STEPS points."""
    levels = np.linspace(0, 1, N_STEPS)
    edges = np.unique(np.concatenate([np.quantile(s, levels, method="inverted_cdf") for s in (positive, negative)]))[::-1]
    return Roc(_share_from_top(positive, edges), _share_from_top(negative, edges))


def resampled(curve: Roc, n_positive: int, n_negative: int, n: int, *, rng: np.random.Generator) -> Roc:
    """The curves (n, K) of n bootstrap samples of a curve (K,): both classes drawn anew, with replacement."""
    curves = []
    for shares, size in ((curve.tpr, n_positive), (curve.fpr, n_negative)):
        weights = np.diff(shares).clip(min=0)
        drawn = rng.multinomial(size, weights / weights.sum(), size=n)
        curves.append(np.cumsum(np.pad(drawn, ((0, 0), (1, 0))), axis=1) / size)
    return Roc(*curves)


def estimate(
    figures: dict[str, Callable[[Roc], np.ndarray]], positive: np.ndarray, negative: np.ndarray, n: int, *, seed: int
) -> dict[str, Estimate]:
    """Each of some metrics of the curve of positive (P,) or (D, P) and negative (N,) or (D, N), with its interval."""
    rng = np.random.default_rng(seed)
    pairs = list(zip(np.atleast_2d(positive), np.atleast_2d(negative), strict=True))
    points, steps = [roc(*pair) for pair in pairs], [stepwise(*pair) for pair in pairs]
    sizes, each = [len(scores) for scores in pairs[0]], -(-n // len(pairs))
    samples = [resampled(curve, *sizes, each, rng=rng) for curve in steps]
    found = {}
    for name, figure in figures.items():
        moved = [
            figure(sample) + figure(point) - figure(step) for sample, point, step in zip(samples, points, steps, strict=True)
        ]
        low, high = np.quantile(np.concatenate(moved), LEVELS).clip(0, 1)
        found[name] = Estimate(float(np.mean([figure(point) for point in points])), float(low), float(high))
    return found


def area(curve: Roc) -> np.ndarray:
    """(…,): the area under the curve, ties counting half: the chance that a positive scores above a negative."""
    return np.trapezoid(curve.tpr, curve.fpr, axis=-1)


def auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """The chance that a positive scores above a negative, ties counting half; scores (P,) and (N,)."""
    return float(area(roc(positive, negative)))


def on_grid(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """(len(FPR_GRID),): the tpr at each fpr of FPR_GRID, the mean over draws where scores are (D, N)."""
    curves = [roc(*pair) for pair in zip(np.atleast_2d(positive), np.atleast_2d(negative), strict=True)]
    return np.mean([np.interp(FPR_GRID, curve.fpr, curve.tpr) for curve in curves], axis=0)


def _share_from_top(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """(K + 1,): the share of scores at or above each of the falling thresholds, 0 before the first."""
    below = np.searchsorted(np.sort(scores), thresholds, side="left")
    return np.r_[0.0, 1 - below / len(scores)]
