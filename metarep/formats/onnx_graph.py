"""What the nodes of an ONNX graph do with its tensors: kind and role, which belong to one layer, and which axis is the output.

The axes are those of the operators' definitions (onnx.ai/onnx/operators): a convolution's weight is (out, in, …), that of a
transposed one (in, out, …), MatMul's second factor (…, in, out), and Gemm's is (out, in) where `transB` says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch

from metarep.networks.graph import Use
from metarep.networks.naming import OTHER

INPUTS = {
    "Conv": {1: ("conv", "weight"), 2: ("conv", "bias")},
    "ConvTranspose": {1: ("conv", "weight"), 2: ("conv", "bias")},
    "Gemm": {0: ("linear", "weight"), 1: ("linear", "weight"), 2: ("linear", "bias")},
    "MatMul": {0: ("linear", "weight"), 1: ("linear", "weight")},
    "LSTM": {1: ("lstm", "input"), 2: ("lstm", "hidden"), 3: ("lstm", "bias")},
    "GRU": {1: ("gru", "input"), 2: ("gru", "hidden"), 3: ("gru", "bias")},
    "Gather": {0: ("embedding", "weight")},
    "LayerNormalization": {1: ("layer_norm", "scale"), 2: ("layer_norm", "shift")},
    "BatchNormalization": {
        1: ("batch_norm", "scale"),
        2: ("batch_norm", "shift"),
        3: ("batch_norm", "running_mean"),
        4: ("batch_norm", "running_var"),
    },
}
"""What the inputs of an operator are, by their position."""

SAME_VALUES = ("Identity", "Cast", "Transpose")
"""Operators behind which a tensor is still the same."""

CONVOLUTIONS = {3: "conv1d", 4: "conv2d"}
MAX_DEPTH = 8
"""Graphs inside graphs that are looked into."""

Tensors = Mapping[str, torch.Tensor]


class Seen(NamedTuple):
    """A tensor as a node reads it: its axis i is axis order[i] of the tensor `name`."""

    name: str
    order: tuple[int, ...]


class Sums(NamedTuple):
    """What a layer without a bias puts out: its node and kind, n units, along the axis `at` from the last."""

    node: tuple[int, ...]
    kind: str
    n: int
    at: int


def graphs(graph: Any, branch: str = "", path: tuple[int, ...] = ()) -> Iterator[tuple[str, tuple[int, ...], Any]]:
    """A graph and those in the branches of its nodes, each with what goes before its names and before its nodes' numbers."""
    yield branch, path, graph
    for number, node in enumerate(graph.node if len(path) < 2 * MAX_DEPTH else ()):
        for position, attribute in enumerate(node.attribute):
            if attribute.HasField("g"):
                yield from graphs(attribute.g, f"{branch}{node.op_type}_{number}/{attribute.name}/", (*path, number, position))


def read_uses(graph: Any, tensors: Tensors, path: tuple[int, ...] = ()) -> dict[str, Use]:
    """What is done with the tensors that a graph's nodes take, in the nodes' order; the first node that takes one decides.

    A vector that is added to what a weight puts out is the bias of that weight. `path` goes before the numbers of nodes.
    """
    seen = as_they_are(tensors)
    sums: dict[str, Sums] = {}
    found: dict[str, Use] = {}
    for number, node in enumerate(graph.node):
        if same := same_values(node, seen):
            seen |= same
            continue
        inputs = [seen.get(name) for name in node.input]
        bias = _bias(node, inputs, sums, tensors)
        if bias is not None and bias[0] not in found:
            name, output = bias
            found[name] = Use(sums[output].kind, "bias", sums.pop(output).node)
            continue
        for position, one in enumerate(inputs):
            if one is not None and one.name not in found:
                found[one.name] = _use(node, position, inputs, tensors, (*path, number))
        sums |= _sums(node, inputs, tensors, (*path, number))
    return found


def as_they_are(tensors: Tensors) -> dict[str, Seen]:
    """Tensors as a node reads them by their own names."""
    return {name: Seen(name, tuple(range(value.ndim))) for name, value in tensors.items()}


def same_values(node: Any, seen: Mapping[str, Seen]) -> dict[str, Seen]:
    """{output: the tensor that it still is} for a node that hands a tensor on, perhaps turned; {} for other nodes."""
    one = seen.get(node.input[0]) if node.op_type in SAME_VALUES and node.input and node.output else None
    if one is None or node.output[0] in seen:
        return {}
    if node.op_type == "Transpose":
        turned = integers(node, "perm") or tuple(reversed(range(len(one.order))))
        if sorted(turned) != list(range(len(one.order))):
            return {}
        one = one._replace(order=tuple(one.order[axis] for axis in turned))
    return {node.output[0]: one}


def integers(node: Any, name: str) -> tuple[int, ...]:
    """The whole numbers of a list among a node's attributes; () where it has none of this name."""
    return next((tuple(attribute.ints) for attribute in node.attribute if attribute.name == name), ())


def integer(node: Any, name: str, default: int) -> int:
    """A whole number among a node's attributes."""
    return next((attribute.i for attribute in node.attribute if attribute.name == name), default)


def _use(node: Any, position: int, inputs: list[Seen | None], tensors: Tensors, at: tuple[int, ...]) -> Use:
    one = inputs[position]
    kind, role = INPUTS.get(node.op_type, {}).get(position, (OTHER, OTHER))
    if kind == "conv":
        weight = inputs[1]
        kind = CONVOLUTIONS.get(len(weight.order) if weight is not None else 0, OTHER)
    if kind == "embedding" and not (len(one.order) == 2 and tensors[one.name].is_floating_point()):
        kind, role = OTHER, OTHER
    axes = _axes(node, position, len(one.order))
    return Use(kind, role, at, axes and (one.order[axes[0]], one.order[axes[1]]))


def _axes(node: Any, position: int, n_axes: int) -> tuple[int, int] | None:
    """The output and the input axis of what a node reads at a position; None where that is no weight."""
    match node.op_type, position:
        case ("Conv", 1) if n_axes > 1:
            return 0, 1
        case ("ConvTranspose", 1) if n_axes > 1:
            return 1, 0
        case ("Gemm", 0) if n_axes == 2:
            return (1, 0) if integer(node, "transA", 0) else (0, 1)
        case ("Gemm", 1) if n_axes == 2:
            return (0, 1) if integer(node, "transB", 0) else (1, 0)
        case ("MatMul", 0) if n_axes > 1:
            return n_axes - 2, n_axes - 1
        case ("MatMul", 1) if n_axes > 1:
            return n_axes - 1, n_axes - 2
        case (("LSTM" | "GRU"), (1 | 2)) if n_axes == 3:
            return 1, 2
    return None


def _sums(node: Any, inputs: list[Seen | None], tensors: Tensors, at: tuple[int, ...]) -> dict[str, Sums]:
    """{output: what it is} of a node that weighs its input and adds no bias itself; {} for other nodes."""
    positions = (1,) if node.op_type in ("Conv", "ConvTranspose") else (1, 0)
    position = next((position for position in positions if position < len(inputs) and inputs[position] is not None), None)
    if position is None or not node.output or any(node.input[2:]):
        return {}
    use = _use(node, position, inputs, tensors, at)
    if use.axes is None or use.role != "weight":
        return {}
    shape = tensors[inputs[position].name].shape
    groups = integer(node, "group", 1) if node.op_type == "ConvTranspose" else 1
    from_last = len(shape) - 1 if node.op_type in ("Conv", "ConvTranspose") else 2 - position
    return {node.output[0]: Sums(use.node, use.kind, shape[use.axes[0]] * groups, from_last)}


def _bias(node: Any, inputs: list[Seen | None], sums: Mapping[str, Sums], tensors: Tensors) -> tuple[str, str] | None:
    """The tensor that an Add adds to each unit of a layer's output, and that output; None for other nodes."""
    if node.op_type != "Add" or len(inputs) != 2:
        return None
    for output, one in ((node.input[0], inputs[1]), (node.input[1], inputs[0])):
        if output in sums and one is not None:
            shape, units = tensors[one.name].shape, sums[output]
            if len(shape) >= units.at and shape[-units.at] == units.n == math.prod(shape):
                return one.name, output
    return None
