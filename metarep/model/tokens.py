"""Tokens: runs of values of one tensor, each with where it stands in the network.

A *view* holds the tokens of every unit of one symmetry group: what feeds a unit, what is its own and what reads it, in this
order and alike for all units. A tensor between two groups is therefore seen twice, by rows and by columns.

Every value has five coordinates: the unit along the view's own axis and its position within the unit (the pixels of a
flattened channel, the gates of an LSTM), the same two along the tensor's other axis, and the offset in the kernel. A
coordinate along a *fixed* axis (inputs, outputs, pixels, kernel offsets) has an identity that all networks share, and the model
knows it exactly. A unit along an *interchangeable* axis has none; what two tokens share of such units is known to attention
alone (`metarep.model.layout`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch

from metarep.networks.architecture import Architecture, Tensor, readable
from metarep.networks.symmetry_groups import Member, Symmetries, SymmetryGroup

SIDES = ("in", "own", "out")
MAX_STREAM_READERS = 3
"""A group that more matrices than this read and write is a residual stream."""


class Axis(NamedTuple):
    """A fixed axis: networks that have an axis of the same name and length share its positions."""

    name: str
    length: int

    def __str__(self) -> str:
        return f"{self.name}:{self.length}"


class Coordinate(NamedTuple):
    """A coordinate of values: `axis` is None where it has no identity; `index` (L,) counts along the axis."""

    axis: Axis | None
    index: np.ndarray


class End(NamedTuple):
    """The units along one axis of a tensor: the number of their group, the member that places them, how many, and whether
    they are interchangeable. Axes of no known group have a number of their own and no member."""

    group: int
    axis: Axis | None
    member: Member | None
    n_units: int

    def units(self, position: np.ndarray) -> np.ndarray:
        """The unit that each position along the axis belongs to."""
        m = self.member
        return position if m is None else (position - m.start) // m.inner % self.n_units

    def within(self, position: np.ndarray) -> Coordinate:
        """The position within the unit, where a unit has several."""
        m = self.member
        if m is None or m.outer * m.inner == 1:
            return Coordinate(None, np.zeros_like(position))
        offset = position - m.start
        index = offset // (m.inner * self.n_units) * m.inner + offset % m.inner
        return Coordinate(Axis(f"within {m.outer}x{m.inner}", m.outer * m.inner), index)


@dataclass(frozen=True)
class Slice:
    """What one tensor holds of each unit of a group: `length` values, of which `rest` at each position on the unit's axis."""

    tensor: Tensor
    member: Member
    own: End
    other: End | None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.tensor.shape or (1,)

    @property
    def order(self) -> tuple[int, ...]:
        """The axes: the units' own, the other one that the weight leads between, the rest."""
        others = [axis for axis in range(len(self.shape)) if axis != self.member.axis]
        ends = self.tensor.axes if self.tensor.axes and self.member.axis in self.tensor.axes else ()
        return (self.member.axis, *sorted(others, key=lambda axis: axis not in ends))

    @property
    def kernel(self) -> tuple[int, ...]:
        """The shape of what stands at each pair of positions along the two ends."""
        return tuple(self.shape[axis] for axis in self.order[2:])

    @property
    def rest(self) -> int:
        return self.tensor.size // self.shape[self.member.axis]

    @property
    def length(self) -> int:
        """Values of one unit."""
        return self.rest * self.member.outer * self.member.inner

    def n_tokens(self, chunk: int) -> int:
        """Tokens of one unit."""
        return -(-self.length // chunk)

    def values(self, tensors: Mapping[str, torch.Tensor], chunk: int) -> torch.Tensor:
        """(…, n units, tokens of one, chunk) from tensors (…, *shape); 0 where a chunk ends early."""
        value = tensors[self.tensor.name]
        lead = value.shape[: value.ndim - len(self.tensor.shape)]
        n = len(lead)
        whole = value.reshape(*lead, *self.shape).permute(*range(n), *(n + axis for axis in self.order))
        whole = whole.reshape(*lead, self.shape[self.member.axis], self.rest)
        index = self.member.positions(self.own.n_units)
        plain = index.shape == (whole.shape[-2], 1) and self.member.start == 0
        rows = whole if plain else whole[..., torch.from_numpy(index).to(value.device), :].flatten(-2)
        padded = torch.nn.functional.pad(rows, (0, self.n_tokens(chunk) * chunk - self.length))
        return padded.reshape(*lead, self.own.n_units, -1, chunk)

    def coordinates(self) -> tuple[Coordinate, Coordinate, Coordinate, Coordinate]:
        """Of the values of one unit, each (length,): the position within it, the other unit, the position within that, the
        kernel offset. The unit's own coordinate differs from unit to unit and is `own.axis`."""
        flat = np.arange(self.length)
        n_within, repeat = self.member.outer * self.member.inner, flat // self.rest
        within = Coordinate(Axis(f"within {self.member.outer}x{self.member.inner}", n_within) if n_within > 1 else None, repeat)
        size = math.prod(self.kernel)
        offset = Coordinate(Axis("kernel " + "x".join(map(str, self.kernel)), size) if size > 1 else None, flat % size)
        if self.other is None:
            return within, Coordinate(None, np.zeros_like(flat)), Coordinate(None, np.zeros_like(flat)), offset
        position = flat % self.rest // size
        return within, Coordinate(self.other.axis, self.other.units(position)), self.other.within(position), offset


@dataclass(frozen=True, eq=False)
class View:
    """The tokens of each unit of a group; `group` is its number, and `architecture` the network's."""

    group: int
    units: SymmetryGroup
    axis: Axis | None
    slices: tuple[Slice, ...]
    architecture: Architecture
    fan_in: Mapping[str, int]
    chunk: int

    @property
    def n_units(self) -> int:
        return self.units.n

    @property
    def is_hidden(self) -> bool:
        """Whether the units are neither inputs nor outputs: something feeds them and something reads them."""
        return {"in", "out"} <= {member.side for member in self.units.members}

    @cached_property
    def n_tokens(self) -> int:
        """Tokens of one unit."""
        return sum(part.n_tokens(self.chunk) for part in self.slices)

    @cached_property
    def slice_of_token(self) -> np.ndarray:
        """(S,) int64: the slice that each token of a unit comes from."""
        return np.repeat(np.arange(len(self.slices)), [part.n_tokens(self.chunk) for part in self.slices])

    def values(self, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """(…, n units, S, chunk), as they stand in networks whose tensors are (…, *shape)."""
        return torch.cat([part.values(tensors, self.chunk) for part in self.slices], dim=-2)


def build_views(architecture: Architecture, symmetries: Symmetries, *, chunk: int, context: int) -> tuple[View, ...]:
    """One view for each group whose units something feeds; every tensor that holds weights is in at least one.

    A group of which many layers read and write (a residual stream) has none where its units would not fit into
    the context: its tensors are seen by their other ends, and by rows where that is not so.
    """
    known = {tensor.name: tensor for tensor in architecture.tensors if readable(tensor)}
    ends = axis_ends(known, symmetries)
    fan_in = fans_in(known, symmetries)
    shared = {"architecture": architecture, "fan_in": fan_in, "chunk": chunk}
    views: list[View] = []
    for number, units in enumerate(symmetries.groups):
        view = View(number, units, fixed_axis(units), unit_slices(known, units, ends, number), **shared)
        if any(part.member.side == "in" for part in view.slices) and not _is_stream(view, context):
            views.append(view)
    covered = {part.tensor.name for view in views for part in view.slices}
    for name, tensor in known.items():
        if name not in covered:
            axis = tensor.axes[0] if tensor.axes else 0
            rows = SymmetryGroup(
                f"rows of {name}", (tensor.shape or (1,))[axis], (Member(name, axis, "in"),), interchangeable=False
            )
            end = ends.get((name, axis), End(len(symmetries.groups) + len(ends), Axis(f"{name}.{axis}", rows.n), None, rows.n))
            views.append(View(end.group, rows, end.axis, unit_slices(known, rows, ends, end.group), **shared))
    return tuple(views)


def fixed_axis(units: SymmetryGroup) -> Axis | None:
    """The axis of a group whose units have an identity: "inputs" where nothing feeds them, "outputs" where nothing reads
    them.
    """
    if units.interchangeable:
        return None
    sides = {member.side for member in units.members}
    name = "inputs" if "in" not in sides else "outputs" if "out" not in sides else units.name
    return Axis(name, units.n)


def axis_ends(known: Mapping[str, Tensor], symmetries: Symmetries) -> dict[tuple[str, int], End]:
    """What stands along every axis (tensor, number) of the known tensors."""
    ends: dict[tuple[str, int], End] = {}
    for number, units in enumerate(symmetries.groups):
        for member in units.members:
            if member.tensor in known and member.side != "own":
                ends.setdefault((member.tensor, member.axis), End(number, fixed_axis(units), member, units.n))
    axes = [(name, axis) for name, tensor in known.items() for axis in range(len(tensor.shape))]
    for number, (name, axis) in enumerate(axes, len(symmetries.groups)):
        length = known[name].shape[axis]
        ends.setdefault((name, axis), End(number, Axis(f"{name}.{axis}", length), None, length))
    return ends


def unit_slices(
    known: Mapping[str, Tensor], units: SymmetryGroup, ends: Mapping[tuple[str, int], End], group: int
) -> tuple[Slice, ...]:
    """What the known tensors hold of a group's units: what feeds them, their own, what reads them."""
    members = sorted((m for m in units.members if m.tensor in known), key=lambda member: SIDES.index(member.side))
    found = []
    for member in members:
        own = End(group, fixed_axis(units), member, units.n)
        part = Slice(known[member.tensor], member, own, None)
        other = ends[member.tensor, part.order[1]] if len(part.order) > 1 else None
        if other is not None and other.group == group:  # a recurrent weight: the same units, one step earlier
            other = other._replace(group=-2 - group)
        found.append(Slice(part.tensor, member, own, other))
    return tuple(found)


def _is_stream(view: View, context: int) -> bool:
    return sum(len(part.shape) > 1 for part in view.slices) > MAX_STREAM_READERS and view.n_tokens > context


def fans_in(known: Mapping[str, Tensor], symmetries: Symmetries) -> dict[str, int]:
    """The values that each output of a weight sums over, for weights and for the biases beside them.

    Initialisations draw weights with a spread of 1/√(fan-in) (He et al., "Delving deep into rectifiers", 2015).
    """
    out_axis = {m.tensor: m.axis for units in symmetries.groups for m in units.members if m.side == "in"}
    fans: dict[str, int] = {}
    for name, tensor in known.items():
        if len(tensor.shape) > 1 and tensor.kind != "embedding":
            fans[name] = tensor.size // tensor.shape[tensor.axes[0] if tensor.axes else out_axis.get(name, 0)]
    by_layer: dict[int, int] = {}
    for name, fan in fans.items():
        by_layer[known[name].layer] = max(fan, by_layer.get(known[name].layer, 1))
    beside = {n: by_layer[t.layer] for n, t in known.items() if t.role.endswith("bias") and t.layer in by_layer}
    return fans | beside
