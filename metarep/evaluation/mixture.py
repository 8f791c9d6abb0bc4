"""A Gaussian mixture with full covariances, fitted as scikit-learn's `GaussianMixture` is but with two matrix products a step.

The log-density of a Gaussian is linear in the values x and their products xᵢxⱼ: with these as columns the E-step is one
product and the M-step another one, in place of a loop over components.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans

REGULARISATION = 1e-3
TOLERANCE = 1e-2
MAX_STEPS = 60


@dataclass(frozen=True)
class GaussianMixture:
    """K Gaussians in D dimensions: coefficients (F, K) of the columns that `quadratic` makes, F = 1 + D + D (D + 1) / 2."""

    coefficients: np.ndarray

    def log_density(self, columns: np.ndarray) -> np.ndarray:
        """(N, K): log of weight times density of columns (N, F)."""
        return columns @ self.coefficients

    def predict(self, x: np.ndarray) -> np.ndarray:
        """(N,): the most probable component of rows x (N, D)."""
        return self.log_density(quadratic(x)).argmax(axis=1)


def fit_mixture(x: np.ndarray, k: int, *, n_starts: int, seed: int) -> GaussianMixture:
    """The best of some fits by expectation maximisation, each started from k-means; rows x (N, D) should be near 0 in size."""
    columns, random = quadratic(x), np.random.RandomState(seed)
    best, most = None, -np.inf
    for _ in range(n_starts):
        found, bound = _climb(columns, KMeans(k, n_init=1, random_state=random).fit(x).labels_, k, x.shape[1])
        if bound > most or best is None:
            best, most = found, bound
    return best


def quadratic(x: np.ndarray) -> np.ndarray:
    """(N, F): 1, the D values and their products, of rows x (N, D)."""
    i, j = np.triu_indices(x.shape[1])
    return np.concatenate([np.ones((len(x), 1)), x, x[:, i] * x[:, j]], axis=1)


def _climb(columns: np.ndarray, start: np.ndarray, k: int, d: int) -> tuple[GaussianMixture, float]:
    """The mixture at which the mean log-likelihood of columns (N, F) stands still, from clusters (N,), and that likelihood."""
    shares, bound = np.eye(k)[start], -np.inf
    found = _maximise(shares, columns, d)
    for _ in range(MAX_STEPS):
        log = found.log_density(columns)
        most = log.max(axis=1, keepdims=True)
        shares = np.exp(log - most)
        total = shares.sum(axis=1, keepdims=True)
        found = _maximise(shares / total, columns, d)
        previous, bound = bound, float((np.log(total) + most).mean())
        if abs(bound - previous) < TOLERANCE:
            break
    return found, bound


def _maximise(shares: np.ndarray, columns: np.ndarray, d: int) -> GaussianMixture:
    """The mixture that fits the shares (N, K) of rows in components best."""
    sums = shares.T @ columns
    count = sums[:, 0] + 10 * np.finfo(np.float64).eps
    mean = sums[:, 1 : 1 + d] / count[:, None]
    i, j = np.triu_indices(d)
    covariance = np.empty((len(count), d, d))
    covariance[:, i, j] = covariance[:, j, i] = sums[:, 1 + d :] / count[:, None] - mean[:, i] * mean[:, j]
    covariance[:, np.arange(d), np.arange(d)] += REGULARISATION
    inverse = np.linalg.inv(covariance)
    linear = np.einsum("kij,kj->ki", inverse, mean)
    constant = np.log(count / count.sum()) - 0.5 * (
        d * np.log(2 * np.pi) + np.linalg.slogdet(covariance)[1] + (linear * mean).sum(axis=1)
    )
    products = -0.5 * inverse[:, i, j] * np.where(i == j, 1.0, 2.0)
    return GaussianMixture(np.concatenate([constant[:, None], linear, products], axis=1).T)
