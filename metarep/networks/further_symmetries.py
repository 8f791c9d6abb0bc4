"""Symmetries beyond the order and the positive scale of units: signs, shifts of logits, rotations between two factors.

Each class is a `symmetry_groups.Further`. Canonical forms are computed in float64; they are one of two or more where a tie
leaves it open: a unit whose incoming values have no odd moment, two equal singular values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from metarep.networks.symmetry_groups import Evidence, Member
from metarep.networks.tensor_symmetry import sorted_sums, times_units, unit_rows

Tensors = Mapping[str, torch.Tensor]
TIE = 1e-6
"""An odd moment below this share of the even one is a tie."""


@dataclass(frozen=True)
class Signs:
    """Units behind an odd activation (tanh, sin, erf): what feeds a unit and what reads it may both change their sign."""

    kind: ClassVar[str] = "sign"
    name: str
    n: int
    members: tuple[Member, ...]
    evidence: Evidence = "assumed"

    def random(
        self, tensors: Tensors, *, n_lead: int, generator: torch.Generator, log_scale_std: float
    ) -> dict[str, torch.Tensor]:
        """A fair coin for each unit."""
        del log_scale_std
        lead = _lead(tensors, [member.tensor for member in self.members], n_lead)
        signs = torch.randint(2, (*lead, self.n), generator=generator).double() * 2 - 1
        return {**tensors, **times_units(tensors, self.n, self.members, signs)}

    def canonical(self, tensors: Tensors, *, n_lead: int) -> dict[str, torch.Tensor]:
        """The sum of the values that feed a unit is above 0, or that of their cubes where it is 0.

        What units of the group feed each other (a recurrent weight) does not count: its signs depend on both ends.
        """
        within = {m.tensor for m in self.members if m.side == "out"}
        feeding = [m for m in self.members if m.side == "in" and m.tensor in tensors and m.tensor not in within]
        rows = [unit_rows(tensors[m.tensor], m, self.n, n_lead=n_lead) for m in feeding]
        if not rows:
            return dict(tensors)
        return {**tensors, **times_units(tensors, self.n, self.members, odd_sign(torch.cat(rows, dim=-1)).cpu())}


@dataclass(frozen=True)
class LogitShift:
    """Logits that only a softmax reads: one row may be added to all rows of the layer that makes them.

    `members` run over the logits.
    """

    kind: ClassVar[str] = "softmax shift"
    name: str
    members: tuple[Member, ...]
    evidence: Evidence = "assumed"

    def random(
        self, tensors: Tensors, *, n_lead: int, generator: torch.Generator, log_scale_std: float
    ) -> dict[str, torch.Tensor]:
        """A normal row, as large as the values of its tensor."""
        del log_scale_std
        found = dict(tensors)
        for value, member in ((found[m.tensor], m) for m in self.members if m.tensor in found):
            shape = [1 if at == n_lead + member.axis else length for at, length in enumerate(value.shape)]
            row = torch.randn(shape, generator=generator).to(value) * value.std(correction=0)
            found[member.tensor] = value + row
        return found

    def canonical(self, tensors: Tensors, *, n_lead: int) -> dict[str, torch.Tensor]:
        """The mean of the logits is 0."""
        found = dict(tensors)
        for value, member in ((found[m.tensor], m) for m in self.members if m.tensor in found):
            wide = value.double()
            found[member.tensor] = (wide - wide.mean(dim=n_lead + member.axis, keepdim=True)).to(value.dtype)
        return found


@dataclass(frozen=True)
class HeadRows:
    """The d rows of a tensor that belong to each of n heads: along `axis` from `start`, head by head, or along an axis
    `heads` of their own.
    """

    tensor: str
    axis: int
    start: int = 0
    heads: int | None = None

    def rows(self, value: torch.Tensor, n: int, d: int, n_lead: int) -> torch.Tensor:
        """(…, n, d, *rest), a view of the value."""
        if self.heads is not None:
            return value.movedim((n_lead + self.heads, n_lead + self.axis), (n_lead, n_lead + 1))
        return value.movedim(n_lead + self.axis, n_lead).narrow(n_lead, self.start, n * d).unflatten(n_lead, (n, d))


@dataclass(frozen=True)
class Rotation:
    """n pairs of factors, d rows each, of which a network knows only the product leftᵀ right: R may turn the left one where
    R⁻ᵀ turns the right one.

    Queries and keys, values and the output projection of an attention's heads; the two matrices of a LoRA.
    """

    kind: str
    name: str
    n: int
    d: int
    left: tuple[HeadRows, ...]
    right: tuple[HeadRows, ...]
    evidence: Evidence = "assumed"

    def random(
        self, tensors: Tensors, *, n_lead: int, generator: torch.Generator, log_scale_std: float
    ) -> dict[str, torch.Tensor]:
        """R is a random rotation, and where there is a scale a second one behind factors along d axes."""
        if not self._is_in(tensors):
            return dict(tensors)
        lead = (*_lead(tensors, [self.left[0].tensor], n_lead), self.n)
        first, second = (
            torch.linalg.qr(torch.randn(*lead, self.d, self.d, generator=generator, dtype=torch.float64)).Q for _ in range(2)
        )
        scale = (log_scale_std * torch.randn(*lead, self.d, 1, generator=generator, dtype=torch.float64)).exp()
        turn, back = first @ (scale * second), first @ (second / scale)
        left, right = (self._joined(tensors, side, n_lead) for side in (self.left, self.right))
        return self._written(tensors, turn.to(left.device) @ left, back.to(left.device) @ right, n_lead)

    def canonical(self, tensors: Tensors, *, n_lead: int) -> dict[str, torch.Tensor]:
        """Both factors from the singular value decomposition of their product, its values split evenly between them, largest
        first; the sum of cubes of each row of the left one is above 0.
        """
        if not self._is_in(tensors):
            return dict(tensors)
        left, right = (self._joined(tensors, side, n_lead) for side in (self.left, self.right))
        (q_left, r_left), (q_right, r_right) = (torch.linalg.qr(side.mT) for side in (left, right))
        u, values, v = torch.linalg.svd(r_left @ r_right.mT, full_matrices=False)
        root = values.sqrt().unsqueeze(-1)
        new_left, new_right = root * (q_left @ u).mT, root * (q_right @ v.mT).mT
        sign = odd_sign(new_left.cpu(), first_power=3).to(left.device).unsqueeze(-1)
        missing = (0, 0, 0, self.d - values.shape[-1])
        parts = (torch.nn.functional.pad(sign * side, missing) for side in (new_left, new_right))
        return self._written(tensors, *parts, n_lead)

    def _is_in(self, tensors: Tensors) -> bool:
        return all(block.tensor in tensors for block in (*self.left, *self.right))

    def _joined(self, tensors: Tensors, side: Sequence[HeadRows], n_lead: int) -> torch.Tensor:
        """(…, n, d, L) float64."""
        blocks = [block.rows(tensors[block.tensor], self.n, self.d, n_lead) for block in side]
        return torch.cat([one.double().reshape(*one.shape[: n_lead + 2], -1) for one in blocks], dim=-1)

    def _written(self, tensors: Tensors, left: torch.Tensor, right: torch.Tensor, n_lead: int) -> dict[str, torch.Tensor]:
        found = dict(tensors)
        for side, values in ((self.left, left), (self.right, right)):
            at = 0
            for block in side:
                if found[block.tensor] is tensors[block.tensor]:
                    found[block.tensor] = tensors[block.tensor].clone()
                rows = block.rows(found[block.tensor], self.n, self.d, n_lead)
                size = rows[(0,) * (n_lead + 2)].numel()
                rows.copy_(values[..., at : at + size].reshape(rows.shape))
                at += size
        return found


def odd_sign(rows: torch.Tensor, *, first_power: int = 1) -> torch.Tensor:
    """(…,) float64, 1 or −1: the sign of the first odd moment of each row (…, L) that is not 0; 1 where none is.

    Sums run over sorted values, so that the order within a row does not matter, and turn their sign with the row.
    """
    found = torch.zeros(rows.shape[:-1], dtype=torch.float64, device=rows.device)
    for power in (first_power, first_power + 2, first_power + 4):
        plus, minus = (sorted_sums(rows, lambda x, side=side: (side * x).clamp_min(0) ** power) for side in (1, -1))  # noqa: B023
        moment = plus - minus
        clear = moment.abs() > TIE * (plus + minus)
        found = torch.where((found == 0) & clear, moment.sign(), found)
    return torch.where(found == 0, 1.0, found)


def _lead(tensors: Tensors, names: Sequence[str], n_lead: int) -> torch.Size:
    return next(tensors[name].shape[:n_lead] for name in names if name in tensors)
