"""The symmetry groups that follow from a structure: units are followed along its tree from layer to layer.

Sums tie the units of their terms together; the first layers read inputs, and what no layer reads are outputs, neither of
which is interchangeable.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

from metarep.errors import MetarepError
from metarep.networks.operations import AFFINE, NORMS, Operation
from metarep.networks.structure import Structure
from metarep.networks.symmetry_groups import Member, Side, SymmetryGroup

_PORTED = re.compile(r"dense_?\d*(_\d+)?$")
"""Layers named as Keras names them: where such a network was ported, it may flatten pixels as Keras does."""

_CONDITION = re.compile(
    r"(?:^|[._])(?:labels?|class(?:es)?|cond(?:ition)?|digits?|categor(?:y|ies)|time(?:step)?|domain|speaker)(?:[._]|$)"
)
"""Embeddings of what is joined or multiplied with other inputs, such as the label that a generator reads beside its noise."""


@dataclass(frozen=True)
class Piece:
    """Values that come from one group: outer · n · inner of them, as `Member` has it."""

    group: int
    n: int
    outer: int = 1
    inner: int = 1

    @property
    def size(self) -> int:
        return self.outer * self.n * self.inner


@dataclass(frozen=True)
class Value:
    """What layers put out: pieces one behind the other; `source` is the kind of layer it comes from ("table" for a square
    embedding, in front of or behind which other inputs may stand), and `channels_last` whether its pixels are flattened each
    with all its channels."""

    pieces: tuple[Piece, ...]
    source: str = "linear"
    channels_last: bool = False

    @property
    def size(self) -> int:
        return sum(piece.size for piece in self.pieces)

    def repeated(self, times: int) -> Value | None:
        """Each of its units `times` times, flattened; None where these places are not known."""
        if times == 1:
            return self
        if self.channels_last or self.source in ("embedding", "table"):
            pieces = tuple(replace(piece, outer=times * piece.outer) for piece in self.pieces)
            return replace(self, pieces=pieces) if len(pieces) == 1 else None
        return replace(self, pieces=tuple(replace(piece, inner=times * piece.inner) for piece in self.pieces))


@dataclass
class StructureGroups:
    """Groups in the making. With `strict` no layer reads more than what stands before it, and with `inside` the first layer may
    be any within a network. A group is dropped by `merge`, and its number then stands for the one that it became part of."""

    operations: Mapping[str, Operation]
    relu: bool = False
    strict: bool = False
    inside: bool = False
    groups: dict[int, SymmetryGroup] = field(default_factory=dict)
    became: dict[int, int] = field(default_factory=dict)

    def run(self, tree: Structure | str) -> tuple[SymmetryGroup, ...]:
        """The groups of a whole network, those that are read first. Raises MetarepError where widths do not fit."""
        found = self.walk(tree, None)
        for piece in found.pieces if found is not None else ():
            self.hold(piece.group)
        return tuple(group for _, group in sorted(self.groups.items()))

    def walk(self, tree: Structure | str, value: Value | None) -> Value | None:
        """What a tree puts out for a value; None stands for the inputs of the network."""
        if isinstance(tree, str):
            return self._apply(self.operations[tree], value)
        if tree.way == "sequence":
            for part in tree.parts:
                value = self.walk(part, value)
            return value
        if tree.way == "elementwise":
            for piece in value.pieces if value is not None else ():
                self._rename(piece.group)
        found = [self.walk(part, value) for part in tree.parts]
        if tree.way == "parallel":
            return replace(found[-1], pieces=tuple(piece for one in found if one is not None for piece in one.pieces))
        return self._sum(found)

    def new(self, name: str, n: int, members: Sequence[Member], **how: bool) -> int:
        number = len(self.groups) + len(self.became)
        self.groups[number] = SymmetryGroup(name, n, tuple(members), **how)
        return number

    def at(self, number: int) -> int:
        while number in self.became:
            number = self.became[number]
        return number

    def add(self, number: int, *members: Member, scale: bool = True) -> None:
        """Members more for a group; without `scale` it has no positive scale from now on."""
        group = self.groups[self.at(number)]
        kept = tuple(member for member in members if member not in group.members)
        self.groups[self.at(number)] = replace(
            group, members=group.members + kept, positive_scale=group.positive_scale and scale
        )

    def hold(self, number: int) -> None:
        """The units of a group keep their order from now on."""
        number = self.at(number)
        self.groups[number] = replace(self.groups[number], interchangeable=False, positive_scale=False)

    def merge(self, one: int, other: int) -> None:
        """Two groups become one, since their units are added to each other."""
        first, second = sorted((self.at(one), self.at(other)))
        if first == second:
            return
        a, b = self.groups[first], self.groups.pop(second)
        self.became[second] = first
        members = tuple(dict.fromkeys(a.members + b.members))
        self.groups[first] = SymmetryGroup(a.name, a.n, members, a.interchangeable and b.interchangeable)
        self._rename(first)

    def _rename(self, number: int) -> None:
        """What is added to, or read by several terms of a sum, is a stream."""
        group = self.groups[self.at(number)]
        if group.name.startswith("units of "):
            self.groups[self.at(number)] = replace(group, name=group.name.replace("units of", "stream from", 1))

    def _sum(self, found: Sequence[Value | None]) -> Value | None:
        known = [value for value in found if value is not None]
        if len(known) < len(found):  # the inputs themselves are added
            for piece in (piece for value in known for piece in value.pieces):
                self.hold(piece.group)
            return known[0] if known else None
        first = known[0]
        shapes = [[(piece.n, piece.outer, piece.inner) for piece in value.pieces] for value in known]
        if len({value.size for value in known}) > 1:
            met = ", ".join(str(value.size) for value in known)
            raise MetarepError("what is added does not have one width", met=met, expected="the same width for all terms")
        for value, shape in zip(known[1:], shapes[1:], strict=True):
            for a, b in zip(first.pieces, value.pieces, strict=False) if shape == shapes[0] else ():
                self.merge(a.group, b.group)
        if any(shape != shapes[0] for shape in shapes):
            for piece in (piece for value in known for piece in value.pieces):
                self.hold(piece.group)
        return first

    def _apply(self, operation: Operation, value: Value | None) -> Value:
        if operation.recurrent is not None:
            return self._recur(operation, value)
        if operation.weight is None or operation.kind in NORMS:
            return self._own(operation, value)
        if operation.kind == "embedding":
            return self._embed(operation, value)
        if operation.kind not in AFFINE or not operation.known_whole:
            met, expected = operation.kind, ", ".join(AFFINE)
            if operation.kind in AFFINE:
                met, expected = "tensors that do not fit each other", "vectors as long as its outputs"
            raise MetarepError(f"{operation.module} is no layer whose units are known", met=met, expected=expected)
        if value is not None and self._is_depthwise(operation, value):
            return self._depthwise(operation, value)
        grouped = value is not None and operation.kind != "linear" and operation.n_in < value.size
        if grouped and operation.n_in and value.size % operation.n_in == 0:
            return self._grouped(operation, value)
        self._read(operation, operation.weight.name, operation.axes[1], operation.n_in, value)
        made = self.new(f"units of {operation.label}", operation.n_out, operation.feeding(), positive_scale=self.relu)
        alone = self.inside and operation.kind != "linear" and operation.n_in == 1 < operation.n_out
        grouped = value is None and (operation.may_be_grouped or alone)  # a filter for each channel, perhaps
        if grouped or operation.may_be_transposed:
            self.hold(made)
        for piece in value.pieces if value is not None and operation.may_be_transposed else ():
            self.hold(piece.group)
        return Value((Piece(made, operation.n_out),), operation.kind, operation.channels_last)

    def _read(self, operation: Operation, tensor: str, axis: int, n_in: int, value: Value | None) -> None:
        """Adds the axis of a tensor that reads a value, which may be flattened pixels or the places of embedded ids."""
        if value is None:
            self.new("inputs", n_in, [Member(tensor, axis, "out")], interchangeable=False)
            return
        times = n_in // value.size if value.size else 0
        may_flatten = operation.kind == "linear" and value.source not in ("linear", "recurrent")
        if not self.strict and self._reads_more(operation, n_in, value):
            for piece in value.pieces:  # in front of them or behind
                self.hold(piece.group)
            return
        if (
            times > 1
            and value.source.startswith("conv")
            and not value.channels_last
            and _PORTED.match(operation.module.rpartition(".")[2])
        ):
            for piece in value.pieces:
                self.hold(piece.group)
            return
        if times * value.size != n_in or (times > 1 and not may_flatten):
            raise MetarepError(
                f"{operation.label} does not fit what stands before it", met=f"it reads {n_in}", expected=f"{value.size} values"
            )
        self._place(value, times, tensor, axis, "out")

    def _reads_more(self, operation: Operation, n_in: int, value: Value) -> bool:
        """Whether a linear layer reads inputs of the network beside the units before it, and no units of other layers."""
        more = n_in - value.size
        if value.source == "table":
            return operation.kind == "linear" and more > 0
        widths = [group.n for group in self.groups.values() if group.name != "inputs"]
        hidden = {sum(some) for n in (1, 2) for some in combinations(widths, n)}
        plain = operation.kind == "linear" and value.source == "linear" and all(piece.inner == 1 for piece in value.pieces)
        return plain and 0 < more < value.size and more not in hidden and n_in not in hidden

    def _place(self, value: Value, times: int, tensor: str, axis: int, side: Side, *, scale: bool = True) -> None:
        """Adds the axis of a tensor that runs over a value, each unit `times` times."""
        placed = value.repeated(times)
        if placed is None:
            for piece in value.pieces:
                self.hold(piece.group)
            return
        start = 0
        for piece in placed.pieces:
            member = Member(tensor, axis, side, outer=piece.outer, inner=piece.inner, start=start)
            self.add(piece.group, member, scale=scale)
            start += piece.size

    def _own(self, operation: Operation, value: Value | None) -> Value:
        """A norm, slopes or gains: vectors that belong to the units before them, or to the inputs."""
        vectors = operation.vectors
        if value is None and operation.kind in NORMS and vectors:
            n = vectors[0].shape[0]
            value = Value((Piece(self.new("inputs", n, (), interchangeable=False), n),), "linear")
        if value is None or any(vector.shape[0] not in (1, value.size) for vector in vectors):
            expected = "what it reads" if value is None else f"vectors of {value.size}"
            raise MetarepError(
                f"{operation.label} does not fit what stands before it", met="a norm or a vector", expected=expected
            )
        if operation.kind not in (*NORMS, "bias") and not operation.is_elementwise:
            raise MetarepError(
                f"{operation.label} is no layer whose units are known", met=operation.kind, expected=", ".join(AFFINE)
            )
        for vector in vectors:
            if vector.shape[0] == value.size:
                side = "in" if operation.kind == "bias" else "own"
                self._place(value, 1, vector.name, 0, side, scale=operation.kind not in NORMS)
        if value.source.startswith("conv") and operation.kind in NORMS and not operation.has_statistics:
            for piece in value.pieces:  # it may be a group norm
                self.hold(piece.group)
        return value

    def _embed(self, operation: Operation, value: Value | None) -> Value:
        if value is not None:
            raise MetarepError(f"{operation.label} embeds ids and reads no units", met="a layer before it", expected="none")
        axis = operation.axes[0] if operation.weight.axes else 1
        d = operation.weight.shape[axis]
        made = self.new(f"units of {operation.label}", d, [Member(operation.weight.name, axis, "in")])
        condition = bool(_CONDITION.search(operation.module.lower()))
        if condition:
            self.hold(made)
        return Value((Piece(made, d),), "table" if condition or operation.weight.shape[1 - axis] == d else "embedding")

    def _recur(self, operation: Operation, value: Value | None) -> Value:
        """The hidden units of an LSTM, GRU or plain recurrent layer: gates in blocks, one behind the other."""
        units = operation.recurrent
        self._read(operation, units.reader.tensor, units.reader.axis, units.n_in, value)
        made = self.new(f"units of {units.name}", units.n, units.members)
        return Value((Piece(made, units.n),), "recurrent")

    @staticmethod
    def _is_depthwise(operation: Operation, value: Value) -> bool:
        return operation.kind != "linear" and operation.n_in == 1 and value.size > 1 and operation.n_out % value.size == 0

    def _depthwise(self, operation: Operation, value: Value) -> Value:
        """One filter or several for each channel."""
        times = operation.n_out // value.size
        for member in operation.feeding():
            self._place(
                replace(value, source="conv", channels_last=False), times, member.tensor, member.axis, "in", scale=False
            )
        pieces = tuple(replace(piece, inner=times * piece.inner) for piece in value.pieces)
        return Value(pieces, operation.kind, operation.channels_last)

    def _grouped(self, operation: Operation, value: Value) -> Value:
        """A convolution in groups of channels, whose order means something on both sides."""
        for piece in value.pieces:
            self.hold(piece.group)
        made = self.new(f"units of {operation.label}", operation.n_out, operation.feeding(), interchangeable=False)
        return Value((Piece(made, operation.n_out),), operation.kind, operation.channels_last)
