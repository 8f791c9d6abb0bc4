"""States of tokens in the unmasked network, pooled over layers, units or everything."""

from __future__ import annotations

import torch

from metarep.embeddings.readout import Moments, Readout
from metarep.embeddings.registry import Tokens, kind, of_units
from metarep.model.batches import Segment
from metarep.model.layout import SIDES
from metarep.model.transformer import ClozeModel


@kind("states", "unit by unit: mean and largest of each dimension over the units of each layer", needs=("hidden units",))
def states(readout: Readout) -> torch.Tensor:
    """(B, 2 D a group of hidden units)."""
    return torch.cat([part for units in readout.hidden_units for part in (units.mean(dim=1), units.amax(dim=1))], dim=1)


@kind("layers", "mean and spread of states over each third of the depth; for networks of any architecture")
def layers(readout: Readout) -> torch.Tensor:
    """(B, 6 D)."""
    return mean_and_spread(readout.thirds)


@kind("pooled", "mean and spread of states over the network; of an autoencoder its bottleneck")
def pooled(readout: Readout) -> torch.Tensor:
    """(B, 2 D), or (B, bottleneck)."""
    if readout.model.bottleneck is not None:
        with torch.no_grad():
            return readout.model.bottleneck(readout.whole.mean[:, 0].float().to(readout.model.device)).cpu()
    return mean_and_spread(readout.whole)


def states_by_side(model: ClozeModel, segment: Segment) -> torch.Tensor:
    """(B, T, 2 (2 D + 1)): each token's state, its square and 1, where the token feeds its unit or is its own, then likewise
    where it reads it; 0 for the other side.
    """
    states = model.states(segment)
    held = torch.cat([states, states.square(), torch.ones_like(states[..., :1])], dim=-1)
    return torch.cat([held * side for side in sides_of(segment).unsqueeze(-1)], dim=-1)


def sides_of(segment: Segment) -> torch.Tensor:
    """(2, T) float32: whether a token feeds its unit or is its own, and whether it reads it."""
    reads = segment.layout.side == SIDES.index("out")
    return torch.stack([~reads, reads]).float().to(segment.values.device)


def moments_by_side(means: torch.Tensor) -> torch.Tensor:
    """(…, 4 D): mean and spread of the states of each side, from means (…, 2 (2 D + 1)); 0 for a side without tokens."""
    parts = []
    for side in means.chunk(2, dim=-1):
        first, second = (side[..., :-1] / side[..., -1:].clamp_min(1e-9)).chunk(2, dim=-1)
        parts += [first, (second - first.square()).clamp_min(0).sqrt()]
    return torch.cat(parts, dim=-1)


BY_SIDE = Tokens(lambda model: 2 * (2 * model.d_model + 1), states_by_side, moments_by_side)


@kind("spread", "mean and spread of states, apart for what feeds a unit and what reads it", tokens=BY_SIDE)
def spread(readout: Readout) -> torch.Tensor:
    """(B, 4 D)."""
    return BY_SIDE.read(readout.whole.mean[:, 0]).float()


@of_units("spread")
@of_units("states")
@of_units("layers")
@of_units("pooled")
def mean_states(readout: Readout, group: int) -> torch.Tensor:
    """(B, n, D): the mean state of each unit's tokens; (B, n, 4 D) by side."""
    return readout.units[group]


def mean_and_spread(moments: Moments) -> torch.Tensor:
    """(B, 2 K V)."""
    return torch.cat([moments.mean.flatten(1), moments.spread.flatten(1)], dim=1).float()
