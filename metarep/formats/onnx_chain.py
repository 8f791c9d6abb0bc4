"""Whether the layers of an ONNX graph stand one behind the other and nothing goes around them.

Values are followed from the graph's input on. Of each is known behind how many layers it stands and where its units are: in
axis 1 with pixels behind it, in the last axis of rows, or in the last axis of who knows how many. Whatever is not known to
keep units apart and in their places (a transpose, an operator that is not listed, two values that meet from different
depths) ends the search: the network is no chain, and no unit of it is taken for interchangeable on these grounds.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from metarep.formats.onnx_graph import Tensors, as_they_are, integer, same_values
from metarep.networks.graph import Use

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization", "LayerNormalization")
ONE_BY_ONE = frozenset(
    {
        *("Abs", "Cast", "Celu", "Clip", "Cos", "Dropout", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "Identity"),
        *("LeakyRelu", "Log", "LogSoftmax", "Mish", "Neg", "PRelu", "Reciprocal", "Relu", "Selu", "Sigmoid", "Sin", "Softmax"),
        *("Softplus", "Softsign", "Sqrt", "Tanh", "ThresholdedRelu", "Add", "Div", "Max", "Min", "Mul", "Pow", "Sub", "Sum"),
    }
)
"""Operators that treat all units alike."""

POOLS = ("MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool")
INPUT, PIXELS, ROWS, LAST = "input", "pixels", "rows", "last"
"""Where the units of a value are: not known yet, in axis 1 before pixels, in axis 1 of two, in the last axis."""

BEHIND = {
    **{"Conv": {INPUT: PIXELS, PIXELS: PIXELS}, "ConvTranspose": {INPUT: PIXELS, PIXELS: PIXELS}},
    **{"Gemm": {INPUT: ROWS, ROWS: ROWS, LAST: ROWS}, "MatMul": {INPUT: LAST, ROWS: ROWS, LAST: LAST}},
    **{"BatchNormalization": {PIXELS: PIXELS, ROWS: ROWS}, "LayerNormalization": {ROWS: ROWS, LAST: LAST}},
    **{pool: {INPUT: INPUT, PIXELS: PIXELS} for pool in POOLS},
    **{name: {place: place for place in (INPUT, PIXELS, ROWS, LAST)} for name in ONE_BY_ONE},
    **{name: {INPUT: INPUT, PIXELS: ROWS, ROWS: ROWS} for name in ("Flatten", "Reshape")},
}
"""Where the units are behind an operator, by where they were before it; what is not named is no chain."""


class Value(NamedTuple):
    """How many layers a value stands behind, and where its units are."""

    layers: int
    units: str


def is_chain(graph: Any, tensors: Tensors, uses: Mapping[str, Use]) -> bool:
    """Whether each layer reads what the one before it puts out, and nothing else does.

    A graph that no layer is found in is none. `uses` are those of `tensors`, of the graph and of its branches.
    """
    produced = {name for node in graph.node for name in node.output}
    constants = {node.output[0]: _constant(node) for node in graph.node if node.op_type == "Constant" and node.output}
    seen = as_they_are(tensors)
    values: dict[str, Value] = {}
    readers: Counter[str] = Counter()
    n_layers = 0
    for at, node in enumerate(graph.node):
        if same := same_values(node, seen):
            seen |= same
            continue
        if node.op_type == "Constant":
            continue
        known = [seen[name].name for name in node.input if name in seen]
        incoming = [name for name in node.input if name and name not in seen and not constants.get(name)]
        met = {values.get(name, Value(0, INPUT)) for name in incoming if name in values or name not in produced}
        if len(met) != 1 or any(name in produced and name not in values for name in incoming):
            return False
        (value,) = met
        units = BEHIND.get(node.op_type, {}).get(value.units)
        if value.layers != n_layers or units is None or node.domain not in ("", "ai.onnx") or not node.output:
            return False
        if node.op_type in WEIGHTED:
            fits = incoming == [node.input[0]] and _is_layer(node, (at,), known, tensors, uses)
            n_layers += 1
        elif node.op_type in ("Flatten", "Reshape"):
            fits = incoming == [node.input[0]] and _flattens(node, tensors, constants)
        else:
            fits = all(uses[name].role == "bias" and uses[name].node != (at,) for name in known if tensors[name].numel() > 1)
        if not fits:
            return False
        values[node.output[0]] = Value(n_layers, units)
        readers.update(name for name in known if tensors[name].numel() > 1)
    shown = {values[output.name].layers for output in graph.output if output.name in values}
    return n_layers > 0 and shown <= {n_layers} and max(readers.values(), default=0) < 2


def _constant(node: Any) -> tuple[float, ...]:
    """A single value, or the two of a shape; () for any other constant, which a chain does not have."""
    attribute = node.attribute[0] if len(node.attribute) == 1 else None
    if attribute is not None and attribute.name in ("value_float", "value_int"):
        return (0,)
    if attribute is None or attribute.name != "value":
        return ()
    proto, n = attribute.t, math.prod(attribute.t.dims)
    if proto.data_type == proto.INT64 and n == 2:
        raw = proto.raw_data
        return tuple(proto.int64_data) if proto.int64_data else struct.unpack("<2q", raw) if len(raw) == 16 else ()
    return (0,) if n == 1 else ()


def _is_layer(node: Any, at: tuple[int, ...], known: list[str], tensors: Tensors, uses: Mapping[str, Use]) -> bool:
    """Whether a node weighs the units it reads with tensors of its own, in the way that its kind is known for."""
    if node.op_type == "MatMul" and [tensors[name].ndim for name in known] != [2]:
        return False
    if node.op_type == "ConvTranspose" and integer(node, "group", 1) != 1:
        return False
    if any(uses[name].kind.startswith("conv") and 0 not in (uses[name].axes or (0,)) for name in known):
        return False  # kept as Keras does, whose pixels lie otherwise once they are flattened
    usual = integer(node, "transA", 0) == 0 and integer(node, "axis", -1) == -1
    return usual and bool(known) and all(uses[name].node == at for name in known)


def _flattens(node: Any, tensors: Tensors, constants: Mapping[str, tuple[float, ...]]) -> bool:
    """Whether a node makes one row of each example."""
    if node.op_type == "Flatten":
        return integer(node, "axis", 1) == 1
    name = node.input[1] if len(node.input) == 2 else ""
    shape = tensors[name].flatten().tolist() if name in tensors else constants.get(name, ())
    return len(shape) == 2 and shape[0] in (-1, 0, 1) and shape[0] != shape[1]
