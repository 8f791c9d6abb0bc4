"""The recipe and its variants: where a network starts, what it is trained on, for how long.

`draw_reference` is the recipe as written, in PyTorch and NumPy; `sampling.draw` gives the
same bits faster. Source: section 4 of the design.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from metarep.networks.spec import NetworkSpec
from metarep.training.tasks import PRODUCT, Task

N_SAMPLES = 10_000
N_TRAIN = 8_000
N_INTERVAL = 320
"""Samples of a function of one number; here too four of five train."""

Law = Literal["product", "square", "wide", "diagonal", "interval"]

_H = math.sqrt(0.5)
HANDCRAFTED = np.array([-_H, _H, -_H, -_H, 0.0, math.sqrt(2.0), -0.5, -_H, 1.0])
"""e06: hidden weight = rotation by −3π/4, hidden bias (0, √2), output weight (−1/2, −1/√2), output bias 1."""

HIDDEN_BIAS = slice(4, 6)
PUBLISHED_BIAS_START = (-0.0023, 1.6139)
"""e08 as published starts its hidden bias here."""

BIAS_GRID = (-2.0, 2.0)
"""A family of e08 starts its two hidden biases on a square grid over this range."""

DEFAULT_JITTER = 0.1
"""Standard deviation of the noise that makes a family out of the one hand-crafted network."""


MULTIPLIER = NetworkSpec((2, 2, 1))


@dataclass(frozen=True)
class Variant:
    """One recipe. `law` says how inputs are drawn, `start` where the parameters come from."""

    name: str
    shows: str
    spec: NetworkSpec = MULTIPLIER
    law: Law = "product"
    start: Literal["fresh", "parent", "handcrafted"] = "fresh"
    lr: float = 1e-3
    n_steps: int = 4000
    lineage: str = ""

    @property
    def run_prefix(self) -> str:
        """Variants that are one and the same recipe share it, so that equal seeds share run and split."""
        return self.lineage or self.name


VARIANTS = {
    v.name: v
    for v in (
        Variant("e01", "linear, no activation", NetworkSpec((2, 1)), "square", lr=0.1, n_steps=100),
        Variant("e02", "linear with a ReLU on the output", NetworkSpec((2, 1), True), "square", lr=0.1, n_steps=100),
        Variant("e03", "one hidden layer of two", lineage="e09"),
        Variant("e04", "the clean mode-3 network", lineage="e09"),
        Variant("e05", "mode-3 parents trained further on the unit square", law="square", start="parent", lr=1e-4),
        Variant("e06", "the hand-crafted network", start="handcrafted", n_steps=0),
        Variant("e07", "the hand-crafted network trained further", start="handcrafted", lr=1e-4),
        Variant("e08", "the same from other hidden biases", start="handcrafted", lr=1e-4),
        Variant("e09", "thousands from scratch"),
        Variant("fourier", "random functions of one number", NetworkSpec((1, 16, 1)), "interval", lr=1e-2, n_steps=3000),
    )
}


@dataclass(frozen=True)
class Plan:
    """What an engine needs to train a batch of networks of one spec."""

    spec: NetworkSpec
    law: Law
    lr: float
    n_steps: int
    snapshot_steps: tuple[int, ...] = ()
    task: Task = PRODUCT

    def shortened(self, n_steps: int) -> Plan:
        """The same plan with fewer steps."""
        return replace(self, n_steps=n_steps)


@dataclass(frozen=True)
class Samples:
    """What a seed gives: x (S, d) and y (S,) float32, the order (S,), fresh parameters (P,); S is 10,000 for two inputs."""

    x: np.ndarray
    y: np.ndarray
    order: np.ndarray
    init_params: np.ndarray

    @property
    def train(self) -> tuple[np.ndarray, np.ndarray]:
        chosen = self.order[: n_train_of(len(self.order))]
        return self.x[chosen], self.y[chosen]

    @property
    def valid(self) -> tuple[np.ndarray, np.ndarray]:
        chosen = self.order[n_train_of(len(self.order)) :]
        return self.x[chosen], self.y[chosen]


def n_train_of(n_samples: int) -> int:
    """How many of so many samples train."""
    return n_samples * N_TRAIN // N_SAMPLES


def draw_reference(seed: int, law: str, spec: NetworkSpec, task: Task = PRODUCT) -> Samples:
    """The samples and the initialisation of one seed, by PyTorch's and NumPy's own generators.

    "product": y, d and the swaps from PyTorch, the order from NumPy. A uniform that is exactly 0 would
    make 0/0 in x2; it is d there. "square": 10,000 × 2 uniforms and then the order, both from NumPy,
    which gives the published error of e05. "wide": the same on [0, 2) × [0, 2). "diagonal": each input three parts of one
    uniform to one of the other, so that both are alike (correlation 0.6). "interval": 320 uniforms on [−1, 1] from PyTorch,
    the order from NumPy.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    numpy_generator = np.random.RandomState(seed)
    if law == "product":
        y = torch.rand(N_SAMPLES, generator=generator)
        d = torch.rand(N_SAMPLES, generator=generator) * 0.5 + 0.5
        x1 = y / d
        x2 = torch.where(x1 == 0, d, y / x1)
        swap = torch.rand(N_SAMPLES, generator=generator) < 0.5
        x = torch.stack([torch.where(swap, x2, x1), torch.where(swap, x1, x2)], dim=1)
    elif law == "interval":
        x = torch.rand(N_INTERVAL, 1, generator=generator) * 2 - 1
        y = x[:, 0]
    else:
        u = numpy_generator.rand(N_SAMPLES, 2)
        if law == "wide":
            u = 2 * u
        elif law == "diagonal":
            u = (3 * u + u[:, ::-1]) / 4
        x, y = (torch.from_numpy(part.astype(np.float32)) for part in (u, u[:, 0] * u[:, 1]))
    init = []
    for (rows, columns), _ in spec.shapes:
        weight, bias = torch.empty(rows, columns), torch.empty(rows)
        torch.nn.init.kaiming_uniform_(weight, a=math.sqrt(5), generator=generator)
        torch.nn.init.uniform_(bias, -1 / math.sqrt(columns), 1 / math.sqrt(columns), generator=generator)
        init += [weight.flatten(), bias]
    order = numpy_generator.permutation(len(y))
    return Samples(x.numpy(), task.reference(x.numpy(), y.numpy()), order, torch.cat(init).numpy())


def log_spaced_steps(n_steps: int, n_snapshots: int) -> tuple[int, ...]:
    """At most n_snapshots distinct steps between 1 and n_steps − 1, evenly spaced in their logarithm."""
    if n_snapshots == 0 or n_steps < 2:
        return ()
    return tuple(int(s) for s in np.unique(np.geomspace(1, n_steps - 1, n_snapshots).round()))
