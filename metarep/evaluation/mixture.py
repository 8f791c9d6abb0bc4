"""A Gaussian mixture with full covariances by expectation maximisation, each step two matrix products.

The logarithm of a Gaussian density is linear in the products of two coordinates, the coordinates and 1. With these as columns
of a matrix, one product gives the densities of all components, another all their moments. The starts, the steps and the stop
are those of scikit-learn's `GaussianMixture`, which takes the components one by one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans

RIDGE = 1e-3
"""Added to every variance."""

TOLERANCE, MAX_STEPS = 1e-2, 60
"""A start ends where a step gains less mean log-likelihood than this, or after so many steps."""


@dataclass(frozen=True)
class Mixture:
    """K components of D coordinates: `weights` (D (D + 1) / 2 + D + 1, K) of the columns of `monomials`."""

    weights: np.ndarray

    def predict(self, x: np.ndarray) -> np.ndarray:
        """(N,): the component that each of the points (N, D) most likely comes from."""
        return (monomials(x) @ self.weights).argmax(axis=1)


def monomials(x: np.ndarray) -> np.ndarray:
    """(N, D (D + 1) / 2 + D + 1): of points (N, D) the products of two coordinates, the coordinates, and 1."""
    upper = np.triu_indices(x.shape[1])
    return np.concatenate([x[:, upper[0]] * x[:, upper[1]], x, np.ones((len(x), 1))], axis=1)


def fit_mixture(x: np.ndarray, k: int, *, n_starts: int, seed: int) -> Mixture:
    """The likeliest of some mixtures of k components for points (N, D), each started at clusters of k-means."""
    columns, rng = monomials(x), np.random.RandomState(seed)
    best, most = None, -np.inf
    for _ in range(n_starts):
        assigned = KMeans(k, n_init=1, random_state=rng).fit(x).labels_
        mixture, likelihood = _climb(columns, np.eye(k)[assigned], x.shape[1])
        if best is None or likelihood > most:
            best, most = mixture, likelihood
    return best


def _climb(columns: np.ndarray, shares: np.ndarray, d: int) -> tuple[Mixture, float]:
    """The mixture that is reached from the shares (N, K) in which points belong to components, and its mean log-likelihood."""
    mixture, before = _mixture(columns, shares, d), -np.inf
    for _ in range(MAX_STEPS):
        shares = columns @ mixture.weights
        highest = shares.max(axis=1, keepdims=True)
        np.exp(np.subtract(shares, highest, out=shares), out=shares)
        total = shares.sum(axis=1, keepdims=True)
        likelihood = float((highest + np.log(total)).mean())
        mixture = _mixture(columns, np.divide(shares, total, out=shares), d)
        if abs(likelihood - before) < TOLERANCE:
            break
        before = likelihood
    return mixture, likelihood


def _mixture(columns: np.ndarray, shares: np.ndarray, d: int) -> Mixture:
    """The mixture of the largest likelihood where points belong to components in these shares (N, K)."""
    n = shares.sum(axis=0) + 10 * np.finfo(float).eps
    moments = (shares.T @ columns) / n[:, None]
    upper, products = np.triu_indices(d), len(columns.T) - d - 1
    mean = moments[:, products:-1]
    second = np.empty((len(n), d, d))
    second[:, upper[0], upper[1]] = second[:, upper[1], upper[0]] = moments[:, :products]
    covariance = second - mean[:, :, None] * mean[:, None, :] + RIDGE * np.eye(d)
    precision = np.linalg.inv(covariance)
    linear = np.einsum("kij,kj->ki", precision, mean)
    _, log_determinant = np.linalg.slogdet(covariance)
    constant = np.log(n / len(columns)) - 0.5 * (d * np.log(2 * np.pi) + log_determinant + (linear * mean).sum(axis=1))
    double = np.where(upper[0] == upper[1], 0.5, 1.0)
    return Mixture(np.concatenate([-double * precision[:, upper[0], upper[1]], linear, constant[:, None]], axis=1).T)
