"""The units of a Keras model, found by a walk along its layers as the model's own config lists them.

Values are channels-last, so that units run along the last axis alone. Layers make new units and read those of what stands
before them; norms and slopes belong to units; values that are added or multiplied share theirs. A layer that is not named
here, and an output of the model, freeze the units that they read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from metarep.networks.graph import Graph, Use
from metarep.networks.graph_units import Axis, Units, size_of

Place = tuple[str, int, int]
"""A value: the layer that puts it out, in which of its calls, and which of its outputs it is."""

HOMOGENEOUS = ("linear", "relu", "leaky_relu")
"""Activations that hand a positive factor on."""

ONE_BY_ONE = re.compile(
    r"InputLayer|(Spatial)?Dropout.*|Gaussian\w+|ReLU|LeakyReLU|(Global)?(Max|Average)Pool(ing)?\dD|ZeroPadding\dD|UpSampling\dD|"
    r"Cropping\dD|Masking|ActivityRegularization|RepeatVector|Activation|ELU|Softmax|ThresholdedReLU"
)
LOOSE = ("ELU", "Softmax", "ThresholdedReLU", "GaussianNoise")
"""Layers that do not hand a positive factor on."""

SUMS = ("Add", "Subtract", "Average", "Maximum", "Minimum")
OLD_NAMES = {"W": "kernel", "U": "recurrent_kernel", "b": "bias"}
"""What weights are called in Keras 1: dense_1_W."""


@dataclass(frozen=True)
class Value:
    """The units along the last axis of a value, none for places that mean something; their number, if it is known; whether
    pixels stand in that axis too, each with all its channels.
    """

    axis: Axis = ()
    n: int | None = None
    flat: bool = False


def graph_of(config: Any, tensors: Mapping[str, torch.Tensor]) -> Graph | None:
    """What a model's config says of its tensors; None for a config of another form."""
    try:
        walk = _Walk(tensors)
        walk.run(config["config"] if isinstance(config["config"], Mapping) else {"layers": config["config"]})
        return Graph(walk.uses, walk.units.groups())
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError):
        return None


class _Walk:
    """A walk along the layers of one model."""

    def __init__(self, tensors: Mapping[str, torch.Tensor]):
        self.shapes = {name: tuple(value.shape) for name, value in tensors.items()}
        self.units, self.uses = Units(), dict[str, Use]()
        self.values: dict[Place, Value] = {}

    def run(self, config: Mapping[str, Any]) -> None:
        waiting = list(_calls(config["layers"]))
        while waiting:
            ready = [call for call in waiting if all(place in self.values for place in call[2])]
            if not ready:
                raise ValueError("layers that read each other")
            for layer, number, sources in ready:
                found = self._layer(layer["class_name"], layer["config"], _name(layer), [self.values[one] for one in sources])
                for read in sources if found is None else ():
                    self.units.freeze(self.values[read].axis)
                for output in range(8):  # of a layer of several outputs all are alike
                    self.values[_name(layer), number, output] = found or Value()
            waiting = [call for call in waiting if call not in ready]
        last = _name(config["layers"][-1])
        for place in _places(config.get("output_layers") or [[last, 0, 0]]):
            self.units.freeze(self.values[place].axis)

    def _layer(self, kind: str, config: Mapping[str, Any], name: str, read: Sequence[Value]) -> Value | None:
        """What a layer puts out; None where that is not known."""
        if kind == "TimeDistributed":
            kind, config = config["layer"]["class_name"], config["layer"]["config"]
        if kind in SUMS or kind in ("Multiply", "Concatenate"):
            return self._together(kind, config, read)
        if len(read) != 1 and kind != "InputLayer":
            return None
        value = read[0] if read else Value(n=_sizes(config)[-1])
        if ONE_BY_ONE.fullmatch(kind):
            if kind in LOOSE or not _homogeneous(config):
                self.units.loosen(value.axis)
            return value
        rule = RULES.get(re.sub(r"(?<=Conv)\dD|^CuDNN", "", kind))
        weights = self._weights(name)
        try:
            return rule(self, config, weights, value) if rule is not None and weights is not None else None
        except KeyError:  # a weight that the layer has under another name
            return None

    def _weights(self, layer: str) -> dict[str, str] | None:
        """The layer's tensors by the last word of their names; None where two are called alike."""
        own = [name for name in self.shapes if name.startswith(layer + "/")]
        words = [name.rpartition("/")[2].removeprefix(layer + "_") for name in own]
        found = {OLD_NAMES.get(word, word): name for word, name in zip(words, own, strict=True)}
        return found if len(found) == len(own) else None

    def _together(self, kind: str, config: Mapping[str, Any], read: Sequence[Value]) -> Value | None:
        if kind == "Concatenate" and config.get("axis", -1) == -1:
            if any(one.flat or not (one.axis or one.n) for one in read):
                return None
            axis = tuple(run for one in read for run in one.axis or self.units.fixed(one.n))
            return Value(axis, size_of(axis))
        if len({(one.n, one.flat, bool(one.axis)) for one in read}) > 1:
            return None
        for one in read[1:]:
            self.units.tie(read[0].axis, one.axis, scale=kind in SUMS)
        if kind == "Multiply":
            for one in read:
                self.units.loosen(one.axis)
        return read[0]

    def reads(self, tensor: str, at: int, value: Value) -> None:
        """An axis of a tensor reads a value."""
        n, axis = self.shapes[tensor][at], self.units.now(value.axis)
        times, left = divmod(n, size_of(axis)) if axis else (0, 0)
        if left or not times or (times > 1 and not (value.flat and len(axis) == 1)):
            self.units.freeze(axis)
            axis, times = self.units.fixed(n), 1
        self.units.bind(tensor, at, tuple(run.within(times) for run in axis), "out")

    def puts_out(self, tensor: str, at: int, config: Mapping[str, Any], bias: str | None) -> Value:
        """New units along an axis of a weight, and its bias."""
        n = self.shapes[tensor][at]
        new = self.units.new(n)
        self.units.bind(tensor, at, new, "in")
        if bias is not None:
            self.units.bind(bias, 0, new, "in")
        if not _homogeneous(config):
            self.units.loosen(new)
        return Value(new, n)

    def use(self, kind: str, axes: tuple[int, int], weight: str, bias: str | None = None) -> None:
        """Says what tensors are whose names may not."""
        node = (len(self.uses),)
        self.uses[weight] = Use(kind, "weight", node, axes)
        if bias is not None:
            self.uses[bias] = Use(kind, "bias", node)


def _dense(walk: _Walk, config: Mapping[str, Any], weights: Mapping[str, str], value: Value) -> Value:
    walk.reads(weights["kernel"], 0, value)
    walk.use("linear", (1, 0), weights["kernel"], weights.get("bias"))
    return walk.puts_out(weights["kernel"], 1, config, weights.get("bias"))


def _conv(walk: _Walk, config: Mapping[str, Any], weights: Mapping[str, str], value: Value) -> Value | None:
    if config.get("groups", 1) != 1:
        return None
    last = len(walk.shapes[weights["kernel"]]) - 1
    walk.reads(weights["kernel"], last - 1, value)
    return walk.puts_out(weights["kernel"], last, config, weights.get("bias"))


def _transposed(walk: _Walk, config: Mapping[str, Any], weights: Mapping[str, str], value: Value) -> Value:
    last = len(walk.shapes[weights["kernel"]]) - 1
    walk.reads(weights["kernel"], last, value)
    return walk.puts_out(weights["kernel"], last - 1, config, weights.get("bias"))


def _depthwise(walk: _Walk, config: Mapping[str, Any], weights: Mapping[str, str], value: Value) -> Value | None:
    kernel = weights.get("depthwise_kernel") or weights["kernel"]
    n, times = walk.shapes[kernel][-2:]
    if value.flat or size_of(value.axis) not in (0, n):
        return None
    own = tuple(run.within(after=times) for run in walk.units.now(value.axis))
    walk.units.bind(kernel, len(walk.shapes[kernel]) - 2, walk.units.now(value.axis), "own")
    if times > 1 and own:
        walk.units.bind(kernel, len(walk.shapes[kernel]) - 1, (), "own")
    if "bias" in weights and "pointwise_kernel" not in weights:
        walk.units.bind(weights["bias"], 0, own, "in")
    if "pointwise_kernel" not in weights and not _homogeneous(config):
        walk.units.loosen(own)
    return Value(own, n * times)


def _separable(walk: _Walk, config: Mapping[str, Any], weights: Mapping[str, str], value: Value) -> Value | None:
    between = _depthwise(walk, config, weights, value)
    point = weights["pointwise_kernel"]
    if between is None:
        return None
    last = len(walk.shapes[point]) - 1
    walk.reads(point, last - 1, between)
    return walk.puts_out(point, last, config, weights.get("bias"))


def _norm(walk: _Walk, config: Mapping[str, Any], weights: Mapping[str, str], value: Value) -> Value | None:
    sizes = {walk.shapes[name] for name in weights.values()}
    if value.flat or any(size != (size_of(value.axis),) for size in sizes if value.axis):
        return None
    behind = walk.units.rescaled(value.axis)
    for word, name in weights.items():
        walk.units.bind(name, 0, behind, "in" if word in ("gamma", "beta") else "own")
    return Value(behind, value.n)


def _slope(walk: _Walk, config: Mapping[str, Any], weights: Mapping[str, str], value: Value) -> Value | None:
    shape = walk.shapes[weights["alpha"]]
    if value.axis and shape[-1] != size_of(value.axis):
        return None
    walk.units.bind(weights["alpha"], len(shape) - 1, value.axis, "own")
    return value


def _embedding(walk: _Walk, config: Mapping[str, Any], weights: Mapping[str, str], value: Value) -> Value:
    table = weights.get("embeddings") or weights["kernel"]
    walk.use("embedding", (1, 0), table)
    return walk.puts_out(table, 1, {}, None)


def _recurrent(walk: _Walk, config: Mapping[str, Any], weights: Mapping[str, str], value: Value) -> Value | None:
    """Gates stand in blocks of units."""
    kernel, hidden = weights["kernel"], weights["recurrent_kernel"]
    n = walk.shapes[hidden][0]
    if n < 2 or walk.shapes[hidden][1] % n:
        return None
    walk.reads(kernel, 0, value)
    new = walk.units.new(n)
    walk.units.loosen(new)
    walk.units.bind(hidden, 0, new, "out")
    for name in filter(None, (kernel, hidden, weights.get("bias"))):
        at = len(walk.shapes[name]) - 1
        walk.units.bind(name, at, tuple(run.within(walk.shapes[name][at] // n) for run in new), "in")
    return Value(new, n)


def _flatten(walk: _Walk, config: Mapping[str, Any], weights: Mapping[str, str], value: Value) -> Value:
    return Value(value.axis, None, flat=True)


RULES: dict[str, Callable[[_Walk, Mapping[str, Any], Mapping[str, str], Value], Value | None]] = {
    **{"Dense": _dense, "Conv": _conv, "ConvTranspose": _transposed, "DepthwiseConv": _depthwise, "SeparableConv": _separable},
    **dict.fromkeys(("BatchNormalization", "LayerNormalization"), _norm),
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN"), _recurrent),
    **{"PReLU": _slope, "Embedding": _embedding, "Flatten": _flatten},
}
"""What layers do with units, by the name of their class without the number of axes."""


def _name(layer: Mapping[str, Any]) -> str:
    return str(layer.get("name") or layer["config"]["name"])


def _calls(layers: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], int, list[Place]]]:
    """Each call of each layer with the values that it reads; in a list of layers without calls each reads the one before."""
    if any("inbound_nodes" in layer and layer["inbound_nodes"] for layer in layers):
        for layer in layers:
            for number, node in enumerate(layer.get("inbound_nodes") or [[]]):
                yield layer, number, list(_places(node))
        return
    before: list[Place] = []
    for layer in layers:
        if not before and layer["class_name"] != "InputLayer":
            first = {"class_name": "InputLayer", "name": "", "config": layer["config"] | {"name": "an input"}}
            yield first, 0, []
            before = [("an input", 0, 0)]
        yield layer, 0, before
        before = [(_name(layer), 0, 0)]


def _places(node: Any) -> Iterator[Place]:
    """The values that a node of any version names."""
    if isinstance(node, Mapping):
        history = node.get("keras_history")
        for part in [history] if history else node.values():
            yield from _places(part)
    elif isinstance(node, list):
        if len(node) >= 3 and isinstance(node[0], str) and all(isinstance(number, int) for number in node[1:3]):
            yield node[0], node[1], node[2]
        else:
            for part in node:
                yield from _places(part)


def _homogeneous(config: Mapping[str, Any]) -> bool:
    activation = config.get("activation") or "linear"
    return activation in HOMOGENEOUS and config.get("max_value") is None and not config.get("threshold")


def _sizes(config: Mapping[str, Any]) -> Sequence[int | None]:
    known = config.get("batch_shape") or config.get("batch_input_shape") or [None]
    return known if isinstance(known, list) else [None]
