"""State dicts that torch.save wrote. Tensors lie in the file until they are used; no other object is made."""

from __future__ import annotations

import io
import pickle
import pickletools
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from metarep.errors import MetarepError
from metarep.formats.contents import Contents
from metarep.formats.inert import inert_globals
from metarep.formats.members import SAVE_STATE_DICT, networks_of

DAMAGE = (
    *(RuntimeError, EOFError, ValueError, LookupError, AttributeError, TypeError, ArithmeticError, MemoryError, OSError),
    *(AssertionError, ImportError, struct.error),
)
"""What reading a damaged file may raise."""

ZIP_MAGIC = b"PK\x03\x04"
LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How torch.save begins a file that is no archive: its magic number, pickled."""

MAX_GROWTH = 4
MAX_SHARING = 1000
SLACK = 1 << 20
"""Tensors together may be MAX_GROWTH times as large as their file, or MAX_SHARING times with those that several layers share,
and so many bytes more."""

ALLOCATING = frozenset({"bytearray"})
"""Harmless classes that a pickle could ask for at any size."""


def read_torch(path: Path, *, checked: bool = True) -> Contents:
    """The networks in a file that torch.save wrote; unless `checked` no value is read, and no checksum held against its bytes.

    Raises MetarepError for damaged files (their checksums are held against their bytes), for pickles of anything but
    tensors and plain containers, and for tensors that are larger than the file.
    """
    return networks_of_saved(path, [Saved.read(path, checked=checked)])


@dataclass(frozen=True)
class Saved:
    """What a file held, tensors and plain containers, and the lengths of its archive's records; None where it is no archive."""

    content: Any
    sizes: Set[int] | None
    n_bytes: int

    @classmethod
    def read(cls, path: Path, *, mmap: bool = True, checked: bool = True) -> Saved:
        """A file's content; with `mmap` the tensors of an archive lie in the file until used."""
        with path.open("rb") as file:
            archive = file.read(len(ZIP_MAGIC)) == ZIP_MAGIC  # as torch.load decides it
            file.seek(0)
            if not archive:
                _refuse_allocations(path, file)
        sizes = _check_archive(path, checksums=checked) if archive else None
        return cls(read_saved(path, mmap=mmap and archive), sizes, path.stat().st_size)


def networks_of_saved(path: Path, files: Sequence[Saved], content: Any = None) -> Contents:
    """The networks in `content`, or in that of the only one of the `files` that its tensors lie in."""
    whole = any(file.sizes is None for file in files)
    sizes = None if whole else set().union(*(file.sizes or () for file in files))
    content = files[0].content if content is None else content
    contents = networks_of(path, content, plain=lambda name, value: _plain(path, name, value, sizes))
    values = [value for held in contents.networks for value in held.checkpoint.tensors.values()]
    own = {(value.data_ptr(), value.shape, value.stride(), value.dtype): value.nbytes for value in values}
    n_bytes = sum(file.n_bytes for file in files)
    if sum(own.values()) > MAX_GROWTH * n_bytes + SLACK or sum(v.nbytes for v in values) > MAX_SHARING * n_bytes + SLACK:
        raise MetarepError(f"{path}: tensors are larger than the file", expected="values for all of them", fix=SAVE_STATE_DICT)
    return contents


def read_saved(path: Path, *, mmap: bool = False) -> Any:
    """What torch.save wrote, on the CPU: tensors, plain containers, stand-ins; with `mmap` tensors lie in the file until used.

    Raises MetarepError for a file that holds anything else, without running any of it, and for a damaged one.
    """
    try:
        with warnings.catch_warnings(action="ignore"), inert_globals():
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


def starts_as_torch(path: Path) -> bool:
    """Whether a file begins as those do that torch.save writes, or is empty."""
    with path.open("rb") as file:
        head = file.read(len(LEGACY_MAGIC))
    return not head or head.startswith((ZIP_MAGIC, LEGACY_MAGIC))


def _plain(path: Path, name: str, value: torch.Tensor, sizes: Set[int] | None) -> torch.Tensor:
    """The values alone: no gradient, no lazy conjugate. Quantised ones stay so.

    Raises MetarepError for tensors that are not simply arrays, and where the archive has no record of their length.
    """
    if value.layout != torch.strided or value.is_meta or value.is_nested:
        what = "without values" if value.is_meta else str(value.layout)
        raise MetarepError(f"{path}: {name} is no plain tensor", met=what, expected="a dense one", fix="save it dense")
    if sizes is not None and value.untyped_storage().nbytes() not in sizes:
        met = f"{value.untyped_storage().nbytes():,} bytes"
        raise MetarepError(f"{path}: {name} is not as long as its record", met=met, fix="copy or save it again")
    return value.detach().resolve_conj().resolve_neg().as_subclass(torch.Tensor)


def _check_archive(path: Path, *, checksums: bool) -> set[int]:
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
            if broken := checksums and archive.testzip():
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
