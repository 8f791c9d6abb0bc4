"""What ONNX operators do with the units of the values they read (onnx.ai/onnx/operators): layers make and read them, norms and
slopes belong to them, sums and products share them, other operators move their axes; those not named here freeze them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from metarep.formats.onnx_graph import Seen, Tensors, integer, integers
from metarep.formats.onnx_units import Found, Handlers, Shapes, Value, Walk
from metarep.networks.units import Axis, UnitClasses, joined, reshaped, size_of

HOMOGENEOUS = frozenset({"Relu", "LeakyRelu", "Abs", "Neg", "Identity", "Dropout"})
"""Operators of one value that hand a positive factor on."""

ONE_BY_ONE = HOMOGENEOUS | frozenset(
    {
        *("Cast", "Celu", "Clip", "Cos", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "Log", "Mish", "Reciprocal"),
        *("Selu", "Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Sqrt", "Swish", "Tanh", "ThresholdedRelu"),
    }
)
SUMS = frozenset({"Add", "Sub", "Sum", "Mean", "Max", "Min"})
PRODUCTS = frozenset({"Mul", "Div", "PRelu"})
POOLS = frozenset({"MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool", "LpPool", "GlobalLpPool"})
REDUCTIONS = {
    **dict.fromkeys(("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2"), True),
    **dict.fromkeys(("ReduceProd", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"), False),
}
"""Whether a reduction hands a positive factor on."""

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


class Operand(NamedTuple):
    """What an operator of several values takes: its position, a tensor or a value, and its sizes."""

    position: int
    tensor: Seen | None
    value: Value
    sizes: tuple[int | None, ...]

    def size(self, back: int) -> int | None:
        return self.sizes[-back] if back <= len(self.sizes) else 1


def _conv(walk: Walk, node: Any) -> Found:
    weight, bias = walk.tensor(node, 1), walk.tensor(node, 2, 1)
    if weight is None or len(weight.order) < 3 or (any(node.input[2:]) and bias is None):
        return None
    n_axes, groups = len(weight.order), integer(node, "group", 1)
    x = walk.value(node.input[0]) or ((),) * n_axes
    if len(x) != n_axes or any(x[:1] + x[2:]):
        return None
    for at in range(2, n_axes):
        walk.bind(weight, at, (), "own")
    if groups == 1:
        source, out = (0, 1) if node.op_type == "ConvTranspose" else (1, 0)
        return [(x[0], walk.layer(weight, out, source, x[1], bias), *x[2:])]
    if node.op_type == "ConvTranspose" or walk.length(weight, 1) != 1 or size_of(x[1]) not in (0, groups):
        return None
    times, left = divmod(walk.length(weight, 0), groups)
    if left:
        return None
    own = tuple(run.within(after=times) for run in walk.units.now(x[1]))
    walk.bind(weight, 0, own, "own")
    walk.bind(weight, 1, (), "own")
    if bias is not None:
        walk.bind(bias, 0, own, "in")
    return [(x[0], own, *x[2:])]


def _gemm(walk: Walk, node: Any) -> Found:
    weight, bias = walk.tensor(node, 1, 2), walk.tensor(node, 2)
    x = walk.value(node.input[0]) or ((), ())
    if weight is None or len(x) != 2 or x[0] or integer(node, "transA", 0) or (any(node.input[2:]) and bias is None):
        return None
    out, source = (0, 1) if integer(node, "transB", 0) else (1, 0)
    return [((), walk.layer(weight, out, source, x[1], bias))]


def _matmul(walk: Walk, node: Any) -> Found:
    if len(node.input) != 2:
        return None
    behind = walk.tensor(node, 1, 2)
    weight = behind or walk.tensor(node, 0, 2)
    x = walk.value(node.input[0 if behind else 1])
    if weight is None or not x or (behind is None and len(x) < 2):
        return None
    if behind:
        return [(*x[:-1], walk.layer(weight, 1, 0, x[-1], None))]
    return [(*x[:-2], walk.layer(weight, 0, 1, x[-2], None), x[-1])]


def _norm(walk: Walk, node: Any, x: Value) -> Found:
    """Over the examples and pixels of each channel, or over the last axis, whose units it treats alike."""
    vectors = [walk.tensor(node, position, 1) for position in range(1, len(node.input)) if node.input[position]]
    last = node.op_type == "LayerNormalization"
    if len(x) < 2 or None in vectors or (last and integer(node, "axis", -1) not in (-1, len(x) - 1)):
        return None
    at = len(x) - 1 if last else 1
    for axis in x:
        walk.units.loosen(axis)
    behind = walk.units.rescaled(x[at])
    for position, one in enumerate(vectors):
        walk.bind(one, 0, behind, "in" if position < 2 else "own")
    return [(*x[:at], behind, *x[at + 1 :])]


def _one_by_one(walk: Walk, node: Any, x: Value) -> Found:
    for name in node.input[1:]:
        walk.freeze(name)
    for axis in x if node.op_type not in HOMOGENEOUS else ():
        walk.units.loosen(axis)
    return [x]


def _pool(walk: Walk, node: Any, x: Value) -> Found:
    del walk, node
    return None if len(x) < 3 or any(x[2:]) else [x]


def _together(walk: Walk, node: Any) -> Found:
    """Sums and products of values and tensors, axis by axis from the last."""
    operands = []
    loose = node.op_type not in SUMS | PRODUCTS
    if node.attribute:  # an older operator, whose axes stand otherwise
        return None
    for position, name in enumerate(node.input):
        one = walk.seen.get(name)
        value = walk.value(name) if one is None else None
        if name in walk.even:
            loose, value = True, ((),) * len(walk.shapes.get(name, ()))
            operands.append(Operand(position, None, value, (1,) * len(value)))
        elif one is not None:
            sizes = tuple(walk.length(one, at) for at in range(len(one.order)))
            operands.append(Operand(position, one, (), sizes))
        elif value is not None:
            operands.append(Operand(position, None, value, tuple(walk.sizes(name))))
        else:
            return None
    n_axes = max((len(operand.sizes) for operand in operands), default=0)
    found = [_along(walk, node.op_type, operands, back) for back in range(n_axes, 0, -1)]
    for axis in found if loose else ():
        walk.units.loosen(axis)
    return [tuple(found)]


def _along(walk: Walk, op: str, operands: list[Operand], back: int) -> Axis:
    """The units of a sum or a product along one axis."""
    carriers = [one for one in operands if back <= len(one.value) and one.value[-back]]
    axis = carriers[0].value[-back] if carriers else ()
    for one in carriers[1:]:
        walk.units.tie(axis, one.value[-back], scale=op in SUMS)
    if op in PRODUCTS:
        scaled = [one for one in carriers if not walk.units.is_loose(one.value[-back])] or carriers[:1]
        axis = scaled[0].value[-back] if scaled else ()
        for one in scaled if len(scaled) > 1 or (scaled and scaled[0].position and op != "Mul") else ():
            walk.units.loosen(one.value[-back])
    total = size_of(axis)
    for one in operands:
        size = one.size(back)
        if one.tensor is not None and back <= len(one.sizes):
            own = axis if size == total else ()
            walk.bind(one.tensor, len(one.sizes) - back, own, "in" if op in SUMS and own else "own")
        if one in carriers:
            continue
        if size != 1 and not (one.tensor is not None and size == total):
            walk.units.freeze(axis)
        elif size == 1 and op in SUMS:
            walk.units.loosen(axis)
    return axis


def _concat(walk: Walk, node: Any) -> Found:
    parts = [(walk.value(name), walk.sizes(name)) for name in node.input]
    if any(x is None or len(x) != len(parts[0][0] or ()) for x, _ in parts):
        return None
    at = integer(node, "axis", 1) % max(1, len(parts[0][0]))
    for axis in range(len(parts[0][0])):
        for x, _ in parts[1:] if axis != at else ():
            walk.units.tie(parts[0][0][axis], x[axis])
    if not any(x[at] for x, _ in parts):
        return [parts[0][0]]
    if any(not sizes[at] for _, sizes in parts):
        return None
    axis = joined(x[at] or walk.units.fixed(sizes[at]) for x, sizes in parts)
    return None if axis is None else [(*parts[0][0][:at], axis, *parts[0][0][at + 1 :])]


def _split(walk: Walk, node: Any, x: Value) -> Found:
    """Where it does not cut through units."""
    if not x:
        return None
    at = integer(node, "axis", 0) % len(x)
    if not x[at]:
        return [x] * len(node.output)
    found, left = [], list(x[at])
    for name in node.output:
        shape = walk.shapes.get(name, ())
        size, part = shape[at] if len(shape) == len(x) else None, []
        while left and size and size_of(tuple(part)) < size:
            part.append(left.pop(0))
        if size is None or size_of(tuple(part)) != size:
            return None
        found.append((*x[:at], tuple(part), *x[at + 1 :]))
    return found if not left else None


def _reshape(walk: Walk, node: Any, x: Value) -> Found:
    after = walk.shapes.get(node.output[0])
    found = None if after is None else reshaped(walk.units, x, walk.sizes(node.input[0]), list(after))
    return None if found is None else [tuple(found)]


def _transpose(walk: Walk, node: Any, x: Value) -> Found:
    del walk
    order = integers(node, "perm") or tuple(reversed(range(len(x))))
    return [tuple(x[at] for at in order)] if sorted(order) == list(range(len(x))) else None


def _reduce(walk: Walk, node: Any, x: Value) -> Found:
    """Over pixels, or over all units, whose order does not matter then."""
    axes = walk.whole(node, 1, "axes")
    if integer(node, "noop_with_empty_axes", 0) or (axes is None and len(node.input) > 1 and node.input[1]):
        return None
    gone = {at % len(x) for at in axes} if axes and x else set(range(len(x)))
    for at, axis in enumerate(x):
        if at in gone or not REDUCTIONS[node.op_type]:
            walk.units.loosen(axis)
    keep = integer(node, "keepdims", 1)
    return [tuple(() if at in gone else axis for at, axis in enumerate(x) if keep or at not in gone)]


def _as_long(walk: Walk, node: Any, x: Value) -> Found:
    """A change of size that leaves axes with units as they are: copies and interpolated pixels."""
    after = walk.shapes.get(node.output[0])
    for attribute in node.attribute:
        if attribute.name == "coordinate_transformation_mode" and attribute.s == b"tf_crop_and_resize":
            return None
    if after is None or len(after) < len(x):
        return None
    x = ((),) * (len(after) - len(x)) + x
    for factors in (walk.tensors.get(name) for name in node.input[1:]):
        known = factors is not None and factors.is_floating_point() and factors.shape == (len(x),)
        if known and any(axis and factor != 1 for axis, factor in zip(x, factors.tolist(), strict=True)):
            return None
    return [x] if all(not axis or size_of(axis) == size for axis, size in zip(x, after, strict=True)) else None


def _pad(walk: Walk, node: Any, x: Value) -> Found:
    pads = walk.whole(node, 1, "pads")
    if pads is None or len(pads) != 2 * len(x) or any(node.input[3:]):
        return None
    for at, axis in enumerate(x):
        if any(node.input[2:]) or any(attribute.name == "value" for attribute in node.attribute):
            walk.units.loosen(axis)
        if axis and (pads[at] or pads[at + len(x)]):
            return None
    return [x]


def _slice(walk: Walk, node: Any, x: Value) -> Found:
    axes = walk.whole(node, 3, "axes")
    return None if axes is None or any(x[at % len(x)] for at in axes) else [x]


def _gather(walk: Walk, node: Any) -> Found:
    """Rows of a table, or positions on an axis without units."""
    table, at = walk.tensor(node, 0, 2), integer(node, "axis", 0)
    positions = walk.value(node.input[1]) if len(node.input) == 2 else None
    if table is not None and at == 0 and positions is not None and not any(positions):
        return [(*positions, walk.layer(table, 1, 0, (), None))]
    x = walk.value(node.input[0])
    if not x or positions is None or any(positions) or x[at % len(x)]:
        return None
    at %= len(x)
    return [(*x[:at], *positions, *x[at + 1 :])]


def _recurrent(walk: Walk, node: Any) -> Found:
    """Of one direction: states (1, N, H), outputs (T, 1, N, H); gates stand in blocks."""
    weight, hidden, bias = (walk.tensor(node, position, n_axes) for position, n_axes in ((1, 3), (2, 3), (3, 2)))
    x, times = walk.value(node.input[0]) or ((),) * 3, GATES[node.op_type]
    given = [name for name in node.input[5:7] if name]
    if weight is None or hidden is None or (any(node.input[3:4]) and bias is None) or any(node.input[7:]):
        return None
    n = walk.length(hidden, 2)
    if len(x) != 3 or any(x[:2]) or walk.length(hidden, 0) != 1 or integer(node, "layout", 0) or n < 2:
        return None
    walk.reads(weight, 2, x[2])
    new = walk.units.new(n)
    walk.units.loosen(new)
    walk.bind(hidden, 2, new, "out")
    for one, copies in ((weight, times), (hidden, times), *([(bias, 2 * times)] if bias is not None else [])):
        walk.bind(one, 0, (), "own")
        walk.bind(one, 1, tuple(run.within(copies) for run in new), "in")
    for name in given:
        if name in walk.seen and len(walk.seen[name].order) == 3:
            walk.vector(walk.seen[name], new, "own")
        elif name not in walk.even:
            walk.units.tie((walk.value(name) or ((),))[-1], new)
    return [((), (), (), new), ((), (), new), ((), (), new)]


def _even(walk: Walk, node: Any) -> Found:
    """A value that is the same everywhere, whatever its shape."""
    if node.output[0] in walk.shapes:
        walk.even.add(node.output[0])
    return [((),) * len(walk.shapes.get(node.output[0], ()))]


def _shape(walk: Walk, node: Any) -> Found:
    """Sizes, which say nothing of what stands there."""
    return [((),)] if node.op_type == "Shape" else None


HANDLERS: Handlers = {
    **dict.fromkeys(("Conv", "ConvTranspose"), _conv),
    **{"Gemm": _gemm, "MatMul": _matmul, "Concat": _concat, "Gather": _gather, "ConstantOfShape": _even, "Shape": _shape},
    **dict.fromkeys((*SUMS, *PRODUCTS, "Pow"), _together),
    **dict.fromkeys(GATES, _recurrent),
}
OF_ONE_VALUE: Handlers = {
    **{"Split": _split, "Transpose": _transpose, "Pad": _pad, "Slice": _slice},
    **dict.fromkeys(("BatchNormalization", "InstanceNormalization", "LayerNormalization"), _norm),
    **dict.fromkeys(ONE_BY_ONE, _one_by_one),
    **dict.fromkeys(POOLS, _pool),
    **dict.fromkeys(("Flatten", "Reshape", "Squeeze", "Unsqueeze"), _reshape),
    **dict.fromkeys(REDUCTIONS, _reduce),
    **dict.fromkeys(("Resize", "Upsample", "Expand"), _as_long),
}
"""Handlers that take the value x that a node reads first, of which it is known where its units are."""


def units_of(units: UnitClasses, graph: Any, tensors: Tensors, shapes: Shapes, branch: str = "") -> None:
    """Adds what a graph does with its tensors to the classes of units; names of tensors get `branch` before them."""
    Walk(units, graph, tensors, shapes, branch, HANDLERS, OF_ONE_VALUE).run()
