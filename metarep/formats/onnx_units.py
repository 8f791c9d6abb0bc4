"""The units of an ONNX network, found by a walk along its nodes: which axes of its weights run over the same ones.

Layers make new units and read those of what stands before them; depthwise convolutions, norms, slopes and what is added to
each channel belong to units; values that are added or multiplied share theirs. An operator that is not named here, an output
of the graph, a value of which it is not known where its units are: all of these freeze the units they meet. The operators are
defined at onnx.ai/onnx/operators.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from metarep.formats.onnx_fold import DEFAULT, names_read
from metarep.formats.onnx_graph import Seen, Tensors, as_they_are, integers, same_values
from metarep.networks.units import Axis, Side, UnitClasses, size_of

Shapes = Mapping[str, tuple[int | None, ...]]
"""The sizes of values by name; None for those that the graph leaves open."""

Value = tuple[Axis, ...]
Found = list[Value] | None
"""What a node puts out, the first of its values or all; None where it is not known what becomes of the units."""


Handlers = Mapping[str, Callable[..., Found]]


class Walk:
    """A walk along the nodes of one graph; `branch` goes before the names of its tensors.

    `even` are values that are the same everywhere; `handlers` say of operators what becomes of units, `of_one`
    of those that read one value.
    """

    def __init__(
        self,
        units: UnitClasses,
        graph: Any,
        tensors: Tensors,
        shapes: Shapes,
        branch: str,
        handlers: Handlers,
        of_one: Handlers,
    ):
        self.handlers, self.of_one = handlers, of_one
        self.units, self.graph, self.tensors, self.shapes, self.branch = units, graph, tensors, shapes, branch
        self.seen = as_they_are({name: value for name, value in tensors.items() if value.is_floating_point()})
        self.values: dict[str, Value] = {}
        self.even: set[str] = set()
        self.constants = {node.output[0]: node for node in graph.node if node.op_type == "Constant" and node.output}
        self.read = set(names_read(graph))

    def run(self) -> None:
        for node in self.graph.node:
            if same := same_values(node, self.seen):
                self.seen |= same
            elif node.op_type != "Constant":
                self._step(node)
        for output in self.graph.output:
            self.freeze(output.name)

    def _step(self, node: Any) -> None:
        found = self._handled(node) if node.domain in DEFAULT and node.input else None
        if found is None or any(name in self.read for name in node.output[len(found) :]):
            for name in node.input:
                self.freeze(name)
            for attribute in node.attribute:
                for name in names_read(attribute.g) if attribute.HasField("g") else ():
                    self.freeze(name)
            found = []
        self.values |= dict(zip(node.output, found, strict=False))

    def _handled(self, node: Any) -> Found:
        if node.op_type in self.handlers:
            return self.handlers[node.op_type](self, node)
        value = self.value(node.input[0]) if node.op_type in self.of_one else None
        return None if value is None else self.of_one[node.op_type](self, node, value)

    def freeze(self, name: str) -> None:
        """The units of a value, or of a tensor, keep their order."""
        for axis in self.values.get(name, ()):
            self.units.freeze(axis)
        if name in self.seen:
            for at in range(len(self.seen[name].order)):
                self.bind(self.seen[name], at, (), "own")

    def value(self, name: str) -> Value | None:
        """The axes of a value, None where their number is not known; a tensor instead of it keeps the order of its units."""
        if name in self.values:
            return self.values[name]
        if name in self.seen:
            self.freeze(name)
        if name in self.tensors or name in self.seen:
            return ((),) * len(self.seen[name].order if name in self.seen else self.tensors[name].shape)
        return ((),) * len(self.shapes[name]) if name in self.shapes else None

    def sizes(self, name: str) -> list[int | None]:
        """The sizes of a value whose axes are known: those of its runs, and else as the graph says."""
        axes = self.value(name) or ()
        known = tuple(self.tensors[name].shape) if name in self.tensors else self.shapes.get(name, ())
        known = known if len(known) == len(axes) else (None,) * len(axes)
        return [size_of(axis) or size for axis, size in zip(axes, known, strict=True)]

    def tensor(self, node: Any, position: int, n_axes: int | None = None) -> Seen | None:
        """The tensor that a node reads at a position, if it has so many axes."""
        one = self.seen.get(node.input[position]) if position < len(node.input) else None
        return one if one is not None and n_axes in (None, len(one.order)) else None

    def length(self, one: Seen, at: int) -> int:
        return self.tensors[one.name].shape[one.order[at]]

    def bind(self, one: Seen, at: int, axis: Axis, side: Side) -> None:
        """An axis of a tensor runs over units; they are frozen where it is not as long."""
        self.units.bind(self.branch + one.name, one.order[at], axis, side, self.length(one, at))

    def whole(self, node: Any, position: int, name: str) -> tuple[int, ...] | None:
        """Whole numbers, an attribute or a constant at a position; None where they are not known, or not given."""
        given = node.input[position] if position < len(node.input) else ""
        if not given:
            return integers(node, name) or None
        if given in self.tensors:
            return tuple(int(x) for x in self.tensors[given].flatten()[:64])
        return _of_constant(self.constants[given]) if given in self.constants else None

    def reads(self, one: Seen, at: int, axis: Axis) -> None:
        """An axis of a weight reads units, or positions that mean something."""
        self.bind(one, at, axis or self.units.fixed(self.length(one, at)), "out")

    def layer(self, weight: Seen, out: int, source: int, read: Axis, bias: Seen | None) -> Axis:
        """The units that a layer puts out for those that it reads."""
        self.reads(weight, source, read)
        n = self.length(weight, out)
        new = self.units.new(n) if n > 1 else ()  # one alone is no unit
        self.bind(weight, out, new, "in")
        if bias is not None:
            self.vector(bias, new, "in")
        return new

    def vector(self, one: Seen, axis: Axis, side: Side) -> None:
        """A tensor of which the last axis runs over units, or is one number for all of them."""
        single = self.length(one, len(one.order) - 1) == 1 if one.order else True
        for at in range(len(one.order)):
            last = at == len(one.order) - 1 and not single
            self.bind(one, at, axis if last else (), side if last else "own")
        if single and side == "in":
            self.units.loosen(axis)


def shapes_of(graph: Any) -> dict[str, tuple[int | None, ...]]:
    """The sizes of a graph's values, as they are declared or were inferred."""
    found = {}
    for one in (*graph.input, *graph.value_info, *graph.output):
        if one.type.tensor_type.HasField("shape"):
            axes = one.type.tensor_type.shape.dim
            found[one.name] = tuple(axis.dim_value if axis.HasField("dim_value") else None for axis in axes)
    return found


def _of_constant(node: Any) -> tuple[int, ...] | None:
    from onnx import numpy_helper

    for attribute in node.attribute:
        match attribute.name:
            case "value_int":
                return (attribute.i,)
            case "value_ints":
                return tuple(attribute.ints)
            case "value" if math.prod(attribute.t.dims) <= 64 and attribute.t.data_type in (6, 7):
                try:
                    return tuple(numpy_helper.to_array(attribute.t).flatten().tolist())
                except (TypeError, ValueError):
                    return None
    return None
