"""The weights of ONNX models, read through the package `onnx`, which is optional."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from metarep.account import Entry, listed
from metarep.errors import MetarepError
from metarep.formats.contents import FileContents, only
from metarep.formats.onnx_fold import fold, inlined
from metarep.formats.onnx_graph import graphs, read_uses
from metarep.formats.onnx_operators import units_of
from metarep.formats.onnx_units import Shapes, shapes_of
from metarep.formats.quantised import UNREAD
from metarep.formats.refusals import DAMAGE, package, reading, refuse_name, tensor_of, to_torch
from metarep.formats.safetensors_files import plain_name
from metarep.networks.graph import Graph, Use
from metarep.networks.units import UnitClasses

DTYPES = {"FLOAT": torch.float32, "DOUBLE": torch.float64}
DTYPES |= {"FLOAT8E4M3FN": torch.float8_e4m3fn, "FLOAT8E5M2": torch.float8_e5m2}
DTYPES |= {
    str(dtype).removeprefix("torch.").upper(): dtype
    for dtype in (
        *(torch.float16, torch.bfloat16, torch.complex64, torch.complex128, torch.bool),
        *(torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.uint16, torch.uint32, torch.uint64),
    )
}

WEIGHTS = ("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16", "INT8", "UINT8")
"""The data types of constants that may be weights."""


def read_onnx(path: Path) -> FileContents:
    """The weights of a model by name, in the order of its nodes, and what its graph does with them.

    Weights are initialisers and constants of more than one value, as some exporters write them, of the graph, of the graphs in
    its branches and of its functions; those that no node reads stand last. Quantised ones are read as the numbers that they
    stand for. Values in other files are read from plain files in the same folder only. Raises MetarepError for damage, for
    sizes that do not fit the shapes, and where the package `onnx` is missing.
    """
    onnx = package(path, "onnx", "onnx")
    from google.protobuf.message import DecodeError

    with reading(path, "ONNX model", DecodeError, fix="export it again"):
        model = inlined(path, onnx.load(path, load_external_data=False), onnx)
    tensors: dict[str, torch.Tensor] = {}
    uses: dict[str, Use] = {}
    units, shapes = UnitClasses(), _shapes(model, onnx)
    n_quantised = 0
    for branch, nodes_before, graph in graphs(model.graph):
        if len(graph.sparse_initializer):
            raise MetarepError(f"{path} holds sparse initialisers", expected="dense ones", fix="export it dense")
        own = _weights(path, graph, onnx)
        small = {node.output[0]: proto for node, proto in _constants(graph) if math.prod(proto.dims) <= 1}
        n_quantised += fold(graph, own, lambda name, own=own, small=small: _value(path, onnx, own, small, name))
        for name in own:
            refuse_name(path, branch + name, tensors)
        tensors |= {branch + name: value for name, value in own.items()}
        uses |= {branch + name: use for name, use in read_uses(graph, own, nodes_before).items()}
        try:
            units_of(units, graph, own, shapes.get(branch, {}), branch)
        except DAMAGE:  # of nodes that no operator's definition allows: nothing is claimed
            units.frozen |= set(units.n)
    if not tensors:
        raise MetarepError(f"{path} holds no initialisers", expected="an ONNX model with its parameters", fix="export it again")
    uses = dict(sorted(uses.items(), key=lambda entry: entry[1].node))
    in_order = {name: tensors[name] for name in (*uses, *tensors)}
    contents = only(in_order, True, Graph(uses, units.groups()))
    return replace(contents, entries=tuple(_account(in_order, n_quantised)))


def _shapes(model: Any, onnx: Any) -> dict[str, Shapes]:
    """The sizes of values by name, of each graph by the names that lead to it."""
    with suppress(onnx.shape_inference.InferenceError, *DAMAGE):  # the shapes that the file itself states are left
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    return {branch: shapes_of(graph) for branch, _, graph in graphs(model.graph)}


def _account(tensors: dict[str, torch.Tensor], n_quantised: int) -> Iterator[Entry]:
    if n_quantised:
        yield Entry("tensor", "", f"quantised weights: {n_quantised}", "read as the numbers they stand for, in float32")
    unread = [name for name, value in tensors.items() if value.dtype in (torch.int8, torch.uint8) and value.ndim > 1]
    if unread:
        yield Entry("tensor", "", f"weights of 8 bits: {listed(unread)}", UNREAD, doubt=True)


def _weights(path: Path, graph: Any, onnx: Any) -> dict[str, torch.Tensor]:
    """Initialisers, then constants of more than one value that are floating-point or of a byte."""
    weights = {getattr(onnx.TensorProto, name) for name in WEIGHTS}
    constants = ((node.output[0], proto) for node, proto in _constants(graph))
    large = ((name, one) for name, one in constants if one.data_type in weights and math.prod(one.dims) > 1)
    found: dict[str, torch.Tensor] = {}
    for name, proto in (*((proto.name, proto) for proto in graph.initializer), *large):
        refuse_name(path, name, found)
        found[name] = _tensor(path, onnx, proto)
    return found


def _constants(graph: Any) -> Iterator[tuple[Any, Any]]:
    """(node, proto) of each constant that is a tensor."""
    for node in graph.node:
        for attribute in node.attribute if node.op_type == "Constant" and len(node.output) == 1 else ():
            if attribute.name == "value" and attribute.HasField("t"):
                yield node, attribute.t


def _value(path: Path, onnx: Any, own: Mapping[str, torch.Tensor], small: Mapping[str, Any], name: str) -> torch.Tensor | None:
    return own[name] if name in own else _tensor(path, onnx, small[name]) if name in small else None


def _tensor(path: Path, onnx: Any, proto: Any) -> torch.Tensor:
    shape = tuple(proto.dims)
    code = proto.data_type
    kind = onnx.TensorProto.DataType.Name(code) if code in onnx.TensorProto.DataType.values() else str(code)
    dtype = DTYPES.get(kind)
    if dtype is None or min(shape, default=0) < 0:
        met = f"{kind} {shape}"
        raise MetarepError(f"{path}: {proto.name} cannot be read", met=met, expected="numbers of at least a byte", fix="")
    if proto.data_location == onnx.TensorProto.EXTERNAL:
        return tensor_of(path, proto.name, _external(path, proto, math.prod(shape) * dtype.itemsize), dtype, shape)
    if proto.HasField("raw_data"):
        return tensor_of(path, proto.name, proto.raw_data, dtype, shape)
    return _typed(path, onnx, proto, shape, dtype)


def _typed(path: Path, onnx: Any, proto: Any, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Values that stand as numbers of another field than raw bytes."""
    try:
        if dtype in (torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.float8_e5m2):
            bits = np.array(proto.int32_data, dtype=np.int32).astype(np.uint16 if dtype.itemsize == 2 else np.uint8)
            return torch.from_numpy(bits.reshape(shape)).view(dtype)
        return to_torch(path, proto.name, np.array(onnx.numpy_helper.to_array(proto)).reshape(shape))
    except DAMAGE as error:
        raise MetarepError(f"{path}: {proto.name} is not as long as its shape says", met=repr(error)[:80]) from error


def _external(path: Path, proto: Any, n_bytes: int) -> np.ndarray:
    """The bytes (n,) uint8 of a tensor in a file beside the model, mapped into memory."""
    entries = {entry.key: entry.value for entry in proto.external_data}
    file = path.parent / plain_name(path, entries.get("location"))
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", n_bytes))
    except ValueError as error:
        raise MetarepError(f"{path}: {proto.name} is nowhere", met=repr(entries)[:80], expected="whole numbers") from error
    if not file.is_file():
        raise MetarepError(f"{path}: a file is missing", met=file.name, fix=f"put it into {path.parent}")
    if offset < 0 or length < 0 or offset + length > file.stat().st_size:
        raise MetarepError(f"{path}: {proto.name} reaches beyond {file.name}", met=f"{offset:,} + {length:,} bytes")
    return np.memmap(file, dtype=np.uint8, mode="r", offset=offset, shape=(length,)) if length else np.empty(0, np.uint8)
