"""What the model says of tokens that are masked one by one, and how sure it is of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch

from metarep.embeddings.readout import Readout
from metarep.embeddings.registry import kind
from metarep.model.batches import Segment
from metarep.model.heads import Prediction
from metarep.model.masks import leave_one_out_masks
from metarep.model.transformer import ClozeModel
from metarep.networks.symmetry_groups import Symmetries


@kind(
    "certainty",
    "entropy of the prediction of each token, masked alone; units ordered by the sum of theirs",
    needs=("predictions", "one window", "a token a value"),
)
def certainty(readout: Readout) -> torch.Tensor:
    """(B, T)."""
    entropy = entropy_in_turn(readout.model, readout.segment.to(readout.model.device)).cpu()
    return entropy.gather(1, surest_units_first(readout, entropy))


def masked_in_turn(
    model: ClozeModel, segment: Segment, *, windows_per_batch: int = 512
) -> Iterator[tuple[Segment, Prediction]]:
    """Some windows (B) of a segment at a time, and what the model says of each of their values (B, T, C), in normalised units,
    where its token alone is masked.
    """
    masks = leave_one_out_masks(segment.layout).to(model.device)
    t, token = len(masks), torch.arange(len(masks), device=model.device)
    with torch.no_grad():
        for some in segment.split(windows_per_batch):
            repeated = some.take(torch.arange(len(some), device=model.device).repeat_interleave(t))
            alone = masks.repeat(len(some), 1, 1)
            repeated = model.guessed(repeated, alone)
            states = model.encode([repeated], [alone])[0]
            if repeated.guess is not None:
                some = replace(some, guess=repeated.guess.view(len(some), t, t, -1)[:, token, token])
            yield some, model.predicted(states.view(len(some), t, t, -1)[:, token, token], some)


def entropy_in_turn(model: ClozeModel, segment: Segment) -> torch.Tensor:
    """(B, T): the entropy in nats of the prediction of each token masked alone, summed over its values."""
    there = segment.layout.present.to(model.device)
    return torch.cat([torch.where(there, said.entropy(), 0.0).sum(dim=-1) for _, said in masked_in_turn(model, segment)])


def surest_units_first(readout: Readout, entropy: torch.Tensor) -> torch.Tensor:
    """(B, T) indices that order the units of every hidden layer by the summed entropy of their tokens.

    A weight between two hidden layers follows both of its units.
    """
    totals = entropy.double() @ readout.plan.shapes[0].layout.units.double().T
    orders, at = {}, 0
    for one in readout.groups:
        orders[one.group] = totals[:, at : at + one.n].argsort(dim=1, stable=True)
        at += one.n
    views = readout.plan.views
    known = [orders.get(view.group) if view.units.interchangeable else None for view in views]
    return readout.plan.moved(Symmetries(tuple(view.units for view in views)), known).expand(len(entropy), -1)
