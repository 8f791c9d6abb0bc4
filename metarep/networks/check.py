"""Whether what names and shapes claim is true: outputs under a random draw of each symmetry, where a forward pass is known.

A symmetry is checked if outputs at random inputs stay equal to rounding, and if noise on the same tensors moves them: else the
inputs may not reach its units, and it stays assumed. A symmetry under which outputs move is refuted, and dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial

import torch

from metarep.networks.architecture import Architecture
from metarep.networks.forward_passes import ForwardPass, forward_pass
from metarep.networks.further_inference import scale_of, with_further
from metarep.networks.inference import symmetries_of
from metarep.networks.structure import Declared
from metarep.networks.symmetry_groups import Evidence, Symmetries
from metarep.networks.tensor_symmetry import random_symmetry

Tensors = Mapping[str, torch.Tensor]
Seen = Callable[[torch.Tensor], torch.Tensor]
N_INPUTS = 16
N_DRAWS = 20
"""Draws of a symmetry until one changes a tensor: two units stay in place in half of them."""

LOG_SCALE_STD = 0.5
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}
"""Largest change of outputs, as a share of their largest size, that counts as rounding, by what the pass computes in."""

SEEN = {"softmax shift": partial(torch.softmax, dim=-1)}
"""Through what the outputs are compared, by the kind of symmetry."""

FOREIGN = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What running tensors raises that only look like a layout that is known."""

NOTICED = 100
"""A change is no rounding if it is so many times larger."""


def with_checks(architecture: Architecture, tensors: Tensors, *, forward: ForwardPass | None = None) -> Architecture:
    """The architecture with the evidence that one of its networks gives, run as `forward` says, or as the registry knows from
    what is declared of it. As it is where no forward pass is known, or where it cannot run these tensors.
    """
    symmetries = with_further(architecture, symmetries_of(architecture))
    try:
        forward = forward or forward_pass(architecture, symmetries, stated_of(architecture))
        found = () if forward is None else tuple(evidence_of(symmetries, tensors, forward))
    except FOREIGN:
        return architecture
    return replace(architecture, evidence=found)


def stated_of(architecture: Architecture, activation: str | None = None, output_activation: str | None = None) -> Declared:
    """What is declared of an architecture, and else what its zoo says of all."""
    own = architecture.declared or Declared()
    others = {"activation": own.activation or activation, "output_activation": own.output_activation or output_activation}
    return own.model_copy(update=others)


def evidence_of(
    symmetries: Symmetries, tensors: Tensors, forward: ForwardPass, *, seed: int = 0
) -> Iterator[tuple[str, Evidence]]:
    """The names of symmetries whose outputs were compared, "checked" or "refuted"; those that stay assumed are left out."""
    check = Check(tensors, forward, seed)
    for units in symmetries.groups:
        if not units.interchangeable or units.n < 2:
            continue
        found = check.evidence(Symmetries((replace(units, positive_scale=False),)))
        yield from [(units.name, found)] if found != "assumed" else []
        if units.positive_scale and found != "refuted":
            scale = check.evidence(Symmetries((units,)), log_scale_std=LOG_SCALE_STD)
            yield from [(scale_of(units), scale)] if scale != "assumed" else []
    for one in symmetries.further:
        seen = SEEN.get(one.kind, torch.Tensor.double)
        found = check.evidence(Symmetries((), (), (one,)), seen, further=True, log_scale_std=LOG_SCALE_STD)
        yield from [(one.name, found)] if found != "assumed" else []


class Check:
    """The outputs of a network at random inputs, and what becomes of them."""

    def __init__(self, tensors: Tensors, forward: ForwardPass, seed: int):
        self.dtype = torch.float64 if forward.exact else torch.float32
        self.tensors = {name: value.double() if value.is_floating_point() else value for name, value in tensors.items()}
        self.forward, self.generator = forward, torch.Generator().manual_seed(seed)
        self.inputs = forward.draw(N_INPUTS, self.generator)
        self.outputs = self._run(self.tensors)
        if not bool(self.outputs.isfinite().all()):
            raise ValueError("outputs are not finite")
        self.tolerance = TOLERANCE[self.dtype] * max(float(self.outputs.abs().max()), 1e-30)

    def evidence(self, symmetries: Symmetries, seen: Seen = torch.Tensor.double, **how: object) -> Evidence:
        """What holds of all given symmetries at once, of outputs `seen` as they are or through a function."""
        for _ in range(N_DRAWS):
            changed = random_symmetry(self.tensors, symmetries, generator=self.generator, **how)
            touched = [name for name, value in changed.items() if not torch.equal(value, self.tensors[name])]
            if touched:
                break
        if self._moved(changed, seen) > self.tolerance:
            return "refuted"
        noise = {name: self.tensors[name] + self._noise(self.tensors[name]) for name in touched}
        return "checked" if self._moved(self.tensors | noise, seen) > NOTICED * self.tolerance else "assumed"

    def _noise(self, value: torch.Tensor) -> torch.Tensor:
        spread = float(value.std(correction=0)) or 1.0
        return spread * torch.randn(value.shape, generator=self.generator, dtype=value.dtype)

    def _moved(self, tensors: Tensors, seen: Seen) -> float:
        moved = (seen(self._run(tensors)) - seen(self.outputs)).abs().max()
        return float("inf") if moved.isnan() else float(moved)

    def _run(self, tensors: Tensors) -> torch.Tensor:
        with torch.no_grad():
            return self.forward.outputs({name: self._cast(value) for name, value in tensors.items()}, self.inputs).double()

    def _cast(self, value: torch.Tensor) -> torch.Tensor:
        return value.to(self.dtype) if value.is_floating_point() else value
