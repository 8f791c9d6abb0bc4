"""What archives and optional packages have in common: nothing unfolds without end, and a missing package is named."""

from __future__ import annotations

import importlib
import zipfile
import zlib
from pathlib import Path
from typing import Any

from metarep.errors import MetarepError
from metarep.formats.torch_files import DAMAGE

MAX_RATIO = 100
FREE_BYTES = 256 << 20
"""Compressed files may unfold to MAX_RATIO times their size, or to FREE_BYTES if that is more."""

ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, *DAMAGE)
"""What reading a damaged archive may raise."""

ENCRYPTED = 1


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


def package(path: Path, name: str, extra: str) -> Any:
    """An optional package that a file asks for. Raises MetarepError with the extra that brings it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        fix = f"pip install 'metarep[{extra}]'"
        raise MetarepError(f"{path} asks for the package {name.partition('.')[0]}", met="none", fix=fix) from error
