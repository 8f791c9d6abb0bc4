"""What a model that predicts behaviour says units do, from parameters alone.

All are invariant to the order of units: within a layer units stand in the order of how often they are predicted to be off, the
least first.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch

from metarep.embeddings.readout import Readout
from metarep.embeddings.registry import kind, of_units
from metarep.errors import MetarepError

NEEDS = ("behaviour", "hidden units")
N_PROBES = 25
N_FINE = 100
"""About so many probe inputs are asked for by all kinds but activity, which asks for N_PROBES."""
MAX_PAIRED = 16
"""Units of a layer whose pairs `patterns` still takes."""
SHARE_FLOOR = 1e-3
"""Added to a share before its logarithm, which tells small shares from none."""


@kind(
    "activity",
    "of each hidden unit: expected share of probe inputs at which it is off, whether at any, whether at all",
    needs=NEEDS,
)
def activity(readout: Readout) -> torch.Tensor:
    """(B, 3 U)."""
    return activity_of([off for off, _ in predicted(readout, N_PROBES)])


@kind("off_probabilities", "probability that each hidden unit is off at each of about 100 probe inputs", needs=NEEDS)
def off_probabilities(readout: Readout) -> torch.Tensor:
    """(B, U S)."""
    return torch.cat([ordered(off, off).flatten(1) for off, _ in predicted(readout, N_FINE)], dim=1)


@kind(
    "patterns",
    "for each two hidden units of a layer: probabilities of the four on/off combinations, mean, its logarithm, and largest",
    needs=NEEDS,
)
def patterns(readout: Readout) -> torch.Tensor:
    """(B, 12 a pair)."""
    return torch.cat([pattern_shares(ordered(off, off)) for off, _ in predicted(readout, N_FINE)], dim=1)


@kind("contributions", "what each hidden unit is expected to contribute to the output at about 100 probe inputs", needs=NEEDS)
def contributions(readout: Readout) -> torch.Tensor:
    """(B, U S)."""
    return torch.cat([ordered(expected, off).flatten(1) for off, expected in predicted(readout, N_FINE)], dim=1)


@kind(
    "function", "contributions summed over the last hidden layer: the output as the model sees it, up to its bias", needs=NEEDS
)
def function(readout: Readout) -> torch.Tensor:
    """(B, S)."""
    return predicted(readout, N_FINE)[-1][1].sum(dim=1)


@of_units("activity")
def unit_activity(readout: Readout, group: int) -> torch.Tensor:
    """(B, n, 3)."""
    off, _ = predict_group(readout, group, N_PROBES)
    return torch.stack([off.mean(dim=2), off.amax(dim=2), off.amin(dim=2)], dim=2)


@of_units("contributions")
def unit_contributions(readout: Readout, group: int) -> torch.Tensor:
    """(B, n, S)."""
    return predict_group(readout, group, N_FINE)[1]


def predicted(readout: Readout, n_probes: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """For each layer of hidden units: how likely each is off and what it is expected to contribute, (B, n, S) each."""
    _ = readout.hidden_units
    return [predict_group(readout, one.group, n_probes) for one in readout.groups if one.hidden]


def predict_group(readout: Readout, group: int, n_probes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The same for one group, in its own order. Raises MetarepError for networks whose inputs the model was never asked
    about.
    """
    if readout.space is None:
        fix = "pretrain with behaviour_weight=1 on networks with as many inputs and outputs"
        raise MetarepError("the model was not asked for the behaviour of such networks", fix=fix)
    model, probes = readout.model, readout.space.fixed(n_probes)
    with torch.no_grad():
        found = model.decoder(readout.units[group].to(model.device), probes.to(model.device))
        return found.log_off.exp().cpu(), found.expectation().cpu()


def ordered(values: torch.Tensor, off: torch.Tensor) -> torch.Tensor:
    """values (B, n, S) of the units of a layer in the order of how often they are off, off (B, n, S), the least first."""
    order = off.mean(dim=2).argsort(dim=1, stable=True)
    return values.gather(1, order.unsqueeze(-1).expand_as(values))


def activity_of(off: Sequence[torch.Tensor]) -> torch.Tensor:
    """(B, 3 U) from how likely the units of each layer are off (B, n, S): predicted, or known (0 or 1)."""
    every = torch.cat([ordered(one, one) for one in off], dim=1)
    return torch.cat([every.mean(dim=2), (every.amax(dim=2) > 0.5).float(), (every.amin(dim=2) > 0.5).float()], dim=1)


def pattern_shares(off: torch.Tensor) -> torch.Tensor:
    """(B, 12 a pair): mean over probes, its decimal logarithm, and largest, of the four on/off patterns of each two units;
    off (B, n, S), as if the two were independent given the parameters. Raises MetarepError for wide layers.
    """
    if off.shape[1] > MAX_PAIRED:
        fix = "embed kind=activity"
        raise MetarepError(
            "patterns take every pair of a layer's units", met=off.shape[1], expected=f"at most {MAX_PAIRED}", fix=fix
        )
    found = []
    for i, j in combinations(range(off.shape[1]), 2):
        for first in (off[:, i], 1 - off[:, i]):
            for second in (off[:, j], 1 - off[:, j]):
                share = (first * second).mean(dim=1)
                found += [share, torch.log10(share + SHARE_FLOOR), (first * second).amax(dim=1)]
    return torch.stack(found, dim=1) if found else off.new_zeros(len(off), 0)
