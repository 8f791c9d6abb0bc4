"""The symmetries of a network: those that a walk of its graph found, else those that names and shapes of tensors show.

Steps, each a pure function: buffers and the prefix that all names share are set aside (`operations`), networks that stand side
by side are read one by one (`components`), and each is read as what it is declared to be, or as the first of these that it is:

- a network of plain layers: a chain, towers, heads (`plain`, `structure`);
- a network in which layers read several values joined (`joined`): U-Nets, DenseNets;
- a residual network of convolutions (`residual_conv`) or a residual stream (`residual_stream`), known as a whole;
- anything else, of which only units are known that nothing outside can see: in lists of layers, known blocks, the MLPs of
  transformers (`inside`), layers over graphs that are known by name (`message_passing`); and of convolutions all layers of
  one width together (`widths`).

Heads of attention come on top (`heads`). Whatever is in doubt is a group that is not interchangeable: a false symmetry is
worse than a missed one. Notes say what is assumed, and why nothing is interchangeable where nothing is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain

from metarep.account import listed
from metarep.errors import MetarepError
from metarep.networks.architecture import Architecture
from metarep.networks.components import component_of, stem
from metarep.networks.heads import heads_of, n_attentions
from metarep.networks.inside import fits, groups_inside
from metarep.networks.joined import groups_of_joins
from metarep.networks.message_passing import groups_over_graphs
from metarep.networks.operations import NORMS, Operation, operations_of
from metarep.networks.plain import branches, may_be_gone_around, plain_structure, sequence
from metarep.networks.residual_conv import residual_conv
from metarep.networks.residual_stream import stream_of
from metarep.networks.structure import Declared, Structure
from metarep.networks.structure_groups import StructureGroups, may_be_grouped
from metarep.networks.symmetry_groups import Symmetries, SymmetryGroup, without_overlap
from metarep.networks.widths import groups_at_the_end, groups_of_widths

TWINS = (("pi_features_extractor", "features_extractor"), ("vf_features_extractor", "features_extractor"))
"""Modules that Stable-Baselines3 keeps under several names; they are permuted together, whether or not they are one."""

HELD_BY_GRAPH = "inputs, outputs or operators of its graph that are not known keep all units in their order"
SIDE_BY_SIDE = "which layers stand side by side is taken from their names and widths"
JOINED = "what layers read beside what stands before them is taken from their widths"
SAID_OF_NORMS = "a `structure` with `kind: batch_norm` in a file of --architecture says that a norm treats channels one by one"
KEPT = "they run over an axis that is fixed or frozen, or over one of two tied tensors alone"
OUTPUTS = "its one layer puts out the outputs, and there are no hidden units"
ORDER_MATTERS = "embeddings of this architecture depend on the order in which its units were saved"


def symmetries_of(architecture: Architecture, *, relu: bool = False) -> Symmetries:
    """The groups of units that names and shapes show; `relu`: a ReLU is known to stand behind every hidden layer."""
    operations = list(operations_of(architecture))
    twins, operations = _without_twins(operations)
    declared = architecture.declared or Declared()
    relu = relu or declared.activation == "relu"
    groups: list[SymmetryGroup] = []
    notes: list[str] = []
    if declared.structure is not None:
        groups += declared_groups(declared.structure, operations, relu=relu)
    elif architecture.groups is not None:
        groups += architecture.groups
        notes += [] if any(units.interchangeable for units in groups) else [HELD_BY_GRAPH]
    for part in _networks(architecture, operations) if declared.structure is None and architecture.groups is None else ():
        found, said = _network(part, relu=relu)
        groups += found
        notes += said
    groups = list(without_overlap([*groups, *heads_of(operations, declared.n_heads)]))
    if len(architecture.components) > 1:
        names = ", ".join(architecture.components)
        notes.append(f"{len(architecture.components)} networks are taken to stand side by side: {names}")
    groups = [_with_twins(units, twins) for units in groups]
    groups, in_doubt = _in_order(architecture, groups)
    fixed = {(tensor.name, axis) for tensor in architecture.tensors if tensor.frozen for axis in range(len(tensor.shape))}
    fixed |= set(declared.fixed)
    ties = [
        (tensor.name, tensor.tied_to, axis)
        for tensor in architecture.tensors
        if tensor.tied_to
        for axis in range(len(tensor.shape))
    ]
    kept = [units for units in groups if units.interchangeable and _is_fixed(units, fixed, ties)]
    notes += [f"{listed([units.name for units in kept])} keep their order: {KEPT}"] if kept else []
    groups = [_held(units) if units in kept else units for units in groups]
    return Symmetries(tuple(groups), tuple(dict.fromkeys([*notes, *in_doubt, *_on_units(operations, groups)])))


def has_modules(architecture: Architecture, tree: Structure) -> bool:
    """Whether an architecture has all modules that a tree names."""
    names = {name for o in operations_of(architecture) for name in (o.path, o.module, o.label, *(t.name for t in o.tensors))}
    return set(tree.modules()) <= names


def declared_groups(tree: Structure, operations: Sequence[Operation], *, relu: bool = False) -> tuple[SymmetryGroup, ...]:
    """The groups of a declared structure. Raises MetarepError where it names no layer, leaves one out, or widths do not fit."""
    by_name = {operation.label: operation for operation in operations}
    named: set[str] = set()

    def resolved(part: Structure | str) -> Structure | str:
        if isinstance(part, Structure):
            return Structure(part.way, tuple(resolved(inner) for inner in part.parts))
        own = [o for o in operations if part in (o.path, o.module, o.label, *(tensor.name for tensor in o.tensors))]
        if not own:
            raise MetarepError(f"the structure names {part}", expected="a layer such as " + ", ".join(list(by_name)[:4]))
        named.update(operation.label for operation in own)
        return own[0].label if len(own) == 1 else sequence(own)

    whole = resolved(tree)
    left = [name for name, operation in by_name.items() if operation.weight is not None and name not in named]
    if left:
        raise MetarepError("the structure leaves out layers", met=", ".join(left[:4]), expected="every layer that has a weight")
    return StructureGroups(by_name, relu, strict=True, declared=True).run(whole)


def _is_fixed(units: SymmetryGroup, fixed: set[tuple[str, int]], ties: Sequence[tuple[str, str, int]]) -> bool:
    """Whether the units run over an axis that keeps its order, or over that of one of two tied tensors alone."""
    axes = {(member.tensor, member.axis) for member in units.members}
    return bool(fixed & axes) or any(((one, axis) in axes) != ((other, axis) in axes) for one, other, axis in ties)


def _held(units: SymmetryGroup) -> SymmetryGroup:
    return replace(units, interchangeable=False, positive_scale=False)


def _networks(architecture: Architecture, operations: Sequence[Operation]) -> list[list[Operation]]:
    """The operations of each component, their modules without its prefix; all of them where there is one network."""
    parts: dict[int | None, list[Operation]] = {}
    for operation in operations:
        at = component_of(operation.path, architecture.components)
        inside = operation.module if at is None else operation.path[len(stem(architecture.components[at])) :]
        parts.setdefault(at, []).append(replace(operation, module=inside))
    return list(parts.values())


def _network(operations: Sequence[Operation], *, relu: bool) -> tuple[tuple[SymmetryGroup, ...], list[str]]:
    """The groups of one network, and what is to be said of them."""
    by_name = {operation.label: operation for operation in operations}
    why = _why_not_plain(operations)
    for tree, unsure in _trees(operations, by_name) if len(by_name) == len(operations) else ():
        try:
            said = [SIDE_BY_SIDE] if any(isinstance(part, Structure) for part in tree.parts) else []
            return StructureGroups(by_name, relu, unsure=unsure).run(tree), said
        except MetarepError as error:
            why = why if unsure else f"layers do not stand one behind the other by their widths: {error}"
    if joined := groups_of_joins(operations):
        return joined, [JOINED]
    whole = residual_conv(operations)
    stream = None if whole else stream_of(operations)
    parts = (whole, [stream] if stream is not None else [], groups_over_graphs(operations), groups_inside(operations))
    ends = chain(groups_of_widths(operations), groups_at_the_end(operations), _others(operations))
    groups = without_overlap(chain(*parts, ends))
    if not any(units.interchangeable for units in groups):
        return groups, [why]
    rest = [units.name for units in groups if not units.interchangeable][:-1]  # the last ones are outputs
    return groups, [why, order_matters_of(rest)] if rest else []


def _trees(operations: Sequence[Operation], by_name: Mapping[str, Operation]) -> Iterator[tuple[Structure, bool]]:
    """What a network may be by its names, then by widths alone; and whether the order of what is joined is not known."""
    tree = plain_structure(operations)
    if tree is not None:
        yield tree, False
        joined = branches(operations, partial(fits, by_name=by_name))
        yield from [(joined, True)] if joined is not None else []


def order_matters_of(names: Sequence[str]) -> str:
    """What is said of units that keep their order though they may be no outputs."""
    return f"embeddings depend on the order in which {listed(names)} were saved"


def _why_not_plain(operations: Sequence[Operation]) -> str:
    if sum(operation.is_layer for operation in operations) < 2:
        return "no layer is known that reads another"
    if may_be_gone_around(operations):
        return "names say that something may go around layers"
    unknown = next((o.label for o in operations if not (o.is_layer or o.gates or o.kind in (*NORMS, "embedding"))), None)
    if unknown is not None:
        return f"what {unknown} does with the units of other layers is not known"
    return "names leave open which layer reads which"


def _others(operations: Sequence[Operation]) -> Iterator[SymmetryGroup]:
    """The output units of every operation, which keep their order."""
    for operation in operations:
        if operation.gates or (operation.weight is not None and operation.kind != "embedding"):
            yield SymmetryGroup(f"units of {operation.label}", operation.n_out, operation.feeding(), interchangeable=False)


def _without_twins(operations: Sequence[Operation]) -> tuple[dict[str, list[str]], list[Operation]]:
    """The tensors that stand for others under a second name, by the first, and the operations without theirs."""
    names = {tensor.name: tensor.shape for operation in operations for tensor in operation.tensors}
    twins: dict[str, list[str]] = {}
    dropped = set()
    for name, shape in names.items():
        for copy, original in TWINS:
            first = name.replace(copy, original)
            if first != name and names.get(first) == shape:
                twins.setdefault(first, []).append(name)
                dropped.add(name)
    return twins, [o for o in operations if not all(tensor.name in dropped for tensor in o.tensors)]


def _with_twins(units: SymmetryGroup, twins: dict[str, list[str]]) -> SymmetryGroup:
    more = (replace(member, tensor=twin) for member in units.members for twin in twins.get(member.tensor, ()))
    return replace(units, members=(*units.members, *more))


def _in_order(architecture: Architecture, groups: Sequence[SymmetryGroup]) -> tuple[list[SymmetryGroup], list[str]]:
    """The groups, held where the order of their layers is in doubt."""
    doubtful = set(architecture.unordered)
    found, held = [], False
    for units in groups:
        unknown = units.interchangeable and any(member.tensor in doubtful for member in units.members)
        held = held or unknown
        found.append(_held(units) if unknown else units)
    names = ", ".join(architecture.unordered[:4])
    said = f"neither widths nor names tell in which order {names} stand, so their units are not taken for interchangeable"
    return found, [said] if held else []


def _on_units(operations: Sequence[Operation], groups: Sequence[SymmetryGroup]) -> Iterator[str]:
    heads = sum(units.name.startswith("heads of") for units in groups)
    if n_attentions(operations) > heads:
        yield "how many heads its attention has is not known from names and shapes, so heads are not taken for interchangeable"
    held = {member.tensor for units in groups if not units.interchangeable for member in units.members}
    channels = {o.n_out for o in operations if o.is_layer and o.kind != "linear"}
    norms = [o.label for o in operations if may_be_grouped(o) and o.vectors[0].name in held and o.vectors[0].size in channels]
    if norms:
        yield f"{listed(norms)} may be over groups of channels, which keep their order; {SAID_OF_NORMS}"
    if not any(units.interchangeable for units in groups):
        yield OUTPUTS if len(operations) == 1 and operations[0].is_layer else ORDER_MATTERS
