"""Neighbours among networks: what those that are alike in all other parameters say of a masked one.

A bank holds every network in every order of its hidden units, so that two networks that differ by the order alone meet.

Of a masked parameter y, x being the other P − 1 parameters in standard deviations, the Gamma test (Stefánsson, Končar and
Jones, "A note on the Gamma test", 1997) says what no smooth function of x can predict: a line through the mean squared
distances of the first, second, … neighbour and half the mean squared differences in y meets distance 0 at that variance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import all_unit_orders


@dataclass(frozen=True)
class Units:
    """What parameters are measured in: the mean and standard deviation (P,) of their kind."""

    mean: np.ndarray
    std: np.ndarray

    def of(self, params: np.ndarray) -> np.ndarray:
        """params (…, P) in these units, float64."""
        return (np.asarray(params, dtype=np.float64) - self.mean) / self.std


class Neighbours(NamedTuple):
    """The k nearest of N queries by all parameters but one: its value (N, k), the squared distance by the others (N, k)."""

    value: np.ndarray
    squared: np.ndarray


def units_of(params: np.ndarray, kinds: np.ndarray) -> Units:
    """Mean and spread of networks (N, P) by the kind (P,) of their parameters, so that no unit comes first."""
    params = np.asarray(params, dtype=np.float64)
    mean, std = np.empty(params.shape[1]), np.empty(params.shape[1])
    for kind in np.unique(kinds):
        values = params[:, kinds == kind]
        mean[kinds == kind], std[kinds == kind] = values.mean(), max(values.std(), 1e-6)
    return Units(mean, std)


def bank_of(spec: NetworkSpec, params: np.ndarray, units: Units) -> np.ndarray:
    """The bank (M, P) of networks (N, P), in units: as many points a network as there are unit orders."""
    return units.of(params)[:, all_unit_orders(spec)].reshape(-1, params.shape[1])


def hidden_neighbours(bank: np.ndarray, queries: np.ndarray, slot: int, k: int) -> Neighbours:
    """The nearest k points of a bank (M, P), or all, to queries (N, P), in its units, by all parameters but the one at "
    "`slot`."""
    rest = cKDTree(np.delete(bank, slot, axis=1))
    distance, index = rest.query(np.delete(queries, slot, axis=1), k=np.arange(1, min(k, len(bank)) + 1))
    return Neighbours(bank[index, slot], np.square(distance))


def half_squares(found: Neighbours, truth: np.ndarray, n_neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, p) squared distances and (N, p) half squared differences to truth (N,): what the Gamma test averages."""
    return found.squared[:, :n_neighbours], 0.5 * np.square(found.value - truth[:, None])[:, :n_neighbours]


def intercept(delta: np.ndarray, gamma: np.ndarray) -> np.ndarray:
    """(…,): where the least-squares line of gamma (…, p) on delta (…, p) meets delta = 0; the mean where delta stands still."""
    x, y = delta - delta.mean(axis=-1, keepdims=True), gamma - gamma.mean(axis=-1, keepdims=True)
    spread = np.square(x).sum(axis=-1)
    slope = np.where(spread > 0, (x * y).sum(axis=-1) / np.where(spread > 0, spread, 1.0), 0.0)
    return gamma.mean(axis=-1) - slope * delta.mean(axis=-1)
