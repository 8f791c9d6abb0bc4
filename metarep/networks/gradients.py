"""How a network's outputs change with its inputs and with its parameters: exact Jacobians, by backpropagation."""

from __future__ import annotations

from typing import NamedTuple

import torch

from metarep.networks.spec import NetworkSpec


class Jacobians(NamedTuple):
    """Derivatives of the outputs by the inputs (…, S, out, d) and by the parameters (…, S, out, P)."""

    by_input: torch.Tensor
    by_params: torch.Tensor


def jacobians(spec: NetworkSpec, params: torch.Tensor, x: torch.Tensor) -> Jacobians:
    """The derivatives of networks params (…, P) at the samples x (S, d). A ReLU at exactly 0 counts as off, as in PyTorch."""
    layers = spec.unpack(params)
    x = x.to(params)
    read, values = [], x.expand(*params.shape[:-1], *x.shape)
    for index, (weight, bias) in enumerate(layers):
        read.append(values)
        values = values @ weight.transpose(-1, -2) + bias.unsqueeze(-2)
        if index < spec.n_layers - 1 or spec.output_relu:
            values = values.clamp(min=0)
    gradient = torch.eye(spec.widths[-1]).to(params).expand(*values.shape, -1)
    if spec.output_relu:
        gradient = gradient * (values > 0).unsqueeze(-2)
    found: list[torch.Tensor] = []
    for index in reversed(range(spec.n_layers)):
        by_weight = gradient.unsqueeze(-1) * read[index][..., None, None, :]
        found = [by_weight.flatten(-2), gradient, *found]
        gradient = gradient @ layers[index][0].unsqueeze(-3)
        if index > 0:
            gradient = gradient * (read[index] > 0).unsqueeze(-2)
    return Jacobians(gradient, torch.cat(found, dim=-1))
