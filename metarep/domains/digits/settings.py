"""Settings of the digit networks, and what is drawn for each run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, get_args

import numpy as np
from pydantic import Field

from metarep.settings import Settings

Design = Literal["two-conv", "two-conv-norm", "two-conv-wide", "three-conv", "three-conv-norm"]


class DigitsConfig(Settings):
    """Small convolutional networks on scikit-learn's digits."""

    seed: int = Field(0, ge=0, description="of every draw")
    n_runs: int = Field(600, ge=1, description="networks that are trained, each with hyperparameters of its own")
    epochs: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (1, 2, 3, 5, 10, 20), min_length=1, description="after which a network is kept"
    )
    designs: tuple[Design, ...] = Field(get_args(Design), min_length=1, description="architectures, in turn")


@dataclass(frozen=True)
class Hyperparameters:
    """Of one run.

    train_share: of the training pictures that it sees. label_noise: share of these that wear a random label.
    """

    run: int
    seed: int
    architecture: str
    activation: str
    optimiser: str
    lr: float
    weight_decay: float
    init_scale: float
    batch_size: int
    train_share: float
    label_noise: float

    def properties(self) -> dict[str, Any]:
        """As columns of a zoo; the architecture's name as `design`, since `architecture` is a column of every zoo."""
        plain = asdict(self)
        return {"design": plain.pop("architecture")} | {name: value for name, value in plain.items() if name != "run"}


def draw_hyperparameters(run: int, architectures: tuple[str, ...], *, seed: int) -> Hyperparameters:
    """The hyperparameters of one run, by (seed, run) alone. Learning rates and scales are drawn evenly in their logarithm."""
    rng = np.random.default_rng([seed, run])
    optimiser = str(rng.choice(["sgd", "adam"]))
    low, high = (-3.0, -0.7) if optimiser == "sgd" else (-4.3, -1.7)
    return Hyperparameters(
        run=run,
        seed=int(rng.integers(2**31)),
        architecture=architectures[run % len(architectures)],
        activation=str(rng.choice(["relu", "tanh"])),
        optimiser=optimiser,
        lr=float(10 ** rng.uniform(low, high)),
        weight_decay=float(10 ** rng.uniform(-6, -2)),
        init_scale=float(2 ** rng.uniform(-1, 1)),
        batch_size=int(rng.choice([32, 64, 128])),
        train_share=float(10 ** rng.uniform(-1, 0)),
        label_noise=float(rng.choice([0.0, 0.0, 0.1, 0.3])),
    )
