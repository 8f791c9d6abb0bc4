"""Some parameters of a network at their best while the others are fixed.

A scale of a hidden unit is no free choice once its output weight is fixed, so nothing is rescaled here. A descent is
scipy's trust region with the exact Hessian of the free parameters ("trust-exact": Conn, Gould and Toint, "Trust-Region
Methods", 2000, chapter 7).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from metarep.domains.multiplier.expected_error import expected_error_derivatives
from metarep.networks.spec import NetworkSpec

GRADIENT_TOLERANCE = 1e-8
MAX_STEPS = 500


class Descent(NamedTuple):
    """params (P,), the expected error there, and the largest component of the gradient along the free parameters."""

    params: np.ndarray
    error: float
    gradient_norm: float


def descend_some(spec: NetworkSpec, params: np.ndarray, free: np.ndarray) -> Descent:
    """The minimum of the expected error that one network params (P,) leads to; only the parameters free (F,) move."""
    params = np.array(params, np.float64)

    def at(values: np.ndarray) -> tuple:
        trial = params.copy()
        trial[free] = values
        error, gradient, hessian = expected_error_derivatives(spec, trial[None])
        return error[0], gradient[0, free], hessian[0][np.ix_(free, free)]

    options = {"gtol": GRADIENT_TOLERANCE, "maxiter": MAX_STEPS}
    found = minimize(
        lambda x: at(x)[:2], params[free], jac=True, hess=lambda x: at(x)[2], method="trust-exact", options=options
    )
    params[free] = found.x
    error, gradient, _ = at(found.x)
    return Descent(params, float(error), float(np.abs(gradient).max()))
