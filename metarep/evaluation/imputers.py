"""Masked values predicted from a Gaussian over networks, or windows, of one shape, averaged over cyclic orders of units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.utils.extmath import randomized_svd

from metarep.model.mixture import MAX_VALUES, MIN_ROWS, UnitMixture
from metarep.model.windows import Plan, Shape
from metarep.networks.symmetry_groups import Symmetries

RIDGE = 1e-3
"""Added to every variance, in units of standardised values."""

MAX_FULL = 1024
"""Rows of more values have a covariance of low rank."""

RANK = 64
MIXTURE_RANK, MOST_ORDERS = 32, 4
"""Of a mixture of Gaussians; a mixture over networks whose units can stand in more orders is not fitted."""
MAX_ORDERS = 16
"""Cyclic orders of units over which is averaged."""


Predictor = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Rows (N, M) and a mask (M,) bool, True masked -> what is said of the masked values (N, masked)."""


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian over rows of M values: mean (M,) and covariance loadings @ loadings.T + noise · 1, loadings (M, R)."""

    mean: np.ndarray
    loadings: np.ndarray
    noise: float

    def predict(self, values: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """(N, masked): E[masked | seen] of rows (N, M) that all mask the same values, mask (M,) bool, True masked.

        With factors f: x = μ + W f + noise. E[f | seen] = (WₛᵀWₛ + σ²)⁻¹ Wₛᵀ (xₛ − μₛ) (Tipping and Bishop, "Probabilistic
        principal component analysis", 1999), which for all R = M factors is the conditional mean of the full Gaussian.
        """
        seen, masked = self.loadings[~mask], self.loadings[mask]
        inner = seen.T @ seen + self.noise * np.eye(seen.shape[1])
        factors = np.linalg.solve(inner, seen.T @ (values[:, ~mask] - self.mean[~mask]).T)
        return self.mean[mask] + factors.T @ masked.T


def fit_gaussian(rows: np.ndarray, orders: Sequence[np.ndarray]) -> Gaussian:
    """The Gaussian of rows (N, M); each of `orders` (M,) says which value stands where when units change places.

    Probabilistic principal components where M is large: the variance that RANK factors leave is noise.
    """
    rows = rows.astype(np.float64)
    mean = np.mean([rows.mean(axis=0)[order] for order in orders], axis=0)
    if rows.shape[1] <= MAX_FULL:
        plain = np.atleast_2d(np.cov(rows.T, bias=True))
        covariance = np.mean([plain[np.ix_(order, order)] for order in orders], axis=0)
        variances, directions = np.linalg.eigh(covariance)
        return Gaussian(mean, directions * np.sqrt(variances.clip(min=0)), RIDGE)
    every = np.concatenate([rows[:, order] for order in orders]) - mean
    _, sizes, directions = randomized_svd(every, min(RANK, len(every) - 1), random_state=0)
    variances = np.square(sizes) / len(every)
    left = max(0.0, np.square(every).sum() / len(every) - variances.sum()) / (rows.shape[1] - len(sizes))
    return Gaussian(mean, directions.T * np.sqrt((variances - left).clip(min=0)), left + RIDGE)


def fit_imputer(rows: np.ndarray, orders: Sequence[np.ndarray], n_units: int) -> Gaussian:
    """The Gaussian of windows (N, M) of n units or, where that predicts the last fifth of them better, of single units.

    What units of a window have in common is little, and costs a Gaussian of windows many rows to find out.
    """
    fits = [partial(fit_gaussian, orders=orders), partial(_fit_units, n_units=n_units)]
    if n_units == 1:
        return fits[0](rows)
    return _better([lambda some, fit=fit: fit(some).predict for fit in fits], fits, rows)


def _better(tried: Sequence[Callable[[np.ndarray], Predictor]], chosen: Sequence[Callable], rows: np.ndarray) -> Any:
    """What one of several fits makes of rows: the one that, fitted on the first four fifths, predicts half the values of the
    last best.
    """
    mask, at = np.random.default_rng(0).random(rows.shape[1]) < 0.5, len(rows) - len(rows) // 5
    left = [np.square(rows[at:, mask] - fit(rows[:at])(rows[at:], mask)).sum() for fit in tried]
    return chosen[int(np.argmin(left))](rows)


def _fit_units(rows: np.ndarray, n_units: int) -> Gaussian:
    """The Gaussian of windows whose units are independent and alike."""
    units = rows.reshape(len(rows) * n_units, -1)
    one = fit_gaussian(units, [np.arange(units.shape[1])])
    return Gaussian(np.tile(one.mean, n_units), np.kron(np.eye(n_units), one.loadings), one.noise)


def fit_mixture(rows: np.ndarray, orders: Sequence[np.ndarray], n_units: int, n_gaussians: int) -> Predictor | None:
    """A mixture of Gaussians over the units of windows (N, M) of n units, or over whole windows where these show one thing; or
    the Gaussian, where that predicts the last fifth of them better.

    None where it would have to know more values, or more orders of units, than can be fitted.
    """
    n_values = rows.shape[1] // n_units
    if n_values > MAX_VALUES or (n_units == 1 and len(orders) > MOST_ORDERS):
        return None
    one = lambda some: fit_imputer(some, orders, n_units).predict  # noqa: E731
    fits = [partial(_fit_mixture, orders=orders, n_units=n_units, n_gaussians=n_gaussians), one]
    return _better(fits, fits, rows)


def _fit_mixture(rows: np.ndarray, orders: Sequence[np.ndarray], n_units: int, n_gaussians: int) -> Predictor:
    units = rows.reshape(len(rows) * n_units, -1) if n_units > 1 else np.concatenate([rows[:, order] for order in orders])
    n_gaussians = min(n_gaussians, max(1, len(rows) * n_units // MIN_ROWS))
    mixture = UnitMixture(units.shape[1], n_gaussians, MIXTURE_RANK).fit(units, seed=0)

    def predict(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
        seen = torch.from_numpy(~mask).view(n_units, -1).repeat(len(values), 1)
        completed = mixture.complete(torch.from_numpy(values).float().view(len(seen), -1), seen)
        return completed.view(values.shape).double().numpy()[:, mask]

    return predict


def unit_orders(plan: Plan, shape: Shape, symmetries: Symmetries) -> list[np.ndarray]:
    """Cyclic orders of the interchangeable units of a window, as indices (M,) into its present values."""
    layout = shape.layout
    if plan.whole:
        widths = {number: units.n for number, units in enumerate(symmetries.groups) if units.interchangeable}
        turns = [{number: turn % n for number, n in widths.items()} for turn in _turns(max(widths.values(), default=1))]
        orders = [[_rolled(units.n, each.get(at)) for at, units in enumerate(symmetries.groups)] for each in turns]
        return [plan.moved(symmetries, each)[0].numpy() for each in orders]
    (stretch,) = shape.stretches
    n_units = n_alike(plan, shape)
    present = layout.present.numpy().reshape(-1)
    index = np.where(present, np.cumsum(present) - 1, -1).reshape(stretch.n_units, -1)  # −1 for absent values
    found = [np.roll(index, -turn, axis=0).reshape(-1) for turn in _turns(n_units)]
    return [order[order >= 0] for order in found]


def n_alike(plan: Plan, shape: Shape) -> int:
    """How many interchangeable units a window of a larger network shows, one behind the other; else 1."""
    if plan.whole:
        return 1
    (stretch,) = shape.stretches
    return stretch.n_units if plan.views[stretch.view].units.interchangeable else 1


def _turns(n: int) -> np.ndarray:
    return np.unique(np.linspace(0, n, min(n, MAX_ORDERS), endpoint=False).astype(int))


def _rolled(n: int, turn: int | None) -> torch.Tensor | None:
    return None if turn is None else torch.roll(torch.arange(n), -turn).unsqueeze(0)
