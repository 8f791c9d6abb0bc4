"""The domain of networks that learned random functions of one number: which function is an exact label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from metarep.domains.functions.probe import FunctionsConfig
from metarep.networks.spec import NetworkSpec
from metarep.training.recipe import Recipe
from metarep.training.settings import FamilyConfig
from metarep.training.tasks import Task, random_series
from metarep.zoos.domain import Domain, DomainStage, MapPicture, later, register
from metarep.zoos.zoo import Zoo


def tasks(config: FamilyConfig, zoo_seed: int) -> list[Task]:
    """As many random functions as the settings say, by the zoo's seed and their number alone."""
    return [random_series(number, seed=zoo_seed) for number in range(config.n_functions)]


def points_of_the_line(zoo: Zoo | None) -> np.ndarray:
    """(1024, 1): points between −1 and 1 in random order, the same for all."""
    del zoo
    return 2 * np.random.default_rng(0).random((1024, 1), dtype=np.float32) - 1


def make_functions(settings: FunctionsConfig, zoo: Path, embeddings: list[Path], out: Path, **how: Any) -> None:
    """Which function each network learned, read off every embedding."""
    later("metarep.domains.functions.report:functions")(settings, zoo, out, embeddings=embeddings, **how)


FOURIER = Recipe(
    "fourier", "random functions of one number", NetworkSpec((1, 16, 1)), "interval", lr=1e-2, n_steps=3000, tasks=tasks
)

DOMAIN = register(
    Domain(
        name="functions",
        title="networks that learned random functions of one number",
        inputs=points_of_the_line,
        labels={"task": "the function that was learned"},
        properties={"log_error": "the decimal logarithm of the validation error"},
        recipes={FOURIER.name: FOURIER},
        map_picture=MapPicture(Path(__file__).parent / "curve.js", "The function: inputs from −1 to 1, outputs scaled to fit."),
        stages=(DomainStage("functions", FunctionsConfig, make_functions),),
    )
)
