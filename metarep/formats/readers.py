"""One network out of one file, whatever the format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from metarep.errors import MetarepError
from metarep.formats.npz_files import read_npz
from metarep.formats.onnx_files import read_onnx
from metarep.formats.safetensors_files import read_safetensors
from metarep.formats.shards import INDEX_SUFFIXES, read_index, shards_of
from metarep.formats.torch_files import SAVE_STATE_DICT, read_torch, starts_as_torch
from metarep.networks.architecture import Architecture, Named, read_architecture
from metarep.networks.graph import Graph
from metarep.networks.spec import NetworkSpec

RESERVED = "__metadata__"
"""A name that safetensors keeps for itself."""


@dataclass(frozen=True)
class Checkpoint:
    """A network's tensors by name; `ordered` where they stand as in the network. Values may lie in the file until used.

    `graph` is what the file itself says is done with them.
    """

    tensors: dict[str, torch.Tensor]
    ordered: bool = True
    graph: Graph | None = None

    @property
    def named(self) -> tuple[Named, ...]:
        """(name, shape, dtype) of each tensor."""
        return tuple((name, tuple(value.shape), dtype_name(value.dtype)) for name, value in self.tensors.items())

    @property
    def architecture(self) -> Architecture:
        """What its tensors are, as names, shapes and the file's graph say."""
        return read_architecture(self.named, ordered=self.ordered, graph=self.graph)


READERS: dict[str, Callable[[Path], Checkpoint]] = {
    **dict.fromkeys((".pt", ".pth", ".pt.tar", ".pth.tar", ".bin", ".ckpt"), lambda path: Checkpoint(read_torch(path))),
    ".bin.index.json": lambda path: Checkpoint(read_index(path, read_torch), ordered=False),
    ".safetensors.index.json": lambda path: Checkpoint(
        read_index(path, lambda shard: read_safetensors(shard)[0]), ordered=False
    ),
    ".safetensors": lambda path: Checkpoint(*read_safetensors(path)),
    ".npz": lambda path: Checkpoint(read_npz(path)),
    ".onnx": lambda path: Checkpoint(*read_onnx(path)),
}
"""How a file is read, by the end of its name."""

SHARED_SUFFIXES = (".bin", ".ckpt")
"""Ends that the files of other programs have too: here the first bytes decide whether PyTorch wrote a file."""

SETTINGS = "training_args.bin"
"""Pickled settings that Hugging Face's trainer puts beside a network; a file of this name is none."""


def suffix_of(path: Path) -> str | None:
    """The known end of a file's name, or None."""
    name = path.name.lower()
    suffix = next((suffix for suffix in READERS if name.endswith(suffix)), None)
    foreign = suffix in SHARED_SUFFIXES and path.is_file() and not starts_as_torch(path)
    return None if foreign or name == SETTINGS else suffix


def read_checkpoint(path: Path, suffix: str | None = None) -> Checkpoint:
    """The network in a file, read by its suffix or as if it had the one given.

    Raises MetarepError for unknown suffixes, and for files that are empty, damaged or hold anything but tensors.
    """
    suffix = suffix or suffix_of(path)
    if not path.is_file():
        raise MetarepError(f"no file {path}", fix="check the path")
    if suffix is None:
        raise MetarepError(f"{path} is of no known format", expected=", ".join(READERS), fix="rename or convert it")
    if not path.stat().st_size:
        raise MetarepError(f"{path} is empty", fix="copy or save it again")
    checkpoint = READERS[suffix](path)
    if not checkpoint.tensors:
        raise MetarepError(f"{path} holds no tensors", expected="a network's parameters")
    if RESERVED in checkpoint.tensors:
        raise MetarepError(f"{path}: a tensor has a reserved name", met=RESERVED, fix="rename it")
    return checkpoint


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


def dtype_name(dtype: torch.dtype) -> str:
    """ "float32" for torch.float32."""
    return str(dtype).removeprefix("torch.")


def dtype_of(name: str) -> torch.dtype:
    """The inverse of `dtype_name`. Raises MetarepError for other texts."""
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise MetarepError("no dtype of PyTorch", met=name, expected="such as float32")
    return dtype
