"""The recipe of networks that learn random functions of one number."""

from __future__ import annotations

from metarep.networks.spec import NetworkSpec
from metarep.training.recipe import Recipe
from metarep.training.settings import FamilyConfig
from metarep.training.tasks import Task, random_series


def tasks(config: FamilyConfig, zoo_seed: int) -> list[Task]:
    """As many random functions as the settings say, by the zoo's seed and their number alone."""
    return [random_series(number, seed=zoo_seed) for number in range(config.n_functions)]


FOURIER = Recipe(
    "fourier", "random functions of one number", NetworkSpec((1, 16, 1)), "interval", lr=1e-2, n_steps=3000, tasks=tasks
)
