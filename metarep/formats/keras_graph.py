"""The units of a network of Keras, found by a walk along the layers of its configuration, which is plain JSON in the file.

Values keep their channels on the last axis (keras.io/api/layers). A layer that is not named here, and whatever stands on
another axis, holds the units that it reads in their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import torch

from metarep.errors import MetarepError
from metarep.formats.refusals import json_of
from metarep.networks.architecture import read_architecture
from metarep.networks.graph import Graph
from metarep.networks.operations import Operation, operations_of
from metarep.networks.structure_groups import StructureGroups, Value
from metarep.networks.symmetry_groups import SymmetryGroup
from metarep.networks.units import joined

HOMOGENEOUS = (None, "linear", "relu", "leaky_relu")
"""Activations that hand a positive factor on."""

LAYERS = {"Dense", "Embedding", "LSTM", "GRU", "SimpleRNN"}
LAYERS |= {f"{kind}Conv{axes}D" for kind in ("", "Separable", "Depthwise") for axes in (1, 2)}
NORMS = {"BatchNormalization", "LayerNormalization"}
POOLS = ("ZeroPadding", "Cropping", "UpSampling", "MaxPooling", "AveragePooling", "GlobalMaxPooling", "GlobalAveragePooling")
PASSING = {"Activation", "ReLU", "LeakyReLU", "Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianNoise", "Flatten"}
PASSING |= {f"{kind}{axes}D" for kind in POOLS for axes in (1, 2)}
TOGETHER = {"Add", "Subtract", "Average", "Maximum", "Minimum", "Multiply"}
LAST_AXIS = {"conv1d": (-1, 2), "conv2d": (-1, 3)}
"""What settings may call the axis of channels, by the kind of layer that made them."""

FOREIGN = (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError)
"""What a configuration raises that is not as Keras writes it."""


class Node(NamedTuple):
    """One use of a layer: the value that it makes, its class, name and settings, the values that it reads."""

    makes: str
    kind: str
    layer: str
    settings: Mapping[str, Any]
    reads: tuple[str, ...]


def graph_of(text: str | bytes, tensors: Mapping[str, torch.Tensor]) -> Graph | None:
    """The groups of units of a model's configuration; None where it shows none, or is not as Keras writes it."""
    try:
        config = json_of(text)
        architecture = read_architecture([(name, tuple(value.shape), "float32") for name, value in tensors.items()])
        settings = config["config"]
        outputs = list(_read(settings.get("output_layers"))) if isinstance(settings, dict) else []
        groups = groups_of_nodes(list(_nodes(config)), outputs, operations_of(architecture))
    except FOREIGN:
        return None
    return Graph({}, groups) if any(units.interchangeable for units in groups) else None


def _nodes(config: Mapping[str, Any]) -> Iterator[Node]:
    listed = config["config"]
    before: tuple[str, ...] = ()
    for layer in listed if isinstance(listed, list) else listed["layers"]:
        settings = layer["config"]
        name = str(layer.get("name") or settings["name"])
        uses = [None] if config["class_name"] == "Sequential" else layer["inbound_nodes"] or [[]]
        for number, node in enumerate(uses):
            reads = before if node is None else tuple(_read(node))
            yield Node(f"{name} {number} 0", layer["class_name"], name, settings, reads)
        before = (f"{name} 0 0",)


def _read(node: Any) -> Iterator[str]:
    """The values that a node reads: [layer, node, output] in Keras 1 and 2, a history somewhere inside in Keras 3."""
    if isinstance(node, list) and len(node) > 2 and isinstance(node[0], str) and isinstance(node[1], int):
        yield " ".join(map(str, node[:3]))
    elif isinstance(node, Mapping):
        yield from _read([node["keras_history"]] if "keras_history" in node else list(node.values()))
    elif isinstance(node, list):
        yield from chain.from_iterable(map(_read, node))


def groups_of_nodes(
    nodes: Sequence[Node], outputs: Sequence[str], operations: Iterator[Operation]
) -> tuple[SymmetryGroup, ...]:
    """The groups of units of layers that read each other as nodes say. Raises KeyError where a value is never made."""
    walk, known = StructureGroups({}, relu=True, strict=True), list(operations)
    values: dict[str, Value | None] = {}
    made: set[str] = set()
    waiting = list(nodes)
    while waiting:
        ready = [node for node in waiting if all(name.rpartition(" ")[0] in made for name in node.reads)]
        if not ready:
            raise KeyError("values that no node makes")
        for node in ready:
            inputs = [values.get(name) for name in node.reads]
            own = [o for o in known if f"{o.path}.".startswith(node.layer + ".")]
            values[node.makes] = _made(walk, node, inputs, own)
            if values[node.makes] is None:
                _hold(walk, inputs)
            made.add(node.makes.rpartition(" ")[0])
        waiting = [node for node in waiting if node.makes not in values]
    read = {name for node in nodes for name in node.reads} - set(outputs)
    _hold(walk, [value for name, value in values.items() if name not in read])
    return walk.units.groups()


def _hold(walk: StructureGroups, values: Sequence[Value | None]) -> None:
    for value in values:
        walk.units.freeze(value.axis if value is not None else ())


def _made(walk: StructureGroups, node: Node, inputs: list[Value | None], own: list[Operation]) -> Value | None:
    """What a node makes of its inputs; None where it is not known where its units are."""
    settings, value = node.settings, inputs[0] if inputs else None
    axis = settings.get("axis", -1)
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    last = axis in LAST_AXIS.get(value.source if value is not None else "", (-1, 1, 2))
    if settings.get("data_format", "channels_last") != "channels_last" or settings.get("return_state"):
        return None
    if node.kind in TOGETHER:
        return walk.total(inputs, inside=False) if None not in inputs else None
    if node.kind == "Concatenate" and last and None not in inputs:
        axis = joined(one.axis for one in inputs)
        return None if axis is None else value._replace(axis=axis)
    if node.kind in LAYERS or (node.kind in NORMS and last):
        try:
            for operation in own:
                value = walk.apply(operation, value)
        except MetarepError:
            return None
    elif node.kind not in PASSING or own:
        return None
    bounded = settings.get("max_value") is not None or settings.get("threshold")
    if value is not None and (bounded or settings.get("activation") not in HOMOGENEOUS):
        walk.units.loosen(value.axis)
    return value
