"""Units inside a network that is not known as a whole: between the layers of a list that nothing else can see into, and inside
known blocks, such as the two layers of a transformer's MLP."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from metarep.errors import MetarepError
from metarep.networks.operations import NORMS, Operation
from metarep.networks.plain import sequence
from metarep.networks.residual_stream import gated_by_halves, mlps_of
from metarep.networks.structure import Structure, residual, row
from metarep.networks.structure_groups import StructureGroups
from metarep.networks.symmetry_groups import SymmetryGroup, without_overlap

BLOCKS = (
    row("conv_pw", "bn1", "conv_dw", "bn2", residual("se.conv_reduce", "se.conv_expand"), "conv_pwl"),  # timm
    row("conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl"),
    *(row(*names) for names in (("se.conv_reduce", "se.conv_expand"), ("se.fc1", "se.fc2"))),
    *(row(f"lora{a}", f"lora{b}") for a, b in (("_A", "_B"), ("_A.default", "_B.default"), ("_down", "_up"), (".down", ".up"))),
)
"""Blocks whose inner units nothing outside can see, by the ends of the names of their parts."""


def lists_of_layers(operations: Sequence[Operation]) -> Iterator[tuple[Operation, ...]]:
    """Runs of layers, each a numbered part of one list (`net.0`, `net.2`), that stand one behind the other in it.

    Numbers left out are those of activations, and norms have numbers of their own: such a list runs its parts in order,
    whereas one of layers alone may hold branches. A part may be a layer with its norm (`conv.0.0`, `conv.0.1`), or an
    activation with the layer behind it (`ffn.0.0`, `ffn.1.2`).
    """
    lists: dict[str, list[tuple[tuple[int, ...], Operation]]] = {}
    for operation in operations:
        match = re.fullmatch(r"(?:(.*?)\.)?(\d+(?:\.\d+)*)", operation.module)
        numbers = match[2].split(".") if match is not None else []
        for depth in range(max(0, len(numbers) - 2), len(numbers)):  # the list itself, and one that holds pairs
            name = ".".join([*([match[1]] if match[1] is not None else []), *numbers[:depth]])
            lists.setdefault(name, []).append((tuple(int(n[:18]) for n in numbers[depth:]), operation))
    for name, entries in lists.items():
        held = {numbers[0] for numbers, _ in entries}
        foreign = [number for operation in operations if (number := _number_in(name, operation.module)) not in held | {None}]
        runs: dict[int, list[tuple[tuple[int, ...], Operation]]] = {}
        for numbers, operation in entries:
            runs.setdefault(sum(number < numbers[0] for number in foreign), []).append((numbers, operation))
        for run in runs.values():
            if _runs_in_order(run):
                yield tuple(operation for _, operation in run)


def _number_in(name: str, module: str) -> int | None:
    """The number of the part of a list that a module belongs to; None for modules outside."""
    rest = module.removeprefix(name + ".") if name and module.startswith(name + ".") else "" if name else module
    first = rest.partition(".")[0]
    return int(first[:18]) if first.isdigit() else None


def _runs_in_order(entries: Sequence[tuple[tuple[int, ...], Operation]]) -> bool:
    firsts = [numbers[0] for numbers, _ in entries]
    layers = [numbers[0] for numbers, operation in entries if operation.is_layer]
    nested = any(len(numbers) > 1 for numbers, _ in entries)
    whole = len(layers) == len(set(layers)) > 1 and all(o.is_layer or o.kind in NORMS for _, o in entries)
    gaps = any(b - a > 1 for a, b in pairwise(firsts))
    norms = any(operation.kind in NORMS for numbers, operation in entries if len(numbers) == 1)
    inner = [numbers[1] for numbers, _ in entries if len(numbers) > 1]
    activations = len(inner) == len(entries) > 1 and inner[0] == 0 < min(inner[1:])  # each part but the first begins with one
    return whole and (norms or activations or (gaps and not nested))


def groups_inside(operations: Sequence[Operation]) -> tuple[SymmetryGroup, ...]:
    """The interchangeable groups of lists of layers and of known blocks."""
    by_name = {operation.label: operation for operation in operations}
    trees = [tree for layers in lists_of_layers(operations) for tree in _fitting(layers, by_name)]
    trees += [tree for block in BLOCKS for tree in block.occurrences(by_name)]
    mlps = mlps_of(operations)
    pairs = () if any(operation.gates for operation in operations) else pairs_of_layers(operations)
    within = (units for tree in (*trees, *mlps) for units in inner_groups(tree, by_name, inside=True))
    return without_overlap([*within, *gated_by_halves(mlps, operations), *pairs])


def pairs_of_layers(operations: Sequence[Operation]) -> Iterator[SymmetryGroup]:
    """The units between two linear layers of one block that lead back to as many values as the first reads.

    They are known by their number, which no other axis of the network has but those of other such pairs, and which is no part
    of another, whereas layers outside the pairs read or put out as many values as are led back to: what else could read, scale,
    shift or join these units has other axes.
    """
    blocks: dict[str, dict[tuple[int, int], list[Operation]]] = {}
    for operation in operations:
        block = operation.module.rpartition(".")[0]
        if block and operation.kind == "linear" and operation.is_layer and operation.plain and operation.known_whole:
            blocks.setdefault(block, {}).setdefault((operation.n_in, operation.n_out), []).append(operation)
    pairs: dict[tuple[int, int], list[tuple[Operation, Operation]]] = {}
    for block in blocks.values():
        for (n_in, n), some in block.items():
            back = block.get((n, n_in), ())
            if len(some) == len(back) == 1 and n_in != n > 1:
                pairs.setdefault((n_in, n), []).append((some[0], back[0]))
    sizes = Counter(n for operation in operations for tensor in operation.tensors for n in tensor.shape)
    for (n_in, n), found in pairs.items():
        groups = [SymmetryGroup(f"units of {a.label}", n, (*a.feeding(), b.reading())) for a, b in found]
        alone = sizes[n] == sum(len(units.members) for units in groups)
        led_back = sizes[n_in] > sum(axis == n_in for pair in found for o in pair for t in o.tensors for axis in t.shape)
        joined = any(size > n and size != n_in and (size % n == 0 or size - n in sizes) for size in sizes)
        if alone and led_back and not joined:
            yield from groups


def inner_groups(tree: Structure, by_name: Mapping[str, Operation], *, inside: bool = False) -> tuple[SymmetryGroup, ...]:
    """The interchangeable groups between the first and the last layer of a tree; () where widths do not fit."""
    try:
        groups = StructureGroups(by_name, strict=True, inside=inside).run(tree)
    except MetarepError:
        return ()
    return tuple(units for units in groups if units.interchangeable)


def _fitting(layers: Sequence[Operation], by_name: Mapping[str, Operation]) -> Iterator[Structure]:
    """The longest runs of a list that fit; a run does not begin with a norm."""
    run: list[Operation] = []
    for operation in layers:
        if run or operation.is_layer:
            if run and not fits([*run, operation], by_name):
                yield sequence(run)
                run = []
            run += [operation] if run or operation.is_layer else []
    if run:
        yield sequence(run)


def fits(run: Sequence[Operation], by_name: Mapping[str, Operation]) -> bool:
    """Whether layers stand one behind the other by their widths."""
    try:
        StructureGroups(by_name, strict=True).run(sequence(run))
    except MetarepError:
        return False
    return True
