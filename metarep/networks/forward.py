"""What a network computes: its output, everything on the way there, and how it changes with inputs and parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from metarep.networks.spec import NetworkSpec

if TYPE_CHECKING:  # torch costs seconds, and most callers need none
    import torch

StageKind = Literal["input", "before bias", "pre-activations", "activations", "output"]


class NetworkStep(NamedTuple):
    """The values (S, width) of all samples at one step of a network; `layer` counts from 1, the input is 0."""

    name: str
    values: np.ndarray
    layer: int
    kind: StageKind


def forward(spec: NetworkSpec, params, x):
    """The outputs (…, S, out) of networks params (…, P) on the samples x (S, d).

    NumPy or torch, as params are; x follows them to torch. Raises MetarepError where the
    number of parameters does not fit the spec.
    """
    if not isinstance(params, np.ndarray) and isinstance(x, np.ndarray):
        x = params.new_tensor(x)
    values = x
    for index, (weight, bias) in enumerate(spec.unpack(params)):
        values = values @ weight.swapaxes(-1, -2) + bias[..., None, :]
        if index < spec.n_layers - 1 or spec.output_relu:
            values = values.clip(min=0)
    return values


def contributions(spec: NetworkSpec, params, x) -> list:
    """What each hidden unit contributes to the output: one (…, S, H) a hidden layer, for params (…, P) and samples x (S, d).

    The activation times the derivative of the (summed) output by it, h · ∂f/∂h. With one hidden layer and a linear
    output that is the unit's term in the output's sum. Scaling a ReLU unit leaves it as it is. NumPy or torch, as params are.
    """
    if not isinstance(params, np.ndarray) and isinstance(x, np.ndarray):
        x = params.new_tensor(x)
    layers = spec.unpack(params)
    values, activations = x, []
    for index, (weight, bias) in enumerate(layers):
        values = values @ weight.swapaxes(-1, -2) + bias[..., None, :]
        if index < spec.n_layers - 1:
            values = values.clip(min=0)
            activations.append(values)
    gradient = values * 0 + ((values > 0) if spec.output_relu else 1)
    found = []
    for (weight, _), activation in zip(layers[:0:-1], activations[::-1], strict=True):
        gradient = gradient @ weight
        found.append(activation * gradient)
        gradient = gradient * (activation > 0)
    return found[::-1]


def stages(spec: NetworkSpec, params: np.ndarray, x: np.ndarray) -> list[NetworkStep]:
    """Every step of one network params (P,) on the samples x (S, d), in order.

    The input, then for each layer W x ("before bias"), W x + b ("pre-activations") and, in a
    ReLU layer, "activations". The last stage has the kind "output" in place of its own.
    """
    steps = [NetworkStep("input", x, 0, "input")]
    values = x
    for layer, (weight, bias) in enumerate(spec.unpack(params), start=1):
        values = values @ weight.T
        steps.append(_stage(layer, "before bias", values))
        values = values + bias
        steps.append(_stage(layer, "pre-activations", values))
        if layer < spec.n_layers or spec.output_relu:
            values = values.clip(min=0)
            steps.append(_stage(layer, "activations", values))
    steps[-1] = NetworkStep("output", values, spec.n_layers, "output")
    return steps


def _stage(layer: int, kind: StageKind, values: np.ndarray) -> NetworkStep:
    return NetworkStep(f"layer {layer} {kind}", values, layer, kind)


class Jacobians(NamedTuple):
    """Derivatives of the outputs by the inputs (…, S, out, d) and by the parameters (…, S, out, P)."""

    by_input: torch.Tensor
    by_params: torch.Tensor


def jacobians(spec: NetworkSpec, params: torch.Tensor, x: torch.Tensor) -> Jacobians:
    """The derivatives of networks params (…, P) at the samples x (S, d). A ReLU at exactly 0 counts as off, as in PyTorch."""
    import torch

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
