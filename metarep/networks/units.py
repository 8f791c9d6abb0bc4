"""Which axes of which tensors run over the same units: a union-find of runs of positions, filled by a walk of a network.

An axis of a value or a tensor is made of runs; an axis without any stands for positions that mean something, such as inputs and
pixels. Classes of units only ever grow together, become coarser, are frozen or lose their scale, so that a walk in the order
of the layers claims no more than what holds at its end. Two walks fill it: along a structure (`structure_groups`) and along
the nodes of an ONNX graph (`formats.onnx_units`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import NamedTuple

from metarep.networks.symmetry_groups import Member, Side, SymmetryGroup


class UnitRun(NamedTuple):
    """outer · n · inner positions of an axis, as in `Member`: the class of their units, and that of what multiplies them."""

    units: int
    scale: int
    n: int
    outer: int = 1
    inner: int = 1

    @property
    def size(self) -> int:
        return self.outer * self.n * self.inner

    def within(self, before: int = 1, after: int = 1) -> UnitRun:
        """With every unit `after` times in a row, and all that `before` times."""
        return self._replace(outer=before * self.outer, inner=after * self.inner)


Axis = tuple[UnitRun, ...]


def size_of(axis: Axis) -> int:
    """The number of positions along an axis; 0 where it has no runs."""
    return sum(run.size for run in axis)


MAX_RUNS = 4096


def joined(axes: Iterable[Axis]) -> Axis | None:
    """Axes one behind the other; None where they have more runs than layers of any network join."""
    runs = tuple(islice(chain.from_iterable(axes), MAX_RUNS + 1))
    return runs if len(runs) <= MAX_RUNS else None


@dataclass
class UnitClasses:
    """Classes in the making. `became` is the class that a class went into, `held` the axes of tensors, by name and number."""

    became: list[int] = field(default_factory=list)
    n: dict[int, int] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    frozen: set[int] = field(default_factory=set)
    held: dict[tuple[str, int], tuple[Axis, Side]] = field(default_factory=dict)

    def new(self, n: int, name: str = "") -> Axis:
        """An axis of n units of their own; without a name they are called by the first tensor that feeds them."""
        axis = (UnitRun(self._node(n), self._node(n), n),)
        self.names[axis[0].units] = name
        return axis

    def fixed(self, n: int, name: str = "") -> Axis:
        """An axis of n positions that mean something."""
        axis = self.new(n, name)
        self.freeze(axis)
        return axis

    def rename(self, axis: Axis, old: str, new: str) -> None:
        for run in axis:
            number = self.at(run.units)
            self.names[number] = self.names[number].replace(old, new, 1)

    def at(self, number: int) -> int:
        while self.became[number] != number:
            number = self.became[number]
        return number

    def now(self, axis: Axis) -> Axis:
        """The runs as they are by now: a class that became coarser has fewer units with more positions each."""
        found = []
        for run in axis:
            units = self.at(run.units)
            n = self.n[units]
            found.append(UnitRun(units, self.at(run.scale), n, run.outer, run.inner * (run.n // n if n else 1)))
        return tuple(found)

    def freeze(self, axis: Axis) -> None:
        """The units keep their order from now on."""
        self.frozen |= {self.at(number) for run in axis for number in (run.units, run.scale)}

    def loosen(self, axis: Axis) -> None:
        """The units have no positive scale from now on."""
        self.frozen |= {self.at(run.scale) for run in axis}

    def is_loose(self, axis: Axis) -> bool:
        return all(self.at(run.scale) in self.frozen for run in axis)

    def rescaled(self, axis: Axis) -> Axis:
        """The same units behind a norm: what multiplies them before it does not reach them."""
        self.loosen(axis)
        return tuple(run._replace(scale=self._node(run.n)) for run in axis)

    def coarser(self, run: UnitRun, times: int) -> UnitRun:
        """`times` neighbours are one unit from now on."""
        self.n[self.at(run.units)] = run.n // times
        return self.now((run,))[0]

    def tie(self, one: Axis, other: Axis, *, scale: bool = True) -> None:
        """The units of two axes are the same ones, position by position; frozen where they do not lie alike."""
        one, other = self.now(one), self.now(other)
        if [run[2:] for run in one] != [run[2:] for run in other]:
            self.freeze(one + other)
            return
        for first, second in zip(one, other, strict=True):
            self._join(first.units, second.units)
            if scale:
                self._join(first.scale, second.scale)

    def bind(self, tensor: str, at: int, axis: Axis, side: Side, length: int | None = None) -> None:
        """An axis of a tensor runs over these units, also wherever else the tensor is used; frozen where it is not as long."""
        if axis and length is not None and size_of(axis) != length:
            self.freeze(axis)
            axis = ()
        known, before = self.held.setdefault((tensor, at), (axis, side))
        self.tie(known, axis)
        if before != side:
            self.loosen(known + axis)

    def groups(self) -> tuple[SymmetryGroup, ...]:
        """A group for each class that tensors run over, in the order in which they were met."""
        members: dict[int, list[tuple[Member, int]]] = {}
        for (tensor, at), (axis, side) in self.held.items():
            start = 0
            for run in self.now(axis):
                member = Member(tensor, at, side, run.outer, run.inner, start)
                members.setdefault(run.units, []).append((member, run.scale))
                start += run.size
        return tuple(self._group(units, entries) for units, entries in members.items())

    def _group(self, units: int, entries: list[tuple[Member, int]]) -> SymmetryGroup:
        sides = {scale: {member.side for member, of in entries if of == scale} for _, scale in entries}
        counts = Counter(scale for _, scale in entries if {"in", "out"} <= sides[scale] and scale not in self.frozen)
        scale = max(counts, key=counts.__getitem__, default=None)
        free = units not in self.frozen
        members = tuple(self._scaled(entries, scale) if free and scale is not None else (member for member, _ in entries))
        first = next((member for member, _ in entries if member.side == "in"), None)
        by_tensor = f"units of {first.tensor}" if first is not None else f"what {members[0].tensor} reads"
        return SymmetryGroup(self.names[units] or by_tensor, self.n[units], members, free, free and scale is not None)

    @staticmethod
    def _scaled(entries: list[tuple[Member, int]], scale: int) -> Iterator[Member]:
        """Those that are not of the scale belong to the units and do not scale with them."""
        for member, of in entries:
            yield member if of == scale else Member(member.tensor, member.axis, "own", member.outer, member.inner, member.start)

    def _node(self, n: int) -> int:
        number = len(self.became)
        self.became.append(number)
        self.n[number] = n
        return number

    def _join(self, one: int, other: int) -> None:
        first, second = sorted((self.at(one), self.at(other)))
        self.became[second] = first
        if second in self.frozen:
            self.frozen.add(first)


def reshaped(
    units: UnitClasses, axes: tuple[Axis, ...], before: list[int | None], after: list[int | None]
) -> list[Axis] | None:
    """The axes of a value whose positions are counted anew, from sizes `before` to `after`; None where that is not known.

    From the last axis on, the fewest axes of both that hold as many positions stand for each other.
    """
    found: list[Axis] = []
    i, j = len(before), len(after)
    while i or j:
        if i and j and before[i - 1] == after[j - 1] and (before[i - 1] is not None or i == j == 1):
            i, j = i - 1, j - 1
            found.insert(0, axes[i])
        elif i and before[i - 1] == 1 and not axes[i - 1] and (not j or after[j - 1] is None):
            i -= 1
        elif j and after[j - 1] == 1 and (not i or before[i - 1] is None):
            j -= 1
            found.insert(0, ())
        else:
            block = _block(before[:i], after[:j])
            if block is None:
                return None if any(axes[:i]) else [()] * j + found
            p, q = block
            part = _regrouped(units, axes[p:i], before[p:i], after[q:j])
            if part is None:
                return None
            found, i, j = part + found, p, q
    return found


def _block(before: list[int | None], after: list[int | None]) -> tuple[int, int] | None:
    """Where the last axes begin that hold as many positions in both."""
    p, q = len(before) - 1, len(after) - 1
    if min(p, q) < 0:
        return None
    n, m = before[p], after[q]
    while n and m and n != m:
        if n < m:
            p, n = p - 1, n * (before[p - 1] or 0) if p else 0
        else:
            q, m = q - 1, m * (after[q - 1] or 0) if q else 0
    return (p, q) if n and m else None


def _regrouped(units: UnitClasses, axes: tuple[Axis, ...], before: list[int], after: list[int]) -> list[Axis] | None:
    """Axes that hold as many positions as others do: all in one, then taken apart."""
    with_runs = [at for at, axis in enumerate(axes) if axis]
    found: list[Axis] = [()] * len(after)
    if not with_runs:
        return found
    at = with_runs[0]
    outer, inner = math.prod(before[:at]), math.prod(before[at + 1 :])
    axis = tuple(run.within(outer, inner) for run in units.now(axes[at]))
    if len(with_runs) > 1 or (len(axis) > 1 and outer > 1):
        return None
    large = [position for position, size in enumerate(after) if size > 1]
    if len(large) == 1:
        found[large[0]] = axis
        return found
    if len(axis) > 1 or not large:
        return None
    (run,) = axis
    for position, size in enumerate(after):
        outer, inner = math.prod(after[:position]), math.prod(after[position + 1 :])
        if size > 1 and run.outer % outer == 0 and run.inner % inner == 0:
            found[position] = (run._replace(outer=run.outer // outer, inner=run.inner // inner),)
            return found
    times, left = divmod(math.prod(after[large[0] + 1 :]), run.inner)
    if run.outer > 1 or left or run.n % times:
        return None
    found[large[0]] = (units.coarser(run, times)._replace(inner=1),)
    return found
