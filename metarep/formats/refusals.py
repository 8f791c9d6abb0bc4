"""What files of every format are refused for: damage, sizes that do not fit, what unfolds without end, a missing package."""

from __future__ import annotations

import importlib
import json
import math
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from metarep.errors import MetarepError

DAMAGE = (
    *(RuntimeError, EOFError, ValueError, LookupError, AttributeError, TypeError, ArithmeticError, MemoryError, OSError),
    *(AssertionError, ImportError, SyntaxError, struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)
"""What reading a damaged file may raise."""

MAX_RATIO = 100
FREE_BYTES = 256 << 20
"""Compressed files may unfold to MAX_RATIO times their size, or to FREE_BYTES if that is more."""

MAX_NAME, MAX_AXES = 500, 32
"""Characters in the name of a tensor, whose parts are looked at one inside the other, and its axes."""

ENCRYPTED = 1
SAVE_STATE_DICT = "save it with torch.save(model.state_dict(), path)"
SAVE_ARRAYS = "save arrays of numbers and nothing else with numpy.savez(path, **arrays)"


@contextmanager
def reading(path: Path, what: str, *errors: type[Exception], fix: str = "copy or save it again") -> Iterator[None]:
    """Raises MetarepError for DAMAGE in the block, and for further errors: the file is no `what`."""
    try:
        yield
    except (*errors, *DAMAGE) as error:
        raise MetarepError(f"{path} is damaged or no {what}", met=repr(error)[:120], fix=fix) from error


def json_of(text: str | bytes) -> Any:
    """What a file says in JSON. Raises ValueError, also where a key stands twice in one object, and RecursionError for what is
    nested too deep.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a key stands twice in one object")
        return found

    return json.loads(text, object_pairs_hook=once)


def package(path: Path, name: str, extra: str) -> Any:
    """An optional package that a file asks for. Raises MetarepError with the extra that brings it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        fix = f"pip install 'metarep[{extra}]'"
        raise MetarepError(f"{path} asks for the package {name.partition('.')[0]}", met="none", fix=fix) from error


def entries_of(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The files in an archive. Raises MetarepError where two have one name, for passwords, and for what unfolds too far."""
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len({entry.filename for entry in entries}) < len(entries):
        raise MetarepError(f"{path}: two parts have one name", fix="save it again")
    if any(entry.flag_bits & ENCRYPTED for entry in entries):
        raise MetarepError(f"{path} asks for a password", fix="save it without one")
    refuse_growth(path, sum(entry.file_size for entry in entries))
    return entries


def refuse_growth(path: Path, n_bytes: int) -> None:
    """Raises MetarepError where the content of a file, n_bytes of it, is far larger than the file."""
    if n_bytes > max(FREE_BYTES, MAX_RATIO * path.stat().st_size):
        raise MetarepError(f"{path} unfolds to more than {MAX_RATIO} times its size", fix="save it uncompressed")


def refuse_name(path: Path, name: Any, known: Container[Any], fix: str = "") -> None:
    """Raises MetarepError for the name of a tensor that is no text of one line, too long, or that of another one."""
    if not isinstance(name, str) or name in known or not name.isprintable() or len(name) > MAX_NAME:
        expected = f"texts of at most {MAX_NAME} characters, each once"
        raise MetarepError(f"{path}: no name for a tensor", met=ascii(name)[:80], expected=expected, fix=fix)


def tensor_of(path: Path, name: str, content: Any, dtype: torch.dtype, shape: tuple[int, ...]) -> torch.Tensor:
    """The values that bytes hold, sharing memory. Raises MetarepError where they are not as many as the shape says."""
    n_bytes = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or len(content) != n_bytes:
        met = f"{len(content):,} bytes for {shape}"
        raise MetarepError(f"{path}: {name} is not as long as its shape says", met=met, fix="copy or save it again")
    if not n_bytes:
        return torch.empty(shape, dtype=dtype)
    with warnings.catch_warnings(action="ignore"):  # that the memory is read-only; nothing is written to it
        flat = torch.from_numpy(np.frombuffer(content, dtype=np.uint8))
    aligned = flat.clone() if flat.data_ptr() % dtype.itemsize else flat
    return aligned.view(dtype).reshape(shape)


def to_torch(path: Path, name: str, array: np.ndarray) -> torch.Tensor:
    """The array as a tensor of the same dtype, sharing memory. Raises MetarepError for what is no number."""
    if array.dtype.byteorder == ">" and array.dtype.kind in "fiuc":
        array = array.astype(array.dtype.newbyteorder("<"))
    is_bfloat16 = array.dtype.kind == "V" and array.dtype.itemsize == 2 and array.dtype.names is None
    if is_bfloat16:  # as NumPy keeps one, which it does not know
        array = array.view(np.uint16)
    try:
        with warnings.catch_warnings(action="ignore"):  # that the memory is read-only; nothing is written to it
            tensor = torch.from_numpy(np.ascontiguousarray(array).reshape(array.shape))
    except TypeError as error:
        raise MetarepError(f"{path}: {name} holds no numbers", met=array.dtype, expected="numbers", fix=SAVE_ARRAYS) from error
    return tensor.view(torch.bfloat16) if is_bfloat16 else tensor
