"""Newton's method on many networks at once: the exact expected error to a minimum, with proof that it is one.

Every step divides the gradient, in the Hessian's eigenvectors, by the absolute eigenvalue plus a damping that shrinks
after a good step and grows after a bad one (Dauphin and others, "Identifying and attacking the saddle point problem",
2014; the damping after Levenberg and Marquardt). A step that does not lower the error is not taken. At a saddle the
gradient is zero, so a network that stands still where some curvature is negative moves along it.

A positive scale of a hidden unit changes no function: after every step units are scaled back to incoming norm 1, and the
two flat directions that are left over have eigenvalue 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metarep.domains.multiplier.expected_error import (
    Expected,
    InputDistribution,
    expected_error,
    expected_error_derivatives,
)
from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.networks.forward import forward
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import canonical_scale

GRADIENT_TOLERANCE = 1e-9
CURVATURE_TOLERANCE = 1e-7
"""An eigenvalue of the Hessian counts as negative below minus this."""

ROUNDING = 1e-14
"""Errors that differ by less are level; then the smaller gradient is the better."""

DAMPING = (1e-10, 1e6)
KICKS = (0.3, -0.3, 0.03, -0.03, 0.003, -0.003)
"""Steps along the direction of negative curvature, tried at a saddle; the best is taken."""


class Minimum(NamedTuple):
    """Where N networks ended: params (N, P), units of incoming norm 1; error (N,) under the input distribution.

    gradient_norm: (N,) the largest component of the gradient there, along the free parameters.
    least_curvature: (N,) the least eigenvalue of the Hessian.
    converged: (N,) bool: the gradient is zero and no curvature negative, to the tolerances above.
    """

    params: np.ndarray
    error: np.ndarray
    gradient_norm: np.ndarray
    least_curvature: np.ndarray
    converged: np.ndarray


def minimise(
    spec: NetworkSpec,
    start: np.ndarray,
    *,
    free: np.ndarray | None = None,
    input_distribution: InputDistribution = "product",
    n_steps: int = 400,
) -> Minimum:
    """The minima of the expected error that networks start (N, P) lead to; they have to be finite.

    Where the parameters `free` (F,) alone move, units are not rescaled: a scale is no free choice once something is fixed.
    """
    moving = np.arange(spec.n_params) if free is None else free

    def settled(params: np.ndarray) -> np.ndarray:
        return canonical_scale(spec, params) if free is None else params

    def at(params: np.ndarray) -> Expected:
        error, gradient, hessian = expected_error_derivatives(spec, params, input_distribution=input_distribution)
        return Expected(error, gradient[:, moving], hessian[:, moving[:, None], moving])

    params = settled(np.array(start, np.float64))
    error, gradient, hessian = at(params)
    n = len(params)
    damping = np.full(n, 1e-2)
    left, least = np.arange(n), np.full(n, -np.inf)
    for _ in range(n_steps):
        curvature, axes = np.linalg.eigh(hessian[left])
        least[left] = curvature[:, 0]
        flat = np.abs(gradient[left]).max(axis=1) < GRADIENT_TOLERANCE
        keep = ~(flat & (curvature[:, 0] > -CURVATURE_TOLERANCE))
        left, curvature, axes, flat = left[keep], curvature[keep], axes[keep], flat[keep]
        if not len(left):
            break
        along = np.einsum("nij,ni->nj", axes, gradient[left]) / (np.abs(curvature) + damping[left, None])
        direction = np.zeros((len(left), spec.n_params))
        direction[:, moving] = np.where(flat[:, None], axes[:, :, 0], -np.einsum("nij,nj->ni", axes, along))
        trial = params[left] + direction
        trial[flat] = _kicked(spec, params[left[flat]], direction[flat], input_distribution)
        trial = settled(trial)
        found = at(trial)
        lower = found.error < error[left]
        level = found.error <= error[left] + ROUNDING
        taken = lower | (level & (np.abs(found.gradient).max(axis=1) < np.abs(gradient[left]).max(axis=1)))
        good = left[taken]
        params[good] = trial[taken]
        error[good], gradient[good], hessian[good] = (part[taken] for part in found)
        damping[left] = np.clip(damping[left] * np.where(taken, 0.3, 5.0), *DAMPING)
    norm = np.abs(gradient).max(axis=1)
    converged = (norm < GRADIENT_TOLERANCE) & (least > -CURVATURE_TOLERANCE)
    return Minimum(params, error, norm, least, converged)


def _kicked(spec: NetworkSpec, params: np.ndarray, direction: np.ndarray, input_distribution: InputDistribution) -> np.ndarray:
    """params (N, P) moved along direction (N, P) by the kick that lowers the error most."""
    trials = np.stack([params + size * direction for size in KICKS])
    errors = np.stack([expected_error(spec, trial, input_distribution=input_distribution) for trial in trials])
    return trials[errors.argmin(axis=0), np.arange(len(params))]


SAME_ERROR, SAME_OUTPUT = 1e-7, 1e-3
"""Two minima are one if their errors and their outputs, everywhere on the inputs that occur, differ by less."""


def distinct_minima(params: np.ndarray, error: np.ndarray) -> np.ndarray:
    """(N,) which minimum each of N converged networks params (N, 9) is in, numbered from 0 by rising error.

    Two are the same minimum if they compute the same on the inputs that occur, or after the inputs have changed places.
    What is flat (the order and scale of units, a dead unit, a unit that turns on where no input falls) tells nothing apart.
    """
    points = support()
    output = forward(MULTIPLIER, params, points)[:, :, 0]
    swapped = forward(MULTIPLIER, params, points[:, ::-1])[:, :, 0]
    member, found = np.full(len(params), -1), 0
    for i in np.argsort(error, kind="stable"):
        if member[i] >= 0:
            continue
        far = np.minimum(np.abs(output - output[i]).max(axis=1), np.abs(swapped - output[i]).max(axis=1))
        member[(member < 0) & (far < SAME_OUTPUT) & (np.abs(error - error[i]) < SAME_ERROR)] = found
        found += 1
    return member


def support() -> np.ndarray:
    """(S, 2): points all over the inputs that occur under the recipe's input distribution."""
    d, y = (part.ravel() for part in np.meshgrid(np.linspace(0.5, 1, 9), np.linspace(0, 1, 13)))
    points = np.stack([y / d, d], axis=1)
    return np.concatenate([points, points[:, ::-1]])
