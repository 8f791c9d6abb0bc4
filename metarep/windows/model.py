"""The window transformer: it reads windows of any network, some tokens hidden, and predicts what these hold.

Choices:
- a token is a run of `chunk` values; what is hidden is a whole token, and each of its values gets a distribution;
- values are multiplied by √(fan-in), standardised per class of kind and role with statistics of the training windows,
  and compressed by asinh, so that a weight of twenty standard deviations is one of four;
- where a token stands is told by learned vectors for kind, role, side and depth and by numbers for the rest; attention adds a
  learned bias for what two tokens share, as in the cloze model, whose blocks these are;
- padding is cut from attention and counts nowhere, so a window gives the same alone or in a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import nn
from torch.nn import functional as F

from metarep.cloze.heads import LOG_STD_RANGE, Mixture
from metarep.cloze.model import Block
from metarep.networks.architecture import KINDS
from metarep.windows.tokens import MAX_DEPTH, N_CLASSES, NUMBERS, ROLES, SIDES, Places

N_INTERVAL = 3


class Batch(NamedTuple):
    """Windows side by side: values (B, T, C) as they stand in networks, present (B, T, C) and real (B, T) bool, False for
    padding; ids (B, T, 5): kind, role, side, depth, class; numbers (B, T, F); scale (B, T); feeds and reads (B, T, 3)."""

    values: torch.Tensor
    present: torch.Tensor
    real: torch.Tensor
    ids: torch.Tensor
    numbers: torch.Tensor
    scale: torch.Tensor
    feeds: torch.Tensor
    reads: torch.Tensor

    def to(self, device: str | torch.device) -> Batch:
        """On another device."""
        return Batch(*(part.to(device) for part in self))


def collate(values: Sequence[torch.Tensor], places: Sequence[Places], *, length: int | None = None) -> Batch:
    """A batch of windows, values (T, C) and places of each, padded to the longest or to `length` tokens."""
    n, longest = len(values), max(len(one) for one in values)
    t, c = max(longest, length or 0), values[0].shape[1]
    batch = Batch(
        torch.zeros(n, t, c),
        torch.zeros(n, t, c, dtype=torch.bool),
        torch.zeros(n, t, dtype=torch.bool),
        torch.zeros(n, t, 5, dtype=torch.int64),
        torch.zeros(n, t, len(NUMBERS)),
        torch.ones(n, t),
        torch.full((n, t, N_INTERVAL), -1, dtype=torch.int32),
        torch.full((n, t, N_INTERVAL), -1, dtype=torch.int32),
    )
    for row, (one, at) in enumerate(zip(values, places, strict=True)):
        m = len(one)
        ids = np.stack([at.kind, at.role, at.side, at.depth, at.member], axis=1)
        batch.values[row, :m], batch.real[row, :m] = one, True
        for part, found in zip(
            (batch.present, batch.ids, batch.numbers, batch.scale, batch.feeds, batch.reads),
            (at.present, ids, at.numbers, at.scale, at.feeds, at.reads),
            strict=True,
        ):
            part[row, :m] = torch.from_numpy(found)
    return batch


def relations(feeds: torch.Tensor, reads: torch.Tensor) -> torch.Tensor:
    """(B, T, T) int64: what token i shares with token j, numbered as in `metarep.cloze.tokens`; units are intervals."""
    same = _overlap(feeds, feeds) + 2 * _overlap(reads, reads) + 4 * _overlap(feeds, reads) + 8 * _overlap(reads, feeds)
    t = feeds.shape[1]
    return same.masked_fill(torch.eye(t, dtype=torch.bool, device=feeds.device), 16)


def _overlap(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    (group, first, end), (other, low, high) = a.unsqueeze(2).unbind(-1), b.unsqueeze(1).unbind(-1)
    return ((group == other) & (group >= 0) & (first < high) & (low < end)).long()


class WindowModel(nn.Module, PyTorchModelHubMixin, library_name="metarep"):
    """See the head of this file. Saves and loads in the Hub's way: `config.json` and `model.safetensors`."""

    def __init__(
        self,
        chunk: int = 4,
        context: int = 128,
        overlap: float = 0.25,
        d_model: int = 64,
        n_layers: int = 3,
        n_heads: int = 4,
        n_components: int = 2,
    ):
        super().__init__()
        self.chunk, self.context, self.overlap, self.n_components = chunk, context, overlap, n_components
        self.value_in, self.value_out = nn.Linear(2 * chunk, d_model), nn.Linear(d_model, d_model)
        self.hidden_value = nn.Parameter(torch.randn(d_model) * 0.02)
        self.number_in, self.number_out = nn.Linear(len(NUMBERS), d_model), nn.Linear(d_model, d_model)
        self.tables = nn.ModuleList(nn.Embedding(n, d_model) for n in (len(KINDS), len(ROLES), len(SIDES), MAX_DEPTH))
        self.blocks = nn.ModuleList(Block(d_model, n_heads) for _ in range(n_layers))
        self.norm = nn.LayerNorm(d_model)
        self.head = nn.Linear(d_model, chunk * 3 * n_components)
        self.register_buffer("class_mean", torch.zeros(N_CLASSES))
        self.register_buffer("class_std", torch.ones(N_CLASSES))

    def fit_normalisation(self, batches: Sequence[Batch]) -> None:
        """Sets mean and standard deviation of each class from training windows; a class that is not there gets all others'."""
        sums = torch.zeros(3, N_CLASSES, dtype=torch.float64)
        for batch in batches:
            scaled = (batch.values * batch.scale.unsqueeze(-1)).double()
            member = batch.ids[..., 4].unsqueeze(-1).expand_as(scaled)[batch.present]
            for row, power in enumerate((0, 1, 2)):
                sums[row].index_add_(0, member, scaled[batch.present] ** power)
        total = sums.sum(dim=1, keepdim=True)
        count, first, second = torch.where(sums[0] > 1, sums, total)
        mean = first / count
        self.class_mean.copy_(mean)
        self.class_std.copy_((second / count - mean.square()).clamp_min(1e-12).sqrt().clamp_min(1e-6))

    def normalise(self, batch: Batch) -> torch.Tensor:
        """(B, T, C): the values as the model sees and predicts them; 0 where none is present."""
        member = batch.ids[..., 4]
        scaled = batch.values * batch.scale.unsqueeze(-1)
        z = torch.asinh((scaled - self.class_mean[member].unsqueeze(-1)) / self.class_std[member].unsqueeze(-1))
        return torch.where(batch.present, z, 0.0)

    def denormalise(self, z: torch.Tensor, batch: Batch) -> torch.Tensor:
        """The inverse of `normalise`: values as they stand in networks."""
        member = batch.ids[..., 4]
        scaled = torch.sinh(z) * self.class_std[member].unsqueeze(-1) + self.class_mean[member].unsqueeze(-1)
        return torch.where(batch.present, scaled / batch.scale.unsqueeze(-1), 0.0)

    def encode(self, batch: Batch, mask: torch.Tensor) -> torch.Tensor:
        """Hidden states (B, T, D); mask (B, T), True hidden. What stands in padding means nothing."""
        z = self.normalise(batch)
        x = self.value_out(F.gelu(self.value_in(torch.cat([z, batch.present.to(z.dtype)], dim=-1))))
        x = torch.where(mask.unsqueeze(-1), self.hidden_value, x)
        x = x + self.number_out(F.gelu(self.number_in(batch.numbers)))
        x = x + sum(table(batch.ids[..., index]) for index, table in enumerate(self.tables))
        relation = relations(batch.feeds, batch.reads)
        cut = None if bool(batch.real.all()) else ~batch.real[:, None, None, :]
        for block in self.blocks:
            x = block(x, relation, cut)
        return self.norm(x)

    def predict(self, states: torch.Tensor) -> Mixture:
        """The distribution of each value (B, T, C) from the states of its token."""
        out = self.head(states).unflatten(-1, (self.chunk, 3 * self.n_components))
        logit, mean, log_std = out.split(self.n_components, dim=-1)
        return Mixture(F.log_softmax(logit, dim=-1), mean, log_std.clamp(*LOG_STD_RANGE))

    def forward(self, batch: Batch, mask: torch.Tensor) -> Mixture:
        """The predicted distribution of every value (B, T, C) from the tokens that the mask leaves visible."""
        return self.predict(self.encode(batch, mask))


def masked_loss(model: WindowModel, batch: Batch, mask: torch.Tensor) -> torch.Tensor:
    """The mean negative log-likelihood, in nats, of the values in hidden tokens."""
    hidden = mask.unsqueeze(-1) & batch.present
    return -model(batch, mask).log_density(model.normalise(batch))[hidden].mean()
