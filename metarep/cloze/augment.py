"""What is done to networks while a model learns from them.

The exact symmetries of a ReLU network leave its function as it is: permuting the units of a hidden layer, and
multiplying a unit's incoming parameters by c > 0 while its outgoing ones are divided by c. Jitter does not: it makes
another network, whose behaviour is as easily computed, and which no recipe would have led to.
"""

from __future__ import annotations

import torch

from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import order_index, scale_factors


def permute_units(params: torch.Tensor, spec: NetworkSpec, *, generator: torch.Generator) -> torch.Tensor:
    """params (N, P) with the units of every hidden layer in a random order, another for each network."""
    n = len(params)
    orders = [torch.rand(n, width, generator=generator).argsort(dim=1).numpy() for width in spec.hidden_widths]
    index = torch.from_numpy(order_index(spec, orders)).expand(n, -1)
    return params.gather(1, index.to(params.device))


def scale_units(params: torch.Tensor, spec: NetworkSpec, std: float, *, generator: torch.Generator) -> torch.Tensor:
    """params (N, P) with every hidden unit scaled by exp(std · normal), another for each unit."""
    n = len(params)
    factors = [(std * torch.randn(n, width, generator=generator)).double().exp().numpy() for width in spec.hidden_widths]
    return params * torch.from_numpy(scale_factors(spec, factors)).to(params)


def jitter(params: torch.Tensor, spread: torch.Tensor, most: float, *, generator: torch.Generator) -> torch.Tensor:
    """params (N, P) with normal noise: in units of spread (P,), of a strength uniform on [0, most] for each network."""
    strength = most * torch.rand(len(params), 1, generator=generator)
    noise = torch.randn(params.shape, generator=generator)
    return params + (strength * noise).to(params) * spread.to(params)
