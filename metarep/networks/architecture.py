"""The architecture of any network: its tensors in order, and what each of them is."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from metarep.errors import MetarepError
from metarep.networks.axes import Axes, axes_by_name
from metarep.networks.components import component_of, components_of
from metarep.networks.graph import Graph, with_graph
from metarep.networks.naming import OTHER, Parts, Reading, Shape, read_tensor, split_names
from metarep.networks.order import Step, depth_key, fitted, module_key
from metarep.networks.structure import Declared
from metarep.networks.symmetry_groups import SymmetryGroup

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

CHAINED = ("linear", "conv1d", "conv2d", "embedding", "batch_norm", "layer_norm", "rms_norm")
"""Kinds of layers whose order widths can tell."""

Named = tuple[str, tuple[int, ...], str]
"""A tensor's name, shape and dtype ("float32")."""


@dataclass(frozen=True)
class Tensor:
    """One tensor: its original name, its shape and dtype, and what it is.

    `kind` is that of its operation, one of KINDS; `role` is what it does there: weight and bias of a linear,
    convolutional or embedding layer; scale, shift, running_mean, running_var and counter of a norm; query, key, value,
    qkv, key_value and output of attention; input and hidden of an LSTM or GRU, and each of the last two with `_bias`
    behind it. `layer` is the operation's number in order of depth. `axes` are the output and the input axis of a weight;
    None stands for PyTorch's (0, 1), and for what is not known. What is `frozen` is equal in all networks of a zoo: none of
    them learned it, and units that it touches have an identity. `tied_to` is the tensor whose values it shares.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    kind: str = OTHER
    role: str = OTHER
    layer: int = 0
    axes: Axes | None = None
    frozen: bool = False
    tied_to: str | None = None

    @property
    def size(self) -> int:
        """The number of values."""
        return math.prod(self.shape)

    @property
    def layout(self) -> Axes:
        """The output and the input axis of a weight, PyTorch's where nothing else is known."""
        return self.axes or ((1, 0) if self.kind == "embedding" else (0, 1))


FAMILIES = ("attention", "lstm", "gru", "conv2d", "conv1d", "embedding", "linear")
"""Kinds of operations that a network is called by, the first that it has."""


@dataclass(frozen=True)
class Architecture:
    """The tensors of a network in order.

    `groups` are the groups of units that its graph shows; None where there is no graph.
    `components` are the prefixes of names ("model", "ema_model.module") under which several networks stand side by side;
    () for one network. `unordered` are tensors of layers of which neither widths nor names tell which stands first.
    `declared` is what a person said of it. `evidence` are symmetries by name whose outputs were compared, each
    with "checked" or "refuted".
    """

    tensors: tuple[Tensor, ...]
    groups: tuple[SymmetryGroup, ...] | None = None
    components: tuple[str, ...] = ()
    unordered: tuple[str, ...] = ()
    declared: Declared | None = None
    evidence: tuple[tuple[str, str], ...] = ()

    @property
    def n_params(self) -> int:
        """Values in floating-point tensors that are neither running statistics nor frozen; shared ones once."""
        return sum(
            tensor.size
            for tensor in self.tensors
            if tensor.role not in BUFFER_ROLES
            and not (tensor.frozen or tensor.tied_to)
            and tensor.dtype.startswith(("float", "bfloat", "complex"))
        )

    @property
    def bare(self) -> Architecture:
        """Without what all names begin with."""
        bare = bare_names([tensor.name for tensor in self.tensors]) | {None: None}
        return self.changed({t.name: {"name": bare[t.name], "tied_to": bare[t.tied_to]} for t in self.tensors})

    @property
    def title(self) -> str:
        """In short: the family and the size, such as "conv2d 1,650"."""
        kinds = {tensor.kind for tensor in self.tensors}
        return f"{next((kind for kind in FAMILIES if kind in kinds), OTHER)} {self.n_params:,}"

    @property
    def n_layers(self) -> int:
        """The number of operations that are not buffers alone."""
        return len({tensor.layer for tensor in self.tensors if tensor.role != "buffer"})

    def to_json(self) -> dict[str, Any]:
        """Plain data, from which `from_json` makes the same architecture; what is not known is left out."""
        more = [{"shape": list(tensor.shape), "frozen": tensor.frozen or None} for tensor in self.tensors]
        tensors = [_known(asdict(tensor) | its) for tensor, its in zip(self.tensors, more, strict=True)]
        lists = {name: list(value) or None for name, value in (("components", self.components), ("unordered", self.unordered))}
        declared = self.declared.model_dump(mode="json", exclude_defaults=True) if self.declared is not None else None
        groups = [units.to_json() for units in self.groups] if self.groups is not None else None
        own = {"tensors": tensors, "groups": groups, "declared": declared, "evidence": dict(self.evidence) or None}
        return _known(own | lists)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Architecture:
        """The architecture that `to_json` told. Raises MetarepError for anything else."""
        try:
            lists = ("shape", "axes")
            entries = [entry | {name: tuple(entry[name]) for name in lists if name in entry} for entry in data["tensors"]]
            listed = {name: tuple(data.get(name, ())) for name in ("components", "unordered")}
            declared = Declared(**data["declared"]) if "declared" in data else None
            listed["evidence"] = tuple(data.get("evidence", {}).items())
            groups = tuple(SymmetryGroup.from_json(one) for one in data["groups"]) if "groups" in data else None
            return cls(tuple(Tensor(**entry) for entry in entries), groups, declared=declared, **listed)
        except (KeyError, TypeError, ValueError) as error:
            raise MetarepError("no architecture", met=repr(error), expected="tensors with name, shape, dtype, kind") from error

    def changed(self, changes: Mapping[str, Mapping[str, Any]]) -> Architecture:
        """With some fields of tensors given by name."""
        return replace(self, tensors=tuple(replace(tensor, **changes.get(tensor.name, {})) for tensor in self.tensors))

    def counted(self) -> Architecture:
        """With layers counted anew: operations that are buffers alone stand behind all others and do not change their depth."""
        held = {tensor.layer for tensor in self.tensors if tensor.role != "buffer"}
        order = sorted({tensor.layer for tensor in self.tensors}, key=lambda layer: (layer not in held, layer))
        numbers = {layer: number for number, layer in enumerate(order)}
        return replace(self, tensors=tuple(replace(tensor, layer=numbers[tensor.layer]) for tensor in self.tensors))


def bare_names(names: Iterable[str]) -> dict[str | None, str | None]:
    """Names by themselves, without the components that all of them begin with, such as "model." or "module.net."."""
    names = list(names)
    n = max(map(os.path.commonprefix(names).rfind, "./")) + 1  # noqa: RUF071 (whole components)
    return {name: name[n:] for name in names}


def readable(tensor: Tensor) -> bool:
    """Whether a tensor holds weights that a network may have learned, and that no tensor before it holds."""
    return is_weight(tensor) and not tensor.frozen and tensor.tied_to is None


def is_whole(architecture: Architecture) -> bool:
    """Whether zoos give all weights of a network: none is frozen, none shares the values of another."""
    return all(readable(tensor) for tensor in architecture.tensors if is_weight(tensor))


def is_weight(tensor: Tensor) -> bool:
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
                problem = f"{where}: {tensor.name} holds NaN or infinity"
                raise MetarepError(problem, expected="finite values", fix="repair it, or leave it out")
            found[tensor.name] = values
    if not found:
        met = ", ".join(sorted({tensor.dtype for tensor in architecture.tensors})) or "no tensors"
        expected = "at least one tensor of real floating-point numbers; complex and whole ones are not read"
        raise MetarepError(f"{where} has no weights to read", met=met, expected=expected)
    return found


def read_architecture(named: Sequence[Named], *, ordered: bool = True, graph: Graph | None = None) -> Architecture:
    """What names and shapes say, and the network's graph where there is one.

    `named` are (name, shape, dtype); with `ordered` they stand as in the network, else they are put in the order that widths
    and names suggest. Layers are counted in the one order in which their widths fit, where there is one.
    Tensors of which nothing is known are of kind and role "other".
    """
    parts = split_names({name: shape for name, shape, _ in named})
    if not ordered:
        named = sorted(named, key=lambda entry: (depth_key(parts[entry[0]]), entry[0]))
    shapes = {name: tuple(shape) for name, shape, _ in named}
    modules: dict[tuple[str, ...], dict[str, Shape]] = defaultdict(dict)
    for name, shape in shapes.items():
        modules[parts[name].module][parts[name].leaf] = shape
    siblings = {name: modules[parts[name].module] for name in shapes}
    readings = {name: read_tensor(parts[name], shape, siblings[name]) for name, shape in shapes.items()}
    axes = axes_by_name(parts, shapes, readings, siblings)
    if graph is not None:
        readings = with_graph(readings, graph)
        axes |= {name: use.axes for name, use in graph.uses.items() if use.axes is not None}
    components = components_of({(*parts[name].module, parts[name].leaf): shape for name, shape in shapes.items()})
    tensors = [
        Tensor(name, shapes[name], dtype, readings[name].kind, readings[name].role, axes=axes[name]) for name, _, dtype in named
    ]
    order = list(dict.fromkeys(reading.operation for reading in readings.values()))
    doubtful: set[str] = set()
    if graph is None:
        order, doubtful = _by_widths(tensors, parts, readings, components, ordered=ordered)
    numbers = {operation: number for number, operation in enumerate(order)}
    tensors = [replace(tensor, layer=numbers[readings[tensor.name].operation]) for tensor in tensors]
    if not ordered:
        tensors.sort(key=lambda tensor: tensor.layer)
    unordered = tuple(tensor.name for tensor in tensors if readings[tensor.name].operation in doubtful)
    return Architecture(tuple(tensors), graph.groups if graph is not None else None, components, unordered).counted()


def _by_widths(
    tensors: Sequence[Tensor],
    parts: Mapping[str, Parts],
    readings: Mapping[str, Reading],
    components: Sequence[str],
    *,
    ordered: bool,
) -> tuple[list[str], set[str]]:
    """Operations in order, and those whose order is in doubt: each network by its widths where they fit, else as they are."""
    groups: dict[int | None, dict[str, Step | None]] = defaultdict(dict)
    for tensor in tensors:
        module, operation = parts[tensor.name].module, readings[tensor.name].operation
        group = groups[component_of(".".join(module), components)]
        group[operation] = group.get(operation) or _step(module, tensor)
    order: list[str] = []
    doubtful: set[str] = set()
    for group in groups.values():
        steps = {operation: step for operation, step in group.items() if step is not None}
        found = fitted(steps, ordered=ordered) if len(steps) > 1 and all(s.kind in CHAINED for s in steps.values()) else None
        moved = dict(zip(steps, found.layers, strict=True)) if found is not None else {}
        doubtful |= found.doubtful if found is not None else set()
        order += [moved.get(operation, operation) for operation in group]
    return order, doubtful


def _step(module: tuple[str, ...], tensor: Tensor) -> Step | None:
    """What a tensor says of the widths of its layer; None for those that say nothing."""
    if tensor.role in ("weight", "scale") and len(tensor.shape) == 1 and tensor.kind.endswith("norm"):
        return Step(module, module_key(module), tensor.size, tensor.size, tensor.kind)
    if tensor.role in BUFFER_ROLES or len(tensor.shape) < 2:
        return None
    out, source = tensor.layout
    n_in = None if tensor.kind == "embedding" else tensor.shape[source]
    return Step(module, module_key(module), n_in, tensor.shape[out], tensor.kind, tensor.axes == (1, 0))


def _known(entries: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entries.items() if value is not None}
