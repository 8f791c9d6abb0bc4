"""The units of a network of Keras, found by a walk along the layers of its configuration, which is plain JSON in the file.

Values keep their channels on the last axis (keras.io/api/layers). A layer that is not named here, and whatever stands on
another axis, freezes the units that it reads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from metarep.networks.graph import Graph
from metarep.networks.units import Axis, Side, Units, size_of

HOMOGENEOUS = (None, "linear", "relu", "leaky_relu")
"""Activations that hand a positive factor on."""

PASSING = (
    *("Activation", "ReLU", "LeakyReLU", "ELU", "ThresholdedReLU", "Dropout"),
    *("SpatialDropout1D", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "AlphaDropout", "ActivityRegularization"),
    *("Masking", "ZeroPadding1D", "ZeroPadding2D", "Cropping1D", "Cropping2D", "UpSampling1D"),
    *("UpSampling2D", "MaxPooling1D", "MaxPooling2D", "AveragePooling1D", "AveragePooling2D"),
)
GLOBAL_POOLS = ("GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D")
TOGETHER = {"Add": True, "Subtract": True, "Average": True, "Maximum": True, "Minimum": True, "Multiply": False}
"""Layers that take their inputs unit by unit, and whether they hand a common positive factor on."""

GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}
LEAVES = {"W": "kernel", "b": "bias"}
"""Endings of names in Keras 1 (`dense_1_W`)."""

Tensors = Mapping[str, torch.Tensor]


class Value(NamedTuple):
    """The units on the last axis of a value, how many axes it has, and whether pixels stand flattened before its channels."""

    axis: Axis = ()
    n_axes: int | None = None
    flat: bool = False


class Node(NamedTuple):
    """One use of a layer: the value that it makes, its class and settings, the values that it reads."""

    makes: str
    kind: str
    config: Mapping[str, Any]
    reads: tuple[str, ...]


def graph_of(text: str | bytes, tensors: Tensors) -> Graph | None:
    """The groups of units of a model's configuration; None where it shows none, or is not as Keras writes it."""
    try:
        config = json.loads(text) if text else {}
        nodes = list(_nodes(config)) if config else []
        walk = _Walk(tensors)
        walk.run(nodes, _outputs(config))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError):
        return None
    groups = walk.units.groups()
    return Graph({}, groups) if any(units.interchangeable for units in groups) else None


def _nodes(config: Mapping[str, Any]) -> Iterator[Node]:
    settings = config["config"]
    listed = settings if isinstance(settings, list) else settings["layers"]
    before: tuple[str, ...] = ()
    for layer in listed:
        own = layer["config"]
        name = str(layer.get("name") or own["name"])
        if config["class_name"] == "Sequential":
            yield Node(f"{name} 0", layer["class_name"], own | {"name": name}, before)
            before = (f"{name} 0",)
            continue
        for number, node in enumerate(layer["inbound_nodes"] or [[]]):
            yield Node(f"{name} {number}", layer["class_name"], own | {"name": name}, tuple(_read(node)))


def _read(node: Any) -> Iterator[str]:
    """The values that a node reads: [layer, node, output] in Keras 1 and 2, a history somewhere inside in Keras 3."""
    if isinstance(node, Mapping):
        history = node.get("keras_history")
        parts = [history] if history else node.values()
    else:
        parts = node if isinstance(node, list) else ()
    for part in parts:
        if isinstance(part, list) and len(part) > 2 and isinstance(part[0], str) and isinstance(part[1], int):
            yield f"{part[0]} {part[1]}" if part[2] == 0 else f"{part[0]} {part[1]} {part[2]}"
        else:
            yield from _read(part)


def _outputs(config: Mapping[str, Any]) -> list[str]:
    settings = config["config"]
    return [] if isinstance(settings, list) else list(_read([settings.get("output_layers", [])]))


@dataclass
class _Walk:
    tensors: Tensors
    units: Units = field(default_factory=Units)
    values: dict[str, Value] = field(default_factory=dict)

    def run(self, nodes: list[Node], outputs: list[str]) -> None:
        """Takes the nodes as soon as what they read is there. Raises KeyError where that never happens."""
        waiting = nodes
        while waiting:
            ready = [node for node in waiting if all(self._base(name) in self.values for name in node.reads)]
            if not ready:
                raise KeyError("values that no node makes")
            for node in ready:
                self._step(node)
            waiting = [node for node in waiting if node not in ready]
        read = {name for node in nodes for name in node.reads}
        for name in {*outputs, *self.values} - (read - set(outputs)):
            self.units.freeze(self.values.get(name, Value()).axis)

    @staticmethod
    def _base(name: str) -> str:
        return " ".join(name.split(" ")[:2])

    def _step(self, node: Node) -> None:
        """An output but the first of a layer holds no units that are known."""
        inputs = [self.values.get(name, Value()) for name in node.reads]
        own = {name: value for name, value in self.tensors.items() if name.startswith(node.config["name"] + "/")}
        by_leaf = {_leaf(name): name for name in own}
        handler = HANDLERS.get(node.kind)
        last = node.config.get("data_format") in (None, "channels_last")
        found = handler(self, node, inputs, by_leaf) if handler and last and len(by_leaf) == len(own) else None
        if found is None:
            for value in inputs:
                self.units.freeze(value.axis)
            for name in own:
                for at in range(own[name].ndim):
                    self.units.bind(name, at, (), "own")
            found = Value()
        elif node.config.get("activation") not in HOMOGENEOUS:
            self.units.loosen(found.axis)
        self.values[node.makes] = found

    def bind(self, name: str, at: int, axis: Axis, side: Side) -> None:
        tensor = self.tensors[name]
        self.units.bind(name, at % tensor.ndim, axis, side, tensor.shape[at])

    def reads(self, name: str, at: int, value: Value) -> None:
        """An axis of a weight reads units, or places that mean something."""
        n, size = self.tensors[name].shape[at], size_of(value.axis)
        axis = value.axis
        if value.flat and size and n % size == 0 and len(axis) == 1:
            axis = (axis[0].within(before=n // size),)
        if not size or size_of(axis) != n:
            self.units.freeze(axis)
            axis = self.units.fixed(n)
        self.bind(name, at, axis, "out")

    def layer(self, weight: str, source: int, out: int, value: Value, bias: str | None) -> Value:
        self.reads(weight, source, value)
        made = self.units.new(self.tensors[weight].shape[out])
        self.bind(weight, out, made, "in")
        if bias is not None:
            self.bind(bias, 0, made, "in")
        return Value(made, value.n_axes)

    def per_channel(self, kernel: str, value: Value) -> Value:
        """Some filters for each channel, (*pixels, channels, filters)."""
        times = self.tensors[kernel].shape[-1]
        axis = value.axis or self.units.fixed(self.tensors[kernel].shape[-2])
        self.bind(kernel, -2, axis, "own")
        return value._replace(axis=tuple(run.within(after=times) for run in axis))


Leaves = Mapping[str, str]
Handler = Callable[[_Walk, Node, list[Value], Leaves], Value | None]


def _leaf(name: str) -> str:
    leaf = name.rpartition("/")[2]
    return LEAVES.get(leaf.rpartition("_")[2], leaf)


def _input(walk: _Walk, node: Node, inputs: list[Value], leaves: Leaves) -> Value:
    shape = node.config.get("batch_input_shape") or node.config.get("batch_shape") or node.config.get("input_shape")
    return Value((), len(shape) if shape else None)


def _affine(walk: _Walk, node: Node, inputs: list[Value], leaves: Leaves) -> Value | None:
    if not leaves.keys() <= {"kernel", "bias"} or "kernel" not in leaves or node.config.get("groups", 1) != 1:
        return None
    swapped = node.kind.endswith("Transpose")
    source, out = (-1, -2) if swapped else (-2, -1)
    return walk.layer(leaves["kernel"], source, out, _only(inputs), leaves.get("bias"))


def _only(inputs: list[Value]) -> Value:
    """What the layer reads; the first layer of a sequence reads inputs."""
    (value,) = inputs or [Value()]
    return value


def _depthwise(walk: _Walk, node: Node, inputs: list[Value], leaves: Leaves) -> Value | None:
    if not leaves.keys() <= {"depthwise_kernel", "pointwise_kernel", "bias"} or "depthwise_kernel" not in leaves:
        return None
    found = walk.per_channel(leaves["depthwise_kernel"], _only(inputs))
    if "pointwise_kernel" in leaves:
        return walk.layer(leaves["pointwise_kernel"], -2, -1, found, leaves.get("bias"))
    if "bias" in leaves:
        walk.bind(leaves["bias"], 0, found.axis, "in")
    return found


def _norm(walk: _Walk, node: Node, inputs: list[Value], leaves: Leaves) -> Value | None:
    value, axis = _only(inputs), node.config.get("axis", -1)
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    if value.flat or (axis != -1 and axis + 1 != value.n_axes):
        return None
    behind = walk.units.rescaled(value.axis)
    for leaf, name in leaves.items():
        walk.bind(name, 0, behind, "in" if leaf in ("gamma", "beta") else "own")
    return value._replace(axis=behind)


def _embedding(walk: _Walk, node: Node, inputs: list[Value], leaves: Leaves) -> Value | None:
    name, value = leaves.get("embeddings") or leaves.get("kernel"), _only(inputs)
    if name is None or len(leaves) > 1 or value.axis:
        return None
    axis = walk.units.new(walk.tensors[name].shape[1])
    walk.bind(name, 1, axis, "in")
    return Value(axis, value.n_axes and value.n_axes + 1)


def _recurrent(walk: _Walk, node: Node, inputs: list[Value], leaves: Leaves) -> Value | None:
    """Gates in blocks, one behind the other."""
    kernel, hidden, bias = (leaves.get(leaf) for leaf in ("kernel", "recurrent_kernel", "bias"))
    if kernel is None or hidden is None or len(leaves) > 3 or node.config.get("return_state") or len(inputs) > 1:
        return None
    walk.reads(kernel, 0, _only(inputs))
    made = walk.units.new(walk.tensors[hidden].shape[0])
    walk.units.loosen(made)
    gates = tuple(run.within(before=GATES[node.kind]) for run in made)
    walk.bind(hidden, 0, made, "out")
    for name in (kernel, hidden, *([bias] if bias else [])):
        walk.bind(name, -1, gates, "in")
    return Value(made, 3 if node.config.get("return_sequences") else 2)


def _passing(walk: _Walk, node: Node, inputs: list[Value], leaves: Leaves) -> Value | None:
    bounded = node.config.get("max_value") is not None or node.config.get("threshold")
    if node.kind in ("ELU", "ThresholdedReLU", "Masking") or bounded:
        walk.units.loosen(_only(inputs).axis)
    return None if leaves else _only(inputs)


def _global_pool(walk: _Walk, node: Node, inputs: list[Value], leaves: Leaves) -> Value:
    return _only(inputs)._replace(n_axes=2)


def _flatten(walk: _Walk, node: Node, inputs: list[Value], leaves: Leaves) -> Value:
    """Behind global pools there are no pixels left."""
    value = _only(inputs)
    return value._replace(flat=value.n_axes != 2, n_axes=2)


def _together(walk: _Walk, node: Node, inputs: list[Value], leaves: Leaves) -> Value | None:
    if any(not value.axis or value.flat for value in inputs):
        return None
    for value in inputs[1:]:
        walk.units.tie(inputs[0].axis, value.axis, scale=TOGETHER[node.kind])
    if not TOGETHER[node.kind]:
        for value in inputs:
            walk.units.loosen(value.axis)
    return inputs[0]


def _concatenate(walk: _Walk, node: Node, inputs: list[Value], leaves: Leaves) -> Value | None:
    axis = node.config.get("axis", -1)
    known = all(value.axis and not value.flat for value in inputs) and len({value.n_axes for value in inputs}) == 1
    if not known or (axis != -1 and axis + 1 != inputs[0].n_axes):
        return None
    return Value(tuple(run for value in inputs for run in value.axis), inputs[0].n_axes)


HANDLERS: dict[str, Handler] = {
    "InputLayer": _input,
    **dict.fromkeys(("Dense", "Conv1D", "Conv2D", "Conv2DTranspose", "Convolution1D", "Convolution2D"), _affine),
    **dict.fromkeys(("DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D"), _depthwise),
    **dict.fromkeys(("BatchNormalization", "LayerNormalization"), _norm),
    "Embedding": _embedding,
    **dict.fromkeys(GATES, _recurrent),
    **dict.fromkeys(PASSING, _passing),
    **dict.fromkeys(GLOBAL_POOLS, _global_pool),
    "Flatten": _flatten,
    **dict.fromkeys(TOGETHER, _together),
    "Concatenate": _concatenate,
}
