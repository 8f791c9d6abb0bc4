"""NumPy's .npz archives: each member's declared size is held against its head before anything is read."""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from pathlib import Path

import numpy as np
import torch

from metarep.errors import MetarepError
from metarep.formats.refusals import SAVE_ARRAYS, entries_of, reading, to_torch

HEAD_BYTES = 1 << 16


def read_npz(path: Path) -> dict[str, torch.Tensor]:
    """The arrays by name, in the archive's order. Raises MetarepError for damage, objects, and sizes that do not fit."""
    with reading(path, ".npz archive", fix=SAVE_ARRAYS), zipfile.ZipFile(path) as archive:
        entries = [entry for entry in entries_of(path, archive) if entry.filename.endswith(".npy")]
        if not entries:
            raise MetarepError(f"{path} holds no arrays", expected="members that end in .npy", fix=SAVE_ARRAYS)
        return {entry.filename.removesuffix(".npy"): _member(path, archive, entry) for entry in entries}


def _member(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> torch.Tensor:
    with archive.open(entry) as file:
        shape, fortran, dtype, start = read_head(file.read(HEAD_BYTES))
    name = entry.filename.removesuffix(".npy")
    if dtype.hasobject:
        raise MetarepError(f"{path}: {name} holds more than numbers", met="Python objects", fix=SAVE_ARRAYS)
    if min(shape, default=0) < 0 or entry.file_size != start + math.prod(shape) * dtype.itemsize:
        raise MetarepError(f"{path}: {name} is not as long as its head says", met=f"{entry.file_size:,} bytes", fix=SAVE_ARRAYS)
    content = archive.read(entry)  # no more than the declared size; checks the checksum
    array = np.frombuffer(content, dtype=dtype, count=math.prod(shape), offset=start)
    return to_torch(path, name, array.reshape(shape, order="F" if fortran else "C"))


def read_head(content: bytes) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Shape, Fortran order, dtype and where the first value of an array begins in NumPy's format. Raises ValueError and kin."""
    file = io.BytesIO(content)
    with warnings.catch_warnings(action="ignore"):
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"version {version} of NumPy's format")
        shape, fortran, dtype = read(file)
    return shape, fortran, dtype, file.tell()
