"""Units of networks over graphs and of factorised tables whose layers are known by name, whatever stands behind them.

Messages of chemprop (Yang et al., "Analyzing learned molecular representations", 2019): H = act(W_i x + W_h Σ H), read behind
the features of atoms or bonds by W_o, W_vo, W_eo. Atoms of CGCNN (Xie & Grossman, 2018): a stream to which each convolution
adds a gated sum of what it reads of both atoms and their edge. Factorised tables: the scalar product of rows of embeddings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from metarep.networks.operations import Operation
from metarep.networks.symmetry_groups import SymmetryGroup

_MESSAGES = re.compile(r"(.*(?:^|\.))W_(i|h|o|vo|eo)$")
_CONVOLUTION = re.compile(r"(.*\.)fc_full$")
_FACTOR = re.compile(r"(?:^|[._])(?:users?|items?|movies?|products?|books?|songs?)(?:[._]|$)", re.I)


def groups_over_graphs(operations: Sequence[Operation]) -> Iterator[SymmetryGroup]:
    """The interchangeable groups of messages, of atoms and of factors."""
    by_name = {operation.module: operation for operation in operations}
    stems: dict[str, dict[str, Operation]] = {}
    for name, operation in by_name.items():
        if match := _MESSAGES.match(name):
            stems.setdefault(match[1], {})[match[2]] = operation
    for parts in stems.values():
        yield from _messages(parts)
    yield from _atoms(operations, by_name)
    yield from _factors(operations)


def _messages(parts: dict[str, Operation]) -> Iterator[SymmetryGroup]:
    """The units of messages, where the last layers read features before them."""
    last = [layer for part, layer in parts.items() if part not in "ih"]
    if not {"i", "h"} < parts.keys() or not all(layer.is_layer and layer.kind == "linear" for layer in parts.values()):
        return
    n = parts["i"].n_out
    if (parts["h"].n_in, parts["h"].n_out) == (n, n) and all(layer.n_in > n for layer in last):
        members = (*parts["i"].feeding(), *parts["h"].feeding(), parts["h"].reading())
        behind = (replace(layer.reading(), start=layer.n_in - n) for layer in last)
        yield SymmetryGroup(f"units of {parts['i'].label}", n, (*members, *behind))


def _atoms(operations: Sequence[Operation], by_name: dict[str, Operation]) -> Iterator[SymmetryGroup]:
    """The stream of atoms: a convolution reads both atoms one behind the other, and makes a gate and a core so."""
    stems = [match[1] for name in by_name if (match := _CONVOLUTION.match(name))]
    first = next((operation for operation in operations if operation.is_layer), None)
    if not stems or first.module.rpartition(".")[2] != "embedding":
        return
    n = first.n_out
    members = [*first.feeding()]
    for stem in stems:
        layer, norms = by_name[f"{stem}fc_full"], [by_name.get(f"{stem}bn{number}") for number in (1, 2)]
        if layer.n_out != 2 * n or layer.n_in <= 2 * n or None in norms:
            return
        members += [replace(member, outer=2) for member in (*layer.feeding(), layer.reading(), *norms[0].owning())]
        members += norms[1].owning()
    known = {first.module, *(f"{stem}{part}" for stem in stems for part in ("fc_full", "bn1", "bn2"))}
    readers = [o for o in operations if o.module not in known and o.is_layer and o.n_in == n]
    if len(readers) == 1:
        yield SymmetryGroup(f"stream from {first.label}", n, (*members, readers[0].reading()))


def _factors(operations: Sequence[Operation]) -> Iterator[SymmetryGroup]:
    """The factors of rows that are multiplied, in a network of tables of one width and of one value a row."""
    tables = [o for o in operations if o.kind == "embedding" and o.weight is not None]
    rows = [table for table in tables if table.n_out > 1]
    alone = all(o in tables or all(len(t.shape) < 2 or t.shape[-1] == 1 for t in o.tensors) for o in operations)
    if alone and len(rows) > 1 and len({row.n_out for row in rows}) == 1 and all(_FACTOR.search(row.module) for row in rows):
        members = tuple(member for row in rows for member in row.feeding())
        yield SymmetryGroup(f"factors of {rows[0].label}", rows[0].n_out, members)
