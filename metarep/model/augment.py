"""What is done to networks while a model learns from them; tensors are (B, *shape), another draw for each network.

The exact symmetries leave the function as it is: permuting the units of an interchangeable group, and multiplying what feeds a
ReLU unit by c > 0 while what reads it is divided by c, and where they are known signs, rotations of factors and shifts of
logits (`networks.further_symmetries`). Jitter does not: it makes another network, whose behaviour is as
easily computed, and which no training would have led to.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from metarep.networks.symmetry_groups import Symmetries
from metarep.networks.tensor_symmetry import permuted, random_further, scaled


def permute_units(
    tensors: Mapping[str, torch.Tensor], symmetries: Symmetries, *, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """The units of every interchangeable group in a random order."""
    b = len(next(iter(tensors.values())))
    orders = [
        torch.rand(b, units.n, generator=generator).argsort(dim=1) if units.interchangeable else None
        for units in symmetries.groups
    ]
    return permuted(tensors, symmetries, orders)


def scale_units(
    tensors: Mapping[str, torch.Tensor], symmetries: Symmetries, std: float, *, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """Every unit that has a positive scale multiplied by exp(std · normal)."""
    b = len(next(iter(tensors.values())))
    factors = [
        (std * torch.randn(b, units.n, generator=generator)).double().exp() if units.positive_scale else None
        for units in symmetries.groups
    ]
    return scaled(tensors, symmetries, factors)


def draw_further(
    tensors: Mapping[str, torch.Tensor], symmetries: Symmetries, std: float, *, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """Every symmetry beyond order and positive scale drawn at random; factors are exp(std · normal) in size."""
    return random_further(tensors, symmetries, n_lead=1, generator=generator, log_scale_std=std)


def jitter(
    tensors: Mapping[str, torch.Tensor], spread: Mapping[str, torch.Tensor], most: float, *, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """Normal noise in units of `spread`, (*shape) each, of a strength uniform on [0, most] for each network."""
    b = len(next(iter(tensors.values())))
    strength = most * torch.rand(b, generator=generator)
    noise = {name: torch.randn(value.shape, generator=generator) for name, value in tensors.items()}
    return {
        name: value + strength.view(-1, *[1] * (value.ndim - 1)) * noise[name] * spread[name] for name, value in tensors.items()
    }
