"""The forward pass of subject networks, batched over networks, for NumPy arrays and torch tensors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metarep.networks.spec import NetworkSpec


class Stage(NamedTuple):
    """The samples (S, width) after one step of a network; `layer` counts linear layers from 0, −1 is the input."""

    name: str
    layer: int
    values: np.ndarray


def forward(spec: NetworkSpec, params, x):
    """The outputs (…, S, out) of networks with params (…, P) on samples x (S, d); in the type and dtype of params."""
    for index, (weight, bias) in enumerate(spec.unpack(params)):
        x = x @ weight.swapaxes(-1, -2) + bias[..., None, :]
        if _rectified(spec, index):
            x = x * (x > 0)
    return x


def stages(spec: NetworkSpec, params: np.ndarray, x: np.ndarray) -> list[Stage]:
    """Every step of one network, params (P,), on samples x (S, d): the input, then for each layer the product with
    the weight, the sum with the bias, and the ReLU where there is one.
    """
    steps = [Stage("input", -1, x)]
    for index, (weight, bias) in enumerate(spec.unpack(params)):
        last = index == spec.n_layers - 1
        before = x @ weight.T
        x = before + bias
        if last and not spec.output_relu:
            steps += [Stage("before output bias", index, before), Stage("output", index, x)]
            continue
        steps += [
            Stage("before output bias" if last else "before hidden bias", index, before),
            Stage("pre-activations", index, x),
        ]
        x = np.maximum(x, 0)
        steps.append(Stage("output" if last else "activations", index, x))
    return steps


def _rectified(spec: NetworkSpec, index: int) -> bool:
    return index < spec.n_layers - 1 or spec.output_relu
