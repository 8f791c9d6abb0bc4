"""What a cloze model must beat: the mean, the conditional mean of one Gaussian over all parameters, and what a form leaks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from metarep.cloze.tokens import Layout, TokenLayout

Imputer = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(normalised values (N, T), mask (N, T), True hidden) -> predictions (N, T); visible entries mean nothing."""

Conditional = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""The same -> mean and variance of each."""


def fit_mean(train: np.ndarray, layout: Layout) -> Imputer:
    """Predicts the training mean of the slot class."""
    mean = _class_means(train, layout)
    return lambda values, mask: np.broadcast_to(mean, values.shape)


def in_turn(imputer: Imputer, values: np.ndarray) -> np.ndarray:
    """(N, T): what an imputer says of each of values (N, T) when it alone is hidden."""
    n, t = values.shape
    masks = np.tile(np.eye(t, dtype=bool), (n, 1))
    return imputer(np.repeat(values, t, axis=0), masks)[masks].reshape(n, t)


def fit_linear_gaussian(train: np.ndarray, layout: Layout, *, ridge: float = 1e-3) -> Imputer:
    """Predicts E[hidden | visible] under a Gaussian with the training mean and covariance; see `fit_gaussian`."""
    gaussian = fit_gaussian(train, layout, ridge=ridge)
    return lambda values, mask: gaussian(values, mask)[0]


def fit_gaussian(train: np.ndarray, layout: Layout, *, ridge: float = 1e-3) -> Conditional:
    """Mean and variance (N, T) of hidden values given the visible ones, under a Gaussian with the training mean and covariance.

    The covariance is averaged over cyclic reorderings of each hidden layer's units, since no
    unit comes first. Source: Σ_hv Σ_vv⁻¹ (x_v − μ_v) and Σ_hh − Σ_hv Σ_vv⁻¹ Σ_vh, the conditional of a Gaussian.
    """
    mean = _class_means(train, layout)
    covariance = np.mean([np.cov(train[:, order].T, bias=True) for order in _cyclic_orders(layout)], axis=0)
    covariance = np.atleast_2d(covariance) + ridge * np.eye(layout.n_tokens)

    def given_visible(values: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        expected, variance = np.tile(mean, (len(values), 1)), np.tile(np.diag(covariance), (len(values), 1))
        patterns, member = np.unique(mask, axis=0, return_inverse=True)
        for number, hidden in enumerate(patterns):
            rows = np.flatnonzero(member.reshape(-1) == number)
            if hidden.all() or not hidden.any():
                continue
            shared = covariance[np.ix_(~hidden, hidden)]
            weights = np.linalg.solve(covariance[np.ix_(~hidden, ~hidden)], shared)
            expected[np.ix_(rows, hidden)] += (values[np.ix_(rows, ~hidden)] - mean[~hidden]) @ weights
            variance[np.ix_(rows, hidden)] -= (shared * weights).sum(axis=0)
        return expected, variance

    return given_visible


def fit_unit_norm(train: np.ndarray, layout: TokenLayout, mean: np.ndarray, std: np.ndarray) -> Imputer:
    """Exploits what canonical scale leaks: there a hidden unit's incoming parameters have norm 1.

    The only one of them that is hidden is as large as the visible ones leave; of its two signs the Gaussian of `fit_gaussian`
    says how likely each is, and the prediction is the mean of both. All else is predicted by that Gaussian.
    mean and std (T,) turn normalised values into parameters.
    """
    gaussian = fit_gaussian(train, layout)

    def impute(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
        out, variance = gaussian(values, mask)
        seen, guess = np.where(mask, 0.0, values * std + mean), out * std + mean
        for incoming in layout.incoming:
            rows = np.flatnonzero(mask[:, incoming].sum(axis=1) == 1)
            hidden = incoming[mask[np.ix_(rows, incoming)].argmax(axis=1)]
            size = np.sqrt(np.maximum(0.0, 1 - np.square(seen[np.ix_(rows, incoming)]).sum(axis=1)))
            tilt = np.tanh(size * guess[rows, hidden] / (variance[rows, hidden] * std[hidden] ** 2))
            out[rows, hidden] = (size * tilt - mean[hidden]) / std[hidden]
        return out

    return impute


def _class_means(train: np.ndarray, layout: Layout) -> np.ndarray:
    sums = np.bincount(layout.slot_class, train.mean(axis=0))
    return (sums / np.bincount(layout.slot_class))[layout.slot_class]


def _cyclic_orders(layout: Layout) -> list[np.ndarray]:
    """Index arrays (T,) that turn the units of every hidden layer by 0, 1, 2 … places."""
    widths = layout.spec.hidden_widths
    return [layout.order_index([np.roll(np.arange(w), -turn) for w in widths]) for turn in range(max(widths, default=1))]
