"""Networks of Flax in MessagePack, without JAX: nested dictionaries whose arrays are an extension type of their own.

An array is (shape, name of its dtype, bytes), packed; large ones are dictionaries of flat chunks.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from metarep.formats.contents import FileContents, dtype_of
from metarep.formats.members import networks_of
from metarep.formats.refusals import package, reading, tensor_of

ARRAY, COMPLEX, SCALAR = 1, 2, 3
CHUNKED = "__msgpack_chunked_array__"


def read_flax(path: Path) -> FileContents:
    """The networks in a file, names joined by slashes as `Dense_0/kernel`.

    Raises MetarepError for damage, for arrays of anything but numbers, and where the package `msgpack` is missing.
    """
    msgpack = package(path, "msgpack", "flax")

    def extension(code: int, data: bytes) -> Any:
        if code not in (ARRAY, SCALAR):
            return None
        shape, name, content = msgpack.unpackb(data, raw=False)
        dtype = dtype_of(name.decode() if isinstance(name, bytes) else str(name))
        return tensor_of(path, "an array", content, dtype, tuple(shape))

    with reading(path, "MessagePack of Flax", msgpack.UnpackException):
        content = msgpack.unpackb(path.read_bytes(), ext_hook=extension, raw=False, strict_map_key=False)
        return networks_of(path, _joined(content), separator="/", ordered=False)


def _joined(node: Any) -> Any:
    """The content with chunks put together."""
    if isinstance(node, Mapping) and node.get(CHUNKED):
        shape, chunks = (list(node[key].values()) for key in ("shape", "chunks"))
        return torch.cat([chunk.reshape(-1) for chunk in chunks]).reshape(tuple(shape))
    if isinstance(node, Mapping):
        return {key: _joined(value) for key, value in node.items()}
    return [_joined(value) for value in node] if isinstance(node, list) else node
