"""The networks in a file, whatever the format."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from metarep.account import Entry, listed
from metarep.errors import MetarepError
from metarep.formats.contents import Checkpoint, FileContents, only
from metarep.formats.flax_files import read_flax
from metarep.formats.gguf_files import read_gguf
from metarep.formats.keras_files import read_keras
from metarep.formats.members import networks_of
from metarep.formats.npz_files import read_npz
from metarep.formats.onnx_files import read_onnx
from metarep.formats.quantised import dequantised
from metarep.formats.refusals import MAX_AXES, SAVE_STATE_DICT, refuse_name
from metarep.formats.reparametrised import with_computed
from metarep.formats.safetensors_files import read_safetensors
from metarep.formats.shards import INDEX_SUFFIXES, read_index, shards_of
from metarep.formats.torch_files import read_torch, starts_as_torch
from metarep.formats.zip_files import read_zip
from metarep.networks.spec import NetworkSpec

RESERVED = "__metadata__"
"""A name that safetensors keeps for itself."""


READERS: dict[str, Callable[[Path], FileContents]] = {
    **dict.fromkeys((".pt", ".pth", ".th", ".pt.tar", ".pth.tar", ".bin", ".ckpt"), read_torch),
    ".bin.index.json": lambda path: only(read_index(path, lambda shard: sole(shard, read_torch(shard)).tensors), ordered=False),
    ".safetensors.index.json": lambda path: only(read_index(path, lambda shard: read_safetensors(shard)[0]), ordered=False),
    ".safetensors": lambda path: only(*read_safetensors(path)),
    ".npz": lambda path: networks_of(path, read_npz(path)),
    ".onnx": read_onnx,
    ".zip": read_zip,
    **dict.fromkeys((".h5", ".hdf5", ".keras"), read_keras),
    ".msgpack": read_flax,
    ".gguf": read_gguf,
}
"""How a file is read, by the end of its name."""

HEADS = {read_torch: partial(read_torch, checked=False)}
"""How readers whose checks take long read without these; the others leave values in the file, or read small files."""

SHARED_SUFFIXES = (".bin", ".ckpt")
"""Ends that the files of other programs have too: here the first bytes decide whether PyTorch wrote a file."""

LFS = b"version https://git-lfs"
"""How the pointers begin that Git LFS leaves in place of files."""

OTHERS = (
    (
        re.compile(rb"\s*<(!doctype|html|\?xml|Error)", re.IGNORECASE),
        "a page of the web, not the file",
        "download the file itself",
    ),
    (re.compile(rb"\x1f\x8b|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd"), "compressed as a whole", "unpack it first"),
    (re.compile(rb".{257}ustar", re.DOTALL), "a tar archive of files", "unpack it and import the folder"),
    (re.compile(rb"\x93NUMPY"), "one array of NumPy without names", "save it with numpy.savez(path, name=array)"),
    (re.compile(rb"[\s\w{\[\"':,.-]{32,}", re.ASCII), "a text, not a network", "look into it for what went wrong"),
)
"""How files of other programs begin, what they are, and what helps."""

TRAINERS = re.compile(
    r"(training_args|optimizer|scheduler|scaler|rng_state|random_states)(_\d+)*\.(bin|pt|pth|pkl)", re.IGNORECASE
)
"""Names of what Hugging Face's trainers put beside a network. A file of such a name that cannot be read is none."""


def suffix_of(path: Path) -> str | None:
    """The known end of a file's name, or None."""
    name = path.name.lower()
    suffix = next((suffix for suffix in READERS if name.endswith(suffix)), None)
    foreign = suffix in SHARED_SUFFIXES and path.is_file() and not (starts_as_torch(path) or is_pointer(path))
    return None if foreign else suffix


def read_contents(path: Path, suffix: str | None = None, *, checked: bool = True) -> FileContents:
    """The networks in a file, read by its suffix or as if it had the one given, and what was left in it.

    Unless `checked` the checksums of files of PyTorch are not looked at, so that a large one is told by its head alone.

    A file that holds no network by what is in it (the state of an optimiser, of a random number generator) has contents
    without networks and an entry that says so. Raises MetarepError for unknown suffixes, and for files that are empty or
    damaged or hold anything but tensors.
    """
    suffix = suffix or suffix_of(path)
    if not path.is_file():
        raise MetarepError(f"no file {path}", fix="check the path")
    if suffix is None:
        raise MetarepError(f"{path} is of no known format", expected=", ".join(READERS), fix="rename or convert it")
    if not path.stat().st_size:
        raise MetarepError(f"{path} is empty", fix="copy or save it again")
    if is_pointer(path):
        raise MetarepError(f"{path} is a Git LFS pointer, not a network", fix="git lfs pull fetches it")
    try:
        contents = READERS[suffix](path) if checked else HEADS.get(READERS[suffix], READERS[suffix])(path)
    except MetarepError as error:
        if not TRAINERS.fullmatch(path.name):
            other = _other_than_named(path) if suffix not in INDEX_SUFFIXES else None
            raise other or error from error
        return FileContents((), (Entry("file", "", "what a trainer puts beside a network, by its name", "it is no network"),))
    networks, entries = [], list(contents.entries)
    for held in contents.networks:
        for rule in (dequantised, with_computed):
            tensors, found = rule(held.checkpoint.tensors)
            held = held.holding(tensors)
            entries += [replace(entry, where=held.member) for entry in found]
        networks.append(held)
    for held in networks:
        if not held.checkpoint.tensors:
            raise MetarepError(f"{path} holds no tensors", expected="a network's parameters")
        for name, value in held.checkpoint.tensors.items():
            refuse_name(path, name, ())
            if value.ndim > MAX_AXES:
                raise MetarepError(f"{path}: {name} has too many axes", met=value.ndim, expected=f"at most {MAX_AXES}")
        if RESERVED in held.checkpoint.tensors:
            raise MetarepError(f"{path}: a tensor has a reserved name", met=RESERVED, fix="rename it")
    return FileContents(tuple(networks), tuple(entries))


def read_checkpoint(path: Path, suffix: str | None = None, member: str = "") -> Checkpoint:
    """One network of a file: that called `member`, or for "" the only one that is no snapshot.

    Raises MetarepError as `read_contents` does, where the file holds no network, and where it holds several or none of them
    is called `member`.
    """
    return sole(path, read_contents(path, suffix), member)


def sole(path: Path, contents: FileContents, member: str = "") -> Checkpoint:
    """The network called `member` in a file's contents, or for "" the only one that is no snapshot; else MetarepError."""
    if not contents.networks:
        raise MetarepError(
            f"{path} holds no network", met=contents.entries[0].what, fix=f"name the file of one, or {SAVE_STATE_DICT}"
        )
    finals = [held for held in contents.networks if not held.snapshot]
    fits = [held for held in contents.networks if held.member == member] if member else finals
    if len(fits) != 1:
        names = [held.member or path.name for held in contents.networks]
        problem = f"{path} holds no network {member!r}" if member else f"{path} holds several networks"
        raise MetarepError(problem, met=listed(names, 5), fix="say which one by this name")
    return fits[0].checkpoint


def _other_than_named(path: Path) -> MetarepError | None:
    """What to say of a file that another program wrote, by how it begins; None where nothing is known of it."""
    with path.open("rb") as file:
        head = file.read(512)
    known = next(((what, fix) for form, what, fix in OTHERS if form.match(head)), None)
    return MetarepError(f"{path} is {known[0]}", fix=known[1]) if known else None


def is_pointer(path: Path) -> bool:
    """Whether a file is what Git LFS leaves in place of another."""
    with path.open("rb") as file:
        return file.read(len(LFS)) == LFS


def read_params(path: Path, spec: NetworkSpec) -> np.ndarray:
    """The parameters (P,) float64 of the one network of architecture `spec` in a file; names do not matter.

    Tensors are recognised by their shapes, weight and bias of each layer, and where two layers have the same shape by their
    order. Raises MetarepError as `read_checkpoint` does, for other shapes, several networks and parameters that are not finite.
    """
    named = read_checkpoint(path).tensors.items()
    tensors = {name: value.detach().double().numpy() for name, value in named if value.is_floating_point()}
    wanted = [shape for layer in spec.shapes for shape in layer]
    arrays = list(tensors.values())
    if len(set(wanted)) == len(wanted):  # a safetensors file has lost the order
        arrays.sort(key=lambda array: wanted.index(array.shape) if array.shape in wanted else len(wanted))
    shapes = [array.shape for array in arrays]
    if shapes != wanted:
        several = all(shapes.count(shape) >= 2 for shape in wanted)
        raise MetarepError(
            f"{path} holds more than one {spec} network" if several else f"{path} is not a {spec} network",
            met=", ".join(f"{name} {array.shape}" for name, array in tensors.items()) or "no tensors",
            expected="tensors of shape " + ", ".join(map(str, wanted)),
            fix="save one network a file" if several else SAVE_STATE_DICT,
        )
    if broken := [name for name, array in tensors.items() if not np.isfinite(array).all()]:
        raise MetarepError(f"{path}: parameters are not finite", met=", ".join(broken), expected="numbers")
    return np.concatenate([array.reshape(-1) for array in arrays])


def files_behind(path: Path) -> tuple[Path, ...]:
    """The files that a network is read from: the one, or an index and its shards. Raises MetarepError as reading does."""
    if suffix_of(path) in INDEX_SUFFIXES:
        return (path, *sorted(shards_of(path)))
    return (path,)
