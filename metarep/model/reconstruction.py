"""Whole networks from a bottleneck: what a decoder is trained on, and networks out of vectors.

The mean state of a network goes through a bottleneck, from which all its values are told; squared error of normalised values.
Units have no order, so the error is that of the unit order that fits best: an order fixed by a rule would jump where two units
tie.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations, product
from math import factorial, prod

import torch

from metarep.model.batches import Batch, Segment
from metarep.model.data import WholeNetworks
from metarep.model.transformer import ClozeModel
from metarep.networks.symmetry_groups import Symmetries
from metarep.networks.tensor_symmetry import canonical, permuted

MAX_ORDERS = 120
"""With more unit orders than this, the target is the one canonical order."""


class Reconstruction:
    """A model with a decoder, and the networks of one architecture that it decodes."""

    def __init__(self, model: ClozeModel, subject: WholeNetworks):
        self.model, self.subject = model, subject
        self.orders = unit_orders(subject.symmetries)

    def error(self, batch: Batch) -> torch.Tensor:
        """(): the mean squared error."""
        return torch.cat([(a - b).square().flatten() for a, b in map(self._decoded_and_target, batch)]).mean()

    def r2(self, batch: Batch) -> float:
        """The share of the squares of normalised values that is reconstructed."""
        pairs = [self._decoded_and_target(segment) for segment in batch]
        left = sum(float((a - b).square().sum()) for a, b in pairs)
        return 1 - left / sum(float(b.square().sum()) for _, b in pairs)

    def vectors(self, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Networks (B, *shape) in canonical order -> (B, bottleneck)."""
        return self.model.pool(self.model.states(self.subject.segment(dict(tensors))))

    def values(self, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Networks (B, *shape) -> their normalised values (B, T · C)."""
        return self.model.normalise(self.subject.segment(dict(tensors))).flatten(1)

    def networks(self, values: torch.Tensor) -> dict[str, torch.Tensor]:
        """Normalised values (B, T · C) -> networks (B, *shape). What stands in several tokens is read off the last of them."""
        shapes = {name: value.shape[1:] for name, value in self.subject.tensors.items()}
        positions, at = {}, 0
        for name, shape in shapes.items():
            positions[name] = torch.arange(at, at + shape.numel(), dtype=torch.float64).view(1, *shape)
            at += shape.numel()
        shown = self.subject.segment(positions)
        present, firsts = shown.layout.present, torch.zeros(len(values), dtype=torch.int64)
        template = Segment(shown.layout, values.unflatten(1, present.shape), firsts)
        raw = self.model.denormalise(template.values, template)
        flat = raw.new_zeros(len(values), at)
        flat[:, shown.values[0][present].long()] = raw[:, present]
        parts = flat.split([shape.numel() for shape in shapes.values()], dim=1)
        return {name: part.unflatten(1, shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}

    def decoded(self, vectors: torch.Tensor) -> dict[str, torch.Tensor]:
        """Vectors (B, bottleneck) -> networks (B, *shape)."""
        return self.networks(self.model.rebuilder(vectors))

    def nearest_order(self, values: torch.Tensor, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """(B, T · C): the values of networks in that order of their units which is nearest to some values (B, T · C)."""
        ordered = torch.stack([self.values(self._in_order(tensors, order)) for order in self.orders])
        best = (values.detach() - ordered).square().sum(dim=2).argmin(dim=0)
        return ordered[best, torch.arange(len(values), device=values.device)]

    def _decoded_and_target(self, segment: Segment) -> tuple[torch.Tensor, torch.Tensor]:
        """Both (B, T · C): what the decoder says, and the values in the unit order that is nearest to it."""
        tensors = canonical(segment.tensors, self.subject.symmetries, n_lead=1)
        found = self.model.rebuilder(self.vectors(tensors))
        return found, self.nearest_order(found, tensors)

    def _in_order(self, tensors: Mapping[str, torch.Tensor], order: list[torch.Tensor | None]) -> dict[str, torch.Tensor]:
        b = len(next(iter(tensors.values())))
        same = [None if one is None else one.expand(b, -1) for one in order]
        return permuted(tensors, self.subject.symmetries, same)


def unit_orders(symmetries: Symmetries) -> list[list[torch.Tensor | None]]:
    """Every order of the interchangeable units, an entry a group; none but the one that stands if they are too many."""
    free = [units.n if units.interchangeable else 0 for units in symmetries.groups]
    if prod(factorial(min(n, 10)) for n in free) > MAX_ORDERS:
        return [[None] * len(free)]
    choices = [list(permutations(range(n))) if n else [None] for n in free]
    return [[None if order is None else torch.tensor(order) for order in orders] for orders in product(*choices)]
