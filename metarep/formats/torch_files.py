"""State dicts that torch.save wrote. Tensors lie in the file until they are used; no other object is made."""

from __future__ import annotations

import io
import pickle
import pickletools
import re
import warnings
import zipfile
from collections.abc import Collection, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch._weights_only_unpickler
from torch._utils import IMPORT_MAPPING, NAME_MAPPING

from metarep.account import Entry, listed
from metarep.errors import MetarepError
from metarep.formats.contents import FileContents
from metarep.formats.inert import Opening, asked_for, runs_code, standing_in
from metarep.formats.members import left_out, networks_of
from metarep.formats.refusals import DAMAGE, SAVE_STATE_DICT

ZIP_MAGIC = b"PK\x03\x04"
PICKLE = b"\x80"
LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How torch.save begins a file that is no archive: its magic number, pickled."""

SIGNED = 256
"""The name of an archive's first record, data.pkl, ends before so many bytes."""

MAX_GROWTH = 4
MAX_SHARING = 1000
SLACK = 1 << 20
"""Tensors together may be MAX_GROWTH times as large as their file, or MAX_SHARING times with those that several layers share,
and so many bytes more."""

ALLOCATING = frozenset({"bytearray"})
"""Harmless classes that a pickle could ask for at any size."""


def read_torch(path: Path, *, checked: bool = True) -> FileContents:
    """The networks in a file that torch.save wrote; unless `checked` no value is read, and no checksum held against its bytes.

    Other objects are never made: whole modules and TorchScript give their tensors by name, the rest is left out. Raises
    MetarepError for damaged files (their checksums are held against their bytes), for pickles that name what runs code, and for
    tensors that are larger than the file.
    """
    return networks_of_saved(path, [Saved.read(path, checked=checked)])


@dataclass(frozen=True)
class Saved:
    """What a file held, tensors and plain containers, and the lengths of its archive's records; None where it is no archive.

    `modules` are names of modules that were saved whole, and `beside` what they hold beside their parameters and buffers.
    """

    content: Any
    sizes: Set[int] | None
    n_bytes: int
    modules: tuple[str, ...] = ()
    beside: Sequence[tuple[str, list[torch.Tensor]]] = ()

    @classmethod
    def read(cls, path: Path, *, mmap: bool = True, checked: bool = True) -> Saved:
        """A file's content; with `mmap` the tensors of an archive lie in the file until used."""
        with path.open("rb") as file:
            archive = file.read(len(ZIP_MAGIC)) == ZIP_MAGIC  # as torch.load decides it
            file.seek(0)
            names = [] if archive else _globals(path, file)
        source, sizes = path, None
        if archive:
            source, sizes, names = _open_archive(path, checksums=checked)
        opening = Opening(_load(path, source, names, mmap=mmap and source is path and archive))
        if next(opening.budget, None) is None:
            raise MetarepError(f"{path} is nested without end", expected="a module", fix=SAVE_STATE_DICT)
        sizes = sizes and sizes | opening.sizes
        return cls(opening.content, sizes, path.stat().st_size, tuple(opening.modules), opening.beside)


def networks_of_saved(path: Path, files: Sequence[Saved], content: Any = None) -> FileContents:
    """The networks in `content`, or in that of the only one of the `files` that its tensors lie in."""
    whole = any(file.sizes is None for file in files)
    sizes = None if whole else set().union(*(file.sizes or () for file in files))
    content = files[0].content if content is None else content
    contents = networks_of(path, content, plain=lambda name, value: _plain(path, name, value, sizes))
    values = [value for held in contents.networks for value in held.checkpoint.tensors.values()]
    own = {(value.data_ptr(), value.shape, value.stride(), value.dtype): value.nbytes for value in values}
    n_bytes = sum(file.n_bytes for file in files)
    modules = list(dict.fromkeys(name for file in files for name in file.modules))
    if sum(own.values()) > MAX_GROWTH * n_bytes + SLACK or sum(v.nbytes for v in values) > MAX_SHARING * n_bytes + SLACK:
        fix = "save a copy of each tensor: torch.save({name: value.clone() for name, value in state.items()}, path)"
        raise MetarepError(f"{path}: tensors are larger than the file", expected="values for all of them", fix=fix)
    if not modules:
        return contents
    why = "its tensors are read under their names; nothing of its code is run"
    read = Entry("file", "", f"modules saved whole: {listed(modules)}", why)
    beside = [(name, found) for file in files for name, found in file.beside if found]
    left = [left_out(name, [(str(at), value) for at, value in enumerate(found)]) for name, found in beside]
    return replace(contents, entries=(*contents.entries, read, *left))


def _load(path: Path, source: Path | io.BytesIO, names: Collection[str], *, mmap: bool = False) -> Any:
    """What torch.save wrote, on the CPU: tensors, plain containers, and stand-ins for `names`.

    Raises MetarepError for a file that names what runs code, without running any of it, and for a damaged one.
    """
    if dangerous := runs_code(names):
        fix = f"ask its author for a state dict, or load it where it was made and {SAVE_STATE_DICT}"
        raise MetarepError(f"{path} holds more than tensors, and asks to run code", met=dangerous, fix=fix)
    others: dict[str, type] = {}
    while True:
        try:
            with warnings.catch_warnings(action="ignore"), standing_in(names, others):
                return torch.load(source, map_location="cpu", weights_only=True, mmap=mmap)
        except pickle.UnpicklingError as error:
            asked = asked_for(error)
            if asked and not asked.keys() <= others.keys():
                others |= asked
                continue
            raise _unreadable(path, error) from error
        except DAMAGE as error:
            raise _damaged(path) from error


def _unreadable(path: Path, error: pickle.UnpicklingError) -> MetarepError:
    """What to say of a pickle that PyTorch refuses."""
    with path.open("rb") as file:
        head = file.read(len(LEGACY_MAGIC))
    again = f"load it where it was made and {SAVE_STATE_DICT}"
    if head.startswith(PICKLE) and head != LEGACY_MAGIC:
        return MetarepError(f"{path} is a pickle that torch.save did not write, which is not read", fix=again)
    if "persistent_load" in str(error):
        return MetarepError(f"{path} holds a module that PyTorch before 1.6 saved whole, which is not read", fix=again)
    if "Unsupported operand" in str(error) and head.startswith(ZIP_MAGIC):
        return MetarepError(f"{path} was saved with another pickle_protocol than 2, which is not read", fix=again)
    if "Unsupported operand" in str(error):
        return _damaged(path)
    told = str(error).partition("WeightsUnpickler error:")[2].strip() or str(error)
    return MetarepError(f"{path} holds more than tensors", met=told.splitlines()[0][:120], expected="a state dict", fix=again)


def starts_as_torch(path: Path) -> bool:
    """Whether a file begins as those do that torch.save writes, or is empty."""
    with path.open("rb") as file:
        head = file.read(len(LEGACY_MAGIC))
    return not head or head.startswith((ZIP_MAGIC, LEGACY_MAGIC))


def is_saved(path: Path) -> bool:
    """Whether torch.save wrote a file, whatever it is called."""
    with path.open("rb") as file:
        head = file.read(SIGNED)
    return head.startswith(LEGACY_MAGIC) or (head.startswith(ZIP_MAGIC) and b"/data.pkl" in head)


def _plain(path: Path, name: str, value: torch.Tensor, sizes: Set[int] | None) -> torch.Tensor:
    """The values alone: no gradient, no lazy conjugate. Quantised ones stay so.

    Raises MetarepError for tensors that are not simply arrays, and where the archive has no record of their length.
    """
    if value.layout != torch.strided or value.is_meta or value.is_nested:
        what = "without values" if value.is_meta else "nested" if value.is_nested else str(value.layout)
        fix = "give the model its values before it is saved" if value.is_meta else "save value.to_dense(), or leave it out"
        raise MetarepError(f"{path}: {name} is no plain tensor", met=what, expected="a dense one", fix=fix)
    if sizes is not None and value.untyped_storage().nbytes() not in sizes:
        met = f"{value.untyped_storage().nbytes():,} bytes"
        raise MetarepError(f"{path}: {name} is not as long as its record", met=met, fix="copy or save it again")
    return value.detach().resolve_conj().resolve_neg().as_subclass(torch.Tensor)


def _damaged(path: Path) -> MetarepError:
    return MetarepError(f"{path} is damaged or was not written by torch.save", fix=f"copy it again, or {SAVE_STATE_DICT}")


def _open_archive(path: Path, *, checksums: bool) -> tuple[Path | io.BytesIO, set[int], list[str]]:
    """What PyTorch can load of an archive, the lengths of its records, and the names in its pickle.

    Raises MetarepError for archives that are damaged or compressed, and that name classes of any size.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not _CODE.search(entry.filename)]
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise MetarepError(f"{path} is compressed inside", expected="what torch.save writes", fix=SAVE_STATE_DICT)
            if sum(entry.file_size for entry in entries) > path.stat().st_size:
                raise MetarepError(f"{path} declares more than it holds", fix="copy or save it again")
            source, pickles = path, [entry for entry in entries if entry.filename.endswith("/data.pkl")]
            if constants := [entry for entry in entries if entry.filename.endswith("/constants.pkl")]:
                source = _of_script(archive, entries, frozen=not any("/data/" in entry.filename for entry in entries))
                pickles += constants
            for entry in entries if checksums else ():
                with archive.open(entry) as file:
                    while file.read(1 << 20):  # to its end, where the checksum is
                        pass
            names = [name for entry in pickles for name in _globals(path, io.BytesIO(archive.read(entry)))]
            return source, {entry.file_size for entry in entries}, names
    except DAMAGE as error:
        if "Bad CRC-32" in str(error):
            what, fix = f"{path} is damaged: a checksum does not hold", "copy or save it again"
            raise MetarepError(what, met=str(error)[-80:], fix=fix) from error
        raise _damaged(path) from error


def _of_script(archive: zipfile.ZipFile, entries: Sequence[zipfile.ZipInfo], *, frozen: bool) -> io.BytesIO:
    """A TorchScript archive without its code, as torch.save would have written it; of a frozen one the constants."""
    kept = io.BytesIO()
    left, taken = ("data", "constants") if frozen else ("constants", "data")
    with zipfile.ZipFile(kept, "w") as plain:
        for entry in entries:
            folder, _, rest = entry.filename.partition("/")
            if not rest.startswith((f"{left}/", f"{left}.pkl")):
                rest = "data" + rest.removeprefix(taken) if rest.startswith((f"{taken}/", f"{taken}.pkl")) else rest
                plain.writestr(f"{folder}/{rest}", archive.read(entry))
    kept.seek(0)
    return kept


def _globals(path: Path, file: Any) -> list[str]:
    """The names of classes and functions in the pickles of a file, as module.name, up to their end or to damage.

    Raises MetarepError for a class of ALLOCATING.
    """
    names: dict[str, None] = {}
    with suppress(*DAMAGE):  # the end of the file, or damage, of which the loader tells
        while True:
            for operation, argument, _ in pickletools.genops(file):
                if operation.name == "GLOBAL":
                    full = tuple(argument.split(" ", 1))
                    module, name = NAME_MAPPING.get(full, (IMPORT_MAPPING.get(full[0], full[0]), full[-1]))
                    names[f"{module}.{name}"] = None
    if hungry := next((name for name in names if name.rpartition(".")[2] in ALLOCATING), None):
        raise MetarepError(f"{path} holds more than tensors", met=hungry, expected="a state dict", fix=SAVE_STATE_DICT)
    return [name for name in names if name not in TENSORS]


TENSORS = frozenset(torch._weights_only_unpickler._get_allowed_globals())
"""The names that PyTorch reads as tensors and plain containers."""

_CODE = re.compile(r"/(code|extra)/|/[^/]*\.(py|debug_pkl)$|/bytecode\.pkl$")
"""Records of TorchScript that hold no tensors."""
