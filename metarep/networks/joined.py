"""Units of networks whose layers read what others put out one behind the other: U-Nets, and DenseNets.

Widths tell what is joined: a layer that reads more than the one before it puts out reads earlier values besides. Which of
several values of one width, and in which order, names rarely tell. So whatever may be joined is permuted together: the units
of all layers of one width, and of several widths blocks of their common divisor, which is true for any order. Left out of that
are units in lists that run in order, and inside the layers of a DenseNet. All layers have to fit, one behind the other: what a
U-Net joins next stands before what it joined last, and a layer of a DenseNet joins what it read to what it made.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, pairwise, product
from typing import NamedTuple

from scipy.cluster.hierarchy import DisjointSet

from metarep.networks.inside import lists_of_layers
from metarep.networks.operations import NORMS, TRANSPOSED, Operation
from metarep.networks.order import module_key
from metarep.networks.symmetry_groups import Member, Side, SymmetryGroup
from metarep.networks.widths import JOINS

_STAGES = (
    r"(inc?|inp(ut)?|stem|first|init(ial)?|(in|first|init)_?(conv|block)|conv_?(in|first|init|0)|norm_?0|bn_?0)(\.|$)",
    r"",
    r".*(bottle_?neck|mid(dle)?|bottom|cent(er|re)|bridge)",
    r"(.*[._])?(up|dec|expan|right)|.*deconv",
    r"(bn|norm_?5?)$",
    r"(out|final|head|last|class|score|logits|fc|linear|seg|conv_?(out|last|final)|conv$)",
)
"""Modules from the front of a network to its end; the second are all others."""

IN_ORDER = re.compile(r"dense_?block\d*\.dense_?layer\d*\.[^.]+$", re.I)
"""Layers of torchvision's DenseNets, which join their units behind those before them."""

MAX_STEPS = 10
"""Times that operations may be looked at, for each of them, while it is open which axis of a kernel is read."""


class Part(NamedTuple):
    """A run of units of one class."""

    units: int
    size: int


class Made(NamedTuple):
    """A value: its units, the operation that made it, and the numbers of the values that this, and the first operation of its
    module, read."""

    parts: tuple[Part, ...]
    maker: Operation | None = None
    read: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        return sum(part.size for part in self.parts)


class JoinedAxis(NamedTuple):
    """An axis of a tensor that runs over units, each `inner` times."""

    tensor: str
    axis: int
    side: Side
    parts: tuple[Part, ...]
    inner: int = 1


class Way(NamedTuple):
    """How an operation may read: the axis of its weight that does, the values one of which is joined to the one before it, of
    these the one that a DenseNet and the one that a U-Net would join, and how many pixels of a channel it reads."""

    axis: int = 0
    others: tuple[int, ...] = ()
    stack: int | None = None
    nested: int | None = None
    inner: int = 1


def groups_of_joins(operations: Sequence[Operation]) -> tuple[SymmetryGroup, ...]:
    """The groups of a network of convolutions in which some layers read several values joined; () for others, and in doubt."""
    known = all(_is_known(operation) for operation in operations)
    if not known or len(operations) < 4:
        return ()
    least = 1 if any(JOINS.search(operation.path) for operation in operations) else 2
    inner = {layer.label for run in lists_of_layers(operations) for layer in [o for o in run if o.is_layer][:-1]}
    names = [module_key(tuple(operation.module.split("."))) for operation in operations]
    readings: set[tuple[SymmetryGroup, ...]] = set()
    for at, order in enumerate(_orders(operations)):
        walk = JoinWalk(hidden=inner, budget=iter(range(MAX_STEPS * len(order))))
        walks = list(islice(walk.along(order), 2))
        readings |= {found.groups() if found.n_joins >= least else () for found in walks}
        if next(walk.budget, None) is None or len(readings) > 1:
            return ()
        if walks and at == 0 and names != sorted(names):  # the file has an order of its own
            break
    return readings.pop() if readings else ()


def _is_known(operation: Operation) -> bool:
    """Whether it is a layer, a norm or slopes."""
    return (operation.is_layer and operation.known_whole) or operation.kind in NORMS or operation.is_elementwise


def _orders(operations: Sequence[Operation]) -> Iterator[list[Operation]]:
    """The operations as they stand; then sorted by stage and number, since names are all that some files leave of the order."""
    yield list(operations)
    for up, word, norm in product((-1, 1), (1, -1), (1, -1)):
        keys = {id(o): _key(o.module, o.kind in NORMS, up=up, norm=norm) for o in operations}
        words = sorted({key.word for key in keys.values()})[::word]
        yield sorted(operations, key=lambda o, keys=keys, words=words: keys[id(o)]._replace(word=words.index(keys[id(o)].word)))


class Key(NamedTuple):
    """Where a module stands: its stage, the number and the word of its first numbered part, the numbers behind these."""

    stage: int
    number: int
    word: str | int
    rest: tuple[int, ...] = ()
    norm: int = 0


def _key(module: str, is_norm: bool, *, up: int, norm: int) -> Key:
    name = module.lower().removeprefix("features.")
    stage = next((at for at in (0, 2, 3, 4, 5) if re.match(_STAGES[at], name)), 1)
    parts = name.split(".")
    numbered = (
        at for at, part in enumerate(parts) if re.search(r"\d", part) and (at + 1 < len(parts) or not at or part.isdigit())
    )
    at = next(numbered, None)
    head, inside = (".".join(parts[: at + 1]), parts[at + 1 :]) if at is not None else (parts[0], parts[1:])
    number = int("".join(re.findall(r"\d+", head)[:1])[:9] or 0)
    numbers = tuple(int(one[:9]) for one in re.findall(r"\d+", ".".join(inside)))
    return Key(stage, (up if stage == 3 else 1) * number, re.sub(r"\d.*", "", head), numbers, norm * is_norm)


@dataclass
class JoinWalk:
    """A walk along the operations. `made` are the values so far, the inputs first, and `now` the number of the last one;
    `hidden` are layers whose values nothing but the next layer reads, and `inside_dense` those in layers of a DenseNet; `alike`
    are values whose units are the same ones; `inside` is the number of the value that was joined last.
    """

    hidden: set[str]
    budget: Iterator[int]
    made: list[Made] = field(default_factory=list)
    now: int = 0
    module: str | None = None
    began: int = 0
    axes: list[JoinedAxis] = field(default_factory=list)
    alike: list[tuple[int, int]] = field(default_factory=list)
    frozen: list[int] = field(default_factory=list)
    n_joins: int = 0
    n_dense: int = 0
    n_nested: int = 0
    inside: int = sys.maxsize
    inside_dense: set[str] = field(default_factory=set)

    def along(self, order: Sequence[Operation]) -> Iterator[JoinWalk]:
        """The walks to the end of all operations, one for each way to read their kernels."""
        for at, operation in enumerate(order):
            ways = list(self.ways(operation))
            if not ways or next(self.budget, None) is None:
                return
            for way in ways[1:]:
                yield from self.copy().take(operation, way).along(order[at + 1 :])
            self.take(operation, ways[0])
        yield self

    def copy(self) -> JoinWalk:
        lists = {name: list(getattr(self, name)) for name in ("made", "axes", "alike", "frozen")}
        return replace(self, inside_dense=set(self.inside_dense), **lists)

    def ways(self, operation: Operation) -> Iterator[Way]:
        """How an operation may read what stands before it."""
        weight = operation.weight
        if weight is None:
            sizes = {vector.shape[0] for vector in operation.vectors}
            found = [Way() if operation.is_elementwise and n == 1 else self._joined(n) for n in sizes if self.made]
            yield from [way for way in found if way is not None and len(found) == 1]
            return
        out, own = operation.axes
        if not self.made:
            yield Way(own)
            return
        turned = (
            weight.axes is None and operation.kind != "linear" and weight.shape[0] != weight.shape[1] and not operation.vectors
        )
        found = [(axis, self._joined(weight.shape[axis], flat=operation.kind == "linear")) for axis in (own, out)[: 1 + turned]]
        ways = [way._replace(axis=axis) for axis, way in found if way is not None]
        either = weight.shape[-1] % 2 == 0 or TRANSPOSED.search(operation.path)
        yield from ways if either else (way for way in ways if way.axis == own)

    def _joined(self, n: int, *, flat: bool = False) -> Way | None:
        """What n values may be: those before, alone or with others; None where they are neither."""
        last = self.made[self.now]
        if n == last.size:
            return Way()
        if flat and (last.maker is None or last.maker.kind != "linear"):
            known = n % last.size == 0 and not any(one.maker and one.maker.channels_last for one in self.made)
            return Way(inner=n // last.size) if known else None
        rest = n - last.size
        seen = [at for at, one in enumerate(self.made) if at != self.now and one.size == rest and not self._is_hidden(one)]
        stack = next((at for at in last.read if self.made[at].size == rest), None)
        of_one_width = {one.size for one in self.made[1:] if len(one.parts) == 1} == {rest}
        nested = max((at for at in seen if at < self.inside or of_one_width), default=None)
        if stack is not None:
            in_order = IN_ORDER.search(last.maker.module) is not None
            seen = [stack, *(at for at in seen if at <= max(stack, nested or 0) and not in_order)]
        return Way(others=tuple(seen), stack=stack, nested=nested) if stack is not None or nested is not None else None

    def _is_hidden(self, value: Made) -> bool:
        hidden = self.hidden | self.inside_dense if self.n_dense == self.n_joins else self.hidden
        return value.maker is not None and value.maker.label in hidden

    def take(self, operation: Operation, way: Way) -> JoinWalk:
        """One operation more."""
        weight, inside = operation.weight, operation.module.rpartition(".")[0]
        if not self.made:
            self.made.append(Made((Part(0, weight.shape[way.axis]),)))
            self.frozen.append(0)
        if way.others:
            self._join(way)
        if inside != self.module or not inside:
            self.module, self.began = inside, self.now
        read = self.made[self.now]
        if weight is None:
            self.axes += [
                JoinedAxis(vector.name, 0, "own", read.parts) for vector in operation.vectors if vector.size == read.size
            ]
            self.frozen += [self.now] * (operation.kind in NORMS and not operation.has_statistics)  # it may be a group norm
            return self
        out = sum(operation.axes) - way.axis
        new = Made((Part(len(self.made), weight.shape[out]),), operation, (self.began, self.now))
        self.axes.append(JoinedAxis(weight.name, way.axis, "out", read.parts, way.inner))
        self.axes.append(JoinedAxis(weight.name, out, "in", new.parts))
        self.axes += [JoinedAxis(vector.name, 0, "in", new.parts) for vector in operation.vectors]
        self.made.append(new)
        swapped = operation.may_be_transposed or (
            weight.axes is None and weight.shape[0] == weight.shape[1] and weight.shape[-1] % 2 == 0
        )
        self.alike += [(self.now, len(self.made) - 1)] * swapped
        self.now = len(self.made) - 1
        return self

    def _join(self, way: Way) -> None:
        """The last value with another in front of it. Nothing else reads what is made inside a layer of a DenseNet."""
        first, last = self.made[way.others[0]], self.made[self.now]
        in_order = way.stack is not None and IN_ORDER.search(last.maker.module) is not None
        self.alike += [] if in_order else [(other, self.now) for other in way.others]
        self.n_joins += 1
        if way.stack is not None:
            self.n_dense += 1
            inside = self.made[last.read[0] + 1 : self.now + in_order] if last.maker.module.count(".") else []
            self.inside_dense |= {made.maker.label for made in inside if made.maker}
        if way.nested is not None:
            self.n_nested += 1
            self.inside = way.nested
        self.made.append(Made(first.parts + last.parts))
        self.now = len(self.made) - 1

    def groups(self) -> tuple[SymmetryGroup, ...]:
        """A group for each class of units that are neither inputs nor outputs, in blocks of the divisor of all its sizes.

        () for networks that are no DenseNet, in which every layer joins, and no U-Net, whose layers widen, then narrow.
        """
        widths = [one.size for one in self.made[1:-1] if len(one.parts) == 1 and not self._is_hidden(one)]
        middle = widths.index(max(widths)) if widths else 0
        is_u = widths[:middle] == sorted(widths[:middle]) and widths[middle:] == sorted(widths[middle:], reverse=True)
        if not (self.n_dense == self.n_joins > 1 or (is_u and self.n_nested == self.n_joins > 0)):
            return ()
        classes = DisjointSet(range(len(self.made)))
        sizes: dict[int, int] = {}
        for at, one in enumerate(self.made):
            if len(one.parts) == 1 and not self._is_hidden(one):
                self.alike.append((sizes.setdefault(one.size, at), at))
        for pair in self.alike:
            units = [part.units for at in pair for part in self.made[at].parts]
            for one, other in pairwise(units):
                classes.merge(one, other)
        n: dict[int, int] = {}
        for one in self.made:
            for part in one.parts:
                n[classes[part.units]] = math.gcd(n.get(classes[part.units], 0), part.size)
        fixed = {classes[part.units] for at in (*self.frozen, self.now) for part in self.made[at].parts}
        members: dict[int, list[Member]] = {}
        for axis in self.axes:
            start = 0
            for units, size in axis.parts:
                root = classes[units]
                own = Member(axis.tensor, axis.axis, axis.side, size // n[root], axis.inner, start)
                members.setdefault(root, []).append(own)
                start += size * axis.inner
        free = {root: tuple(sorted(own, key=str)) for root, own in members.items() if root not in fixed and n[root] > 1}
        names = {root: next(member.tensor for member in own if member.side == "in") for root, own in free.items()}
        found = (SymmetryGroup(f"units of {names[root]}", n[root], own) for root, own in free.items())
        return tuple(sorted(found, key=lambda units: units.name))
