"""Networks of Flax in MessagePack, without JAX: nested dictionaries whose arrays are an extension type of their own.

An array is (shape, name of its dtype, bytes), packed; large ones are dictionaries of flat chunks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from metarep.errors import MetarepError
from metarep.formats.archives import package
from metarep.formats.contents import Contents, dtype_of
from metarep.formats.members import networks_of
from metarep.formats.torch_files import DAMAGE

ARRAY, COMPLEX, SCALAR = 1, 2, 3
CHUNKED = "__msgpack_chunked_array__"


def read_flax(path: Path) -> Contents:
    """The networks in a file, names joined by slashes as `Dense_0/kernel`.

    Raises MetarepError for damage, for arrays of anything but numbers, and where the package `msgpack` is missing.
    """
    msgpack = package(path, "msgpack", "flax")

    def extension(code: int, data: bytes) -> Any:
        if code not in (ARRAY, SCALAR):
            return None
        shape, dtype, content = msgpack.unpackb(data, raw=False)
        return _array(path, tuple(shape), dtype, content)

    try:
        content = msgpack.unpackb(path.read_bytes(), ext_hook=extension, raw=False, strict_map_key=False)
        return networks_of(path, _joined(content), separator="/", ordered=False)
    except (RecursionError, msgpack.UnpackException, *DAMAGE) as error:
        raise MetarepError(
            f"{path} is damaged or no MessagePack of Flax", met=repr(error)[:120], fix="save it again"
        ) from error


def _array(path: Path, shape: tuple[int, ...], name: Any, content: bytes) -> torch.Tensor:
    dtype = dtype_of(name.decode() if isinstance(name, bytes) else str(name))
    if min(shape, default=0) < 0 or len(content) != math.prod(shape) * dtype.itemsize:
        raise MetarepError(f"{path}: an array is not as long as its shape says", met=f"{len(content):,} bytes for {shape}")
    if not content:
        return torch.empty(shape, dtype=dtype)
    return torch.from_numpy(np.frombuffer(content, dtype=np.uint8).copy()).view(dtype).reshape(shape)


def _joined(node: Any) -> Any:
    """The content with chunks put together."""
    if isinstance(node, Mapping) and node.get(CHUNKED):
        shape, chunks = (list(node[key].values()) for key in ("shape", "chunks"))
        return torch.cat([chunk.reshape(-1) for chunk in chunks]).reshape(tuple(shape))
    if isinstance(node, Mapping):
        return {key: _joined(value) for key, value in node.items()}
    return [_joined(value) for value in node] if isinstance(node, list) else node
