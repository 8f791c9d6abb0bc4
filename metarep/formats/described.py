"""An architecture that a person writes down: a small YAML that says of tensors and layers what their names do not.

    tensors:                       # by name or pattern
      enc.*.w: {kind: linear, role: weight, axes: [1, 0]}
      n1.*: {kind: batch_norm}     # with a structure: this norm treats channels one by one, not in groups
    structure:                     # a list is a sequence; leaves are modules, as they stand in the names of tensors
      - embed
      - residual: [block.fc1, block.fc2]            # x + fc2(fc1(x)); `across: [...]` in place of x
      - parallel: [[policy.0, policy.2], [value.0, value.2]]     # towers that read the same; `concatenate` is the same
    activation: relu               # behind all hidden layers
    fixed: {embed.weight: [1]}     # axes whose units keep their order
    n_heads: 4
    output_activation: softmax
    steps:                         # of convolutions; `pool: 0` pools all pixels
      conv1: {stride: 2, padding: 1, pool: 2, pooling: max}
    input_shape: [3, 32, 32]

`elementwise: [[a], [b]]` adds or multiplies what two paths put out. A structure is taken for all networks that have its
modules, and must name every layer with a weight.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import Field

from metarep.errors import MetarepError
from metarep.networks.architecture import KINDS, Architecture, Tensor
from metarep.networks.inference import has_modules, symmetries_of
from metarep.networks.structure import Declared
from metarep.settings import Settings, load_config


class TensorDescription(Settings):
    """What is said of one tensor, or of all whose names fit a pattern; what is left out is read from the name."""

    kind: str | None = Field(None, description="one of the known kinds")
    role: str | None = Field(None, min_length=1, description="such as weight, bias, query, scale")
    layer: int | None = Field(None, ge=0, description="the operation's number in order of depth")
    axes: tuple[int, int] | None = Field(None, description="output and input axis of a weight, such as [1, 0]")
    shape: tuple[int, ...] | None = Field(None, description="asked for where parameters are a flat array")


class ArchitectureFile(Declared):
    """`tensors`: descriptions by name or by pattern (`enc.*.w`); a name goes before patterns, the first that fits is taken."""

    tensors: dict[str, TensorDescription] = Field(default_factory=dict, min_length=1)
    fixed: dict[str, tuple[int, ...]] = Field(default_factory=dict, description="axes whose units keep their order, by tensor")


def read_description(path: Path | str) -> ArchitectureFile:
    """The YAML at `path`. Raises MetarepError for other keys and unknown kinds."""
    described = load_config(ArchitectureFile, path)
    if not described.model_fields_set:
        raise MetarepError(f"{path} describes nothing", expected="one of " + ", ".join(ArchitectureFile.model_fields))
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
        self.described = described
        self.tensors: Mapping[str, TensorDescription] = described.tensors if described else {}
        self.structure = described.structure if described else None
        self.used: set[str] = set()

    def apply(self, architecture: Architecture) -> Architecture:
        """The architecture with what is described. Raises MetarepError where a shape is another one, for axes that a tensor
        does not have, and for a structure that does not fit it."""
        found = architecture.changed({tensor.name: self._changes(tensor) for tensor in architecture.tensors})
        if self.described is None or not self.described.model_fields_set - {"tensors"}:
            return found
        structure = self.structure if self.structure is not None and has_modules(found, self.structure) else None
        said = {name: getattr(self.described, name) for name in Declared.model_fields}
        said |= {"structure": structure, "fixed": tuple(self._fixed(found))}
        found = replace(found, declared=Declared(**said))
        if structure is not None:
            self.used.add("structure")
            symmetries_of(found)
        return found

    def _fixed(self, architecture: Architecture) -> Iterator[tuple[str, int]]:
        for pattern, axes in self.described.fixed.items():
            for tensor in architecture.tensors:
                if tensor.name != pattern and not fnmatchcase(tensor.name, pattern):
                    continue
                self.used.add(f"fixed {pattern}")
                if not set(axes) <= set(range(len(tensor.shape))):
                    expected = f"some of {len(tensor.shape)} axes, counted from 0"
                    raise MetarepError(f"fixed: tensor {tensor.name} has no such axes", met=list(axes), expected=expected)
                yield from ((tensor.name, axis) for axis in axes)

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
        fixed = self.described.fixed if self.described else ()
        unused = [key for key in self.tensors if key not in self.used]
        unused += [f"fixed {key}" for key in fixed if f"fixed {key}" not in self.used]
        if self.structure is not None and "structure" not in self.used:
            met = ", ".join(self.structure.modules()[:4])
            raise MetarepError(
                "no network has all layers that the structure names", met=met, fix="names are those of tensors without .weight"
            )
        if unused:
            raise MetarepError("the architecture describes tensors that no network has", met=", ".join(unused[:3]))
