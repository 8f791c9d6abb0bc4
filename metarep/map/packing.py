"""Columns as they lie in the page: typed arrays behind a head in JSON, compressed, in base64."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

TYPES = {np.dtype("<u1"): "Uint8Array", np.dtype("<u2"): "Uint16Array", np.dtype("<u4"): "Uint32Array"}
TYPES |= {np.dtype("<i1"): "Int8Array", np.dtype("<f4"): "Float32Array"}
ALIGNED = 4
"""Arrays start at multiples of so many bytes, which JavaScript asks for."""


class Pack:
    """Arrays one behind the other; `add` says where one lies."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, values: np.ndarray) -> dict[str, Any]:
        """Keeps an array (any shape, flattened) of one of the types above and returns where it lies."""
        data = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"), copy=False)
        entry = {"type": TYPES[data.dtype], "at": self._size, "n": data.size}
        padded = data.tobytes() + b"\0" * (-data.nbytes % ALIGNED)
        self._parts.append(padded)
        self._size += len(padded)
        return entry

    def texts(self, values: Sequence[str]) -> dict[str, Any]:
        """Texts (N,), each told apart once: their values, and codes (N,)."""
        known: dict[str, int] = {}
        codes = np.array([known.setdefault(str(value), len(known)) for value in values], dtype=np.uint32)
        return {"values": list(known), "codes": self.add(smallest(codes, len(known)))}

    def text(self, head: dict[str, Any]) -> str:
        """All of it: gzip of (length of the head, head, arrays), in base64; the same input gives the same text."""
        said = json.dumps(head, ensure_ascii=False, allow_nan=False).encode()
        said += b" " * (-len(said) % ALIGNED)
        whole = len(said).to_bytes(ALIGNED, "little") + said + b"".join(self._parts)
        return base64.b64encode(gzip.compress(whole, compresslevel=6, mtime=0)).decode()


def smallest(codes: np.ndarray, n: int) -> np.ndarray:
    """Codes below n in the smallest type that holds them."""
    return codes.astype(np.uint8 if n <= 256 else np.uint16 if n <= 65_536 else np.uint32)
