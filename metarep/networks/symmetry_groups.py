"""Which axes of which tensors run over the same units: the graph of a network, as far as its symmetries go.

A unit is one neuron, channel or hidden dimension. Renumbering the units of an interchangeable group, along all its members
at once, leaves the network's function as it is. Where a group also has a positive scale (a ReLU stands behind it),
multiplying what feeds a unit by c > 0 and dividing what reads it by c does so too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

if TYPE_CHECKING:
    import torch

Evidence = Literal["checked", "assumed", "refuted"]
"""`checked`: outputs stay equal under a random draw of the symmetry; `assumed`: names, shapes or a graph say so, and no forward
pass is known; `refuted`: outputs moved, so that it is no symmetry."""

Side = Literal["in", "own", "out"]
"""`in`: the tensor feeds the unit (a weight's row, a bias); `own`: it belongs to the unit and does not scale with it (a norm's
running statistics, a norm's scale behind it); `out`: it reads the unit (a weight's column)."""


@dataclass(frozen=True)
class Member:
    """One axis of a tensor that runs over the units of a group.

    Position p along the axis belongs to unit (p - start) // inner % n, for outer · n · inner positions from `start`: `inner`
    counts neighbours that share a unit (the pixels behind a flattened channel), `outer` repeats of the whole group (the gates
    of an LSTM), and a `start` above 0 stands for a concatenation.
    """

    tensor: str
    axis: int
    side: Side
    outer: int = 1
    inner: int = 1
    start: int = 0

    def positions(self, n: int) -> np.ndarray:
        """(n, outer · inner) int64: where along the axis each of n units stands."""
        grid = self.start + np.arange(self.outer * n * self.inner).reshape(self.outer, n, self.inner)
        return grid.transpose(1, 0, 2).reshape(n, -1)


@dataclass(frozen=True)
class SymmetryGroup:
    """A group of n units and every axis that runs over them.

    `interchangeable` is False where the order of units means something: inputs, outputs, and what is only known to hang
    together.
    """

    name: str
    n: int
    members: tuple[Member, ...]
    interchangeable: bool = True
    positive_scale: bool = False
    evidence: Evidence = "assumed"

    def to_json(self) -> dict[str, Any]:
        """Plain data, from which `from_json` makes the same group, but for the evidence."""
        how = {name: True for name in ("interchangeable", "positive_scale") if getattr(self, name)}
        return {"name": self.name, "n": self.n, "members": [list(astuple(member)) for member in self.members]} | how

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SymmetryGroup:
        """Raises KeyError or TypeError for anything else."""
        how = {name: data.get(name, False) for name in ("interchangeable", "positive_scale")}
        return cls(data["name"], data["n"], tuple(Member(*member) for member in data["members"]), **how)


def without_overlap(groups: Iterable[SymmetryGroup]) -> tuple[SymmetryGroup, ...]:
    """The groups in order, without those that share positions of a tensor with one before."""
    found: list[SymmetryGroup] = []
    held: set[tuple[str, int, int]] = set()
    for units in groups:
        positions = {(member.tensor, member.axis, member.start) for member in units.members}
        if not positions & held:
            found.append(units)
            held |= positions
    return tuple(found)


class Further(Protocol):
    """A symmetry beyond the order and the positive scale of units, see `metarep.networks.further_symmetries`.

    Both methods return tensors (…, *shape) of the same function, with `n_lead` axes before those of the network's own tensors:
    `random` by a draw, whose factors are exp(log_scale_std · normal) in size, `canonical` the same for all that `random` makes.
    """

    name: str
    kind: str
    evidence: Evidence

    def random(
        self, tensors: Mapping[str, torch.Tensor], *, n_lead: int, generator: torch.Generator, log_scale_std: float
    ) -> dict[str, torch.Tensor]: ...

    def canonical(self, tensors: Mapping[str, torch.Tensor], *, n_lead: int) -> dict[str, torch.Tensor]: ...


@dataclass(frozen=True)
class Symmetries:
    """All groups of a network. An axis of a tensor that no group names is in no symmetry that is known.

    `notes` are sentences on why no unit is interchangeable, and on which symmetry is assumed and cannot be checked. `further`
    are symmetries of other kinds, in order of depth.
    """

    groups: tuple[SymmetryGroup, ...]
    notes: tuple[str, ...] = ()
    further: tuple[Further, ...] = ()
