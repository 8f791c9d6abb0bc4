"""What the nearest networks say: distances modulo symmetry, a hidden parameter estimated from networks that agree in the
others, and how much of it the others leave open whatever the predictor.

Everything is measured in standard deviations; distances are Euclidean.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import all_unit_orders, canonical_order, canonical_scale

RIDGE = 1e-3
"""Of the local fit, as a share of the neighbours' mean variance."""


class HiddenNeighbours(NamedTuple):
    """For each of N queries its k nearest rows of the bank in all columns but the hidden one, nearest first.

    offset (N, k, D − 1): neighbour minus query in the columns that are seen. value (N, k): what the neighbours have in the
    hidden column. truth (N,): what the query has there.
    """

    offset: np.ndarray
    value: np.ndarray
    truth: np.ndarray

    @property
    def squared_distance(self) -> np.ndarray:
        """(N, k)."""
        return np.square(self.offset).sum(axis=2)


def in_all_orders(spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """(orders · N, P): networks (N, P) with their hidden units in every order, the order given first."""
    return np.concatenate([params[:, order] for order in all_unit_orders(spec)])


def nearest_distance(spec: NetworkSpec, bank: np.ndarray, queries: np.ndarray, *, skip_self: bool = False) -> np.ndarray:
    """(M,): how far each query (M, P) lies from the nearest network of the bank (N, P), whatever the order and the scale of the
    units of either; in standard deviations of the bank's canonical parameters, root mean square over parameters.

    skip_self: the queries are networks of the bank, and the network itself does not count.
    """
    bank, queries = (canonical_scale(spec, canonical_order(spec, each.astype(np.float64))) for each in (bank, queries))
    spread = in_all_orders(spec, bank).std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    tree = cKDTree(in_all_orders(spec, bank) / spread)
    if not skip_self:
        return tree.query(queries / spread)[0] / np.sqrt(bank.shape[1])
    k = min(2 * len(all_unit_orders(spec)), tree.n)  # its own orders may come first
    found, row = tree.query(queries / spread, k=k)
    own = np.arange(len(queries))[:, None] == row % len(bank)
    return np.where(own, np.inf, found).min(axis=1) / np.sqrt(bank.shape[1])


def neighbours_without(bank: np.ndarray, queries: np.ndarray, column: int, k: int) -> HiddenNeighbours:
    """The k nearest rows of the bank (N, D) to queries (M, D) where `column` is hidden."""
    seen = np.arange(bank.shape[1]) != column
    _, row = cKDTree(bank[:, seen]).query(queries[:, seen], k=np.arange(1, k + 1))
    return HiddenNeighbours(bank[row][..., seen] - queries[:, None, seen], bank[row, column], queries[:, column])


def local_mean(found: HiddenNeighbours) -> np.ndarray:
    """(N,): the mean of the neighbours' values."""
    return found.value.mean(axis=1)


def local_linear(found: HiddenNeighbours) -> np.ndarray:
    """(N,): the value at the query of a ridge regression on its neighbours, nearer ones weighing more (Epanechnikov's weights
    out to the farthest): local linear regression, as in Cleveland, "Robust locally weighted regression", 1979. Never
    beyond the neighbours' own values.
    """
    squared = found.squared_distance
    weight = 1 - squared / np.maximum(squared[:, -1:], 1e-300) * (1 - 1e-3)
    weight /= weight.sum(axis=1, keepdims=True)
    centre, level = np.einsum("nk,nkd->nd", weight, found.offset), (weight * found.value).sum(axis=1)
    x, y = found.offset - centre[:, None], found.value - level[:, None]
    gram = np.einsum("nk,nkd,nke->nde", weight, x, x)
    gram += RIDGE * np.maximum(np.trace(gram, axis1=1, axis2=2) / x.shape[2], 1e-12)[:, None, None] * np.eye(x.shape[2])
    slope = np.linalg.solve(gram, np.einsum("nk,nkd,nk->nd", weight, x, y)[..., None])[..., 0]
    return np.clip(level - (slope * centre).sum(axis=1), found.value.min(axis=1), found.value.max(axis=1))


def gamma_noise(found: HiddenNeighbours) -> float:
    """The variance of the hidden value that the seen ones do not determine, estimated by the Gamma test; at least 0.

    Half the mean squared difference to the p-th neighbour, γ(p), grows with the mean squared distance δ(p); the line through
    p = 1 … k meets δ = 0 at the variance that would be left for networks that agree in everything seen. Source: Stefánsson,
    Končar and Jones, "A note on the Gamma test", 1997; its convergence: Evans and Jones, "A proof of the Gamma test", 2002.
    """
    delta = found.squared_distance.mean(axis=0)
    gamma = 0.5 * np.square(found.value - found.truth[:, None]).mean(axis=0)
    spread = np.square(delta - delta.mean()).sum()
    slope = ((delta - delta.mean()) * (gamma - gamma.mean())).sum() / spread if spread > 0 else 0.0
    return float(max(0.0, gamma.mean() - max(slope, 0.0) * delta.mean()))
