"""Safetensors files, and the writing of them without holding more than one tensor in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from metarep.errors import MetarepError

ORDER = "metarep.order"
"""Under this key of the metadata the names stand in their order, which the format itself loses."""

DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.float8_e4m3fnuz: "F8_E4M3FNUZ",
    torch.float8_e5m2fnuz: "F8_E5M2FNUZ",
    torch.complex64: "C64",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint64: "U64",
    torch.uint32: "U32",
    torch.uint16: "U16",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_RECENT = {"float8_e8m0fnu": "F8_E8M0", "float4_e2m1fn_x2": "F4"}
DTYPES |= {getattr(torch, name): code for name, code in _RECENT.items() if hasattr(torch, name)}
"""The dtypes that the format knows; later versions of PyTorch alone have the recent ones."""

PAIRS = "F4"
"""The dtype of which two values share a byte: in a file the last axis is twice as long as PyTorch's."""

READ_ERRORS = (SafetensorError, OSError, ValueError, RuntimeError, TypeError, KeyError, AttributeError, OverflowError)


def read_safetensors(path: Path) -> tuple[dict[str, torch.Tensor], bool]:
    """The tensors by name, and whether they are in the network's order. They lie in the file until used.

    Raises MetarepError for a file that is damaged or whose head does not fit its length.
    """
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            order = (file.metadata() or {}).get(ORDER)
            tensors = {name: file.get_tensor(name) for name in names}
    except READ_ERRORS as error:
        raise MetarepError(f"{path} is damaged or no safetensors file", met=error, fix="copy or save it again") from error
    if order is None:
        return tensors, False
    return _in_order(tensors, order)


def _in_order(tensors: dict[str, torch.Tensor], order: str) -> tuple[dict[str, torch.Tensor], bool]:
    """Sorted by the order that the metadata tell, where it is one of these names."""
    try:
        names = json.loads(order)
        fits = sorted(names) == sorted(tensors)
    except (ValueError, TypeError, RecursionError):  # whatever a file's metadata hold
        fits = False
    return ({name: tensors[name] for name in names} if fits else tensors), fits


def plain_name(path: Path, file: Any) -> str:
    """A file name that another file gives, if it lies in the same folder; else MetarepError."""
    if not isinstance(file, str) or not file.isprintable() or file in ("", ".", "..") or set(file) & set('/\\:*?"<>|'):
        raise MetarepError(
            f"{path} names a file elsewhere", met=repr(file)[:80], expected="plain file names", fix="put all into one folder"
        )
    return file


Entry = tuple[str, torch.dtype, Sequence[int], Callable[[], Iterable[torch.Tensor]]]
"""Name, dtype, shape, and a function that gives the values piece by piece, one behind the other."""


def write_safetensors(path: Path, entries: Sequence[Entry], metadata: Mapping[str, str] | None = None) -> None:
    """Writes a file tensor by tensor. A dtype that the format does not know becomes bytes, with one axis more."""
    entries = sorted(entries, key=lambda entry: -entry[1].itemsize)  # so that every tensor is aligned
    head: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    at = 0
    for name, dtype, shape, _ in entries:
        size = dtype.itemsize
        for length in shape:
            size *= length
        foreign, pairs = dtype not in DTYPES, DTYPES.get(dtype) == PAIRS and bool(shape)
        head[name] = {
            "dtype": DTYPES.get(dtype, "U8"),
            "shape": [*shape, dtype.itemsize] if foreign else [*shape[:-1], 2 * shape[-1]] if pairs else list(shape),
            "data_offsets": [at, at + size],
        }
        at += size
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, _, _, pieces in entries:
            for piece in pieces():
                file.write(bytes_of(piece))


def bytes_of(tensor: torch.Tensor) -> memoryview:
    """The bytes of a tensor's values in order, copied only where they do not lie so."""
    flat = tensor.detach().contiguous().reshape(-1)
    if not flat.numel():
        return memoryview(b"")
    return memoryview(flat.view(torch.uint8).numpy())


def open_rows(stack: ExitStack, path: Path):
    """A safetensors file opened until `stack` closes. Raises MetarepError for a damaged one."""
    try:
        return stack.enter_context(safe_open(path, framework="pt"))
    except READ_ERRORS as error:
        raise MetarepError(f"{path} is damaged or no safetensors file", met=error, fix="import the zoo again") from error
