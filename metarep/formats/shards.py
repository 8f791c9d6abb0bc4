"""Networks in several files: an index in JSON says which tensor lies in which shard, as Hugging Face's libraries write them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from metarep.errors import MetarepError
from metarep.formats.refusals import json_of
from metarep.formats.safetensors_files import plain_name

INDEX = ".index.json"
INDEX_SUFFIXES = (".safetensors" + INDEX, ".bin" + INDEX)
MAX_INDEX_BYTES = 100 << 20
_PARALLEL = re.compile(r"(consolidated\.|mp_rank_|.*_rank_?)(\d\d+)(.*\.(?:pth|pt|bin))", re.IGNORECASE)
_SHARD = re.compile(r"(.+)-\d+-of-(\d+)(\.safetensors|\.bin)", re.IGNORECASE)


def read_index(path: Path, read_shard: Callable[[Path], Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The tensors of all shards that an index names.

    Raises MetarepError for shards outside the index's folder, missing ones, and tensors that are not where it says.
    """
    tensors: dict[str, torch.Tensor] = {}
    for shard, names in shards_of(path).items():
        held = read_shard(shard)
        missing = [name for name in names if name not in held]
        if missing:
            raise MetarepError(f"{path}: {shard.name} lacks a tensor", met=", ".join(missing[:3]), fix="copy the shard again")
        tensors |= {name: held[name] for name in names}
    return tensors


def shards_of(path: Path) -> dict[Path, list[str]]:
    """The shards of an index with the names in each. Raises MetarepError for what is no index, and for shards elsewhere."""
    try:
        if path.stat().st_size > MAX_INDEX_BYTES:
            raise ValueError(f"{path.stat().st_size:,} bytes")
        weight_map = json_of(path.read_text())["weight_map"]
        items = [(str(name), file) for name, file in weight_map.items()]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise MetarepError(f"{path} is no index of shards", met=repr(error)[:80], expected="a weight_map in JSON") from error
    shards: dict[Path, list[str]] = {}
    for name, file in items:
        shards.setdefault(path.parent / plain_name(path, file), []).append(name)
    if not shards:
        raise MetarepError(f"{path} names no tensors", expected="a weight_map with some")
    missing = [shard.name for shard in shards if not shard.is_file()]
    if missing:
        raise MetarepError(f"{path}: shards are missing", met=", ".join(missing[:3]), fix=f"put them into {path.parent}")
    return shards


def claimed_by(index: Path) -> set[Path]:
    """The shards that an index names. Of a damaged one, which is met again when it is read, those that are named after it."""
    try:
        return set(shards_of(index))
    except MetarepError:
        return {file for file in index.parent.iterdir() if index_name(file) == index.name}


def index_name(file: Path) -> str | None:
    """ "model.safetensors.index.json" for "model-00001-of-00003.safetensors"; None for a name that is not one of several."""
    match = _SHARD.fullmatch(file.name)
    return match[1] + match[3] + INDEX if match and int(match[2][:18]) != 1 else None


def refuse_shard(file: Path) -> None:
    """Raises MetarepError for a file whose name says that it is one of several: alone it is a part of a network."""
    match = _PARALLEL.fullmatch(file.name)
    others = [one.name for one in sorted(file.parent.glob(f"{match[1]}*{match[3]}")) if one != file] if match else []
    if any(_PARALLEL.fullmatch(other) for other in others):
        what = f"{file} is the part of a network that one of several devices held"
        raise MetarepError(
            what, met=f"{others[0]} beside it", fix="merge the parts with the tool of the library that wrote them"
        )
    index = index_name(file)
    if index is not None:
        raise MetarepError(
            f"{file} is one shard of several, and no index among the paths names it",
            expected=index,
            fix="name the index, or the folder that holds it; rename the file if it is a whole network",
        )
