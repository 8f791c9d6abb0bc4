"""How likely a unit is under each Gaussian of a model's mixture over the values of units."""

from __future__ import annotations

import torch

from metarep.embeddings.readout import Readout
from metarep.embeddings.registry import Tokens, kind, of_units
from metarep.embeddings.states import mean_and_spread
from metarep.model.batches import Segment
from metarep.model.transformer import ClozeModel


def unit_densities(model: ClozeModel, segment: Segment) -> torch.Tensor:
    """(B, T, K): for each token the log densities of its unit, in nats a value; 0 for units without a mixture."""
    units, at = model.unit_values(segment), model.place(segment.layout)
    b, t = segment.values.shape[:2]
    if units is None:
        return torch.zeros(b, t, model.n_gaussians, device=model.device)
    found = model.mixtures[at.mixture].log_densities(units) / units.shape[1]
    return found.view(b, len(at.unit_values), -1).repeat_interleave(t // len(at.unit_values), dim=1)


@kind(
    "densities",
    "log density of a unit under each Gaussian of the model's mixture over units; of networks mean and spread over their units",
    needs=("a mixture",),
    tokens=Tokens(lambda model: model.n_gaussians, unit_densities),
)
def densities(readout: Readout) -> torch.Tensor:
    """(B, 2 K)."""
    return mean_and_spread(readout.whole)


@of_units("densities")
def densities_of_units(readout: Readout, group: int) -> torch.Tensor:
    """(B, n, K)."""
    return readout.units[group]
