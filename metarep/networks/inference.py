"""The symmetries of a network from the names and shapes of its tensors, since a state dict has no graph.

A plain chain of linear and convolutional layers, with norms between them, is read from end to end; so are residual networks
whose every tensor is known by name (`residual_conv`, `residual_stream`). Anything else (attention, recurrent layers,
shapes that do not fit) is read only where names leave no doubt: the hidden units of a transformer's MLP, the units of a
recurrent layer inside it. Whatever is in doubt is a group that is not interchangeable: a false symmetry would be worse
than a missed one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from metarep.networks.architecture import Architecture
from metarep.networks.chain import chain_of
from metarep.networks.operations import AFFINE, Operation, operations_of
from metarep.networks.residual_conv import residual_conv
from metarep.networks.residual_stream import mlp_readers, stream_of
from metarep.networks.symmetry_groups import Member, Symmetries, SymmetryGroup

GATES = {"lstm": 4, "gru": 3}
_SKIPS = re.compile(
    r"down_?sample|short_?cut|skip|highway|gate|dense_?block|res(idual|net|_?block|_?\d|$)"
    r"|(layer|block|stage|group)s?_?\d+\.\d+\.|(layer|block|stage|group)s?[._]?\d+\.[a-z_]*\d|blocks[._]?\d+\.",
    re.I,
)
"""Modules around which a network may go: those that say so, and numbered blocks of numbered parts, as in residual networks."""

_BESIDE = re.compile(
    r"(^|[._])(query|key|value|q|k|v|actor|critic|policy|pi|vf|qf|adv|advantage|target|generator|discriminator|teacher|student"
    r"|branch|tower|path|b|mu|log_?var|log_?std)_?\d*([._]|$)",
    re.I,
)
"""Modules that stand beside others, not behind them: the parts of an attention, two networks in one file, branches, heads."""

_BLOCK = re.compile(r"(.*?(?:^|[._a-zA-Z])\d+)\.(.+)")
"""A numbered block and a part of it."""


def symmetries_of(architecture: Architecture, *, relu: bool = False) -> Symmetries:
    """The groups of units that names and shapes show; `relu`: a ReLU is known to stand behind every hidden layer."""
    operations = list(operations_of(architecture))
    chain = _whole_chain(architecture, operations, relu)
    if chain is not None:
        return Symmetries(chain)
    groups = residual_conv(operations)
    stream = None if groups else stream_of(operations)
    groups = groups if stream is None else (stream,)
    return Symmetries((*groups, *_others(operations, groups)))


def _whole_chain(architecture: Architecture, operations: Sequence[Operation], relu: bool) -> tuple[SymmetryGroup, ...] | None:
    """The groups of a plain chain, input first; None for anything else. Where a graph is known, it says which of both it is."""
    if architecture.chain is False or (architecture.chain is None and _in_doubt(operations)):
        return None
    return chain_of(operations, relu=relu)


def _in_doubt(operations: Sequence[Operation]) -> bool:
    """Whether names say that layers may stand beside each other or that something goes around them.

    Numbered blocks whose parts have names and which put out as many units as they read may be gone around. What names cannot
    say stays: x + f(x) in a network of layers called conv1, conv2, conv3, or in a list of square layers.
    """
    modules = [operation.module for operation in operations]
    if not operations or any(_SKIPS.search(module) or _BESIDE.search(module) for module in modules):
        return True
    blocks: dict[str, list[Operation]] = {}
    for operation in operations:
        part = _BLOCK.fullmatch(operation.module)
        if part and operation.kind in AFFINE and operation.weight is not None and not part[2].isdigit():
            blocks.setdefault(part[1], []).append(operation)
    return any(block[0].n_in == block[-1].n_out for block in blocks.values())


def _others(operations: Sequence[Operation], groups: Sequence[SymmetryGroup]) -> Iterator[SymmetryGroup]:
    """The output units of every operation that no group holds, interchangeable where names leave no doubt who reads them."""
    held = {(member.tensor, member.axis) for units in groups for member in units.members}
    readers = mlp_readers(operations) if _has_blocks(operations) else {}
    taken: set[int] = set()
    for number, operation in enumerate(operations):
        if operation.kind in GATES:
            yield from _recurrent(operation)
            continue
        if operation.weight is None or operation.kind == "embedding" or number in taken:
            continue
        if (operation.weight.name, operation.axes[0]) in held:
            continue
        name = f"units of {operation.module or operation.weight.name}"
        if number not in readers:
            yield SymmetryGroup(name, operation.n_out, operation.feeding(), interchangeable=False)
            continue
        feeders, reader = readers[number]
        taken.update(feeders)
        members = tuple(member for index in feeders for member in operations[index].feeding())
        yield SymmetryGroup(name, operation.n_out, (*members, operations[reader].reading()), interchangeable=True)


def _has_blocks(operations: Sequence[Operation]) -> bool:
    """Whether a network has the look of a transformer: blocks inside it, or norms, attention, embeddings beside its layers.

    In any other the layers fc1 and fc2 may be read by further ones.
    """
    kinds = {operation.kind for operation in operations}
    return any("." in operation.module for operation in operations) or not kinds <= {*AFFINE}


def _recurrent(operation: Operation) -> Iterator[SymmetryGroup]:
    """The hidden units of an LSTM or GRU layer; who reads its output is not known, so they are not interchangeable."""
    gates = GATES[operation.kind]
    hidden = next((t for t in operation.tensors if t.role == "hidden" and len(t.shape) == 2), None)
    if hidden is None or hidden.shape[0] != gates * hidden.shape[1]:
        return
    n = hidden.shape[1]
    rows = tuple(
        Member(t.name, 0, "in", outer=gates)
        for t in operation.tensors
        if t.shape and t.shape[0] == gates * n and len(t.shape) < 3
    )
    yield SymmetryGroup(f"units of {hidden.name}", n, (*rows, Member(hidden.name, 1, "out")), interchangeable=False)
