"""What widths tell where names leave open which layer reads which: units between the last layers, and one symmetry for all
layers of one width.

Whatever is added, multiplied, branched off or led around: where layers only read what other layers put out as a whole, the
units of all layers of one width can be permuted together, by one permutation. Left out are widths of which some units
may mean something else: those of inputs and outputs, of what is joined, flattened, split or read in groups.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from itertools import combinations_with_replacement, pairwise
from typing import NamedTuple

from metarep.networks.operations import NORMS, RECURRENT, Operation
from metarep.networks.order import numbered
from metarep.networks.symmetry_groups import Member, SymmetryGroup

_LAYER_NORM = re.compile(r"layer_?norm", re.I)
_ACROSS = re.compile(r"down_?sample|short_?cut", re.I)
_SCORE = re.compile(r"att|score|energy", re.I)

JOINS = re.compile(r"unet|up|down|enc|dec|dense|trans|expan|contract|left|right|merge|concat|skip", re.I)
"""Names of networks that join what layers put out."""


class WidthStep(NamedTuple):
    """A layer, and whether it has a filter for each channel, which is then read by the layer itself alone."""

    layer: Operation
    depthwise: bool

    @property
    def puts(self) -> int:
        return self.layer.n_out

    @property
    def reads(self) -> int:
        return self.puts if self.depthwise else self.layer.n_in

    def members(self, n: int) -> Iterator[Member]:
        """Those that run over the units of width n."""
        if self.reads == n and not self.depthwise:
            yield self.layer.reading()
        if self.puts == n:
            yield from self.layer.feeding()


def groups_of_widths(operations: Sequence[Operation]) -> tuple[SymmetryGroup, ...]:
    """An interchangeable group for each width of a network that begins with a convolution or a recurrent layer, or has a layer
    that is recurrent by its name, and consists of plain or recurrent layers, embeddings and norms; () for others."""
    first = next((o for o in operations if o.is_layer), None)
    whole = {o.n_out for o in operations if o.is_layer and (o.n_in > 1 or o is first)}
    layers = [o for o in operations if o.gates or (o.is_layer and o.known_whole)]  # one may be transposed: it is square
    steps = [WidthStep(o, o.kind.startswith("conv") and o is not first and o.n_in == 1 and o.n_out in whole) for o in layers]
    tables = [o for o in operations if o.kind == "embedding" and o.weight is not None]
    vectors = [o for o in operations if o.weight is None and not o.gates]
    plain = all(o.has_statistics or o.is_elementwise or _LAYER_NORM.search(o.module) for o in vectors)
    whole_network = len(steps) + len(vectors) + len(tables) == len(operations)
    begins = bool(layers) and (layers[0].kind != "linear" or any(RECURRENT.search(o.module) for o in layers))
    if not plain or not whole_network or len(steps) < 3 or not begins:
        return ()
    embedded = {table.n_out for table in tables}
    known = {one.puts for one in steps} | embedded
    joined = [step for step in steps[1:] if step.reads not in known and not _reads_inputs(step, steps)]
    if any(_may_be_grouped(step, steps) for step in joined):
        return ()
    left_out = set(_left_out(steps, embedded))
    for step in joined:
        left_out |= {one.puts for one in steps if one.puts < step.reads and one is not step}
        left_out |= {n for n in embedded if n < step.reads}
    left_out |= embedded - {step.reads for step in steps}
    found = []
    for n in dict.fromkeys([*sorted(embedded), *(step.puts for step in steps)]):
        members = [member for table in tables if table.n_out == n for member in table.feeding()]
        members += [member for step in steps for member in step.members(n)]
        members += [Member(v.name, 0, "own") for o in vectors for v in o.vectors if v.shape[0] == n]
        if n > 1 and n not in left_out:
            found.append(SymmetryGroup(f"all layers of width {n}", n, tuple(members)))
    return tuple(found)


def groups_at_the_end(operations: Sequence[Operation]) -> Iterator[SymmetryGroup]:
    """The units between the last linear layers, as long as no other axis of the network is as long.

    Whatever stands before them, only what stands behind a layer can read it; and what a layer of such a width reads, no other
    puts out.
    """
    sizes = Counter(n for operation in operations for tensor in operation.tensors for n in tensor.shape)
    read = {one.n_in for one in operations if one.is_layer}
    readers: list[Operation] = []
    between: list[Operation] = []
    for at, operation in reversed(list(enumerate(operations))):
        n = readers[0].n_in if readers else 0
        if readers and operation.kind in NORMS and {vector.shape for vector in operation.vectors} == {(n,)}:
            between.append(operation)
        elif not (operation.kind == "linear" and operation.is_layer and operation.known_whole):
            return
        elif readers and operation.n_out == n:
            vectors = [member for norm in between for member in norm.owning()]
            members = (*operation.feeding(), *vectors, *(reader.reading() for reader in readers))
            before = {one.n_out for one in operations[:at] if one.is_layer}
            unread = {one.n_out for one in operations[:at] if one.kind == "linear" and one.is_layer} - read
            if n < 2 or sizes[n] != len(members) or any(n - one in before for one in before):
                return
            if any(width % n == 0 for width in unread):  # what nothing reads as a whole may scale and shift these units
                return
            yield SymmetryGroup(f"units of {operation.label}", n, members)
            readers, between = [operation], []
        elif not between and (not readers or (readers[0] is operations[-1] and operation.n_in == n)):
            readers.append(operation)  # a head beside others
        else:
            return


def _may_be_grouped(step: WidthStep, steps: Sequence[WidthStep]) -> bool:
    return step.layer.kind.startswith("conv") and any(one.puts > step.reads and one.puts % step.reads == 0 for one in steps)


def _reads_inputs(step: WidthStep, steps: Sequence[WidthStep]) -> bool:
    """Whether a layer is the first, or leads the inputs across the first block by its name."""
    return step is steps[0] or (step.reads == steps[0].reads and bool(_ACROSS.search(step.layer.module)))


def _left_out(steps: Sequence[WidthStep], embedded: Set[int]) -> Iterator[int]:
    """The widths of inputs and outputs, and of what a layer may read a part of, or together with something else."""
    widths = {step.puts for step in steps}
    sums: dict[int, set[int]] = {}
    for some in (some for n in (1, 2, 3) for some in combinations_with_replacement(sorted(widths), n)):
        sums.setdefault(sum(some), set()).update(some)
    yield from (steps[-1].puts, *{steps[0].reads} - embedded)
    for unread in widths - {step.reads for step in steps}:
        yield from (n for n in widths if unread % n == 0)
    joins = any(JOINS.search(step.layer.path) for step in steps)
    for before, after in pairwise(steps):
        split = before.puts % after.reads == 0 and not after.depthwise
        joined = after.reads - before.puts in sums
        across = before.puts == after.puts and bool(_ACROSS.search(after.layer.module))
        handed_on = before.layer.gates and after.layer.gates and before.puts == after.puts and after.reads in embedded
        score = before.puts == 1 and bool(_SCORE.search(before.layer.module))  # of positions, by which values are summed
        if before.puts != after.reads and not (across or handed_on or score):
            yield from (before.puts, *[after.reads] * (split or joined or not after.layer.kind.startswith("conv")))
            yield from sums.get(after.reads - before.puts, ()) if joins else ()
    modules: dict[str, list[WidthStep]] = {}
    for step in steps:
        modules.setdefault(step.layer.label.partition(".")[0], []).append(step)
    series = Counter(numbered(name)[0] for name in modules)
    for name, inside in modules.items():  # as wide in as out: a head, perhaps, beside the module behind it
        last, (word, number) = inside[-1].layer, numbered(name)
        in_series = number >= 0 and series[word] > 2 and inside[-1] is not steps[-1]
        inner = in_series or last.gates or RECURRENT.search(last.module)
        yield from [last.n_out] * (inside[0].reads == last.n_out and not inner)
