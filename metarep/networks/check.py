"""Whether what names and shapes claim is true: outputs under a random draw of each symmetry, where a forward pass is known.

A symmetry is checked if outputs at random inputs stay equal to rounding, and if noise on the same tensors moves them: else the
inputs may not reach its units, and it stays assumed. A symmetry under which outputs move is refuted and dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from metarep.networks.forward_passes import ForwardPass
from metarep.networks.symmetry_groups import Evidence, Symmetries, SymmetryGroup
from metarep.networks.tensor_symmetry import random_symmetry

Tensors = Mapping[str, torch.Tensor]
N_INPUTS = 16
LOG_SCALE_STD = 0.5
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}
"""Largest change of outputs, as a share of their largest size, that counts as rounding, by what the pass computes in."""

NOTICED = 100
"""A change is no rounding if it is so many times larger."""


def checked(symmetries: Symmetries, tensors: Tensors, forward: ForwardPass | None, *, seed: int = 0) -> Symmetries:
    """The symmetries of a network with the evidence for each, and notes on those that are refuted or assumed.

    A refuted group is no longer interchangeable, or has no scale; any other refuted symmetry is left out.
    """
    claimed = [units.name for units in symmetries.groups if units.interchangeable] + [one.name for one in symmetries.further]
    if forward is None:
        note = f"no forward pass is known, so it is assumed and not checked that nothing changes with {_listed(claimed)}"
        return replace(symmetries, notes=(*symmetries.notes, note)) if claimed else symmetries
    check = Check(tensors, forward, seed)
    groups, notes = [], list(symmetries.notes)
    for units in symmetries.groups:
        found, said = _checked_group(check, units)
        groups.append(found)
        notes += said
    further = []
    for one in symmetries.further:
        evidence, moved = check.evidence(Symmetries((), (), (one,)), further=True, log_scale_std=LOG_SCALE_STD)
        notes += _said(one.name, evidence, moved, forward)
        further += [] if evidence == "refuted" else [replace(one, evidence=evidence)]
    return Symmetries(tuple(groups), tuple(notes), tuple(further))


class Check:
    """The outputs of a network at random inputs, and what becomes of them."""

    def __init__(self, tensors: Tensors, forward: ForwardPass, seed: int):
        self.dtype = torch.float64 if forward.exact else torch.float32
        self.tensors = {name: value.double() if value.is_floating_point() else value for name, value in tensors.items()}
        self.forward, self.generator = forward, torch.Generator().manual_seed(seed)
        self.inputs = forward.draw(N_INPUTS, self.generator)
        self.outputs = self._run(self.tensors)
        self.tolerance = TOLERANCE[self.dtype] * max(float(self.outputs.abs().max()), 1e-30)

    def evidence(self, symmetries: Symmetries, **how: object) -> tuple[Evidence, float]:
        """What holds of all given symmetries at once, and how far outputs move as a share of their largest size."""
        changed = random_symmetry(self.tensors, symmetries, generator=self.generator, **how)
        touched = [name for name, value in changed.items() if not torch.equal(value, self.tensors[name])]
        moved = self._moved(changed)
        if moved > self.tolerance:
            return "refuted", moved / float(self.outputs.abs().max())
        noise = {name: self.tensors[name] + self._noise(self.tensors[name]) for name in touched}
        reached = self._moved(self.tensors | noise) > NOTICED * self.tolerance
        return ("checked" if reached else "assumed"), 0.0

    def _noise(self, value: torch.Tensor) -> torch.Tensor:
        spread = float(value.std(correction=0)) or 1.0
        return spread * torch.randn(value.shape, generator=self.generator, dtype=value.dtype)

    def _moved(self, tensors: Tensors) -> float:
        moved = (self._run(tensors) - self.outputs).abs().max()
        return float("inf") if moved.isnan() else float(moved)

    def _run(self, tensors: Tensors) -> torch.Tensor:
        with torch.no_grad():
            return self.forward.outputs({name: self._cast(value) for name, value in tensors.items()}, self.inputs).double()

    def _cast(self, value: torch.Tensor) -> torch.Tensor:
        return value.to(self.dtype) if value.is_floating_point() else value


def _checked_group(check: Check, units: SymmetryGroup) -> tuple[SymmetryGroup, Sequence[str]]:
    if not units.interchangeable or units.n < 2:
        return units, ()
    order = Symmetries((replace(units, positive_scale=False),))
    evidence, moved = check.evidence(order)
    said = _said(units.name, evidence, moved, check.forward)
    if evidence == "refuted":
        return replace(units, interchangeable=False, positive_scale=False, evidence="refuted"), said
    found = replace(units, evidence=evidence)
    if units.positive_scale:
        scale, moved = check.evidence(Symmetries((units,)), log_scale_std=LOG_SCALE_STD)
        if scale == "refuted":
            said += _said(f"the scale of {units.name}", scale, moved, check.forward)
            found = replace(found, positive_scale=False)
    return found, said


def _said(name: str, evidence: Evidence, moved: float, forward: ForwardPass) -> list[str]:
    if evidence == "refuted":
        return [f"{name}: no symmetry, since a random draw moves the outputs of {forward.name} by {moved:.1g} of their size"]
    if evidence == "assumed":
        return [f"{name}: assumed, since the outputs of {forward.name} do not depend on them at random inputs"]
    return []


def _listed(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
