"""Zip archives that hold state dicts, as Stable-Baselines3 writes them."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from metarep.account import Entry, listed
from metarep.errors import MetarepError
from metarep.formats.contents import FileContents
from metarep.formats.refusals import entries_of, reading
from metarep.formats.safetensors_files import read_safetensors
from metarep.formats.torch_files import Saved, networks_of_saved, read_torch


def _safetensors(file: Path) -> Saved:
    tensors, _ = read_safetensors(file)
    return Saved({name: value.clone() for name, value in tensors.items()}, None, file.stat().st_size)


PARTS: dict[str, Callable[[Path], Saved]] = {
    **dict.fromkeys((".pth", ".pt", ".bin", ".ckpt"), lambda file: Saved.read(file, mmap=False)),
    ".safetensors": _safetensors,
}
"""How the files in an archive are read, by the end of their names; the others are left in it."""

NETWORKS = (".zip", ".npz", ".onnx", ".h5", ".hdf5", ".keras", ".msgpack", ".gguf", ".tar", ".gz")
"""How the names of files end that may hold further networks."""


def read_zip(path: Path) -> FileContents:
    """The networks in the state dicts of an archive, under the names of its files.

    Raises MetarepError for damaged archives, for those that unfold too far, and for state dicts that hold anything but tensors.
    """
    saved: dict[str, Saved] = {}
    with reading(path, "zip archive"), zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
        entries = entries_of(path, archive)
        if any(entry.filename.rpartition("/")[2] == "data.pkl" for entry in entries):
            return read_torch(path)  # torch.save's own archive under another name
        for number, entry in enumerate(entries):
            suffix = Path(entry.filename).suffix.lower()
            if suffix in PARTS and entry.file_size:
                file = Path(folder) / f"{number}{suffix}"
                file.write_bytes(archive.read(entry))
                saved[entry.filename.removesuffix(suffix)] = _part(path, entry.filename, file, PARTS[suffix])
    names = [ascii(entry.filename)[1:-1] for entry in entries if entry.filename.lower().endswith(NETWORKS)]
    left = [Entry("key", "", f"left in the archive: {listed(names)}", "unpack it to read them", doubt=True)] if names else []
    if not saved:
        return FileContents((), (Entry("file", "", "a zip archive without state dicts", "it is no network"), *left))
    contents = networks_of_saved(path, list(saved.values()), {name: one.content for name, one in saved.items()})
    return replace(contents, entries=(*contents.entries, *left))


def _part(path: Path, name: str, file: Path, read: Callable[[Path], Saved]) -> Saved:
    """A file of the archive; errors name it and not where it was unpacked."""
    try:
        return read(file)
    except MetarepError as error:
        raise MetarepError(str(error).replace(str(file), f"{path}: {name!a}")) from error
