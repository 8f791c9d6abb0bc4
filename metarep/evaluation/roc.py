"""How well a score tells two classes apart: ROC curve and AUC, with a bootstrap interval.

The interval is that of a score cut into at most 2 × 100 steps, at the quantiles of both classes, so that a resample of
networks is a multinomial draw over the steps; it is moved by what the steps changed in the value. Scores may be (D, N), D draws
of a scan that depends on chance: the value is then the mean over the draws, and the interval holds the spread of one draw too.
"""

from __future__ import annotations

import numpy as np

from metarep.evaluation.resampling import LEVELS

N_STEPS = 100
FPR_GRID = np.unique(np.r_[0.0, np.geomspace(1e-3, 0.1, 21), np.linspace(0, 1, 101)])


def roc(positive: np.ndarray, negative: np.ndarray, at: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The shares of positives (P,) and of negatives (N,) at or above falling thresholds, from 0 to 1: at each score, or
    at those of `at`.
    """
    thresholds = np.unique(np.concatenate([positive, negative]) if at is None else at)[::-1]
    below = (np.searchsorted(np.sort(scores), thresholds, side="left") / len(scores) for scores in (positive, negative))
    tpr, fpr = (np.r_[0.0, 1 - share] for share in below)
    return tpr, fpr


def area(tpr: np.ndarray, fpr: np.ndarray) -> np.ndarray:
    """(…,): the area under curves (…, K)."""
    return np.trapezoid(tpr, fpr, axis=-1)


def auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """The chance that a positive scores above a negative, ties counting half; scores (P,) and (N,)."""
    return float(area(*roc(positive, negative)))


def auc_row(name: str, positive: np.ndarray, negative: np.ndarray, n_draws: int, *, seed: int) -> dict[str, float]:
    """The columns `name`, `name`_low and `name`_high: the AUC of positive (P,) or (D, P) and negative (N,) or (D, N), and its
    95 % interval.
    """
    rng, pairs = np.random.default_rng(seed), list(zip(np.atleast_2d(positive), np.atleast_2d(negative), strict=True))
    values, draws = [auc(*pair) for pair in pairs], []
    for value, pair in zip(values, pairs, strict=True):
        edges = [np.quantile(scores, np.linspace(0, 1, N_STEPS), method="inverted_cdf") for scores in pair]
        steps = roc(*pair, np.concatenate(edges))
        drawn = [resampled(shares, len(own), -(-n_draws // len(pairs)), rng) for shares, own in zip(steps, pair, strict=True)]
        draws.append(area(*drawn) + value - area(*steps))
    low, high = np.quantile(np.concatenate(draws), LEVELS).clip(0, 1)
    return {name: float(np.mean(values)), f"{name}_low": float(low), f"{name}_high": float(high)}


def resampled(shares: np.ndarray, n: int, n_draws: int, rng: np.random.Generator) -> np.ndarray:
    """(n_draws, K): the shares (K,) of n scores at or above falling thresholds, the scores drawn anew with replacement."""
    weights = np.diff(shares).clip(min=0)
    drawn = rng.multinomial(n, weights / weights.sum(), size=n_draws)
    return np.cumsum(np.pad(drawn, ((0, 0), (1, 0))), axis=1) / n


def on_grid(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """(len(FPR_GRID),): the tpr at each fpr of FPR_GRID, the mean over draws where scores are (D, N)."""
    curves = [roc(*pair) for pair in zip(np.atleast_2d(positive), np.atleast_2d(negative), strict=True)]
    return np.mean([np.interp(FPR_GRID, fpr, tpr) for tpr, fpr in curves], axis=0)
