"""What the initialisation says of the mode in which a network ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metarep.domains.multiplier.birth import birth_rows, twin_modes, twin_rows
from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.evaluation.resampling import balanced_accuracy
from metarep.studies.dynamics.retrained import RECIPE
from metarep.studies.study import Context
from metarep.training.recipe import Plan
from metarep.zoos.zoo import Zoo

N_NULLS = 3

MAX_TWINS = 1000


@dataclass(frozen=True)
class Birth:
    """What the initialisation says: the tables of `birth_rows`, and twins with their balanced accuracy."""

    rows: list[dict]
    importance: list[dict]
    twins: list[dict]
    twin_accuracy: dict


def study_birth(context: Context, zoo: Zoo) -> Birth:
    """Predictors from the initialisation, and twins, on the finished networks of a zoo."""
    zoo = zoo.select(zoo["mode"] != "")
    seed, n_bootstraps = context.config.seed, context.config.n_bootstraps
    rows, importance = birth_rows(zoo, n_bootstraps=n_bootstraps, n_nulls=N_NULLS, seed=seed)
    plan = Plan(MULTIPLIER, RECIPE.input_distribution, RECIPE.lr, RECIPE.n_steps)
    initial, final, twin = twin_modes(zoo, plan, n=min(MAX_TWINS, len(zoo)), seed=seed)
    rng = np.random.default_rng([seed, 5])
    draws = rng.integers(0, len(final), (n_bootstraps, len(final)))
    low, high = np.quantile([balanced_accuracy(final[i], twin[i]) for i in draws], [0.025, 0.975])
    accuracy = {"value": balanced_accuracy(final, twin), "low": float(low), "high": float(high), "n": len(final)}
    return Birth(rows, importance, twin_rows(initial, final, twin), accuracy)
