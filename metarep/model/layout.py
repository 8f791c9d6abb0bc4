"""Where the tokens of a window stand: everything about them but their values.

All windows of one shape (the same stretch of as many neighbouring units of a view) share one layout, in whatever network of
the architecture: they are read side by side without padding, with one matrix of relations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch

from metarep.model.tokens import SIDES, Axis, Coordinate, Slice, View
from metarep.networks.architecture import KINDS

ROLES = (
    *("other", "weight", "bias", "scale", "shift", "running_mean", "running_var"),
    *("query", "key", "value", "qkv", "key_value", "output", "input", "hidden", "projection"),
    *("query_bias", "key_bias", "value_bias", "qkv_bias", "key_value_bias", "output_bias", "input_bias", "hidden_bias"),
)
N_RELATIONS = 17
"""16 combinations of shared units (see `relations`), and the token itself."""
MAX_DEPTH = 64
MAX_SLOTS = 4096
"""A tensor with more slots than this is normalised as one."""

NUMBERS = ("depth share", "size", "rows", "columns", "kernel size", "repeat", "fill")
"""The numbers that a token carries: shares lie in [0, 1], counts are logarithms to base 2 over 10, `fill` is the share of its
chunk that holds values."""
COORDINATES = ("own unit", "within own", "other unit", "within other", "offset")


class Stretch(NamedTuple):
    """Tokens start … stop of each of some neighbouring units of a view, which is given by its number in the plan."""

    view: int
    first: int
    n_units: int
    start: int
    stop: int

    @property
    def n_tokens(self) -> int:
        return self.n_units * (self.stop - self.start)


class Slots(NamedTuple):
    """The slots of one tensor: values of one slot have the same fixed coordinates. `axes` are the lengths of the fixed
    axes, 1 for interchangeable ones: unit and position within it at the output end, the same two at the input end, kernel
    offset; () where all values count as one slot. A tensor of one end (a bias) has 1 for the other.
    """

    tensor: str
    n_ends: int
    axes: tuple[int, ...]

    @property
    def n(self) -> int:
        return math.prod(self.axes)

    @property
    def key(self) -> str:
        return self.tensor + (f"|{'x'.join(map(str, self.axes))}" if self.axes else "")

    def names(self) -> list[str]:
        """One name a slot, such as "0.weight[·,1]"; dots are interchangeable."""
        shown = [0, 2][: self.n_ends] if self.axes else []
        extra = [at for at in (1, 3, 4) if self.axes and self.axes[at] > 1]
        found = []
        for index in np.ndindex(*self.axes):
            parts = [str(index[at]) if self.axes[at] > 1 else "·" for at in shown] + [str(index[at]) for at in extra]
            found.append(self.tensor + (f"[{','.join(parts)}]" if parts else ""))
        return found


class Interval(NamedTuple):
    """Units first … end (exclusive) of a group, for each of T tokens; group −1 for none."""

    group: np.ndarray
    first: np.ndarray
    end: np.ndarray

    def overlap(self, other: Interval) -> np.ndarray:
        """(T, U) bool: whether interval i has a unit in common with interval j of another T and U."""
        a, b = Interval(*(part[:, None] for part in self)), other
        return (a.group == b.group) & (a.group != NOWHERE) & (a.first < b.end) & (b.first < a.end)


NOWHERE = -1


def relations(feeds: Interval, reads: Interval) -> np.ndarray:
    """(T, T) int64: what token i shares with token j.

    1: both feed one unit; 2: both read one unit; 4: i feeds the unit that j reads; 8: i
    reads the unit that j feeds; the sum of what holds. 16: i is j.
    """
    relation = feeds.overlap(feeds) + 2 * reads.overlap(reads) + 4 * feeds.overlap(reads) + 8 * reads.overlap(feeds)
    np.fill_diagonal(relation, N_RELATIONS - 1)
    return relation.astype(np.int64)


@dataclass(frozen=True, eq=False)
class Layout:
    """Where T tokens of C values stand.

    kind, role, side, depth, layer (T,) int64; numbers (T, len(NUMBERS)) and scale (T,) float32, the square root of the fan-in;
    present (T, C) bool; relation (T, T) int64, see `relations`. `axes` lists the fixed axes and `coordinate[c]` gives for each
    token the number of its axis (−1 for none) and the index along it of its first value. `slots` lists those of the
    tensors; slot_block (T,) is a number in this list, slot (T, C) the slot within it. `own_stride` (T,) says by how much the
    slot grows with the first unit of a window.
    units (U, T) bool: the tokens of each hidden unit (of every unit, in a window of one view).
    """

    kind: torch.Tensor
    role: torch.Tensor
    side: torch.Tensor
    depth: torch.Tensor
    layer: torch.Tensor
    numbers: torch.Tensor
    scale: torch.Tensor
    present: torch.Tensor
    relation: torch.Tensor
    axes: tuple[Axis, ...]
    coordinate_axis: torch.Tensor
    coordinate_index: torch.Tensor
    slots: tuple[Slots, ...]
    slot_block: torch.Tensor
    slot: torch.Tensor
    own_stride: torch.Tensor
    units: torch.Tensor

    @property
    def n_tokens(self) -> int:
        return self.kind.shape[0]

    @property
    def chunk(self) -> int:
        return self.present.shape[1]

    @cached_property
    def _flat_slot(self) -> np.ndarray:
        """(T, C): the slot of each value, counted through all tensors."""
        offsets = np.cumsum([0, *(slots.n for slots in self.slots)])
        return offsets[self.slot_block.numpy()][:, None] + self.slot.numpy()

    @cached_property
    def slot_class(self) -> np.ndarray:
        """(T, C) int64: values of one slot have the same number, from 0 in order of their first token; −1 for absent ones."""
        _, first, member = np.unique(self._flat_slot[self.present.numpy()], return_index=True, return_inverse=True)
        found = np.full(self.present.shape, -1)
        found[self.present.numpy()] = np.argsort(np.argsort(first))[member.reshape(-1)]
        return found

    @cached_property
    def slot_names(self) -> tuple[str, ...]:
        """The name of each class in `slot_class`."""
        names = [name for slots in self.slots for name in slots.names()]
        _, first = np.unique(self.slot_class[self.present.numpy()], return_index=True)
        return tuple(names[number] for number in self._flat_slot[self.present.numpy()][first])


class Fields(NamedTuple):
    """What a layout is made of, for T tokens that stand first in every array: those of a view's unit 0, or of a window.

    own_unit (T,) is the number of each token's own unit, in the group own_group; it reads or feeds the units other_first …
    other_end of other_group. The other fields are those of `Layout`; axis and index (T, 5) its coordinates.
    """

    kind: np.ndarray
    role: np.ndarray
    side: np.ndarray
    depth: np.ndarray
    layer: np.ndarray
    numbers: np.ndarray
    scale: np.ndarray
    present: np.ndarray
    axis: np.ndarray
    index: np.ndarray
    slot_block: np.ndarray
    slot: np.ndarray
    own_stride: np.ndarray
    own_group: np.ndarray
    own_unit: np.ndarray
    other_group: np.ndarray
    other_first: np.ndarray
    other_end: np.ndarray

    @property
    def own(self) -> Interval:
        return Interval(self.own_group, self.own_unit, self.own_unit + 1)

    @property
    def other(self) -> Interval:
        return Interval(self.other_group, self.other_first, self.other_end)


def layout_of(views: Sequence[View], stretches: Sequence[Stretch]) -> Layout:
    """The layout of a window; the first unit of each stretch is taken as unit 0 of a view that is alone in it."""
    axes: dict[Axis, int] = {}
    slots: dict[Slots, int] = {}
    alone = len(stretches) == 1
    unit_0 = {
        number: _joined([_fields(views[number], part, axes, slots) for part in views[number].slices])
        for number in sorted({s.view for s in stretches})
    }
    found = _joined([_of_stretch(unit_0[s.view], s, 0 if alone else s.first) for s in stretches])
    sides = (found.side[:, None] == np.arange(len(SIDES))).T
    feeds = Interval(
        *(np.where(sides[SIDES.index("out")], other, own) for own, other in zip(found.own, found.other, strict=True))
    )
    reads = Interval(
        *(np.where(sides[SIDES.index("in")], other, own) for own, other in zip(found.own, found.other, strict=True))
    )
    of_layout = {name: torch.from_numpy(value) for name, value in found._asdict().items() if name in Layout.__annotations__}
    return Layout(
        **of_layout,
        relation=torch.from_numpy(relations(feeds, reads)),
        axes=tuple(axes),
        coordinate_axis=torch.from_numpy(np.ascontiguousarray(found.axis.T)),
        coordinate_index=torch.from_numpy(np.ascontiguousarray(found.index.T)),
        slots=tuple(slots),
        units=torch.from_numpy(_unit_members([(views[s.view], s.n_units) for s in stretches], feeds, reads)),
    )


def _unit_members(read: Sequence[tuple[View, int]], feeds: Interval, reads: Interval) -> np.ndarray:
    """(U, T) bool: the tokens that feed or read each unit; of the hidden ones alone where there are several views."""
    shown = [(view.group, n_units) for view, n_units in read if len(read) == 1 or view.is_hidden]
    group = np.repeat([number for number, _ in shown], [n for _, n in shown]).astype(np.int64)
    unit = np.concatenate([np.arange(n) for _, n in shown] or [np.zeros(0, np.int64)])
    every = Interval(group, unit, unit + 1)
    return every.overlap(feeds) | every.overlap(reads)


def _joined(parts: Sequence[Fields]) -> Fields:
    return Fields(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _of_stretch(unit_0: Fields, s: Stretch, first: int) -> Fields:
    """The tokens of a stretch, unit by unit, the first of which has the number `first`."""
    found = Fields(*(np.concatenate([column[s.start : s.stop]] * s.n_units) for column in unit_0))
    unit = first + np.repeat(np.arange(s.n_units), s.stop - s.start)
    index = np.concatenate([unit[:, None], found.index[:, 1:]], axis=1)
    return found._replace(own_unit=unit, index=index, slot=found.slot + (unit * found.own_stride)[:, None])


def _fields(view: View, part: Slice, axes: dict[Axis, int], slots: dict[Slots, int]) -> Fields:
    """The tokens that a slice gives unit 0; `axes` and `slots` get those that it meets, with their numbers."""
    tensor, n = part.tensor, part.n_tokens(view.chunk)
    known = part.coordinates()
    starts = np.arange(n) * view.chunk
    present = (starts[:, None] + np.arange(view.chunk)) < part.length
    axis = [-1 if one is None else axes.setdefault(one, len(axes)) for one in (view.axis, *(one.axis for one in known))]
    own_slots, slot, own_stride = _slots(view, part, known)
    of_chunk = np.minimum(starts[:, None] + np.arange(view.chunk), part.length - 1)
    other = known[1].index[of_chunk]
    counts = (tensor.layer / max(1, view.architecture.n_layers - 1), *_counts(part))
    repeat = (starts // part.rest) / max(1, part.member.outer * part.member.inner)
    every = lambda value: np.full(n, value)  # noqa: E731
    return Fields(
        kind=every(KINDS.index(tensor.kind if tensor.kind in KINDS else "other")),
        role=every(ROLES.index(tensor.role) if tensor.role in ROLES else 0),
        side=every(SIDES.index(part.member.side)),
        depth=every(min(tensor.layer, MAX_DEPTH - 1)),
        layer=every(tensor.layer),
        numbers=np.column_stack([np.tile(counts, (n, 1)), repeat, present.mean(axis=1)]).astype(np.float32),
        scale=every(math.sqrt(view.fan_in.get(tensor.name, 1))).astype(np.float32),
        present=present,
        axis=np.tile(axis, (n, 1)),
        index=np.column_stack([np.zeros(n, np.int64), *(one.index[starts] for one in known)]),
        slot_block=every(slots.setdefault(own_slots, len(slots))),
        slot=np.where(present, slot[of_chunk], 0),
        own_stride=every(own_stride),
        own_group=every(view.group),
        own_unit=np.zeros(n, np.int64),
        other_group=every(part.other.group if part.other else NOWHERE),
        other_first=other.min(axis=1),
        other_end=other.max(axis=1) + 1,
    )


def _slots(view: View, part: Slice, known: Sequence[Coordinate]) -> tuple[Slots, np.ndarray, int]:
    """The tensor's slots, the slot (length,) of each value of unit 0, and by how much it grows from unit to unit."""
    lengths = [1 if axis is None else axis.length for axis in (view.axis, *(one.axis for one in known))]
    indices = [np.zeros(part.length, np.int64), *(one.index if one.axis else np.zeros_like(one.index) for one in known)]
    order = [2, 3, 0, 1, 4] if part.member.side == "out" and part.other else [0, 1, 2, 3, 4]
    sizes, n_ends = tuple(lengths[at] for at in order), 2 if part.other else 1
    if math.prod(sizes) > MAX_SLOTS:
        return Slots(part.tensor.name, n_ends, ()), np.zeros(part.length, np.int64), 0
    strides = dict(zip(order, (math.prod(sizes[at + 1 :]) for at in range(len(sizes))), strict=True))
    slot = sum(indices[at] * stride for at, stride in strides.items())
    return Slots(part.tensor.name, n_ends, sizes), slot, strides[0] if view.axis else 0


def _counts(part: Slice) -> tuple[float, ...]:
    """Size, rows, columns and kernel size, as logarithms."""
    own = part.shape[part.member.axis]
    other = part.shape[part.order[1]] if part.other else 0
    rows, columns = (other, own) if part.member.side == "out" else (own, other)
    return tuple(math.log2(1 + count) / 10 for count in (part.tensor.size, rows, columns, math.prod(part.kernel)))
