"""States of tokens in the unmasked network, pooled over layers, units or everything."""

from __future__ import annotations

import torch

from metarep.embeddings.readout import Moments, Readout
from metarep.embeddings.registry import kind, of_units


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


@of_units("states")
@of_units("layers")
@of_units("pooled")
def mean_states(readout: Readout, group: int) -> torch.Tensor:
    """(B, n, D): the mean state of each unit's tokens."""
    return readout.units[group]


def mean_and_spread(moments: Moments) -> torch.Tensor:
    """(B, 2 K V)."""
    return torch.cat([moments.mean.flatten(1), moments.spread.flatten(1)], dim=1).float()
