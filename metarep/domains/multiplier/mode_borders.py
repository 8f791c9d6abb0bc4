"""The lowest expected error within a mode: minimised while the active areas stay where the mode has them.

A mode of 2-2-1 networks is a box in the two active areas, once the units stand in the right order. Sequential
quadratic programming (Kraft, "A software package for sequential quadratic programming", 1988; SciPy's SLSQP) with the
exact gradients of error and areas; the residual of the Karush-Kuhn-Tucker conditions says how far it converged.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize, nnls

from metarep.domains.multiplier.expected_error import expected_error_derivatives
from metarep.domains.multiplier.geometry import active_area
from metarep.domains.multiplier.modes import MAINLY_ON, MULTIPLIER, TOLERANCE, label_modes
from metarep.networks.symmetry import canonical_scale, order_index

BOXES = {
    "1": ((0.0, TOLERANCE), (0.0, TOLERANCE)),
    "2": ((0.0, TOLERANCE), (TOLERANCE, 1.0)),
    "2.5": ((1 - TOLERANCE, 1.0), (1 - TOLERANCE, 1.0)),
    "3": ((TOLERANCE, 1 - TOLERANCE), (MAINLY_ON, 1.0)),
    "4": ((TOLERANCE, MAINLY_ON), (TOLERANCE, MAINLY_ON)),
}
"""By mode: the least and the greatest active area of the unit that is on less, and of the other one."""

UNIT_PLACES = np.array([[0, 1, 4], [2, 3, 5]])
"""Where weights and bias of the two hidden units stand among the parameters."""

EXCHANGED = order_index(MULTIPLIER, [np.array([1, 0])])
"""Parameters in the order in which the units have changed places."""

TWIN_JITTER = 0.02
"""Standard deviation by which a copied unit differs, its incoming norm being 1."""

SCALE = 100.0
"""Errors are handed to the optimiser times this, so that they are about as large as the areas."""

FEASIBLE, ACTIVE = 1e-8, 1e-7
"""An area may leave its box by so much; an area so near to its bound is held by it."""


class Within(NamedTuple):
    """Where N networks end that stay in a mode: params (N, 9) with units of incoming norm 1, their error (N,).

    held: (N,) bool: a bound of the mode holds an area, so this is no local minimum of the error itself.
    residual: (N,) what is left of the gradient when the bounds' forces are taken off; 0 at an optimum.
    """

    params: np.ndarray
    error: np.ndarray
    held: np.ndarray
    residual: np.ndarray


def minimise_within(mode: str, start: np.ndarray) -> Within:
    """The lowest expected error in a mode, from 2-2-1 networks start (N, 9) of this mode; those that left it are dropped."""
    ends = [_descend(BOXES[mode], params) for params in canonical_scale(MULTIPLIER, in_order(start))]
    params, *rest = zip(*(end for end in ends if end is not None), strict=True) if any(ends) else ([], [], [], [])
    return Within(canonical_scale(MULTIPLIER, np.reshape(params, (-1, 9))), *map(np.array, rest))


def in_order(params: np.ndarray) -> np.ndarray:
    """params (N, 9) float64 with the unit that is on less first."""
    params = np.asarray(params, np.float64)
    area = active_area(MULTIPLIER, params)
    return np.where((area[:, 0] > area[:, 1])[:, None], params[:, EXCHANGED], params)


def bring_into(mode: str, params: np.ndarray) -> np.ndarray:
    """Networks (N, 9) made into networks of a mode: hidden biases moved until the areas lie inside of its box, by bisection.

    An area that lies in its box stays; another one goes a tenth of the box's width inside.
    """
    params = in_order(params)
    low, high = np.array(BOXES[mode]).T
    area, width = active_area(MULTIPLIER, params), high - low
    inside = np.clip(area, low + 0.1 * width, high - 0.1 * width)
    target = np.where((area >= low) & (area <= high), area, inside)
    reach = np.abs(params[:, :4]).reshape(-1, 2, 2).sum(axis=2)
    below, above = -reach, reach.copy()
    moved = params.copy()
    for _ in range(50):
        moved[:, 4:6] = (below + above) / 2
        on = active_area(MULTIPLIER, moved) > target
        below, above = np.where(on, below, moved[:, 4:6]), np.where(on, moved[:, 4:6], above)
    moved[:, 4:6] = np.where(area == target, params[:, 4:6], moved[:, 4:6])
    return moved


def twins(params: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """(2 N, 9): networks (N, 9) with one unit made a near copy of the other that works against it; either unit in turn.

    Two such units approach the derivative of one, which descents from elsewhere hardly find.
    """
    made = []
    for unit, other in ((0, 1), (1, 0)):
        twin = params.copy()
        twin[:, UNIT_PLACES[other]] = params[:, UNIT_PLACES[unit]] + TWIN_JITTER * rng.standard_normal((len(params), 3))
        twin[:, 6 + unit], twin[:, 6 + other] = 1.5 * params[:, 6 + unit], -0.5 * params[:, 6 + unit]
        made.append(twin)
    return np.concatenate(made)


def beyond(mode: str, params: np.ndarray) -> str:
    """The mode that a network params (9,) held on a border enters first when it follows the falling error; "" for none."""
    gradient = expected_error_derivatives(MULTIPLIER, params[None]).gradient[0]
    way = params - np.geomspace(1e-5, 1.0, 200)[:, None] * gradient / max(np.linalg.norm(gradient), 1e-300)
    modes = label_modes(MULTIPLIER, way).mode
    left = np.flatnonzero(modes != mode)
    return str(modes[left[0]]) if len(left) else ""


def area_and_gradient(params: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The active areas (2,) of one 2-2-1 network params (9,), and their gradients (2, 9).

    A unit is off where |w1| s + |w2| t < h for s, t uniform on [0, 1] (a negative weight turns its axis round): the
    distribution function of a sum of two uniforms, a quadratic spline in h.
    """
    planes = params[UNIT_PLACES]
    weight, sign = planes[:, :2], np.where(planes[:, :2] < 0, -1.0, 1.0)
    p, q = np.maximum(np.abs(weight), 1e-9).T
    h = -(planes[:, 2] + np.minimum(weight, 0).sum(axis=1))
    knots = np.maximum(np.stack([h, h - p, h - q, h - p - q]), 0.0)
    off = (knots**2 * [[1], [-1], [-1], [1]]).sum(axis=0) / (2 * p * q)
    by_h = (knots * [[1], [-1], [-1], [1]]).sum(axis=0) / (p * q)
    by_p = (knots[1] - knots[3]) / (p * q) - off / p
    by_q = (knots[2] - knots[3]) / (p * q) - off / q
    gradient = np.zeros((2, 9))
    by_weight = np.stack([by_p, by_q], axis=1) * sign - by_h[:, None] * (weight < 0)
    np.put_along_axis(gradient, UNIT_PLACES, -np.concatenate([by_weight, -by_h[:, None]], axis=1), axis=1)
    return 1 - off, gradient


def _descend(box: tuple, start: np.ndarray) -> tuple | None:
    """(params (9,), error, held, residual) of one network, or None if the optimiser left the box."""
    low, high = np.array(box).T
    lower, upper = low > 0, high < 1

    def objective(params: np.ndarray) -> tuple[float, np.ndarray]:
        error, gradient, _ = expected_error_derivatives(MULTIPLIER, params[None])
        return SCALE * error[0], SCALE * gradient[0]

    def slack(params: np.ndarray) -> np.ndarray:
        area = area_and_gradient(params)[0]
        return np.concatenate([(area - low)[lower], (high - area)[upper]])

    def slopes(params: np.ndarray) -> np.ndarray:
        gradient = area_and_gradient(params)[1]
        return np.concatenate([gradient[lower], -gradient[upper]])

    bounds = {"type": "ineq", "fun": slack, "jac": slopes}
    found = minimize(
        objective, start, jac=True, method="SLSQP", constraints=[bounds], options={"maxiter": 300, "ftol": 1e-13}
    ).x
    room = slack(found)
    if not np.isfinite(found).all() or room.min() < -FEASIBLE:
        return None
    error, gradient = objective(found)
    held = room < ACTIVE
    force, residual = nnls(slopes(found)[held].T, gradient) if held.any() else (np.zeros(0), np.linalg.norm(gradient))
    return found, error / SCALE, bool((force > 1e-6).any()), residual / SCALE
