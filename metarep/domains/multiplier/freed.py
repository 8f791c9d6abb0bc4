"""Some parameters of a network at their best while the others are fixed, and what each group of them is worth.

A scale of a hidden unit is no free choice once its output weight is fixed, so nothing is rescaled here. A descent is
scipy's trust region with the exact Hessian of the free parameters ("trust-exact": Conn, Gould and Toint, "Trust-Region
Methods", 2000, chapter 7).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, permutations
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

    @property
    def converged(self) -> bool:
        """Whether that gradient is zero, to ten times the tolerance asked for."""
        return self.gradient_norm < 10 * GRADIENT_TOLERANCE


class Freed(NamedTuple):
    """One group of parameters set free: `near` descends from where they stand, `best` is the lowest of `n_starts` descents."""

    near: Descent
    best: Descent
    n_starts: int


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


def free_groups(
    spec: NetworkSpec, params: np.ndarray, groups: Mapping[str, Sequence[int]], *, n_random: int, spread: float, seed: int
) -> dict[tuple[str, ...], Freed]:
    """Every non-empty set of the groups of parameters set free, smallest sets first.

    Beside the start itself, a set is tried from the best of each set with one group less, and from n_random copies whose
    free parameters have noise of standard deviation `spread`: freeing more never ends higher.
    """
    rng = np.random.default_rng(seed)
    found: dict[tuple[str, ...], Freed] = {}
    for size in range(1, len(groups) + 1):
        for chosen in combinations(groups, size):
            free = np.concatenate([np.asarray(groups[name]) for name in chosen])
            smaller = [found[part].best.params for part in combinations(chosen, size - 1) if part]
            random = np.repeat(params[None].astype(np.float64), n_random, axis=0)
            random[:, free] += spread * rng.standard_normal((n_random, len(free)))
            near = descend_some(spec, params, free)
            others = [descend_some(spec, start, free) for start in (*smaller, *random)]
            best = min((near, *others), key=lambda descent: descent.error)
            found[chosen] = Freed(near, best, 1 + len(others))
    return found


def worth(names: Sequence[str], saved: Callable[[frozenset[str]], float]) -> dict[str, float]:
    """Shapley's value of each of `names`: what it saves when it joins the others, on average over all orders of joining.

    saved(set) is what a set of names saves together, saved(empty) = 0. The values add up to saved(all).
    Source: Shapley, "A value for n-person games", 1953.
    """
    orders = list(permutations(names))
    joined = {name: [frozenset(order[: order.index(name)]) for order in orders] for name in names}
    return {name: sum(saved(before | {name}) - saved(before) for before in own) / len(orders) for name, own in joined.items()}
