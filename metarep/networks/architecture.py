"""The architecture of any network: its tensors in order, and what each of them is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from metarep.errors import MetarepError
from metarep.networks.axes import Axes, axes_by_name
from metarep.networks.depth import depth_key
from metarep.networks.graph import Graph, with_graph
from metarep.networks.naming import OTHER, Parts, read_tensor, split_name

KINDS = (
    "linear",
    "conv1d",
    "conv2d",
    "embedding",
    "layer_norm",
    "batch_norm",
    "rms_norm",
    "attention",
    "lstm",
    "gru",
    "bias",
    OTHER,
)
BUFFER_ROLES = ("running_mean", "running_var", "counter", "buffer")
"""Roles of tensors that no gradient moves: what training keeps count with, masks, position tables by formula, constants."""

Named = tuple[str, tuple[int, ...], str]
"""A tensor's name, shape and dtype ("float32")."""


@dataclass(frozen=True)
class Tensor:
    """One tensor: its original name, its shape and dtype, and what it is.

    `kind` is that of its operation, one of KINDS; `role` is what it does there: weight and bias of a linear,
    convolutional or embedding layer; scale, shift, running_mean, running_var and counter of a norm; query, key, value,
    qkv, key_value and output of attention; input and hidden of an LSTM or GRU, and each of the last two with `_bias`
    behind it. `layer` is the operation's number in order of depth. `axes` are the output and the input axis of a weight;
    None stands for PyTorch's (0, 1), and for what is not known.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    kind: str = OTHER
    role: str = OTHER
    layer: int = 0
    axes: Axes | None = None

    @property
    def size(self) -> int:
        """The number of values."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Architecture:
    """The tensors of a network in order.

    `chain` is whether its layers stand one behind the other and nothing goes around them; None where no graph says it.
    `components` are the prefixes of names ("model", "ema_model.module") under which several networks stand side by side;
    () for one network.
    """

    tensors: tuple[Tensor, ...]
    chain: bool | None = None
    components: tuple[str, ...] = ()

    @property
    def n_params(self) -> int:
        """Values in floating-point tensors that are no running statistics."""
        return sum(
            tensor.size
            for tensor in self.tensors
            if tensor.role not in BUFFER_ROLES and tensor.dtype.startswith(("float", "bfloat", "complex"))
        )

    @property
    def n_layers(self) -> int:
        """The number of operations."""
        return len({tensor.layer for tensor in self.tensors})

    def to_json(self) -> dict[str, Any]:
        """Plain data, from which `from_json` makes the same architecture; what is not known is left out."""
        tensors = [_known(asdict(tensor)) | {"shape": list(tensor.shape)} for tensor in self.tensors]
        return _known({"tensors": tensors, "chain": self.chain, "components": list(self.components) or None})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Architecture:
        """The architecture that `to_json` told. Raises MetarepError for anything else."""
        try:
            lists = ("shape", "axes")
            entries = [entry | {name: tuple(entry[name]) for name in lists if name in entry} for entry in data["tensors"]]
            return cls(tuple(Tensor(**entry) for entry in entries), data.get("chain"), tuple(data.get("components", ())))
        except (KeyError, TypeError) as error:
            raise MetarepError("no architecture", met=repr(error), expected="tensors with name, shape, dtype, kind") from error

    def changed(self, changes: Mapping[str, Mapping[str, Any]]) -> Architecture:
        """With the kind, role, layer or axes of some tensors given by name."""
        return replace(self, tensors=tuple(replace(tensor, **changes.get(tensor.name, {})) for tensor in self.tensors))


def readable(tensor: Tensor) -> bool:
    """Whether a tensor holds weights: real floating-point numbers, not packed, not empty, no counter, no buffer."""
    real = tensor.dtype.startswith(("float", "bfloat")) and not tensor.dtype.startswith("float4")
    return real and tensor.role not in ("counter", "buffer") and tensor.size > 0


def readable_tensors(architecture: Architecture, tensors: Mapping[str, torch.Tensor], *, where: str) -> dict[str, torch.Tensor]:
    """The tensors that hold weights as float32. Raises MetarepError for one that holds NaN or infinity."""
    found = {}
    for tensor in architecture.tensors:
        if readable(tensor):
            values = tensors[tensor.name].to(torch.float32)
            if not bool(torch.isfinite(values).all()):
                fix = "repair it, or leave it out: a zoo that is imported anew does"
                raise MetarepError(f"{where}: {tensor.name} holds NaN or infinity", expected="finite values", fix=fix)
            found[tensor.name] = values
    if not found:
        met = ", ".join(sorted({tensor.dtype for tensor in architecture.tensors})) or "no tensors"
        expected = "at least one tensor of real floating-point numbers; complex and whole ones are not read"
        raise MetarepError(f"{where} has no weights to read", met=met, expected=expected)
    return found


def read_architecture(named: Sequence[Named], *, ordered: bool = True, graph: Graph | None = None) -> Architecture:
    """What names and shapes say, and the network's graph where there is one.

    `named` are (name, shape, dtype); with `ordered` they stand as in the network, else they are put in the order
    that their names suggest. Tensors of which nothing is known are of kind and role "other".
    """
    parts = {name: split_name(name) for name, _, _ in named}
    if not ordered:
        named = sorted(named, key=lambda entry: (depth_key(parts[entry[0]]), entry[0]))
    siblings = _siblings((parts[name], shape) for name, shape, _ in named)
    beside = {name: siblings[parts[name].module] for name in parts}
    readings = {name: read_tensor(parts[name], shape, beside[name]) for name, shape, _ in named}
    axes = {name: axes_by_name(parts[name], shape, readings[name], beside[name]) for name, shape, _ in named}
    if graph is not None:
        readings = with_graph(readings, graph)
        axes |= {name: use.axes for name, use in graph.uses.items() if use.axes is not None}
    numbers: dict[str, int] = {}
    for reading in readings.values():
        numbers.setdefault(reading.operation, len(numbers))
    tensors = tuple(
        Tensor(name, tuple(shape), dtype, read.kind, read.role, numbers[read.operation], axes[name])
        for (name, shape, dtype), read in zip(named, readings.values(), strict=True)
    )
    return Architecture(tensors, graph.chain if graph is not None else None)


def _known(entries: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entries.items() if value is not None}


def _siblings(entries: Iterable[tuple[Parts, tuple[int, ...]]]) -> dict[tuple[str, ...], dict[str, tuple[int, ...]]]:
    groups: dict[tuple[str, ...], dict[str, tuple[int, ...]]] = {}
    for parts, shape in entries:
        groups.setdefault(parts.module, {})[parts.leaf] = tuple(shape)
    return groups
