"""The exact symmetries of a ReLU network as augmentation: hidden units change places, and scales.

Both leave the network's function as it is: permuting the units of a hidden layer, and
multiplying a unit's incoming parameters by c > 0 while its outgoing ones are divided by c.
"""

from __future__ import annotations

import torch

from metarep.networks.spec import NetworkSpec


def permute_units(params: torch.Tensor, spec: NetworkSpec, *, generator: torch.Generator) -> torch.Tensor:
    """params (N, P) with the units of every hidden layer in a random order, another for each network."""
    n = params.shape[0]
    orders = [torch.arange(spec.widths[0]).expand(n, -1)]
    orders += [torch.rand(n, width, generator=generator).argsort(dim=1) for width in spec.hidden_widths]
    orders += [torch.arange(spec.widths[-1]).expand(n, -1)]
    index, at = [], 0
    for layer, ((rows, columns), _) in enumerate(spec.shapes):
        row, column = orders[layer + 1], orders[layer]
        index.append((at + row[:, :, None] * columns + column[:, None, :]).reshape(n, -1))
        at += rows * columns
        index.append(at + row)
        at += rows
    return params.gather(1, torch.cat(index, dim=1).to(params.device))


def scale_units(params: torch.Tensor, spec: NetworkSpec, std: float, *, generator: torch.Generator) -> torch.Tensor:
    """params (N, P) with every hidden unit scaled by exp(std · normal), another for each unit."""
    n = params.shape[0]
    logs = [torch.zeros(n, spec.widths[0])]
    logs += [std * torch.randn(n, width, generator=generator).to(params.dtype) for width in spec.hidden_widths]
    logs += [torch.zeros(n, spec.widths[-1])]
    factors = []
    for layer in range(spec.n_layers):
        row, column = logs[layer + 1], logs[layer]
        factors += [(row[:, :, None] - column[:, None, :]).exp().reshape(n, -1), row.exp()]
    return params * torch.cat(factors, dim=1).to(params)
