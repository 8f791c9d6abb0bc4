"""An architecture that a person writes down: a small YAML that says of tensors what their names do not."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import Field

from metarep.errors import MetarepError
from metarep.networks.architecture import KINDS, Architecture, Tensor
from metarep.settings import Settings, load_config


class TensorDescription(Settings):
    """What is said of one tensor, or of all whose names fit a pattern; what is left out is read from the name."""

    kind: str | None = Field(None, description="one of the known kinds")
    role: str | None = Field(None, min_length=1, description="such as weight, bias, query, scale")
    layer: int | None = Field(None, ge=0, description="the operation's number in order of depth")
    axes: tuple[int, int] | None = Field(None, description="output and input axis of a weight, such as [1, 0]")
    shape: tuple[int, ...] | None = Field(None, description="asked for where parameters are a flat array")


class ArchitectureFile(Settings):
    """`tensors`: descriptions by name or by pattern (`enc.*.w`); a name goes before patterns, the first that fits is taken."""

    tensors: dict[str, TensorDescription] = Field(min_length=1)


def read_description(path: Path | str) -> ArchitectureFile:
    """The YAML at `path`. Raises MetarepError for other keys and unknown kinds."""
    described = load_config(ArchitectureFile, path)
    for name, tensor in described.tensors.items():
        if tensor.kind is not None and tensor.kind not in KINDS:
            raise MetarepError(f"{path}: tensors.{name}.kind", met=tensor.kind, expected="one of " + ", ".join(KINDS))
        if tensor.shape is not None and min(tensor.shape, default=0) < 0:
            raise MetarepError(f"{path}: tensors.{name}.shape", met=tensor.shape, expected="lengths of axes")
    return described


def flat_slices(described: ArchitectureFile) -> list[tuple[str, tuple[int, ...]]]:
    """Names and shapes in order, for a flat array. Raises MetarepError where a shape is missing."""
    missing = [name for name, tensor in described.tensors.items() if tensor.shape is None]
    if missing:
        raise MetarepError(
            "a flat array asks for every tensor's shape", met=f"none for {', '.join(missing[:3])}", fix="list them in order"
        )
    return [(name, tensor.shape) for name, tensor in described.tensors.items()]


class Descriptions:
    """Applies a description to architectures and knows which of its entries have fitted a tensor."""

    def __init__(self, described: ArchitectureFile | None):
        self.tensors: Mapping[str, TensorDescription] = described.tensors if described else {}
        self.used: set[str] = set()

    def apply(self, architecture: Architecture) -> Architecture:
        """The architecture with what is described. Raises MetarepError where a shape is another one."""
        return architecture.changed({tensor.name: self._changes(tensor) for tensor in architecture.tensors})

    def _changes(self, tensor: Tensor) -> dict[str, Any]:
        key = tensor.name if tensor.name in self.tensors else None
        key = key or next((pattern for pattern in self.tensors if fnmatchcase(tensor.name, pattern)), None)
        if key is None:
            return {}
        self.used.add(key)
        found = self.tensors[key]
        if found.shape is not None and found.shape != tensor.shape:
            raise MetarepError(f"tensor {tensor.name} has another shape", met=tensor.shape, expected=found.shape)
        if found.axes is not None and not (len(set(found.axes)) == 2 and set(found.axes) <= set(range(len(tensor.shape)))):
            expected = f"two of {len(tensor.shape)} axes, counted from 0"
            raise MetarepError(f"tensor {tensor.name} has no such axes", met=list(found.axes), expected=expected)
        return {name: value for name in ("kind", "role", "layer", "axes") if (value := getattr(found, name)) is not None}

    def require_all_used(self) -> None:
        """Raises MetarepError for entries that fitted no tensor of any network."""
        unused = [key for key in self.tensors if key not in self.used]
        if unused:
            raise MetarepError("the architecture describes tensors that no network has", met=", ".join(unused[:3]))
