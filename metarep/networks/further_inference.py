"""Which symmetries beyond order and positive scale a network has, from its tensors and from what is stated of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from metarep.account import listed
from metarep.networks.architecture import Architecture, Tensor
from metarep.networks.further_symmetries import HeadRows, LogitShift, Rotation, Signs
from metarep.networks.inference import symmetries_of
from metarep.networks.operations import Operation, operations_of
from metarep.networks.structure import Declared
from metarep.networks.symmetry_groups import Evidence, Further, Member, Symmetries, SymmetryGroup

ODD = frozenset({"tanh", "sin", "erf", "softsign", "hardtanh", "identity"})
"""Activations f with f(−x) = −f(x)."""

CELL_GATE = 2
"""The gate of an LSTM or GRU behind which a tanh stands: the third of PyTorch's and Keras' orders."""

IN_PAIRS = (
    "rotary positions or norms may stand on queries and keys: rotations inside a head are not taken for symmetries of them, "
    "though with rotary positions those within each pair are"
)

RECURRENT = ("lstm", "gru")
_LORA = re.compile(r"(.*?lora)_?(a|down|b|up)((?:[._].*)?)$", re.I)
_POSITION = re.compile(r"(?:^|[._])(?:wpe|w_pos|pos_?embed\w*|position_?embed\w*|embed_positions)(?:[._]|$)", re.I)
_ROTARY = re.compile(r"rotary|rope|freqs_cis|inv_freq", re.I)
_NORM_OF_HEADS = re.compile(r"(?:^|[._])[qk]_?(?:layer)?_?(?:norm|ln)(?:[._]|$)", re.I)
_BY_HEAD = re.compile(r"query_key_value|w_?pack", re.I)
"""Fused projections that keep queries, keys and values head by head, or in an order of their own."""


def with_further(
    architecture: Architecture, symmetries: Symmetries, *, activation: str | None = None, output_activation: str | None = None
) -> Symmetries:
    """The symmetries with those of other kinds beside them.

    Signs need an odd activation that is stated to stand behind the hidden layers, shifts of logits a stated softmax at the
    end; what is declared of the architecture goes before what the zoo says. Rotations are read off attention whose number of
    heads is known, and LoRA pairs off names.
    """
    declared = architecture.declared or Declared()
    activation, output_activation = declared.activation or activation, declared.output_activation or output_activation
    found: list[Further] = []
    if architecture.groups is None:  # a graph may keep gates in another order, and names its own activations
        found += [*(_odd_units(architecture) if activation in ODD else ()), *_recurrent(architecture, symmetries.groups)]
    turns = [list(_rotations(operation, architecture, symmetries.groups)) for operation in operations_of(architecture)]
    found += [one for pair in turns for one in pair]
    notes = symmetries.notes + ((IN_PAIRS,) if any(len(pair) == 1 for pair in turns) else ())
    found += _lora(architecture.tensors)
    if output_activation == "softmax":
        found += _logits(symmetries.groups)
    return with_evidence(Symmetries(symmetries.groups, notes, tuple(found)), dict(architecture.evidence))


def with_evidence(symmetries: Symmetries, evidence: Mapping[str, Evidence]) -> Symmetries:
    """The symmetries with what is known of each by its name: those that are refuted are dropped."""
    groups = []
    for units in symmetries.groups:
        known = evidence.get(units.name, "assumed") if units.interchangeable else "assumed"
        kept = {} if known != "refuted" else {"interchangeable": False, "positive_scale": False}
        scale = units.positive_scale and evidence.get(scale_of(units)) != "refuted"
        groups.append(replace(units, **{"evidence": known, "positive_scale": scale, **kept}))
    further = [replace(one, evidence=evidence.get(one.name, "assumed")) for one in symmetries.further]
    kept_further = tuple(one for one in further if one.evidence != "refuted")
    return Symmetries(tuple(groups), symmetries.notes, kept_further)


def assumed(symmetries: Symmetries) -> tuple[str, ...]:
    """A sentence on the symmetries that no forward pass has checked; none where there are none."""
    units = [one.name for one in symmetries.groups if one.interchangeable and one.n > 1 and one.evidence == "assumed"]
    names = units + [one.name for one in symmetries.further if one.evidence == "assumed"]
    return (f"assumed from names and shapes, not checked by outputs: {listed(names)}",) if names else ()


def scale_of(units: SymmetryGroup) -> str:
    """What the positive scale of a group is called where evidence is kept."""
    return f"scale of {units.name}"


def _odd_units(architecture: Architecture) -> Iterator[Signs]:
    """The units of linear layers behind which the activation stands alone: those that a ReLU would give a scale.

    Behind a convolution a pool may stand, and the largest of some values is no odd function of them.
    """
    kinds = {tensor.name: tensor.kind for tensor in architecture.tensors}
    for units in symmetries_of(architecture, relu=True).groups:
        if units.positive_scale and all(kinds[m.tensor] == "linear" for m in units.members if m.side == "in"):
            yield Signs(f"signs of {units.name}", units.n, units.members)


def _recurrent(architecture: Architecture, groups: Sequence[SymmetryGroup]) -> Iterator[Signs]:
    """The units of LSTMs and GRUs whose readers are known: the row of the gate that is a tanh, and what reads the unit."""
    kinds = {tensor.name: tensor.kind for tensor in architecture.tensors}
    for units in groups:
        feeding = [member for member in units.members if member.side != "out"]
        if not units.interchangeable or not feeding or any(kinds.get(member.tensor) not in RECURRENT for member in feeding):
            continue
        gate = tuple(Member(m.tensor, m.axis, "in", inner=m.inner, start=CELL_GATE * units.n * m.inner) for m in feeding)
        reading = tuple(member for member in units.members if member.side == "out")
        yield Signs(f"signs of {units.name}", units.n, (*gate, *reading))


def _logits(groups: Sequence[SymmetryGroup]) -> Iterator[LogitShift]:
    """The last layer's outputs, where there is one such layer."""
    ends = [units for units in groups if units.members and all(member.side == "in" for member in units.members)]
    if len(ends) == 1 and not ends[0].interchangeable:
        yield LogitShift(f"shift of {ends[0].name}", ends[0].members)


def _lora(tensors: Sequence[Tensor]) -> Iterator[Rotation]:
    """A (r, in) and B (out, r) of each pair, by name; B A is all that counts."""
    pairs: dict[tuple[str, str], dict[str, Tensor]] = {}
    for tensor in tensors:
        if (match := _LORA.match(tensor.name)) and len(tensor.shape) == 2:
            pairs.setdefault((match[1], match[3]), {})["A" if match[2].lower() in ("a", "down") else "B"] = tensor
    for (stem, _), pair in pairs.items():
        if pair.keys() == {"A", "B"} and pair["A"].shape[0] == pair["B"].shape[1]:
            yield Rotation("LoRA", stem, 1, pair["A"].shape[0], (HeadRows(pair["A"].name, 0),), (HeadRows(pair["B"].name, 1),))


def _rotations(operation: Operation, architecture: Architecture, groups: Sequence[SymmetryGroup]) -> Iterator[Rotation]:
    """Of each head: queries against keys, unless rotary positions or norms stand between them; values against the output."""
    if not any(tensor.kind == "attention" for tensor in operation.tensors):
        return
    by_role = {tensor.role: tensor for tensor in operation.tensors}
    heads = _heads(by_role, groups)
    if heads is None:
        return
    parts = {role: _blocks(role, by_role, *heads) for role in ("query", "key", "value")}
    output = by_role.get("output")
    if _positions_are_added(architecture, by_role) and parts["query"] and parts["key"]:
        yield Rotation("attention rotation", f"queries and keys of {operation.module}", *heads, parts["query"], parts["key"])
    if output is not None and parts["value"]:
        block = HeadRows(output.name, 1, heads=0) if len(output.shape) == 3 else HeadRows(output.name, output.layout[1])
        yield Rotation("attention rotation", f"values and output of {operation.module}", *heads, parts["value"], (block,))


def _positions_are_added(architecture: Architecture, by_role: Mapping[str, Tensor]) -> bool:
    """Whether positions are surely none that turn queries and keys, and no norm stands on these."""
    names = [tensor.name for tensor in architecture.tensors]
    if any(_ROTARY.search(name) or _NORM_OF_HEADS.search(name) for name in names):
        return False
    fused = any(tensor.name.endswith("in_proj_weight") for tensor in by_role.values())
    return fused or any(_POSITION.search(name) for name in names)


def _heads(by_role: Mapping[str, Tensor], groups: Sequence[SymmetryGroup]) -> tuple[int, int] | None:
    """How many heads there are and how wide each is: from an axis of their own, or a group of heads."""
    output = by_role.get("output")
    if output is None:
        return None
    if len(output.shape) == 3:
        return output.shape[0], output.shape[1]
    for units in groups:
        for member in units.members:
            if member.tensor == output.name and member.side == "out" and member.axis == output.layout[1] and member.inner > 1:
                return units.n, member.inner
    return None


def _blocks(role: str, by_role: Mapping[str, Tensor], n: int, d: int) -> tuple[HeadRows, ...]:
    """The rows of queries, keys or values, with their bias; () where they are not laid out head by head."""
    found: list[HeadRows] = []
    for ending in ("", "_bias"):
        own, fused = by_role.get(role + ending), by_role.get("qkv" + ending)
        if own is None and fused is not None and len(fused.shape) == 2 - bool(ending) and not _BY_HEAD.search(fused.name):
            axis = 0 if ending else fused.layout[0]
            if fused.shape[axis] == 3 * n * d:
                found.append(HeadRows(fused.name, axis, start=("query", "key", "value").index(role) * n * d))
                continue
        if own is None and ending and fused is None:
            continue
        block = None if own is None else _own_block(own, n, d)
        if block is None:
            return ()
        found.append(block)
    return tuple(found)


def _own_block(tensor: Tensor, n: int, d: int) -> HeadRows | None:
    shape = tensor.shape
    if len(shape) == 1 and shape[0] == n * d:
        return HeadRows(tensor.name, 0)
    if tensor.role.endswith("_bias"):
        return HeadRows(tensor.name, 1, heads=0) if shape == (n, d) else None
    if len(shape) == 3:
        position = next((at for at in (0, 1) if shape[at] == n and shape[2] == d), None)
        return None if position is None else HeadRows(tensor.name, 2, heads=position)
    axis = tensor.layout[0]
    return HeadRows(tensor.name, axis) if len(shape) == 2 and shape[axis] == n * d else None
