"""Where on the unit square a network errs: its squared error below and above a product, and over a grid.

The square is cut along x1 · x2 = level, so that the quadrature sees no jump: Gauss and Legendre's rule on [0, level] × [0, 1]
and, for x1 in [level, 1], below and above level / x1. What is left of an error is the kink of a ReLU, of relative size 1e-4
at N_NODES nodes (a test holds it against the exact expected error).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.networks.forward import forward

N_NODES = 64
HALF = 0.5
BATCH = 64
"""Networks computed at once; memory grows with it."""


def split_error(params: np.ndarray, *, level: float = HALF) -> np.ndarray:
    """(N, 2): E[(f − x1 x2)²; product below level] and the same above it, for 2-2-1 networks params (N, 9) and inputs uniform
    on the square. The two add up to the expected error."""
    points, weights, below = cut_rule(level)
    columns = np.where([below, ~below], weights, 0.0).T
    return np.concatenate([np.empty((0, 2)), *(squared @ columns for squared in _squared_errors(params, points))])


def share_below() -> float:
    """P(x1 x2 < HALF) for inputs uniform on the square: level (1 − ln level)."""
    return HALF * (1 - math.log(HALF))


def cut_rule(level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (S, 2) of the square, weights (S,) that sum to 1, and which points (S,) have a product below level."""
    nodes, weights = np.polynomial.legendre.leggauss(N_NODES)
    nodes, weights, none = (nodes + 1) / 2, weights / 2, np.zeros(N_NODES)
    left, right = level * nodes, level + (1 - level) * nodes
    cut, rest = level / right, 1 - level
    pieces = [(left, level, none, none + 1), (right, rest, none, cut), (right, rest, cut, none + 1)]
    points, masses = [], []
    for x1, width, low, high in pieces:  # for each x1, x2 from low to high
        x2 = low[:, None] + (high - low)[:, None] * nodes
        points.append(np.stack([np.broadcast_to(x1[:, None], x2.shape), x2], axis=-1).reshape(-1, 2))
        masses.append(np.outer(width * weights * (high - low), weights).ravel())
    below = np.arange(3 * N_NODES**2) < 2 * N_NODES**2
    return np.concatenate(points), np.concatenate(masses), below


def error_map(params: np.ndarray, *, side: int) -> np.ndarray:
    """(side, side): the mean squared error of networks params (N, 9) at the middles of a grid; x1 runs along the columns.

    Averaged over each network and its mirror image in x1 = x2, since either unit may be the one that folds."""
    at = (np.arange(side) + 0.5) / side
    points = np.stack([np.tile(at, side), np.repeat(at, side)], axis=1)
    total = sum(squared.sum(axis=0) for squared in _squared_errors(params, points))
    mean = (total / len(params)).reshape(side, side)
    return (mean + mean.T) / 2


def _squared_errors(params: np.ndarray, points: np.ndarray) -> Iterator[np.ndarray]:
    """The squared errors (n, S) of some networks at a time."""
    for first in range(0, len(params), BATCH):
        some = np.asarray(params[first : first + BATCH], np.float64)
        yield np.square(forward(MULTIPLIER, some, points)[..., 0] - points.prod(axis=1))
