"""State dicts that torch.save wrote. Tensors lie in the file until they are used; nothing else is unpickled."""

from __future__ import annotations

import io
import pickle
import pickletools
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any

import torch

from metarep.errors import MetarepError

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "model_state")
"""Keys under which training scripts put a state dict."""

DAMAGE = (
    *(RuntimeError, EOFError, ValueError, LookupError, AttributeError, TypeError, ArithmeticError, MemoryError, OSError),
    *(AssertionError, ImportError, struct.error),
)
"""What reading a damaged file may raise."""

SAVE_STATE_DICT = "save it with torch.save(model.state_dict(), path)"

ZIP_MAGIC = b"PK\x03\x04"
LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How torch.save begins a file that is no archive: its magic number, pickled."""

MAX_GROWTH = 4
SLACK = 1 << 20
"""Tensors may share memory in a file; together they may be so many times as large as the file, and so many bytes more."""

ALLOCATING = frozenset({"bytearray"})
"""Harmless classes that a pickle could ask for at any size."""


def read_torch(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a state dict by name, in its order.

    Raises MetarepError for damaged files (their checksums are held against their bytes), for pickles of anything but
    tensors and plain containers, and for tensors that are larger than the file.
    """
    with path.open("rb") as file:
        archive = file.read(len(ZIP_MAGIC)) == ZIP_MAGIC  # as torch.load decides it
        file.seek(0)
        if not archive:
            _refuse_allocations(path, file)
    sizes = _check_archive(path) if archive else None
    content = state_dict_of(read_saved(path, mmap=sizes is not None), path)
    tensors: dict[str, torch.Tensor] = {}
    for key, value in content.items():
        if isinstance(value, torch.Tensor):
            name = _name(path, key, tensors)
            tensors[name] = _plain(path, name, value, sizes)
    if not tensors:
        raise _no_tensors(path, content)
    if sum(tensor.nbytes for tensor in tensors.values()) > MAX_GROWTH * path.stat().st_size + SLACK:
        raise MetarepError(f"{path}: tensors are larger than the file", expected="values for all of them", fix=SAVE_STATE_DICT)
    return tensors


def read_saved(path: Path, *, mmap: bool = False) -> Any:
    """What torch.save wrote, tensors and plain containers only, on the CPU; with `mmap` tensors lie in the file until used.

    Raises MetarepError for a file that holds anything else, without running any of it, and for a damaged one.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        if "Unsupported operand" in str(error):
            raise MetarepError(f"{path} is damaged or was not written by torch.save", fix=SAVE_STATE_DICT) from error
        raise MetarepError(
            f"{path} holds more than tensors",
            met=_foreign_class(error),
            expected="a state dict; metarep unpickles nothing else",
            fix=SAVE_STATE_DICT,
        ) from error
    except DAMAGE as error:
        raise MetarepError(f"{path} is damaged or was not written by torch.save", fix=SAVE_STATE_DICT) from error


def state_dict_of(content: Any, path: Path) -> Mapping[Any, Any]:
    """The state dict in what a file held, out of its WRAPPERS if there are any. Raises MetarepError where there is none."""
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        raise MetarepError(f"{path} holds no state dict", met=type(content).__name__, fix=SAVE_STATE_DICT)
    return content


def starts_as_torch(path: Path) -> bool:
    """Whether a file begins as those do that torch.save writes, or is empty."""
    with path.open("rb") as file:
        head = file.read(len(LEGACY_MAGIC))
    return not head or head.startswith((ZIP_MAGIC, LEGACY_MAGIC))


def _no_tensors(path: Path, content: Mapping[Any, Any]) -> MetarepError:
    inside = [str(key) for key, value in content.items() if isinstance(value, Mapping)]
    met = ", ".join(map(str, list(content)[:5])) or "nothing"
    fix = f"save one network's state dict a file, such as that under {inside[0]!r}" if inside else SAVE_STATE_DICT
    return MetarepError(f"{path} holds no tensors", met=met, expected="a state dict", fix=fix)


def _name(path: Path, key: Any, seen: Mapping[str, Any]) -> str:
    name = str(key)
    if not isinstance(key, str | int) or name in seen or not name.isprintable():
        raise MetarepError(
            f"{path}: no name for a tensor", met=repr(key)[:80], expected="texts, each once", fix=SAVE_STATE_DICT
        )
    return name


def _plain(path: Path, name: str, value: torch.Tensor, sizes: Set[int] | None) -> torch.Tensor:
    """The values alone: no gradient, no lazy conjugate.

    Raises MetarepError for tensors that are not simply arrays, and where the archive has no record of their length.
    """
    if value.layout != torch.strided or value.is_quantized or value.is_meta or value.is_nested:
        what = "quantised" if value.is_quantized else "without values" if value.is_meta else str(value.layout)
        raise MetarepError(f"{path}: {name} is no plain tensor", met=what, expected="a dense one", fix="save it dense")
    if sizes is not None and value.untyped_storage().nbytes() not in sizes:
        met = f"{value.untyped_storage().nbytes():,} bytes"
        raise MetarepError(f"{path}: {name} is not as long as its record", met=met, fix="copy or save it again")
    return value.detach().resolve_conj().resolve_neg().as_subclass(torch.Tensor)


def _check_archive(path: Path) -> set[int]:
    """The lengths of an archive's records. Raises MetarepError for archives that are damaged, compressed, or hold code."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if any("/code/" in entry.filename or entry.filename.endswith("constants.pkl") for entry in entries):
                raise MetarepError(f"{path} holds more than tensors", met="TorchScript code", fix=SAVE_STATE_DICT)
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise MetarepError(f"{path} is compressed inside", expected="what torch.save writes", fix=SAVE_STATE_DICT)
            if sum(entry.file_size for entry in entries) > path.stat().st_size:
                raise MetarepError(f"{path} declares more than it holds", fix="copy or save it again")
            if broken := archive.testzip():
                raise MetarepError(f"{path} is damaged: a checksum does not hold", met=broken, fix="copy or save it again")
            for entry in entries:
                if entry.filename.endswith("data.pkl"):
                    _refuse_allocations(path, io.BytesIO(archive.read(entry)))
            return {entry.file_size for entry in entries}
    except (zipfile.BadZipFile, zlib.error, *DAMAGE) as error:
        raise MetarepError(f"{path} is damaged or was not written by torch.save", fix=SAVE_STATE_DICT) from error


def _refuse_allocations(path: Path, file) -> None:
    """Raises MetarepError for a pickle that names a class of ALLOCATING. The end of the pickles, or damage, ends the search."""
    for word in _words(file):
        if word.split()[-1:] and word.split()[-1] in ALLOCATING:
            raise MetarepError(f"{path} holds more than tensors", met=word, expected="a state dict", fix=SAVE_STATE_DICT)


def _words(file) -> Iterator[str]:
    try:
        while True:
            for _, argument, _ in pickletools.genops(file):
                if isinstance(argument, str) and len(argument) < 200:
                    yield argument
    except (UnicodeError, *DAMAGE):
        return


def _foreign_class(error: pickle.UnpicklingError) -> str:
    """The class that PyTorch refused to unpickle, where it names one."""
    found = re.search(r"GLOBAL ([\w.]+)", str(error))
    return found[1] if found else "pickled objects"
