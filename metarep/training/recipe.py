"""Recipes: where a network starts, what it is trained on, for how long; and what a seed draws.

`draw_reference` is the recipe itself, in PyTorch and NumPy; `sampling.draw` gives the
same bits faster. Source: section 4 of the design.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from metarep.networks.spec import NetworkSpec
from metarep.training.tasks import PRODUCT, Task
from metarep.zoos.domain import Domain, domains

if TYPE_CHECKING:
    from metarep.training.settings import FamilyConfig

N_SAMPLES = 10_000
N_TRAIN = 8_000
N_INTERVAL = 320
"""Samples of a function of one number; here too four of five train."""

InputDistribution = Literal["product", "square", "wide", "diagonal", "interval"]


@dataclass(frozen=True)
class Recipe:
    """How networks are made: their architecture, how inputs are drawn, how long they train, and where they start.

    fresh: whether each network starts from its own seed. start: for others, (settings of the family, N, generator) -> where N
    networks start, (N, P) float32, unless they descend from parents; None where they cannot do without. parents: columns of
    networks that may be parents, with the values that they must have. tasks: (settings of the family, the zoo's seed) -> what
    its networks learn in turn; None where the settings name one task. lineage: recipes that are one and the same share it, so
    that equal seeds share run and split.
    """

    name: str
    shows: str
    spec: NetworkSpec
    input_distribution: InputDistribution = "product"
    lr: float = 1e-3
    n_steps: int = 4000
    fresh: bool = True
    start: Callable[[FamilyConfig, int, np.random.Generator], np.ndarray] | None = None
    parents: Mapping[str, str] = field(default_factory=dict)
    tasks: Callable[[FamilyConfig, int], list[Task]] | None = None
    lineage: str = ""

    @property
    def run_prefix(self) -> str:
        """What the ids of its runs begin with."""
        return self.lineage or self.name


def recipes() -> dict[str, tuple[Domain, Recipe]]:
    """Every recipe by name, with the domain that brings it."""
    return {name: (domain, recipe) for domain in domains() for name, recipe in domain.recipes.items()}


def recipe_named(name: str) -> Recipe:
    """The recipe of that name, which settings have checked."""
    return recipes()[name][1]


@dataclass(frozen=True)
class TrainingPlan:
    """What an engine needs to train a batch of networks of one spec."""

    spec: NetworkSpec
    input_distribution: InputDistribution
    lr: float
    n_steps: int
    snapshot_steps: tuple[int, ...] = ()
    task: Task = PRODUCT

    def shortened(self, n_steps: int) -> TrainingPlan:
        """The same plan with fewer steps."""
        return replace(self, n_steps=n_steps)


@dataclass(frozen=True)
class Trained:
    """What comes of N networks: params, init_params (N, P) float32; train_mse, valid_mse (N,) float64;
    snapshots (N, K, P) float32 and snapshot_mse (N, K, 2), which are the train and the valid error.
    """

    params: np.ndarray
    init_params: np.ndarray
    train_mse: np.ndarray
    valid_mse: np.ndarray
    snapshots: np.ndarray
    snapshot_mse: np.ndarray

    @property
    def diverged(self) -> np.ndarray:
        """(N,) bool: a parameter or an error is not a finite number."""
        return ~(np.isfinite(self.params).all(1) & np.isfinite(self.train_mse) & np.isfinite(self.valid_mse))


Engine = Callable[[TrainingPlan, np.ndarray, np.ndarray | None], Trained]
"""(plan, seeds (N,) uint32, start parameters (N, P) float32 or None for fresh ones) -> Trained."""


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


def draw_reference(seed: int, input_distribution: str, spec: NetworkSpec, task: Task = PRODUCT) -> Samples:
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
    if input_distribution == "product":
        y = torch.rand(N_SAMPLES, generator=generator)
        d = torch.rand(N_SAMPLES, generator=generator) * 0.5 + 0.5
        x1 = y / d
        x2 = torch.where(x1 == 0, d, y / x1)
        swap = torch.rand(N_SAMPLES, generator=generator) < 0.5
        x = torch.stack([torch.where(swap, x2, x1), torch.where(swap, x1, x2)], dim=1)
    elif input_distribution == "interval":
        x = torch.rand(N_INTERVAL, 1, generator=generator) * 2 - 1
        y = x[:, 0]
    else:
        u = numpy_generator.rand(N_SAMPLES, 2)
        if input_distribution == "wide":
            u = 2 * u
        elif input_distribution == "diagonal":
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
