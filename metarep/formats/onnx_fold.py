"""ONNX graphs without what only the runtime asks for: quantised weights as the numbers they stand for, no-op nodes, functions.

The formulas are those of DequantizeLinear, QLinearConv and QLinearMatMul (onnx.ai/onnx/operators): (x − zero point) · scale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from metarep.errors import MetarepError
from metarep.formats.onnx_graph import integer

PASSING = ("Identity", "Dropout", "Cast", "QuantizeLinear", "DequantizeLinear")
"""Operators that hand their first input on, but for rounding; a Cast only where it gives floating-point numbers."""

FLOATING = (1, 10, 11, 16)
"""FLOAT, FLOAT16, DOUBLE and BFLOAT16 among the data types of ONNX."""

QLINEAR = {"QLinearConv": ("Conv", 8), "QLinearMatMul": ("MatMul", None)}
"""The operator of floating-point numbers, and where a bias stands; the weight, its scale and zero point stand at 3, 4 and 5."""

MAX_NODES = 200_000
DEFAULT = ("", "ai.onnx")

Value = Callable[[str], torch.Tensor | None]
"""A constant of the graph by its name; None for other names."""


def fold(graph: Any, tensors: dict[str, torch.Tensor], value: Value) -> int:
    """Folds a graph's quantised weights into `tensors` and takes its no-op nodes out, both in place; how many weights."""
    given, shown = set(tensors), {output.name for output in graph.output}
    renamed: dict[str, str] = {}
    touched: set[str] = set()
    gone: list[int] = []
    n_weights = 0
    for number, node in enumerate(graph.node):
        _rename(node, renamed)
        if node.domain not in DEFAULT or not node.output or not node.input:
            continue
        if node.op_type == "DequantizeLinear" and (weight := _weight(node, node.input, value)) is not None:
            tensors[node.output[0]] = weight
            n_weights += weight.ndim > 1
            touched |= set(node.input)
            gone.append(number)
        elif node.op_type in QLINEAR and (weight := _weight(node, node.input[3:6], value)) is not None:
            touched |= set(node.input[1:])
            n_weights += 1
            _unquantise(node, weight, tensors, value)
        elif _passes(node):
            touched |= set(node.input[1:])
            if node.output[0] in shown:
                node.op_type = "Identity"
                del node.input[1:]
            else:
                renamed[node.output[0]] = node.input[0]
                gone.append(number)
    for number in reversed(gone):
        del graph.node[number]
    read = set(names_read(graph))
    for name in touched & given - read:
        del tensors[name]
    return n_weights


def _weight(node: Any, names: Any, value: Value) -> torch.Tensor | None:
    """(x − zero point) · scale of constants, per tensor, per index of an axis or per block; None where one is no constant."""
    held = [value(name) if name else None for name in names]
    if len(held) < 2 or held[0] is None or held[1] is None or (len(names) > 2 and names[2] and held[2] is None):
        return None
    whole, scale, zero = held[0].double(), held[1].double(), held[2].double() if len(held) > 2 and held[2] is not None else None
    axis = integer(node, "axis", 1) if node.op_type == "DequantizeLinear" else 0 if node.op_type == "QLinearConv" else -1

    def spread(one: torch.Tensor) -> torch.Tensor:
        if one.numel() == 1:
            return one.reshape(())
        if one.ndim == whole.ndim and one.ndim > 1:
            return one.repeat_interleave(integer(node, "block_size", 1), axis).narrow(axis, 0, whole.shape[axis])
        return one.reshape(*(-1 if position == axis % whole.ndim else 1 for position in range(whole.ndim)))

    try:
        value_ = (whole if zero is None else whole - spread(zero)) * spread(scale)
    except (RuntimeError, IndexError, ZeroDivisionError):
        return None
    return value_.float() if value_.shape == whole.shape else None


def _unquantise(node: Any, weight: torch.Tensor, tensors: dict[str, torch.Tensor], value: Value) -> None:
    """Makes a node of whole numbers the one of floating-point numbers that it stands for."""
    operator, position = QLINEAR[node.op_type]
    inputs = [node.input[0], f"{node.input[3]}/dequantised"]
    tensors[inputs[1]] = weight
    bias = value(node.input[position]) if position is not None and len(node.input) > position else None
    of_input, of_weight = value(node.input[1]), value(node.input[4])
    if bias is not None and of_input is not None and of_weight is not None:
        inputs.append(f"{node.input[position]}/dequantised")
        tensors[inputs[2]] = (bias.double() * of_input.double().reshape(-1) * of_weight.double().reshape(-1)).float()
    node.op_type = operator
    del node.input[:]
    node.input.extend(inputs)


def _passes(node: Any) -> bool:
    if node.op_type == "Cast":
        return integer(node, "to", 0) in FLOATING
    return node.op_type in PASSING and not any(node.output[1:])


def _rename(node: Any, renamed: Mapping[str, str]) -> None:
    """Gives a node's inputs, and those in its branches, the names that they have now."""
    for position, name in enumerate(node.input):
        if name in renamed:
            node.input[position] = renamed[name]
    for attribute in node.attribute:
        for inner in attribute.g.node if attribute.HasField("g") and renamed else ():
            _rename(inner, renamed)


def names_read(graph: Any) -> Iterator[str]:
    """The names that a graph's nodes and outputs read, and those in its branches."""
    yield from (output.name for output in graph.output)
    for node in graph.node:
        yield from node.input
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from names_read(attribute.g)


def inlined(path: Path, model: Any, onnx: Any) -> Any:
    """The model with its local functions put where they are called.

    Raises MetarepError for functions that call themselves or grow without end.
    """
    if not len(model.functions):
        return model
    bodies = {(function.domain, function.name): function.node for function in model.functions}
    sizes: dict[tuple[str, str], int] = {}

    def size(nodes: Any, within: tuple[Any, ...]) -> int:
        total = 0
        for node in nodes:
            key = (node.domain, node.op_type)
            if key in within or total > MAX_NODES:
                raise MetarepError(f"{path}: functions grow without end", met=ascii(node.op_type)[:80], fix="export it again")
            if key in bodies and key not in sizes:
                sizes[key] = size(bodies[key], (*within, key))
            graphs = [attribute.g.node for attribute in node.attribute if attribute.HasField("g")]
            total += sizes.get(key, 1) + sum(size(inner, within) for inner in graphs)
        return total

    if size(model.graph.node, ()) > MAX_NODES:
        raise MetarepError(
            f"{path}: functions grow without end", expected=f"at most {MAX_NODES:,} nodes", fix="export it again"
        )
    from onnx import inliner

    return inliner.inline_local_functions(model)
