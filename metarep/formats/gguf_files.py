"""Networks in GGUF, llama.cpp's format: a head of keys and of tensors (name, lengths, type, offset), and their values.

The head is read here, against the length of the file (github.com/ggml-org/ggml, docs/gguf.md); blocks of quantised types are
turned back into numbers by the package `gguf`, which is asked for only then.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from metarep.account import Entry
from metarep.errors import MetarepError
from metarep.formats.contents import FileContents, only
from metarep.formats.refusals import package, reading, refuse_name, tensor_of

MAGIC = b"GGUF"
VERSIONS = (2, 3)
ALIGNMENT = "general.alignment"
STRING, ARRAY = 8, 9
WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of a key's value, by its type."""

PLAIN = {
    **{0: torch.float32, 1: torch.float16, 28: torch.float64, 30: torch.bfloat16},
    **{24: torch.int8, 25: torch.int16, 26: torch.int32, 27: torch.int64},
}
"""Tensors that are kept as they are, by their type."""

MAX_DIMS = 8
MAX_DEPTH = 4


class Stored(NamedTuple):
    """A tensor: its shape as PyTorch has it (the file's lengths backwards), its type, and where it begins in the data."""

    name: str
    shape: tuple[int, ...]
    type: int
    offset: int


class _Head:
    """Reads numbers and texts one behind the other, never beyond the end of the file."""

    def __init__(self, content: np.ndarray):
        self.content = content
        self.at = 0

    def take(self, n_bytes: int) -> bytes:
        if n_bytes > len(self.content) - self.at:
            raise ValueError(f"{n_bytes:,} bytes at {self.at:,} of {len(self.content):,}")
        self.at += n_bytes
        return self.content[self.at - n_bytes : self.at].tobytes()

    def number(self, form: str) -> int:
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0]

    def text(self) -> str:
        return self.take(self.number("Q")).decode()

    def skip(self, kind: int, depth: int = 0) -> None:
        """Passes over a value of a key."""
        if kind == STRING:
            self.take(self.number("Q"))
        elif kind == ARRAY and depth < MAX_DEPTH:
            inner, n = self.number("I"), self.number("Q")
            if inner in WIDTHS:
                self.take(n * WIDTHS[inner])
            else:
                for _ in range(n):  # each takes eight bytes or more, so the end of the file ends this
                    self.skip(inner, depth + 1)
        else:
            self.take(WIDTHS[kind])


def read_gguf(path: Path) -> FileContents:
    """The network in a file, in its order, quantised tensors in float32; an entry names those that could not be read.

    Raises MetarepError for damage, for tensors that reach beyond the file, and where the package `gguf` is missing.
    """
    content = np.memmap(path, dtype=np.uint8, mode="r")
    with reading(path, "GGUF file"):
        stored, start = _stored(_Head(content))
    tensors: dict[str, torch.Tensor] = {}
    quantised: Counter[str] = Counter()
    unread: Counter[str] = Counter()
    for one in stored:
        refuse_name(path, one.name, tensors)
        if one.type in PLAIN:
            dtype = PLAIN[one.type]
            values = _values(path, content, one, start, math.prod(one.shape) * dtype.itemsize)
            tensors[one.name] = tensor_of(path, one.name, values, dtype, one.shape)
            continue
        kind, value = _dequantised(path, content, one, start)
        (unread if value is None else quantised)[kind] += 1
        if value is not None:
            tensors[one.name] = value
    entries = [Entry("tensor", "", f"{n} {kind} tensors", "read as float32") for kind, n in quantised.items()]
    entries += [Entry("tensor", "", f"{n} {kind} tensors", "they are not read", doubt=True) for kind, n in unread.items()]
    return FileContents(only(tensors).networks, tuple(entries))


def _stored(head: _Head) -> tuple[list[Stored], int]:
    """The tensors that a head lists, and where their data begin. Raises ValueError and kin for damage."""
    if head.take(len(MAGIC)) != MAGIC or head.number("I") not in VERSIONS:
        raise ValueError("another magic number or version")
    n_tensors, n_keys = head.number("Q"), head.number("Q")
    alignment = 32
    for _ in range(n_keys):  # each takes bytes, as each tensor does
        key, kind = head.text(), head.number("I")
        if key == ALIGNMENT and WIDTHS.get(kind) == 4:
            alignment = head.number("I")
        else:
            head.skip(kind)
    stored = []
    for _ in range(n_tensors):
        name, n_dims = head.text(), head.number("I")
        if n_dims > MAX_DIMS:
            raise ValueError(f"{n_dims} dimensions")
        lengths = [head.number("Q") for _ in range(n_dims)]
        stored.append(Stored(name, tuple(reversed(lengths)), head.number("I"), head.number("Q")))
    if alignment < 1:
        raise ValueError(f"an alignment of {alignment}")
    return stored, head.at + -head.at % alignment


def _values(path: Path, content: np.ndarray, one: Stored, start: int, n_bytes: int) -> np.ndarray:
    """The bytes of a tensor (n_bytes,) uint8."""
    first = start + one.offset
    if first + n_bytes > len(content):
        raise MetarepError(f"{path}: {one.name} reaches beyond the file", met=f"{n_bytes:,} bytes", fix="copy it again")
    return np.array(content[first : first + n_bytes])


def _dequantised(path: Path, content: np.ndarray, one: Stored, start: int) -> tuple[str, torch.Tensor | None]:
    """The name of a quantised type, and the tensor's numbers; None where the package does not know how to read it."""
    gguf: Any = package(path, "gguf", "gguf")
    try:
        kind = gguf.GGMLQuantizationType(one.type)
    except ValueError:
        return f"type {one.type}", None
    n_values, n_bytes = gguf.GGML_QUANT_SIZES[kind]
    if not one.shape or one.shape[-1] % n_values:
        raise MetarepError(f"{path}: {one.name} has no whole blocks", met=one.shape, expected=f"multiples of {n_values}")
    values = _values(path, content, one, start, math.prod(one.shape) // n_values * n_bytes)
    try:
        rows = values.reshape(-1, one.shape[-1] // n_values * n_bytes)
        return kind.name, torch.from_numpy(np.asarray(gguf.quants.dequantize(rows, kind))).reshape(one.shape)
    except (NotImplementedError, ValueError):
        return kind.name, None
