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

from metarep.model.tokens import SIDES, Axis, Slice, View
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
    role: str
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
        """(T, T) bool: whether token i's units are among token j's."""
        a, b = (Interval(*(part[:, None] for part in self))), (Interval(*(part[None, :] for part in other)))
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
    slot, and `own_fixed` (T,) whether the first coordinate, grows with the first unit of a window.
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
    def own_fixed(self) -> torch.Tensor:
        """(T,) bool: whether the token's own unit has an identity."""
        return self.coordinate_axis[0] >= 0

    @cached_property
    def slot_class(self) -> np.ndarray:
        """(T, C) int64: values of one slot have the same number, counted from 0 in order of their first token; −1 for
        absent.
        """
        offsets = np.concatenate([[0], np.cumsum([max(1, slots.n) for slots in self.slots])])
        flat = (offsets[self.slot_block.numpy()][:, None] + self.slot.numpy())[self.present.numpy()]
        _, first, member = np.unique(flat, return_index=True, return_inverse=True)
        found = np.full(self.present.shape, -1)
        found[self.present.numpy()] = np.argsort(np.argsort(first))[member.reshape(-1)]
        return found

    @cached_property
    def slot_names(self) -> tuple[str, ...]:
        """The name of each class in `slot_class`."""
        names = np.concatenate([np.array(slots.names(), dtype=object) for slots in self.slots])
        offsets = np.concatenate([[0], np.cumsum([max(1, slots.n) for slots in self.slots])])
        flat = offsets[self.slot_block.numpy()][:, None] + self.slot.numpy()
        return tuple(str(names[flat[self.slot_class == number][0]]) for number in range(self.slot_class.max() + 1))


class Column(NamedTuple):
    """The fields of the S tokens that a slice gives one unit; coordinates (5, S) are axis numbers and indices."""

    view: View
    part: Slice
    axis: np.ndarray
    index: np.ndarray
    other: Interval
    slot: np.ndarray
    own_stride: int
    slots: Slots
    present: np.ndarray
    repeat: np.ndarray


def layout_of(views: Sequence[View], stretches: Sequence[Stretch]) -> Layout:
    """The layout of a window; the first unit of each stretch is taken as unit 0 of a view that is alone in it."""
    axes: dict[Axis, int] = {}
    columns = {view: [_column(views[view], part, axes) for part in views[view].slices] for view in {s.view for s in stretches}}
    pieces = [piece for s in stretches for piece in _pieces(columns[s.view], s, alone=len(stretches) == 1)]
    joined = {name: np.concatenate([piece[name] for piece in pieces], axis=-1) for name in pieces[0] if name not in ("wide",)}
    wide = {name: np.concatenate([piece["wide"][name] for piece in pieces]) for name in pieces[0]["wide"]}
    slots = tuple(dict.fromkeys(column.slots for found in columns.values() for column in found))
    number = {key: at for at, key in enumerate(slots)}
    feeds = Interval(joined["feeds_group"], joined["feeds_first"], joined["feeds_end"])
    reads = Interval(joined["reads_group"], joined["reads_first"], joined["reads_end"])
    block = np.array([number[key] for key in wide["slots"]])
    to = torch.from_numpy
    return Layout(
        **{name: to(joined[name].astype(np.int64)) for name in ("kind", "role", "side", "depth", "layer", "own_stride")},
        numbers=to(wide["numbers"].astype(np.float32)),
        scale=to(joined["scale"].astype(np.float32)),
        present=to(wide["present"]),
        relation=to(relations(feeds, reads)),
        axes=tuple(axes),
        coordinate_axis=to(joined["axis"]),
        coordinate_index=to(joined["index"]),
        slots=slots,
        slot_block=to(block),
        slot=to(wide["slot"]),
        units=to(_unit_members(views, stretches, feeds, reads)),
    )


def _unit_members(views: Sequence[View], stretches: Sequence[Stretch], feeds: Interval, reads: Interval) -> np.ndarray:
    """(U, T) bool: the tokens that feed or read each unit; of the hidden ones alone where there are several views."""
    alone = len(stretches) == 1
    found = []
    for s in stretches:
        view = views[s.view]
        if not (alone or view.is_hidden):
            continue
        for unit in range(s.n_units):
            one = Interval(*(np.array([value]) for value in (view.group, unit, unit + 1)))
            found.append((feeds.overlap(one) | reads.overlap(one)).reshape(-1))
    return np.stack(found) if found else np.zeros((0, len(feeds.group)), dtype=bool)


def _column(view: View, part: Slice, axes: dict[Axis, int]) -> Column:
    """What is the same for all units; `axes` gets the fixed axes that it meets."""
    chunk, n = view.chunk, part.n_tokens(view.chunk)
    within, unit, beside, offset = part.coordinates()
    starts = np.arange(n) * chunk
    number = lambda axis: -1 if axis is None else axes.setdefault(axis, len(axes))  # noqa: E731
    known = [within, unit, beside, offset]
    axis = np.array([number(view.axis), *(number(one.axis) for one in known)])
    index = np.stack([np.zeros(n, np.int64), *(one.index[starts] for one in known)])
    slots, slot, own_stride = _slots(view, part, known)
    padded = np.pad(unit.index, (0, n * chunk - part.length), mode="edge").reshape(n, chunk)
    group = np.full(n, part.other.group if part.other else NOWHERE)
    return Column(
        view,
        part,
        np.repeat(axis[:, None], n, axis=1),
        index,
        Interval(group, padded.min(axis=1), padded.max(axis=1) + 1),
        np.pad(slot, (0, n * chunk - part.length)).reshape(n, chunk),
        own_stride,
        slots,
        np.arange(n * chunk).reshape(n, chunk) < part.length,
        (starts // part.rest) / max(1, part.member.outer * part.member.inner),
    )


def _slots(view: View, part: Slice, known: Sequence) -> tuple[Slots, np.ndarray, int]:
    """The tensor's slots, the slot (length,) of each value of unit 0, and by how much it grows from unit to unit."""
    lengths = [view.axis.length if view.axis else 1, *(one.axis.length if one.axis else 1 for one in known)]
    indices = [np.zeros(part.length, np.int64), *(one.index if one.axis else np.zeros_like(one.index) for one in known)]
    order = [2, 3, 0, 1, 4] if part.member.side == "out" and part.other else [0, 1, 2, 3, 4]
    sizes = [lengths[at] for at in order]
    role, n_ends = f"{part.tensor.kind} {part.tensor.role}", 2 if part.other else 1
    if math.prod(sizes) > MAX_SLOTS:
        return Slots(part.tensor.name, role, n_ends, ()), np.zeros(part.length, np.int64), 0
    strides = [math.prod(sizes[at + 1 :]) for at in range(len(sizes))]
    slot = sum(indices[at] * stride for at, stride in zip(order, strides, strict=True))
    own_stride = strides[order.index(0)] if view.axis else 0
    return Slots(part.tensor.name, role, n_ends, tuple(sizes)), slot, own_stride


def _pieces(columns: Sequence[Column], s: Stretch, *, alone: bool):
    """The fields of the tokens of each unit of a stretch, unit by unit; arrays that end in T, and in `wide` those that
    begin with it.
    """
    base = _tokens_of_one_unit(columns, s.start, s.stop)
    side, other, group = base.pop("side"), base.pop("other"), columns[0].view.group
    n = len(side)
    for unit in range(s.n_units):
        at = unit if alone else s.first + unit
        own = Interval(np.full(n, group), np.full(n, at), np.full(n, at + 1))
        none = Interval(np.full(n, NOWHERE), np.zeros(n, np.int64), np.zeros(n, np.int64))
        reading, own_side = side == SIDES.index("out"), side == SIDES.index("own")
        feeds = [np.where(reading, b, a) for a, b in zip(own, other, strict=True)]
        reads = [np.where(reading | own_side, a, b) for a, b in zip(own, other, strict=True)]
        feeds = [np.where(reading & (other.group == NOWHERE), c, f) for f, c in zip(feeds, none, strict=True)]
        index = base["index"].copy()
        index[0] = at
        wide = dict(base["wide"])
        wide["slot"] = wide["slot"] + at * base["own_stride"][:, None]
        yield {
            **base,
            "side": side,
            "index": index,
            "wide": wide,
            **dict(zip(("feeds_group", "feeds_first", "feeds_end"), feeds, strict=True)),
            **dict(zip(("reads_group", "reads_first", "reads_end"), reads, strict=True)),
        }


def _tokens_of_one_unit(columns: Sequence[Column], start: int, stop: int) -> dict:
    """Fields of tokens start … stop of unit 0."""
    found: dict[str, list] = {}
    wide: dict[str, list] = {}
    for column in columns:
        view, tensor, n = column.view, column.part.tensor, len(column.repeat)
        chunk_share = column.present.mean(axis=1)
        counts = _counts(column.part)
        numbers = np.stack([np.full(n, value) for value in (tensor.layer / max(1, view.architecture.n_layers - 1), *counts)])
        same = {
            "kind": KINDS.index(tensor.kind) if tensor.kind in KINDS else KINDS.index("other"),
            "role": ROLES.index(tensor.role) if tensor.role in ROLES else 0,
            "side": SIDES.index(column.part.member.side),
            "depth": min(tensor.layer, MAX_DEPTH - 1),
            "layer": tensor.layer,
            "own_stride": column.own_stride,
            "scale": math.sqrt(view.fan_in.get(tensor.name, 1)),
        }
        for name, value in same.items():
            found.setdefault(name, []).append(np.full(n, value))
        found.setdefault("axis", []).append(column.axis)
        found.setdefault("index", []).append(column.index)
        found.setdefault("other", []).append(np.stack(column.other))
        rows = {
            "numbers": np.concatenate([numbers, column.repeat[None], chunk_share[None]]).T,
            "present": column.present,
            "slot": column.slot,
            "slots": np.fromiter((column.slots for _ in range(n)), dtype=object, count=n),
        }
        for name, value in rows.items():
            wide.setdefault(name, []).append(value)
    joined = {name: np.concatenate(parts, axis=-1)[..., start:stop] for name, parts in found.items()}
    return joined | {
        "other": Interval(*joined["other"]),
        "wide": {name: np.concatenate(parts)[start:stop] for name, parts in wide.items()},
    }


def _counts(part: Slice) -> tuple[float, ...]:
    """Size, rows, columns and kernel size, as logarithms."""
    own = part.shape[part.member.axis]
    other = part.shape[part.order[1]] if part.other else 0
    rows, columns = (other, own) if part.member.side == "out" else (own, other)
    return tuple(math.log2(1 + count) / 10 for count in (part.tensor.size, rows, columns, math.prod(part.kernel)))
