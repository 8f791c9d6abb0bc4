"""How one of the digit networks is trained: what is drawn for each run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


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
