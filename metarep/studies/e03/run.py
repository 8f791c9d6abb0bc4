"""Experiment 3: one hidden layer of two. What its steps do to the unit square."""

from __future__ import annotations

import numpy as np

from metarep.domains.multiplier.minimise import minimise
from metarep.studies.e03.figures import transformation
from metarep.studies.e03.text import PUBLISHED_MSE, like_published, turned
from metarep.studies.multipliers import multipliers
from metarep.studies.study import Claim, Context, Result

N_DESCENTS = 500
"""Networks that are led on to a minimum."""


def run(context: Context) -> Result:
    """The error over seeds beside the published one, and the network nearest to it as figures."""
    zoo = multipliers(context)
    error = zoo["valid_mse"]
    low, middle, high = np.quantile(error, [0.025, 0.5, 0.975])
    descents = minimise(zoo.spec, zoo.params[:N_DESCENTS].astype(float))
    claim = Claim(
        "valid_mse",
        float(middle),
        PUBLISHED_MSE,
        best=float(descents.error[descents.converged].min()),
        low=float(low),
        high=float(high),
        over=f"95 % of {len(zoo):,} seeds",
        seed_known=False,
    )
    like = zoo.select(np.abs(error - PUBLISHED_MSE) <= 5e-5)
    shown = int(np.abs(error - PUBLISHED_MSE).argmin())
    name, params = zoo["network_id"][shown], zoo.params[shown].astype(float)
    figures, numbers = transformation(zoo.spec, params, f"{name}, mode {zoo['mode'][shown]}, error {error[shown]:.4f}")
    better = (descents.error < PUBLISHED_MSE - 5e-5).mean()
    sentences = (
        f"Over {len(zoo):,} seeds the median error is {middle:.4f}, and 95 % lie in {low:.4f} to {high:.4f}; the published "
        f"{PUBLISHED_MSE:.4f}, whose seed is not known, lies {'within' if claim.met else 'outside'} that range.",
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
