"""Experiment 3: one hidden layer of two. What its steps do to the unit square."""

from __future__ import annotations

import math

import numpy as np

from metarep.domains.multiplier.figures.folding import draw_factors, draw_iso_curves, factors
from metarep.domains.multiplier.figures.square import draw_network
from metarep.domains.multiplier.minimise import minimise
from metarep.networks.spec import NetworkSpec
from metarep.report.wording import listed
from metarep.studies.multipliers import multipliers
from metarep.studies.published import PUBLISHED
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.zoos.zoo import Zoo

PUBLISHED_MSE = PUBLISHED["3"]["valid_mse"]
N_DESCENTS = 500
"""Networks that are led on to a minimum."""


def run(context: Context) -> Result:
    """The error over seeds beside the published one, and the network nearest to it as figures."""
    zoo = multipliers(context)
    error = zoo["valid_mse"]
    descents = minimise(zoo.spec, zoo.params[:N_DESCENTS].astype(float))
    best = float(descents.error[descents.converged].min())
    claim = Claim.over_all("valid_mse", error, "seeds", PUBLISHED_MSE, best=best, seed_known=False)
    like = zoo.select(np.abs(error - PUBLISHED_MSE) <= 5e-5)
    shown = int(np.abs(error - PUBLISHED_MSE).argmin())
    name, params = zoo["network_id"][shown], zoo.params[shown].astype(float)
    figures, numbers = transformation(zoo.spec, params, f"{name}, mode {zoo['mode'][shown]}, error {error[shown]:.4f}")
    better = (descents.error < PUBLISHED_MSE - 5e-5).mean()
    sentences = (
        f"Over {len(zoo):,} seeds the median error is {claim.value:.4f}, and 95 % lie in {claim.low:.4f} to "
        f"{claim.high:.4f}; the published {PUBLISHED_MSE:.4f}, whose seed is not known, lies "
        f"{'within' if claim.met else 'outside'} that range.",
        like_published(zoo, like),
        f"Newton's method on the exact expected error leads {len(descents.error):,} of these networks on to {claim.best:.5f} "
        f"at best, and {better:.0%} of them below the published error.",
        turned(numbers),
    )
    return Result(
        (claim,),
        sentences,
        figures=figures,
        numbers=numbers | {"network": name, "share_like_published": len(like) / len(zoo)},
    )


def transformation(spec: NetworkSpec, params: np.ndarray, title: str) -> tuple[dict[str, Figure], dict]:
    """The figures of one 2-2-1 network params (P,) that experiments 3 and 4 share, and its hidden weight's factors."""
    found = factors(spec.unpack(params)[0][0])
    found_figures = {
        "stages": Figure(
            draw_network(spec, params, title=title),
            "The unit square through every step of the network. Colour is the true product and stays with its point; "
            "grey is where the ReLU that follows sets a unit to zero.",
        ),
        "iso_curves": Figure(
            draw_iso_curves(spec, params, title=title),
            "The curves on which the product is 0, 0.1, …, 0.9. A perfect multiplier would bring each curve to one value, and "
            "the values onto a line of slope 1: the length of a bar is what the network leaves of a curve.",
        ),
        "rotation_scale_rotation": Figure(
            draw_factors(spec, params, title=title),
            "The hidden weight by its singular values: a rotation, a scale along the axes, another rotation. A negative scale "
            "turns the plane over.",
        ),
    }
    angles = {"rotation_first_degrees": math.degrees(found.right), "rotation_last_degrees": math.degrees(found.left)}
    return found_figures, angles | {"scales": list(found.scale)}


def like_published(zoo: Zoo, like: Zoo) -> str:
    """A sentence on the networks whose error rounds to the published one."""
    if not len(like):
        return f"No network of {len(zoo):,} has an error that rounds to {PUBLISHED_MSE:.4f}."
    modes, counts = np.unique(like["mode"].astype(str), return_counts=True)
    order = np.argsort(-counts)
    shares = [f"{counts[i] / len(like):.0%} are of mode {modes[i]}" for i in order]
    return f"{len(like):,} networks have an error that rounds to {PUBLISHED_MSE:.4f}; of them {listed(shares)}."


def turned(numbers: dict) -> str:
    """A sentence on the factors of the hidden weight."""
    first, second = numbers["scales"]
    over = ", which turns the plane over" if second < 0 else ""
    return (
        f"The hidden weight of the network shown rotates the square by {numbers['rotation_first_degrees']:.0f}°, scales it by "
        f"{first:.2f} and {second:.2f}{over}, and rotates it by {numbers['rotation_last_degrees']:.0f}°.".replace("-", "−")
    )
