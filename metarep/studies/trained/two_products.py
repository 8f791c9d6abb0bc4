"""4-16-2 networks that learn two products at once: x1 · x2 and x3 · x4, each by the recipe of its own inputs.

Full-batch Adam on the mean squared error over samples and outputs; all networks in one batch of tensors.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch

from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.networks.forward import forward
from metarep.networks.spec import NetworkSpec
from metarep.progress import Progress
from metarep.training.recipe import draw_reference

SPEC = NetworkSpec((4, 16, 2))
LR = 1e-3
"""Adam's, as in the recipe."""


class Trained(NamedTuple):
    """Networks params (N, P) float32 of SPEC, with inputs (N, S, 4) and targets (N, S, 2) that they were not trained on."""

    params: np.ndarray
    inputs: np.ndarray
    targets: np.ndarray


def two_products(seed: int, n_samples: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The training and the validation samples of one network: inputs (S, 4) and targets (S, 2) float32.

    Either product's are the first of those that the recipe draws for it, from two seeds of their own.
    """
    drawn = [draw_reference(number, "product", MULTIPLIER) for number in (2 * seed, 2 * seed + 1)]
    parts = ([one.train for one in drawn], [one.valid for one in drawn])
    return [
        (np.concatenate([x[:n_samples] for x, _ in halves], axis=1), np.stack([y[:n_samples] for _, y in halves], axis=1))
        for halves in parts
    ]


def initial_params(seeds: np.ndarray) -> np.ndarray:
    """(N, P) float32: PyTorch's default initialisation, each network from its seed."""
    bounds = [1 / math.sqrt(columns) for (rows, columns), (n,) in SPEC.shapes for _ in range(rows * columns + n)]
    drawn = [torch.rand(SPEC.n_params, generator=torch.Generator().manual_seed(int(seed))) for seed in seeds]
    return (torch.tensor(bounds) * (2 * torch.stack(drawn) - 1)).numpy()


def train_two_products(seeds: np.ndarray, *, n_samples: int, n_steps: int, progress: Progress) -> Trained:
    """Networks of these seeds, trained for n_steps on n_samples (at most 2,000) each."""
    drawn = [two_products(int(seed), n_samples) for seed in seeds]
    train, valid = ([np.stack(values) for values in zip(*part, strict=True)] for part in zip(*drawn, strict=True))
    x, y = (torch.from_numpy(values) for values in train)
    params = torch.from_numpy(initial_params(seeds)).requires_grad_()
    optimiser = torch.optim.Adam([params], lr=LR)
    with progress.task("train 4-16-2", n_steps, "steps") as task:
        for _ in range(n_steps):
            optimiser.zero_grad(set_to_none=True)
            (forward(SPEC, params, x) - y).square().mean(dim=(1, 2)).sum().backward()
            optimiser.step()
            task.advance(1)
    return Trained(params.detach().numpy(), *valid)
