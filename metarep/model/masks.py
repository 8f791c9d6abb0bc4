"""Which values are masked. True means masked: the model does not see it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from metarep.model.batches import Segment
from metarep.model.layout import Layout

N_FOLDS = 8
"""Where a network is too large to mask each token alone, one in eight is masked at a time."""


@dataclass(frozen=True)
class MaskRule:
    """How much is masked, and in what portions.

    Each window masks a share of its tokens drawn between the two ratios; of a share `values` of the windows single values are
    masked in place of tokens, of a share `units` one whole unit, and of a share `none` nothing: there is behaviour to predict.
    """

    ratio: tuple[float, float]
    units: float = 0.0
    values: float = 0.0
    none: float = 0.0


def random_masks(segment: Segment, rule: MaskRule, *, generator: torch.Generator) -> torch.Tensor:
    """(B, T, C) bool on the CPU; absent values are never masked. Every window masks at least one token (or value) and shows
    at least one, save those that mask nothing.
    """
    layout, b = segment.layout, len(segment)
    low, high = rule.ratio
    ratio = low + (high - low) * torch.rand(b, 1, generator=generator)
    tokens = _share_of(torch.ones(1, layout.n_tokens, dtype=torch.bool), ratio, generator)
    masks = tokens.unsqueeze(-1).expand(b, layout.n_tokens, layout.chunk)
    if rule.values > 0 and layout.chunk > 1:
        single = _share_of(layout.present.reshape(1, -1), ratio, generator).view(b, layout.n_tokens, layout.chunk)
        masks = torch.where(_drawn(b, rule.values, generator), single, masks)
    units = layout.units[~layout.units.all(dim=1)]
    if rule.units > 0 and len(units):
        chosen = units[torch.randint(len(units), (b,), generator=generator)]
        masks = torch.where(_drawn(b, rule.units, generator), chosen.unsqueeze(-1), masks)
    if rule.none > 0:
        masks = masks & ~_drawn(b, rule.none, generator)
    return masks & layout.present


def _share_of(there: torch.Tensor, ratio: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """(B, L) bool: a share (B, 1) of those that are there, (1, L); one at least, and one fewer than all at most."""
    n = there.sum(dim=1, keepdim=True)
    draw = torch.rand(len(ratio), there.shape[1], generator=generator).masked_fill(~there, 2.0)
    n_masked = (ratio * n).round().clamp(min=1).minimum((n - 1).clamp(min=1))
    return draw.argsort(dim=1).argsort(dim=1) < n_masked


def _drawn(b: int, share: float, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(b, 1, 1, generator=generator) < share


def leave_one_out_masks(layout: Layout) -> torch.Tensor:
    """(T, T, C) bool: row t masks token t alone."""
    return torch.eye(layout.n_tokens, dtype=torch.bool).unsqueeze(-1) & layout.present


def fold_masks(layout: Layout) -> torch.Tensor:
    """(F, T, C) bool: masks that mask each token exactly once, about one in `N_FOLDS` at a time, all over the window."""
    position = torch.arange(layout.n_tokens)
    fold = (position * 5 + position // N_FOLDS) % N_FOLDS
    masks = fold.unsqueeze(0) == fold.unique().unsqueeze(1)
    return masks.unsqueeze(-1) & layout.present
