"""Safetensors files, read and written from where the values lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from metarep.errors import MetarepError
from metarep.formats.refusals import DAMAGE, json_of, reading

ORDER = "metarep.order"
"""Under this key of the metadata the names stand in their order, which the format itself loses."""

MAX_FILE_NAME = 255
"""Bytes in the name of a file, the most that file systems have."""

DTYPES = frozenset(
    getattr(torch, name)
    for name in (
        *("float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"),
        *("complex64", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool"),
        *("float8_e8m0fnu", "float4_e2m1fn_x2"),
    )
    if hasattr(torch, name)
)
"""The dtypes that the format knows; later versions of PyTorch alone have the last two."""


def read_safetensors(path: Path) -> tuple[dict[str, torch.Tensor], bool]:
    """The tensors by name, and whether they are in the network's order. They lie in the file until used.

    Raises MetarepError for a file that is damaged or whose head does not fit its length.
    """
    with reading(path, "safetensors file", SafetensorError), safe_open(path, framework="pt") as file:
        with path.open("rb") as head:
            json_of(head.read(int.from_bytes(head.read(8), "little")))
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        order = (file.metadata() or {}).get(ORDER, "[]")
    try:
        names = json_of(order)
        fits = sorted(names) == sorted(tensors)
    except DAMAGE:  # whatever a file's metadata hold
        fits = False
    return ({name: tensors[name] for name in names} if fits else tensors), fits


def plain_name(path: Path, file: Any) -> str:
    """A file name that another file gives, if it lies in the same folder; else MetarepError."""
    plain = isinstance(file, str) and file.isprintable() and len(file.encode()) <= MAX_FILE_NAME
    if not plain or file in ("", ".", "..") or set(file) & set('/\\:*?"<>|'):
        raise MetarepError(
            f"{path} names a file elsewhere", met=repr(file)[:80], expected="plain file names", fix="put all into one folder"
        )
    return file


def write_safetensors(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Writes tensors from where they lie. A dtype that the format does not know becomes bytes, with one axis more."""
    found: dict[str, torch.Tensor] = {}
    storages: set[int] = set()
    for name, value in tensors.items():
        value = value.detach().contiguous()
        if value.dtype not in DTYPES:
            value = value.reshape(-1).view(torch.uint8).reshape(*value.shape, value.itemsize)
        storage = value.untyped_storage().data_ptr()
        found[name] = value.clone() if storage in storages else value  # each with its own values, tied ones too
        storages.add(storage)
    save_file(found, path, dict(metadata) if metadata else None)
