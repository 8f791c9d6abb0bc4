"""How likely a unit is under each Gaussian of a model's mixtures over the values of units."""

from __future__ import annotations

import torch

from metarep.embeddings.readout import Readout
from metarep.embeddings.registry import Tokens, kind, of_units
from metarep.embeddings.states import mean_and_spread
from metarep.model.batches import Segment
from metarep.model.transformer import ClozeModel


def n_densities(model: ClozeModel) -> int:
    """Gaussians of all mixtures."""
    return model.n_gaussians * len(model.mixtures)


def unit_densities(model: ClozeModel, segment: Segment) -> torch.Tensor:
    """(B, T, K): for each token the log densities of its unit, in nats a value; 0 under mixtures over other units."""
    units, at = model.unit_values(segment), model.place(segment.layout)
    b, t = segment.values.shape[:2]
    found = torch.zeros(b, t, n_densities(model), device=model.device)
    if units is not None:
        own = model.mixtures[at.mixture].log_densities(units).view(b, len(at.unit_values), -1) / units.shape[1]
        columns = slice(at.mixture * model.n_gaussians, (at.mixture + 1) * model.n_gaussians)
        found[..., columns] = own.repeat_interleave(t // len(at.unit_values), dim=1)
    return found


@kind(
    "densities",
    "log density of a unit under each Gaussian of the model's mixtures over units; of networks mean and spread over tokens",
    needs=("a mixture",),
    tokens=Tokens(n_densities, unit_densities),
)
def densities(readout: Readout) -> torch.Tensor:
    """(B, 2 K)."""
    return mean_and_spread(readout.whole)


@of_units("densities")
def densities_of_units(readout: Readout, group: int) -> torch.Tensor:
    """(B, n, K)."""
    return readout.units[group]
