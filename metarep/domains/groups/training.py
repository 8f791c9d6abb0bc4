"""Trains many networks that compose the elements of one group, side by side.

A network of U hidden units has a weight (U, 2n), which reads g and h one-hot, and one (n, U), which says gh: no biases. Inputs
are one-hot, so what a unit gets is the sum of two of its weights, and all n² pairs are sums of rows of two tables. The
gradient is written out: it takes three products of matrices. AdamW as in Loshchilov and Hutter, "Decoupled weight decay
regularization", 2019, with a decay for each network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from metarep.domains.groups.group import FiniteGroup

BETAS, EPSILON = (0.9, 0.98), 1e-8


class Measured(NamedTuple):
    """How well B networks compose pairs, (B,) each: accuracy and cross-entropy on training pairs and on all others."""

    train_accuracy: torch.Tensor
    train_loss: torch.Tensor
    test_accuracy: torch.Tensor
    test_loss: torch.Tensor


@dataclass(frozen=True)
class Composition:
    """What B networks of `width` units learn, each by its own seed (B,): share (B,) of the pairs it trains on, weight decay
    (B,).
    """

    group: FiniteGroup
    width: int
    seeds: np.ndarray
    share: np.ndarray
    weight_decay: np.ndarray
    lr: float
    n_steps: int


def train_networks(task: Composition, *, device: str = "cpu") -> tuple[torch.Tensor, torch.Tensor, Measured]:
    """The weights (B, U, 2n) and (B, n, U) after full-batch training, and how well they compose. What becomes of a network
    follows from its own seed and settings, up to rounding, whatever it is trained beside.
    """
    target = torch.from_numpy(task.group.table.reshape(-1)).to(device)
    drawn = [draw(task, number) for number in range(len(task.seeds))]
    hidden, output, train = (torch.stack(parts).to(device) for parts in zip(*drawn, strict=True))
    decay = torch.from_numpy(1 - task.lr * task.weight_decay).float().to(device)[:, None, None]
    share = train / train.sum(dim=1, keepdim=True)
    optimiser = torch.optim.Adam([hidden, output], lr=task.lr, betas=BETAS, eps=EPSILON)
    with torch.no_grad():
        for _ in range(task.n_steps):
            hidden.grad, output.grad = gradients(hidden, output, target, share)
            hidden.mul_(decay)
            output.mul_(decay)
            optimiser.step()
        return hidden.cpu(), output.cpu(), measure(hidden, output, target, train)


def activations(hidden: torch.Tensor) -> torch.Tensor:
    """(B, n², U): of hidden units, for every pair (g, h) in the order of the table, by weights (B, U, 2n)."""
    first, second = (part.mT.contiguous() for part in hidden.chunk(2, dim=-1))
    return (first.unsqueeze(2) + second.unsqueeze(1)).relu_().flatten(1, 2)


def gradients(
    hidden: torch.Tensor, output: torch.Tensor, target: torch.Tensor, share: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The gradients of Σ share · cross-entropy by both weights; target (n²,), share (B, n²)."""
    units = activations(hidden)
    error = (units @ output.mT).softmax(dim=-1)
    error[:, torch.arange(len(target)), target] -= 1
    error *= share.unsqueeze(-1)
    back = (error @ output).mul_(units > 0).unflatten(1, (output.shape[1], -1))
    return torch.cat([back.sum(dim=2), back.sum(dim=1)], dim=1).mT.contiguous(), error.mT @ units


def draw(task: Composition, number: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The first weights of one network, both as PyTorch's `Linear` draws them, and the pairs (n²,) bool that it trains on."""
    n, generator = task.group.n, torch.Generator().manual_seed(int(task.seeds[number]))
    hidden, output = (
        (2 * torch.rand(shape, generator=generator) - 1) / shape[1] ** 0.5 for shape in ((task.width, 2 * n), (n, task.width))
    )
    order = torch.randperm(n * n, generator=generator)
    return hidden, output, order < round(float(task.share[number]) * n * n)


def measure(hidden: torch.Tensor, output: torch.Tensor, target: torch.Tensor, train: torch.Tensor) -> Measured:
    """Over training pairs (B, n²) bool and over the others; NaN where there are no others."""
    scores = (activations(hidden) @ output.mT).log_softmax(dim=-1)
    losses = -scores[:, torch.arange(len(target)), target]
    right = (scores.argmax(dim=-1) == target).float()
    sides = [side.float() for side in (train, ~train)]
    return Measured(*(((value * side).sum(dim=1) / side.sum(dim=1)).cpu() for side in sides for value in (right, losses)))
