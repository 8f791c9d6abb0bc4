"""The symmetry groups that follow from a structure: units are followed along its tree from layer to layer.

Sums tie the units of their terms together; the first layers read inputs, and what no layer reads are outputs, neither of
which is interchangeable.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple

from metarep.errors import MetarepError
from metarep.networks.operations import AFFINE, NORMS, Operation
from metarep.networks.structure import Structure
from metarep.networks.symmetry_groups import Member, Side, SymmetryGroup
from metarep.networks.units import Axis, UnitClasses, size_of

_PORTED = re.compile(r"dense_?\d*(_\d+)?$")
"""Layers named as Keras names them: where such a network was ported, it may flatten pixels as Keras does."""

_CONDITION = re.compile(
    r"(?:^|[._])(?:labels?|class(?:es)?|cond(?:ition)?|digits?|categor(?:y|ies)|time(?:step)?|domain|speaker)(?:[._]|$)"
)
"""Embeddings of what is joined or multiplied with other inputs, such as the label that a generator reads beside its noise."""


def may_be_grouped(operation: Operation) -> bool:
    """Whether a norm may be one over groups of channels: it keeps no statistics."""
    return operation.kind in NORMS and bool(operation.vectors) and not operation.has_statistics


class Value(NamedTuple):
    """What layers put out: its units one behind the other; `source` is the kind of layer it comes from ("table" for a square
    embedding, in front of or behind which other inputs may stand), and `channels_last` whether its pixels are flattened each
    with all its channels."""

    axis: Axis
    source: str = "linear"
    channels_last: bool = False

    @property
    def size(self) -> int:
        return size_of(self.axis)

    def repeated(self, times: int) -> Axis | None:
        """Each of its units `times` times, flattened; None where these positions are not known."""
        if times > 1 and (self.channels_last or self.source in ("embedding", "table")):
            return (self.axis[0].within(before=times),) if len(self.axis) == 1 else None
        return tuple(run.within(after=times) for run in self.axis)


@dataclass
class StructureGroups:
    """A walk along a structure. With `strict` no layer reads more than what stands before it, with `inside` the first layer may
    be any within a network, with `unsure` it is not known in which order what stands side by side is joined, with `declared`
    a person has said what kind each norm is."""

    operations: Mapping[str, Operation]
    relu: bool = False
    strict: bool = False
    inside: bool = False
    unsure: bool = False
    declared: bool = False
    units: UnitClasses = field(default_factory=UnitClasses)

    def run(self, tree: Structure | str) -> tuple[SymmetryGroup, ...]:
        """The groups of a whole network, those that are read first. Raises MetarepError where widths do not fit."""
        found = self.walk(tree, None)
        if found is not None:
            self.units.freeze(found.axis)
        return self.units.groups()

    def walk(self, tree: Structure | str, value: Value | None) -> Value | None:
        """What a tree puts out for a value; None stands for the inputs of the network."""
        if isinstance(tree, str):
            return self.apply(self.operations[tree], value)
        if tree.way == "sequence":
            for part in tree.parts:
                value = self.walk(part, value)
            return value
        if tree.way == "elementwise" and value is not None:
            self._add_to(value)
        found = [self.walk(part, value) for part in tree.parts]
        if tree.way == "parallel":
            joined = tuple(run for one in found if one is not None for run in one.axis)
            self.units.freeze(joined if self.unsure else ())
            return found[-1]._replace(axis=joined)
        return self.total(found, inside=value is not None)

    def _new(self, name: str, n: int, members: Iterable[Member], *, scale: bool = False) -> Axis:
        """Units that members run over, with a positive scale or without."""
        axis = self.units.new(n, name)
        for member in members:
            self.units.bind(member.tensor, member.axis, tuple(run.within(before=member.outer) for run in axis), member.side)
        if not scale:
            self.units.loosen(axis)
        return axis

    def _add_to(self, value: Value) -> None:
        """What is added to, or read by several terms of a sum, is a stream."""
        self.units.rename(value.axis, "units of", "stream from")

    def total(self, found: list[Value | None], *, inside: bool) -> Value | None:
        """What is added or multiplied unit by unit; `inside`: its terms read units that may be a stream."""
        known = [value for value in found if value is not None]
        if len(known) < len(found):  # the inputs themselves are added
            for value in known:
                self.units.freeze(value.axis)
            return known[0] if known else None
        if len({value.size for value in known}) > 1:
            met = ", ".join(str(value.size) for value in known)
            raise MetarepError("what is added does not have one width", met=met, expected="the same width for all terms")
        for value in known:
            self.units.tie(known[0].axis, value.axis)
            self.units.loosen(value.axis)
        if inside:
            self._add_to(known[0])
        return known[0]

    def apply(self, operation: Operation, value: Value | None) -> Value:
        """What one operation puts out. Raises MetarepError where it does not fit what it reads."""
        if operation.gates:
            self._read(operation, value)
            return Value(self._new(f"units of {operation.label}", operation.n_out, operation.feeding()), "recurrent")
        if operation.weight is None or operation.kind in NORMS:
            return self._own(operation, value)
        if operation.kind == "embedding":
            return self._embed(operation, value)
        if operation.attention is not None:
            return self._weighed(operation, value)
        if operation.kind not in AFFINE or not operation.known_whole:
            met, expected = operation.kind, ", ".join(AFFINE)
            if operation.kind in AFFINE:
                met, expected = "tensors that do not fit each other", "vectors as long as its outputs"
            raise MetarepError(f"{operation.module} is no layer whose units are known", met=met, expected=expected)
        n_in, n_out, convolution = operation.n_in, operation.n_out, operation.kind != "linear"
        if value is not None and convolution and n_in == 1 < value.size and n_out % value.size == 0:
            return self._depthwise(operation, value)
        grouped = value is not None and convolution and 0 < n_in < value.size and value.size % n_in == 0
        if not grouped:
            self._read(operation, value)
        made = self._new(f"units of {operation.label}", n_out, operation.feeding(), scale=self.relu)
        alone = self.inside and convolution and n_in == 1 < n_out
        in_doubt = grouped or operation.may_be_transposed
        if in_doubt or (value is None and (operation.may_be_grouped or alone)):  # a filter for each channel, perhaps
            self.units.freeze(made)
        if in_doubt and value is not None:
            self.units.freeze(value.axis)
        return Value(made, operation.kind, operation.channels_last)

    def _weighed(self, operation: Operation, value: Value | None) -> Value:
        """What attention over a graph puts out: heads one behind the other, or their mean, in which the units of a head are
        permuted alike in all of them. Layers beside the first read the same value, but for those that read edges."""
        scores, vectors = operation.attention.scores, operation.attention.vectors
        known = len(scores) + len(vectors) == len(operation.attention.tensors) and all(v.role == "bias" for v in vectors)
        heads, n = scores[0].shape[1:]
        axis = self._new(f"units of {operation.label}", n, [Member(score.name, 2, "own") for score in scores])
        joined = tuple(run.within(before=heads) for run in axis)
        lengths = {vector.shape[0] for vector in vectors}
        for layer in (operation, *operation.beside):
            for member in layer.feeding():
                self.units.bind(member.tensor, member.axis, joined, "in")
            if layer is operation or (value is not None and "edge" not in layer.module and layer.n_in == value.size):
                self._read(layer, value)
        for vector in vectors:
            self.units.bind(vector.name, 0, joined if vector.shape[0] == heads * n else axis, "in", vector.shape[0])
        if not known or len(lengths) != 1 or len({score.shape for score in scores}) > 1:
            self.units.freeze(axis)  # without a bias nothing tells whether heads are joined
        return Value(joined if lengths == {heads * n} else axis)

    def _read(self, operation: Operation, value: Value | None) -> None:
        """Adds the axis of a tensor that reads a value, which may be flattened pixels or the positions of embedded ids."""
        reader, n_in = operation.reading(), operation.n_in
        if value is not None and operation.has_lengths:
            self.units.loosen(value.axis)
        if value is None:
            self.units.bind(reader.tensor, reader.axis, self.units.fixed(n_in, "inputs"), "out")
            return
        times = n_in // value.size if value.size else 0
        may_flatten = operation.kind == "linear" and value.source not in ("linear", "recurrent")
        ported = _PORTED.match(operation.module.rpartition(".")[2]) and value.source.startswith("conv")
        if (not self.strict and self._reads_more(operation, n_in, value)) or (times > 1 and ported and not value.channels_last):
            self.units.freeze(value.axis)
            return
        if times * value.size != n_in or (times > 1 and not may_flatten):
            raise MetarepError(
                f"{operation.label} does not fit what stands before it", met=f"it reads {n_in}", expected=f"{value.size} values"
            )
        self._put(value, times, reader.tensor, reader.axis, "out")

    def _reads_more(self, operation: Operation, n_in: int, value: Value) -> bool:
        """Whether a linear layer reads inputs of the network beside the units before it, and no units of other layers."""
        more = n_in - value.size
        if value.source == "table":
            return operation.kind == "linear" and more > 0
        widths = [self.units.n[number] for number, name in self.units.names.items() if name != "inputs"]
        hidden = {sum(some) for n in (1, 2) for some in combinations(widths, n)}
        plain = operation.kind == "linear" and value.source == "linear" and all(run.inner == 1 for run in value.axis)
        return plain and 0 < more < value.size and not {more, n_in} & hidden

    def _put(self, value: Value, times: int, tensor: str, axis: int, side: Side) -> None:
        """Adds the axis of a tensor that runs over a value, each unit `times` times."""
        placed = value.repeated(times)
        if placed is None:
            self.units.freeze(value.axis)
        else:
            self.units.bind(tensor, axis, placed, side)

    def _own(self, operation: Operation, value: Value | None) -> Value:
        """A norm, slopes or gains: vectors that belong to the units before them, or to the inputs."""
        vectors, norm = operation.vectors, operation.kind in NORMS
        if value is None and norm and vectors:
            value = Value(self.units.fixed(vectors[0].shape[0], "inputs"))
        if value is None or any(vector.shape[0] not in (1, value.size) for vector in vectors):
            expected = "what it reads" if value is None else f"vectors of {value.size}"
            raise MetarepError(
                f"{operation.label} does not fit what stands before it", met="a norm or a vector", expected=expected
            )
        if not norm and operation.kind != "bias" and not operation.is_elementwise:
            raise MetarepError(
                f"{operation.label} is no layer whose units are known", met=operation.kind, expected=", ".join(AFFINE)
            )
        for vector in (one for one in vectors if one.shape[0] == value.size):
            self._put(value, 1, vector.name, 0, "in" if operation.kind == "bias" else "own")
        if norm:
            self.units.loosen(value.axis)
        told = self.declared and operation.kind == "batch_norm"
        if value.source.startswith("conv") and may_be_grouped(operation) and not told:
            self.units.freeze(value.axis)
        return value

    def _embed(self, operation: Operation, value: Value | None) -> Value:
        if value is not None:
            raise MetarepError(f"{operation.label} embeds ids and reads no units", met="a layer before it", expected="none")
        made = self._new(f"units of {operation.label}", operation.n_out, operation.feeding())
        condition = bool(_CONDITION.search(operation.module.lower()))
        if condition:
            self.units.freeze(made)
        return Value(made, "table" if condition or operation.n_in == operation.n_out else "embedding")

    def _depthwise(self, operation: Operation, value: Value) -> Value:
        """One filter or several for each channel."""
        made = tuple(run.within(after=operation.n_out // value.size) for run in value.axis)
        for member in operation.feeding():
            self.units.bind(member.tensor, member.axis, made, "in")
        self.units.loosen(made)
        return Value(made, operation.kind, operation.channels_last)
