"""The weights of ONNX models, read through the package `onnx`, which is optional."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from metarep.checkpoints.npz_files import to_torch
from metarep.checkpoints.safetensors_files import plain_name
from metarep.errors import MetarepError
from metarep.networks.checkpoint import DAMAGE

DTYPES = {
    "FLOAT": torch.float32,
    "DOUBLE": torch.float64,
    "FLOAT16": torch.float16,
    "BFLOAT16": torch.bfloat16,
    "INT8": torch.int8,
    "INT16": torch.int16,
    "INT32": torch.int32,
    "INT64": torch.int64,
    "UINT8": torch.uint8,
    "UINT16": torch.uint16,
    "UINT32": torch.uint32,
    "UINT64": torch.uint64,
    "BOOL": torch.bool,
    "COMPLEX64": torch.complex64,
    "COMPLEX128": torch.complex128,
    "FLOAT8E4M3FN": torch.float8_e4m3fn,
    "FLOAT8E5M2": torch.float8_e5m2,
}


INPUTS = {
    "Conv": {1: ("conv", "weight"), 2: ("conv", "bias")},
    "ConvTranspose": {1: ("conv", "weight"), 2: ("conv", "bias")},
    "Gemm": {1: ("linear", "weight"), 2: ("linear", "bias")},
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
"""What the inputs of an operator are, by their place."""

FLOATING = ("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16")
MAX_DEPTH = 8
"""Graphs inside graphs that are looked into."""

CONVOLUTIONS = {3: "conv1d", 4: "conv2d"}


def read_onnx(path: Path) -> tuple[dict[str, torch.Tensor], bool, dict[str, tuple[str, str]]]:
    """The weights of a model by name, that they are in order, and kind and role of those that operators name.

    Weights are initialisers and floating-point constants of more than one value, as some exporters write them, of the graph
    and of the graphs in its branches. Values in other files are read from plain files in the same folder only. Raises
    MetarepError for damage, for sizes that do not fit the shapes, and where the package `onnx` is missing.
    """
    onnx = _package(path)
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, *DAMAGE) as error:
        raise MetarepError(f"{path} is damaged or no ONNX model", met=repr(error)[:120], fix="export it again") from error
    tensors: dict[str, torch.Tensor] = {}
    operations: dict[str, tuple[str, str]] = {}
    for branch, graph in _graphs(model.graph):
        if len(graph.sparse_initializer):
            raise MetarepError(f"{path} holds sparse initialisers", expected="dense ones", fix="export it dense")
        own: dict[str, torch.Tensor] = {}
        for name, proto in _weights(graph, onnx):
            if not isinstance(name, str) or branch + name in tensors or not name.isprintable():  # bytes: no UTF-8
                raise MetarepError(f"{path}: no name for an initialiser", met=repr(name)[:80], expected="texts, each once")
            own[name] = tensors[branch + name] = _tensor(path, onnx, proto)
        operations |= {branch + name: reading for name, reading in _operations(graph, own).items()}
    if not tensors:
        raise MetarepError(f"{path} holds no initialisers", expected="an ONNX model with its parameters", fix="export it again")
    return tensors, True, operations


def _graphs(graph: Any, branch: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """A graph and those in the branches of its operators, each with what goes before its names."""
    yield branch, graph
    for number, node in enumerate(graph.node if depth < MAX_DEPTH else ()):
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g, f"{branch}{node.op_type}_{number}/{attribute.name}/", depth + 1)


def _weights(graph: Any, onnx: Any) -> Iterator[tuple[str, Any]]:
    """Initialisers, then floating-point constants of more than one value: (name, proto)."""
    for proto in graph.initializer:
        yield proto.name, proto
    floating = {getattr(onnx.TensorProto, name) for name in FLOATING}
    for node in graph.node:
        for attribute in node.attribute if node.op_type == "Constant" and len(node.output) == 1 else ():
            proto = attribute.t
            if attribute.name == "value" and proto.data_type in floating and math.prod(proto.dims) > 1:
                yield node.output[0], proto


def _operations(graph: Any, tensors: dict[str, torch.Tensor]) -> dict[str, tuple[str, str]]:
    """Kind and role of the initialisers that the graph's operators take; the first operator that takes one decides."""
    found: dict[str, tuple[str, str]] = {}
    for node in graph.node:
        inputs = list(node.input)
        for place, (kind, role) in INPUTS.get(node.op_type, {}).items():
            name = inputs[place] if place < len(inputs) else ""
            if name in tensors and name not in found:
                weight = tensors.get(inputs[1]) if kind == "conv" else None
                kind = kind if kind != "conv" else CONVOLUTIONS.get(weight.ndim if weight is not None else 0, "other")
                if kind != "embedding" or (tensors[name].ndim == 2 and tensors[name].is_floating_point()):
                    found[name] = (kind, role)
    return found


def _package(path: Path) -> Any:
    try:
        import onnx
    except ImportError as error:
        fix = "pip install 'metarep[onnx]'"
        raise MetarepError(f"{path}: ONNX files ask for the package onnx", met="none", fix=fix) from error
    return onnx


def _tensor(path: Path, onnx: Any, proto: Any) -> torch.Tensor:
    shape = tuple(proto.dims)
    code = proto.data_type
    kind = onnx.TensorProto.DataType.Name(code) if code in onnx.TensorProto.DataType.values() else str(code)
    dtype = DTYPES.get(kind)
    if dtype is None or min(shape, default=0) < 0:
        met = f"{kind} {shape}"
        raise MetarepError(f"{path}: {proto.name} cannot be read", met=met, expected="numbers of at least a byte", fix="")
    n_bytes = math.prod(shape) * dtype.itemsize
    if proto.data_location == onnx.TensorProto.EXTERNAL:
        content: Any = _external(path, proto, n_bytes)
    elif proto.HasField("raw_data"):
        content = proto.raw_data
    else:
        return _typed(path, onnx, proto, shape, dtype)
    if len(content) != n_bytes:
        raise MetarepError(
            f"{path}: {proto.name} is not as long as its shape says", met=f"{len(content):,} bytes", expected=f"{n_bytes:,}"
        )
    if not n_bytes:
        return torch.empty(shape, dtype=dtype)
    with warnings.catch_warnings(action="ignore"):  # that the memory is read-only; nothing is written to it
        flat = torch.from_numpy(np.frombuffer(content, dtype=np.uint8))
    if flat.data_ptr() % dtype.itemsize:
        flat = flat.clone()
    return flat.view(dtype).reshape(shape)


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
