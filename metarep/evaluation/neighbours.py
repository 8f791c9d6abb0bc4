"""Neighbours among networks: how near a network is to others modulo symmetry, and what neighbours say of a masked parameter.

A bank holds every network in every order of its hidden units, so that two networks that differ by the order alone meet.

Of a masked parameter y, x being the other P − 1 parameters in standard deviations, neighbours in x give the mean of y, a local
linear fit (Cleveland, "Robust locally weighted regression and smoothing scatterplots", 1979, here with equal weights and a
ridge), and the Gamma test (Stefánsson, Končar and Jones, "A note on the Gamma test", 1997): a line through the mean squared
distances of the first, second, … neighbour and half the mean squared differences in y meets distance 0 at the variance that no
smooth function of x can predict.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import all_unit_orders, canonical_scale


@dataclass(frozen=True)
class Units:
    """What parameters are measured in: the mean and standard deviation (P,) of their kind."""

    mean: np.ndarray
    std: np.ndarray

    def of(self, params: np.ndarray) -> np.ndarray:
        """params (…, P) in these units, float64."""
        return (np.asarray(params, dtype=np.float64) - self.mean) / self.std


class Bank(NamedTuple):
    """Networks in every unit order: points (M, P) float64 and the network (M,) that each one is."""

    points: np.ndarray
    owner: np.ndarray


class Neighbours(NamedTuple):
    """The k nearest of N queries by all parameters but one: its value (N, k), offset of the others (N, k, P − 1), squared."""

    value: np.ndarray
    offset: np.ndarray
    squared: np.ndarray


def units_of(params: np.ndarray, kinds: np.ndarray) -> Units:
    """Mean and spread of networks (N, P) by the kind (P,) of their parameters, so that no unit comes first."""
    params = np.asarray(params, dtype=np.float64)
    mean, std = np.empty(params.shape[1]), np.empty(params.shape[1])
    for kind in np.unique(kinds):
        values = params[:, kinds == kind]
        mean[kinds == kind], std[kinds == kind] = values.mean(), max(values.std(), 1e-6)
    return Units(mean, std)


def bank_of(spec: NetworkSpec, params: np.ndarray, units: Units) -> Bank:
    """The bank of networks (N, P): as many points a network as there are unit orders."""
    orders = all_unit_orders(spec)
    points = units.of(params)[:, orders].reshape(-1, params.shape[1])
    return Bank(points, np.repeat(np.arange(len(params)), len(orders)))


def nearest_distance(
    spec: NetworkSpec, params: np.ndarray, queries: np.ndarray, units: Units, *, own: np.ndarray | None = None
) -> np.ndarray:
    """(M,): the distance of queries (M, P) to the nearest of networks (N, P) modulo unit order and unit scale.

    Every network is first brought to its canonical scale; `units` are those of canonically scaled networks. own (M,):
    the number in params of each query, which is then no neighbour of itself. inf where there is no other network.
    """
    bank = bank_of(spec, canonical_scale(spec, params.astype(np.float64)), units)
    points = units.of(canonical_scale(spec, queries.astype(np.float64)))
    n_orders = len(bank.points) // len(params)
    k = 1 if own is None else n_orders + 1
    distance, index = cKDTree(bank.points).query(points, k=np.arange(1, k + 1))
    if own is None:
        return distance[:, 0]
    owner = np.append(bank.owner, -1)[index]  # the tree says M where it has no more neighbours
    return np.where(owner != own[:, None], distance, np.inf).min(axis=1)


def hidden_neighbours(bank: Bank, queries: np.ndarray, slot: int, k: int) -> Neighbours:
    """The nearest k points of a bank, or all, to queries (N, P), in its units, by all parameters but the one at `slot`."""
    rest = np.delete(bank.points, slot, axis=1)
    own = np.delete(queries, slot, axis=1)
    distance, index = cKDTree(rest).query(own, k=np.arange(1, min(k, len(rest)) + 1))
    return Neighbours(bank.points[index, slot], rest[index] - own[:, None], np.square(distance))


def neighbour_mean(found: Neighbours, k: int) -> np.ndarray:
    """(N,): the masked parameter's mean over the nearest k."""
    return found.value[:, :k].mean(axis=1)


def local_linear(found: Neighbours, *, ridge: float = 0.01) -> np.ndarray:
    """(N,): the masked parameter by a linear fit over all neighbours, read off at the query; `ridge` is relative to offsets."""
    value, offset = found.value, found.offset
    centre = offset.mean(axis=1, keepdims=True)
    x, y = offset - centre, value - value.mean(axis=1, keepdims=True)
    gram = np.einsum("nki,nkj->nij", x, x)
    d = gram.shape[1]
    weight = ridge * np.trace(gram, axis1=1, axis2=2) / d + 1e-12
    slope = np.linalg.solve(gram + weight[:, None, None] * np.eye(d), np.einsum("nki,nk->ni", x, y)[..., None])[..., 0]
    return value.mean(axis=1) - (centre[:, 0] * slope).sum(axis=1)


def half_squares(found: Neighbours, truth: np.ndarray, n_neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, p) squared distances and (N, p) half squared differences to truth (N,): what the Gamma test averages."""
    return found.squared[:, :n_neighbours], 0.5 * np.square(found.value - truth[:, None])[:, :n_neighbours]


def intercept(delta: np.ndarray, gamma: np.ndarray) -> np.ndarray:
    """(…,): where the least-squares line of gamma (…, p) on delta (…, p) meets delta = 0; the mean where delta stands still."""
    x, y = delta - delta.mean(axis=-1, keepdims=True), gamma - gamma.mean(axis=-1, keepdims=True)
    spread = np.square(x).sum(axis=-1)
    slope = np.where(spread > 0, (x * y).sum(axis=-1) / np.where(spread > 0, spread, 1.0), 0.0)
    return gamma.mean(axis=-1) - slope * delta.mean(axis=-1)
