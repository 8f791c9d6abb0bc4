"""The best network with a ReLU on its output, and which networks are dead."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metarep.domains.multiplier.geometry import UNIT_SQUARE
from metarep.domains.multiplier.minimise import Minimum, minimise
from metarep.networks.spec import NetworkSpec

SPEC = NetworkSpec((2, 1), output_relu=True)

SILENT = 1 / 9
"""The error of an output that is 0 everywhere: E[(x1 x2)²]."""

SYMMETRIC = 1e-6
"""Weights that differ by less count as equal."""


class Optimum(NamedTuple):
    """The best network params (3,), its error, how many of n starts reached it, the least error of any other minimum
    that lives (NaN where there is none), the largest gradient and the least curvature at the best one.
    """

    params: np.ndarray
    error: float
    n_reached: int
    n_starts: int
    next_error: float
    gradient_norm: float
    least_curvature: float

    @property
    def symmetric(self) -> bool:
        """Whether both inputs have the same weight."""
        return bool(abs(self.params[0] - self.params[1]) < SYMMETRIC)


def is_dead(params: np.ndarray) -> np.ndarray:
    """(N,) bool: the output of params (N, 3) is 0 on all of the square. A plane is highest in a corner: exact."""
    return ((params[:, :2].astype(float) @ UNIT_SQUARE.T).max(axis=1) + params[:, 2]) <= 0


def rectified_optimum(start: np.ndarray) -> Optimum:
    """The least expected error over the square, by Newton's method from networks start (N, 3) that live."""
    found: Minimum = minimise(SPEC, start, input_distribution="square")
    usable = found.converged & (found.error < SILENT * (1 - 1e-9))
    best = int(np.where(usable, found.error, np.inf).argmin())
    level = np.isclose(found.error, found.error[best], rtol=1e-9, atol=0)
    others = found.error[usable & ~level]
    return Optimum(
        found.params[best],
        float(found.error[best]),
        int((usable & level).sum()),
        len(start),
        float(others.min()) if len(others) else float("nan"),
        float(found.gradient_norm[best]),
        float(found.least_curvature[best]),
    )
