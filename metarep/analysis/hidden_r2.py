"""R² of parameters that are hidden in turn, by kind of parameter, with bootstrap intervals over networks.

Every figure is a function of sums over networks, so a resample of networks is a row of weights times those sums.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from metarep.cloze.embed import leave_one_out
from metarep.cloze.imputers import fit_linear_gaussian
from metarep.cloze.model import ClozeModel

LEVELS = (0.025, 0.975)


def predicted_in_turn(model: ClozeModel, params: np.ndarray, *, batch_size: int = 256) -> np.ndarray:
    """(N, P) float64: what the model expects of each parameter of networks (N, P) when it alone is hidden."""
    with torch.no_grad():
        parts = [model.denormalise(leave_one_out(model, values)[0]) for values in model.read(params).split(batch_size)]
    return torch.cat(parts).cpu().numpy().astype(np.float64)


def imputed_in_turn(train: np.ndarray, values: np.ndarray, layout) -> np.ndarray:
    """(N, P): the same by the linear-Gaussian imputer fitted on train (M, P); all in one and the same units."""
    n, t = values.shape
    masks = np.tile(np.eye(t, dtype=bool), (n, 1))
    return fit_linear_gaussian(train, layout)(np.repeat(values, t, axis=0), masks)[masks].reshape(n, t)


def resamples(n_bootstraps: int, n: int, *, seed: int) -> np.ndarray:
    """(n_bootstraps + 1, n): how often each network is drawn; the first row is the sample itself, each network once."""
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_bootstraps)
    return np.concatenate([np.ones((1, n)), drawn])


def by_kind(values: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Sums (N, C) of values (N, P) over the parameters of each kind (P,), numbered from 0."""
    return values @ (kinds[:, None] == np.arange(kinds.max() + 1)).astype(np.float64)


def total_squares(truth: np.ndarray, kinds: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(B, C): squared deviations of truth (N, P) from the mean of each kind, summed, for resamples weights (B, N)."""
    count = weights.sum(axis=1, keepdims=True) * np.bincount(kinds)
    return weights @ by_kind(np.square(truth), kinds) - np.square(weights @ by_kind(truth, kinds)) / count


def r2_draws(truth: np.ndarray, predicted: np.ndarray, kinds: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(B, C + 1): R² of every kind and, last, of all together, for resamples weights (B, N) of networks.

    truth and predicted are (N, P), in standard deviations of their kind; the total is about each kind's mean in the
    resample. NaN where nothing varies.
    """
    residual = weights @ by_kind(np.square(truth - predicted), kinds)
    return share_explained(residual, total_squares(truth, kinds, weights))


def share_explained(residual: np.ndarray, total: np.ndarray) -> np.ndarray:
    """(B, C + 1): 1 − residual / total for sums (B, C), and for both summed over kinds."""
    residual, total = (np.concatenate([sums, sums.sum(axis=1, keepdims=True)], axis=1) for sums in (residual, total))
    return 1 - np.divide(residual, total, out=np.full_like(total, np.nan), where=total > 1e-12)


def number(value: float) -> float | None:
    """A plain float, or None for what is not finite."""
    return float(value) if math.isfinite(value) else None


def figure(name: str, draws: np.ndarray) -> dict[str, float | None]:
    """Three columns of a table from draws (B,) whose first one is the sample itself: value, low, high."""
    finite = draws[1:][np.isfinite(draws[1:])]
    low, high = np.quantile(finite, LEVELS) if len(finite) else (math.nan, math.nan)
    return {name: number(draws[0]), f"{name}_low": number(low), f"{name}_high": number(high)}
