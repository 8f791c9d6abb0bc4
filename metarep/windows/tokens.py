"""The tokens of any network: runs of weights, each with where it stands.

A `View` holds the tokens of every unit of one group of the symmetries: what feeds the unit, what is its own, what reads it, in
this order and alike for all units. So a tensor between two groups is seen twice, by rows and by columns. A token knows
the operation, the depth, the role, row and column, the kernel's offset, the sizes, and which units it feeds and reads as
intervals; what two tokens share follows from these (`relations`), as in `metarep.cloze.tokens`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch

from metarep.networks.architecture import KINDS, Architecture, Tensor, readable
from metarep.networks.symmetry_groups import Member, Symmetries, SymmetryGroup

ROLES = (
    *("other", "weight", "bias", "scale", "shift", "running_mean", "running_var"),
    *("query", "key", "value", "qkv", "key_value", "output", "input", "hidden", "projection"),
    *("query_bias", "key_bias", "value_bias", "qkv_bias", "key_value_bias", "output_bias", "input_bias", "hidden_bias"),
)
SIDES = ("in", "own", "out")
N_CLASSES = len(KINDS) * len(ROLES)
MAX_DEPTH = 64
NUMBERS = (
    *("depth share", "size", "rows", "columns", "kernel size", "row share", "column share", "row", "column"),
    *("kernel row", "kernel column", "repeat", "fill"),
)
"""The numbers that a token carries: shares lie in [0, 1], counts are logarithms to base 2 over 10, `fill` is the share of its
chunk that holds values."""

ROW_SHARE, COLUMN_SHARE, ROW, COLUMN = (NUMBERS.index(name) for name in ("row share", "column share", "row", "column"))


class Places(NamedTuple):
    """Where T tokens stand: (T,) int64, but for feeds and reads (T, 3) — group, first unit, end; group −1 for none —,
    numbers (T, len(NUMBERS)) float32, scale (T,) float32, by which values are multiplied, and present (T, C) bool."""

    kind: np.ndarray
    role: np.ndarray
    depth: np.ndarray
    side: np.ndarray
    layer: np.ndarray
    feeds: np.ndarray
    reads: np.ndarray
    numbers: np.ndarray
    scale: np.ndarray
    present: np.ndarray

    @property
    def member(self) -> np.ndarray:
        """(T,): the class of kind and role, below N_CLASSES; values of one class are normalised alike."""
        return self.kind * len(ROLES) + self.role

    def take(self, index: np.ndarray) -> Places:
        """The places at some indices."""
        return Places(*(part[index] for part in self))


def joined(places: Sequence[Places]) -> Places:
    """Places one behind the other."""
    return places[0] if len(places) == 1 else Places(*(np.concatenate(parts) for parts in zip(*places, strict=True)))


@dataclass(frozen=True)
class Slice:
    """What one tensor holds of each unit of a group: `length` values, of which `rest` at each position on the unit's axis."""

    tensor: Tensor
    member: Member
    n_units: int

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
    def rest(self) -> int:
        return self.tensor.size // self.shape[self.member.axis]

    @property
    def length(self) -> int:
        return self.rest * self.member.outer * self.member.inner

    def n_tokens(self, chunk: int) -> int:
        """Tokens of one unit."""
        return -(-self.length // chunk)

    def values(self, tensors: Mapping[str, torch.Tensor], chunk: int) -> torch.Tensor:
        """(n units, tokens of one, chunk) float32; 0 where a chunk ends early."""
        whole = tensors[self.tensor.name].reshape(self.shape).permute(self.order).reshape(-1, self.rest)
        index = self.member.positions(self.n_units)
        plain = index.shape == (len(whole), 1) and self.member.start == 0
        rows = whole if plain else whole[torch.from_numpy(index)].flatten(1)
        padded = torch.nn.functional.pad(rows, (0, self.n_tokens(chunk) * chunk - self.length))
        return padded.reshape(self.n_units, -1, chunk)


class Ends(NamedTuple):
    """Which group the units along each axis of a tensor belong to: its number, and the member that places them."""

    group: int
    member: Member | None
    n: int


@dataclass(frozen=True, eq=False)
class View:
    """The tokens of each unit of a group; `number` tells groups apart, `ends` the other axes of tensors."""

    number: int
    units: SymmetryGroup
    slices: tuple[Slice, ...]
    ends: Mapping[tuple[str, int], Ends]
    n_layers: int
    fan_in: Mapping[str, int]
    chunk: int

    @property
    def n_units(self) -> int:
        return self.units.n

    @cached_property
    def n_tokens(self) -> int:
        """Tokens of one unit."""
        return sum(part.n_tokens(self.chunk) for part in self.slices)

    @cached_property
    def slice_of_token(self) -> np.ndarray:
        """(S,) int64: the slice that each token of a unit comes from."""
        return np.repeat(np.arange(len(self.slices)), [part.n_tokens(self.chunk) for part in self.slices])

    @cached_property
    def layer_of_token(self) -> np.ndarray:
        """(S,) int64: the operation that each token of a unit belongs to."""
        return self._one_unit.layer

    def values(self, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """(n units, S, chunk) float32, as they stand in the network."""
        return torch.cat([part.values(tensors, self.chunk) for part in self.slices], dim=1)

    @cached_property
    def _one_unit(self) -> Places:
        return joined([slice_places(self, part) for part in self.slices])

    def places(self, first: int, n_units: int, start: int, stop: int) -> Places:
        """The places of tokens start … stop of some units, unit by unit."""
        some = self._one_unit.take(np.tile(np.arange(start, stop), n_units))
        unit = np.repeat(np.arange(first, first + n_units), stop - start)
        interval = np.stack([np.full_like(unit, self.number), unit, unit + 1], axis=1)
        own, reading = some.side == SIDES.index("own"), some.side == SIDES.index("out")
        feeds = np.where(reading[:, None], some.feeds, interval)
        reads = np.where((reading | own)[:, None], interval, some.reads)
        numbers, share = some.numbers.copy(), unit / max(1, self.n_units - 1)
        rows = np.arange(len(unit))
        numbers[rows, np.where(reading, COLUMN_SHARE, ROW_SHARE)] = share
        numbers[rows, np.where(reading, COLUMN, ROW)] = np.log2(1 + unit) / 10
        return some._replace(feeds=feeds, reads=reads, numbers=numbers)


def slice_places(view: View, part: Slice) -> Places:
    """The places of one unit's tokens from one tensor; the unit's own place is filled in by `View.places`."""
    tensor, member, chunk = part.tensor, part.member, view.chunk
    start = np.arange(0, part.length, chunk)
    stop = np.minimum(start + chunk, part.length)
    n = len(start)
    _, *others = part.order
    kernel = math.prod(part.shape[axis] for axis in others[1:])
    interval = np.full((n, 3), -1)
    numbers = np.zeros((n, len(NUMBERS)), np.float32)
    along = 0
    if others:
        along = part.shape[others[0]]
        first, last = (start % part.rest) // kernel, ((stop - 1) % part.rest) // kernel
        crossing = start // part.rest != (stop - 1) // part.rest
        first, last = np.where(crossing, 0, first), np.where(crossing, along - 1, last)
        interval = unit_interval(view.ends[tensor.name, others[0]], first, last)
        reading = member.side == "out"
        numbers[:, ROW_SHARE if reading else COLUMN_SHARE] = first / max(1, along - 1)
        numbers[:, ROW if reading else COLUMN] = np.log2(1 + first) / 10
        offset, columns = start % kernel, part.shape[others[-1]] if len(others) > 1 else 1
        numbers[:, NUMBERS.index("kernel row")] = (offset // columns) / max(1, kernel // columns)
        numbers[:, NUMBERS.index("kernel column")] = (offset % columns) / columns
    counts = {"rows": part.shape[member.axis], "columns": along, "size": tensor.size, "kernel size": kernel}
    rows_columns = ("columns", "rows") if member.side == "out" else ("rows", "columns")
    counts["rows"], counts["columns"] = (counts[name] for name in rows_columns)
    for name, count in counts.items():
        numbers[:, NUMBERS.index(name)] = math.log2(1 + count) / 10
    numbers[:, NUMBERS.index("depth share")] = tensor.layer / max(1, view.n_layers - 1)
    numbers[:, NUMBERS.index("repeat")] = (start // part.rest) / max(1, member.outer * member.inner)
    numbers[:, NUMBERS.index("fill")] = (stop - start) / chunk
    same = {
        "kind": KINDS.index(tensor.kind) if tensor.kind in KINDS else KINDS.index("other"),
        "role": ROLES.index(tensor.role) if tensor.role in ROLES else 0,
        "depth": min(tensor.layer, MAX_DEPTH - 1),
        "side": SIDES.index(member.side),
        "layer": tensor.layer,
    }
    return Places(
        **{name: np.full(n, value) for name, value in same.items()},
        feeds=interval if member.side == "out" else np.full((n, 3), -1),
        reads=interval if member.side != "out" else np.full((n, 3), -1),
        numbers=numbers,
        scale=np.full(n, math.sqrt(view.fan_in.get(tensor.name, 1)), np.float32),
        present=np.arange(chunk) < (stop - start)[:, None],
    )


def unit_interval(ends: Ends, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """(T, 3): group, first unit and end of positions first … last along an axis; the whole group where they wrap around."""
    group = np.full_like(first, ends.group)
    if ends.member is None:
        return np.stack([group, first, last + 1], axis=1)
    m, n = ends.member, ends.n
    low, high = ((at - m.start) // m.inner for at in (first, last))
    wraps = low // n != high // n
    return np.stack([group, np.where(wraps, 0, low % n), np.where(wraps, n, high % n + 1)], axis=1)


def build_views(architecture: Architecture, symmetries: Symmetries, *, chunk: int, context: int) -> tuple[View, ...]:
    """One view for each group whose units something feeds; every tensor that holds weights is in at least one.

    A group of which many layers read and write (a residual stream) has none where its units would not fit into
    the context: its tensors are seen by their other ends, and by rows where that is not so.
    """
    known = {tensor.name: tensor for tensor in architecture.tensors if readable(tensor)}
    ends: dict[tuple[str, int], Ends] = {}
    for number, units in enumerate(symmetries.groups):
        for member in units.members:
            if member.tensor in known and member.side != "own":
                ends.setdefault((member.tensor, member.axis), Ends(number, member, units.n))
    n_groups = len(symmetries.groups)
    for number, (name, axis) in enumerate((name, axis) for name, tensor in known.items() for axis in range(len(tensor.shape))):
        ends.setdefault((name, axis), Ends(n_groups + number, None, known[name].shape[axis]))
    shared = {"ends": ends, "n_layers": architecture.n_layers, "fan_in": fans_in(known, symmetries), "chunk": chunk}
    views: list[View] = []
    for number, units in enumerate(symmetries.groups):
        view = View(number, units, tuple(unit_slices(known, units)), **shared)
        if any(part.member.side == "in" for part in view.slices) and not _is_stream(view, context):
            views.append(view)
    covered = {part.tensor.name for view in views for part in view.slices}
    for name, tensor in known.items():
        if name not in covered:
            axis = tensor.axes[0] if tensor.axes else 0
            rows = SymmetryGroup(
                f"rows of {name}", (tensor.shape or (1,))[axis], (Member(name, axis, "in"),), interchangeable=False
            )
            number = ends[name, axis].group if tensor.shape else n_groups + len(ends)
            views.append(View(number, rows, tuple(unit_slices(known, rows)), **shared))
    return tuple(views)


def unit_slices(known: Mapping[str, Tensor], units: SymmetryGroup) -> list[Slice]:
    """What the known tensors hold of a group's units: what feeds them, their own, what reads them."""
    members = sorted((m for m in units.members if m.tensor in known), key=lambda member: SIDES.index(member.side))
    return [Slice(known[member.tensor], member, units.n) for member in members]


def _is_stream(view: View, context: int) -> bool:
    return sum(len(part.shape) > 1 for part in view.slices) > 3 and view.n_tokens > context


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
