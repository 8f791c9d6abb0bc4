"""How well masked values are predicted, the more of them are masked: a profile that needs no labels and knows no basis.

Single values are masked at random, as many as each ratio says, at the same positions of all windows that share a layout.
"""

from __future__ import annotations

import torch

from metarep.embeddings.readout import Readout
from metarep.embeddings.registry import Tokens, kind, of_units
from metarep.embeddings.states import sides_of
from metarep.model.batches import Segment
from metarep.model.masks import MaskRule, random_masks
from metarep.model.transformer import ClozeModel

RATIOS = (0.3, 0.5, 0.65, 0.8, 0.9, 0.95)
N_PATTERNS = 4
"""Random masks at each ratio."""

FLOOR = 1e-4
"""Added to mean squared errors before their logarithm."""


def squared_errors(model: ClozeModel, segment: Segment) -> torch.Tensor:
    """(B, T, 24): for each side of a unit and each ratio the sum of the squared errors of a token's masked values, over all
    masks, and how many these are.
    """
    z, sides = model.normalise(segment), sides_of(segment)
    few, generator = segment.take(torch.zeros(N_PATTERNS, dtype=torch.int64)), torch.Generator().manual_seed(0)
    found = torch.zeros(*z.shape[:2], 2, len(RATIOS), 2, device=z.device)
    for number, ratio in enumerate(RATIOS):
        for mask in random_masks(few, MaskRule((ratio, ratio), values=1.0), generator=generator).to(z.device):
            squares = torch.where(mask, (model(segment, mask.expand(z.shape)).expectation() - z).square(), 0.0).sum(dim=-1)
            both = torch.stack([squares, mask.sum(dim=-1).to(z).expand(squares.shape)], dim=-1)
            found[:, :, :, number] += both.unsqueeze(2) * sides.T[:, :, None]
    return found.flatten(2)


def log_errors(means: torch.Tensor) -> torch.Tensor:
    """(…, 12): the logarithm of the mean squared error by side and ratio, from means (…, 24); 0 where nothing was masked."""
    total, count = means.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.where(count > 0, torch.log(total / count.clamp_min(1e-9) + FLOOR), 0.0)


ERRORS = Tokens(lambda model: 4 * len(RATIOS), squared_errors, log_errors)


@kind(
    "predictability",
    "the logarithm of the error of masked values at six mask ratios, apart for what feeds a unit and what reads it",
    needs=("predictions",),
    tokens=ERRORS,
)
def predictability(readout: Readout) -> torch.Tensor:
    """(B, 36): over each third of the depth."""
    return ERRORS.read(readout.thirds.mean).flatten(1).float()


@of_units("predictability")
def unit_predictability(readout: Readout, group: int) -> torch.Tensor:
    """(B, n, 12)."""
    return readout.units[group]
