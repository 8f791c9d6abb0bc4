"""Experiment 3: one hidden layer of two. What its steps do to the unit square."""

from __future__ import annotations

import math

import numpy as np

from metarep.domains.multiplier.figures.square import draw_network
from metarep.domains.multiplier.minimise import minimise
from metarep.networks.spec import NetworkSpec
from metarep.report.wording import num
from metarep.studies.multipliers import multipliers
from metarep.studies.published import PUBLISHED
from metarep.studies.study import Claim, Context, Figure, Result

N_DESCENTS = 500
"""Networks that are led on to a minimum."""


def run(context: Context) -> Result:
    """The error over seeds beside the published one, and the network nearest to it as a figure."""
    zoo, published = multipliers(context), PUBLISHED["3"]["valid_mse"]
    error = zoo["valid_mse"]
    descents = minimise(zoo.spec, zoo.params[:N_DESCENTS].astype(float))
    best = float(descents.error[descents.converged].min())
    claim = Claim.over_all("valid_mse", error, "seeds", published, best=best, seed_known=False)
    shown = int(np.abs(error - published).argmin())
    params = zoo.params[shown].astype(float)
    title = f"{zoo['network_id'][shown]}, mode {zoo['mode'][shown]}, error {error[shown]:.4f}"
    sentences = (
        f"Over {len(zoo):,} seeds the median error is {claim.value:.4f}, and 95 % lie in {claim.low:.4f} to "
        f"{claim.high:.4f}; the published {published:.4f}, whose seed is not known, lies "
        f"{'within' if claim.met else 'outside'} that range.",
        f"Newton's method on the exact expected error leads {len(descents.error):,} of these networks on to {best:.5f} at "
        f"best, and {(descents.error < published - 5e-5).mean():.0%} of them below the published error.",
        turned(zoo.spec, params),
    )
    return Result((claim,), sentences, figures={"stages": stages_figure(zoo.spec, params, title)})


def stages_figure(spec: NetworkSpec, params: np.ndarray, title: str) -> Figure:
    """One network params (P,), step by step."""
    return Figure(
        draw_network(spec, params, title=title),
        "The unit square through every step of the network. Colour is the true product and stays with its point; grey is where "
        "the ReLU that follows sets a unit to zero.",
    )


def factors(weight: np.ndarray) -> tuple[float, tuple[float, float], float]:
    """weight (2, 2) = R(left) · diag(scale) · R(right) by its singular values: left, scale, right; angles in degrees.

    scale[0] ≥ |scale[1]|; scale[1] is negative where the weight turns the plane over, so that both factors are rotations. Of
    the two equal choices, both turned by 180°, it is the one whose right angle lies in (−90, 90].
    """
    u, s, vt = np.linalg.svd(weight)
    turn_u, turn_vt = (1 if np.linalg.det(side) > 0 else -1 for side in (u, vt))
    left, right = (math.degrees(math.atan2(side[1, 0], side[0, 0])) for side in (u * [1, turn_u], vt * [[1], [turn_vt]]))
    if not -90 < right <= 90:
        left, right = left + 180, right + 180
    return math.remainder(left, 360), (float(s[0]), float(s[1] * turn_u * turn_vt)), math.remainder(right, 360)


def turned(spec: NetworkSpec, params: np.ndarray) -> str:
    """A sentence on the factors of a network's hidden weight."""
    left, (first, second), right = factors(spec.unpack(params)[0][0])
    over = ", which turns the plane over" if second < 0 else ""
    return (
        f"The hidden weight of the network shown rotates the square by {num(right, 0)}°, scales it by {num(first)} and "
        f"{num(second)}{over}, and rotates it by {num(left, 0)}°."
    )
