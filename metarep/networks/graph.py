"""What a network's own graph says of its tensors, where a file has one, and how it goes together with their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from scipy.cluster.hierarchy import DisjointSet

from metarep.networks.naming import OTHER, Reading
from metarep.networks.symmetry_groups import SymmetryGroup


class Use(NamedTuple):
    """What a graph does with a tensor: kind and role by the operator, the node that reads it, its output and input axis.

    `node` is the node's number, for one in a branch behind the numbers that lead there; so nodes sort as they run.
    """

    kind: str
    role: str
    node: tuple[int, ...]
    axes: tuple[int, int] | None = None


@dataclass(frozen=True)
class Graph:
    """The uses of tensors by name, and the groups of units that a walk of the graph finds."""

    uses: Mapping[str, Use]
    groups: tuple[SymmetryGroup, ...]


def with_graph(readings: Mapping[str, Reading], graph: Graph) -> dict[str, Reading]:
    """What names say, set right by the graph.

    Tensors that one node reads are of one operation, and so are those whose names say that they are. Operators decide on kind
    and role, save for attention, of which they know nothing: there a weight without a name is what the bias beside it is.
    """
    roles = {
        graph.uses[name].node: reading.role.removesuffix("_bias")
        for name, reading in readings.items()
        if name in graph.uses and reading.kind == "attention" and reading.role.endswith("_bias")
    }
    groups = DisjointSet([use.node for use in graph.uses.values()] + [reading.operation for reading in readings.values()])
    for name, reading in readings.items():
        if name in graph.uses and reading.kind not in (OTHER, "bias") and reading.operation:
            groups.merge(graph.uses[name].node, reading.operation)
    found = {}
    for name, reading in readings.items():
        use = graph.uses.get(name)
        kind, role = reading.kind, reading.role
        if use is not None and kind == OTHER and use.role == "weight" and use.node in roles:
            kind, role = "attention", roles[use.node]
        elif use is not None and kind != "attention" and (use.kind != OTHER or kind in (OTHER, "bias")):
            kind, role = use.kind, use.role
        found[name] = Reading(kind, role, str(groups[use.node if use is not None else reading.operation]))
    return found
