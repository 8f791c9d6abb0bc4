"""What the model says of tokens that are masked: how surprising they are, and how sure it is of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from metarep.devices import without_waiting
from metarep.embeddings.readout import Readout
from metarep.embeddings.registry import Tokens, kind, of_units
from metarep.embeddings.states import mean_and_spread
from metarep.model.batches import Segment
from metarep.model.masks import fold_masks, leave_one_out_masks
from metarep.model.transformer import ClozeModel
from metarep.networks.symmetry_groups import Symmetries
from metarep.networks.tensor_symmetry import permuted


def surprise(model: ClozeModel, segment: Segment) -> torch.Tensor:
    """(B, T, 2): mean −log p and entropy of each token's values when it is masked."""
    z, layout = model.normalise(segment), segment.layout
    present = layout.present.to(z)
    found = torch.zeros(*z.shape[:2], 2, device=z.device)
    for mask in fold_masks(layout):
        touched = without_waiting(mask.any(dim=-1).nonzero().squeeze(1), z.device)
        states = model.encode([segment], [without_waiting(mask, z.device).expand(z.shape)])[0]
        predicted = model.predicted(states, segment, at=(slice(None), touched))
        both = torch.stack([-predicted.log_density(z[:, touched]), predicted.entropy()], dim=-1)
        weights = present[touched].unsqueeze(-1)
        found[:, touched] = (both * weights).sum(dim=2) / weights.sum(dim=1).clamp_min(1)
    return found


@kind(
    "surprisal",
    "over each third of the depth, mean and spread of −log p of masked values and of the entropy of their predictions",
    needs=("predictions",),
    tokens=Tokens(lambda model: 2, surprise),
)
def surprisal(readout: Readout) -> torch.Tensor:
    """(B, 12)."""
    return mean_and_spread(readout.thirds)


@of_units("surprisal")
def unit_surprisal(readout: Readout, group: int) -> torch.Tensor:
    """(B, n, 2): the means over each unit's tokens."""
    return readout.units[group]


@kind(
    "certainty",
    "entropy of the prediction of each token, masked alone; units ordered by the sum of theirs",
    needs=("predictions", "one window", "a token a value"),
)
def certainty(readout: Readout) -> torch.Tensor:
    """(B, T)."""
    segment = readout.require_segment("certainty")
    entropy = leave_one_out(readout.model, segment.to(readout.model.device)).entropy.cpu()
    return entropy.gather(1, surest_units_first(readout, entropy))


class LeaveOneOut(NamedTuple):
    """What the model says of every token (B, T) when it alone is masked, summed over its values: in normalised units and
    nats.
    """

    expectation: torch.Tensor
    entropy: torch.Tensor
    surprisal: torch.Tensor


def leave_one_out(model: ClozeModel, segment: Segment, *, windows_per_batch: int = 512) -> LeaveOneOut:
    """Masks every token in turn."""
    layout = segment.layout
    masks, token = leave_one_out_masks(layout).to(model.device), torch.arange(layout.n_tokens, device=model.device)
    parts = []
    with torch.no_grad():
        for some in segment.split(windows_per_batch):
            n, t = len(some), layout.n_tokens
            repeated = some.take(torch.arange(n, device=model.device).repeat_interleave(t))
            states = model.encode([repeated], [masks.repeat(n, 1, 1)])[0]
            prediction = model.predicted(states, repeated, at=(torch.arange(n * t, device=model.device), token.repeat(n)))
            truth, there = model.normalise(some).flatten(0, 1), layout.present.to(model.device).repeat(n, 1)
            found = (prediction.expectation(), prediction.entropy(), -prediction.log_density(truth))
            parts.append([torch.where(there, one, 0.0).sum(dim=-1).view(n, t) for one in found])
    return LeaveOneOut(*(torch.cat(one) for one in zip(*parts, strict=True)))


def surest_units_first(readout: Readout, entropy: torch.Tensor) -> torch.Tensor:
    """(B, T) indices that order the units of every hidden layer by the summed entropy of their tokens.

    A weight between two hidden layers follows both of its units.
    """
    totals = entropy.double() @ readout.plan.shapes[0].layout.units.double().T
    groups, at = [], 0
    for one in readout.groups:
        groups.append((one.group, totals[:, at : at + one.n].argsort(dim=1, stable=True)))
        at += one.n
    return token_order(readout, len(entropy), dict(groups))


def token_order(readout: Readout, b: int, orders: dict[int, torch.Tensor]) -> torch.Tensor:
    """(B, T) indices into the tokens of b networks for one order (B, n) of the units of each group, by its number."""
    plan = readout.plan
    symmetry = [view.units for view in plan.views]
    architecture = plan.views[0].architecture
    tensors, start = {}, 0
    for tensor in architecture.tensors:  # every value numbered, permuted, and looked up where it lands
        tensors[tensor.name] = torch.arange(start, start + tensor.size).view(1, *tensor.shape).expand(b, *tensor.shape)
        start += tensor.size
    groups = Symmetries(tuple(symmetry))
    found = permuted(tensors, groups, [orders.get(view.group) if view.units.interchangeable else None for view in plan.views])
    numbered = plan.whole_values({name: value[:1] for name, value in tensors.items()})[0, :, 0]
    place = torch.from_numpy(np.argsort(numbered.numpy()))
    return place[plan.whole_values(found)[..., 0]]
