"""What a model is trained on: the cloze test, and the unsupervised representations it is compared with.

All train the one encoder, `ClozeModel.encode`, on the same data for as many steps; what else they need (a projection, a
teacher) is left behind when the model is saved, and so is the head that predicts values, but for the cloze test.

- "cloze": predict the masked values from the others, and with `behaviour_weight` what units contribute at probe inputs; with
  `decoder` reconstruct whole networks, too.
- "autoencoder": the mean state through a bottleneck, from which all values are reconstructed (`metarep.model.reconstruction`).
- "contrastive": two networks that compute the same function (`views`) must be found among all others of the batch.
  NT-Xent of SimCLR (Chen et al., "A simple framework for contrastive learning of visual representations", 2020).
- "latent": a teacher, the moving average of the model, reads the whole network; from what is visible the model predicts the
  teacher's states at the masked tokens. After data2vec (Baevski et al., 2022) and I-JEPA (Assran et al., 2023); as in
  the latter the teacher is what embeds. The error counts in shares of the variance of the teacher's states over networks, or
  else a teacher that separates networks less would score better; their spread is logged: 0 would be collapse.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import nn
from torch.nn import functional as F

from metarep.devices import without_waiting
from metarep.errors import MetarepError
from metarep.model.batches import Batch, Segment
from metarep.model.data import WholeNetworks
from metarep.model.heads import perceptron
from metarep.model.reconstruction import Reconstruction
from metarep.model.settings import PretrainConfig
from metarep.model.transformer import ClozeModel, unit_states, unpacked
from metarep.model.views import same_function


class Objective(nn.Module):
    """A loss on a batch and its masks, True masked, for a model and whatever else is trained with it.

    Everything that is trained or must survive an interruption is in its `state_dict`.
    """

    whole_networks = False
    """Whether it needs whole networks of one architecture."""
    everywhere = False
    """Whether what is masked is picked after everything was computed, not before: a GPU need not be waited for to know how much
    that is, and steps can be recorded."""

    def __init__(self, config: PretrainConfig, model: ClozeModel, subject: WholeNetworks | None):
        super().__init__()
        self.config, self.model, self.subject = config, model, subject

    @property
    def encoder(self) -> ClozeModel:
        """The model that is kept in the end."""
        return self.model

    def loss(self, batch: Batch, masks: Sequence[torch.Tensor], *, generator: torch.Generator) -> torch.Tensor:
        """(): what is minimised; `generator` is for what else has to be drawn."""
        raise RuntimeError("an objective has a loss")

    def counts(self, batch: Batch, masks: Sequence[torch.Tensor]) -> dict[str, torch.Tensor | int]:
        """Over how many values each part of the loss is a mean."""
        del batch, masks
        raise MetarepError(f"objective={self.config.objective} needs whole batches", fix="use one process and accumulate=1")

    def share(self, batch: Batch, masks: Sequence[torch.Tensor], of: dict[str, torch.Tensor | int]) -> torch.Tensor:
        """(): what a piece of a batch adds to the loss of the whole, whose `counts` are given."""
        raise RuntimeError("an objective with counts has shares")

    def metrics(self, batch: Batch, masks: Sequence[torch.Tensor]) -> dict[str, float]:
        """What the log says of validation windows beside their loss."""
        del batch, masks
        return {}

    def after_step(self) -> None:
        """Called once the parameters have been changed."""


class Cloze(Objective):
    """Masked values from the others; with a decoder, whole networks from a bottleneck, too."""

    def __init__(self, config: PretrainConfig, model: ClozeModel, subject: WholeNetworks | None):
        super().__init__(config, model, subject)
        self.reconstruction = Reconstruction(model, subject) if config.decoder else None

    def loss(self, batch: Batch, masks: Sequence[torch.Tensor], *, generator: torch.Generator) -> torch.Tensor:
        del generator
        return sum(self._parts(batch, masks).values())

    def counts(self, batch: Batch, masks: Sequence[torch.Tensor]) -> dict[str, torch.Tensor | int]:
        asked = [segment.behaviour.contributions.numel() for segment in batch if segment.behaviour is not None]
        return {"masked": sum(mask.sum() for mask in masks), "behaviour": sum(asked), "whole": sum(map(len, batch))}

    def share(self, batch: Batch, masks: Sequence[torch.Tensor], of: dict[str, torch.Tensor | int]) -> torch.Tensor:
        own = self.counts(batch, masks)
        return sum(part * (own[name] / of[name]) for name, part in self._parts(batch, masks).items())

    def _parts(self, batch: Batch, masks: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
        """The parts of the loss by what they are a mean of."""
        model = self.model
        packed = model.encode_packed(batch, masks)
        mask = torch.cat([mask.flatten(0, 1) for mask in masks])
        truth = torch.cat([model.normalise(segment).flatten(0, 1) for segment in batch])
        shift = model.shifts(packed, batch)
        if self.everywhere:
            parts = {"masked": mean_where(model.head.loss(model.head(packed, shift), truth), mask)}
        else:
            touched = mask.any(dim=-1)
            predicted = model.head(packed[touched], None if shift is None else shift[touched])
            masked = model.head.loss(predicted, truth[touched])[mask[touched]]
            parts = {"masked": masked.mean() if len(masked) else masked.sum()}
        behaviours = [
            model.decoder.loss(unit_states(states, model.place(segment.layout).units), segment.behaviour).flatten()
            for segment, states in zip(batch, unpacked(packed, batch), strict=True)
            if segment.behaviour is not None
        ]
        if behaviours:
            parts["behaviour"] = self.config.behaviour_weight * torch.cat(behaviours).mean()
        if self.reconstruction is not None:
            parts["whole"] = self.reconstruction.error(batch)
        return parts

    def metrics(self, batch: Batch, masks: Sequence[torch.Tensor]) -> dict[str, float]:
        """Masked R² against a prediction of 0, the mean of each class."""
        left = total = 0.0
        for segment, mask in zip(batch, masks, strict=True):
            truth = self.model.normalise(segment)[mask]
            left += float((truth - self.model(segment, mask).expectation()[mask]).detach().square().sum())
            total += float(truth.square().sum())
        found = {"valid_r2": 1 - left / total if total > 0 else float("nan")}
        return found if self.reconstruction is None else found | {"valid_reconstruction_r2": self.reconstruction.r2(batch)}


class Autoencoder(Objective):
    """Values -> bottleneck -> values, up to the order of units."""

    whole_networks = True

    def __init__(self, config: PretrainConfig, model: ClozeModel, subject: WholeNetworks):
        super().__init__(config, model, subject)
        self.reconstruction = Reconstruction(model, subject)

    def loss(self, batch: Batch, masks: Sequence[torch.Tensor], *, generator: torch.Generator) -> torch.Tensor:
        del masks, generator
        return self.reconstruction.error(batch)

    def metrics(self, batch: Batch, masks: Sequence[torch.Tensor]) -> dict[str, float]:
        del masks
        return {"valid_reconstruction_r2": self.reconstruction.r2(batch)}


class Contrastive(Objective):
    """NT-Xent between two views of each network, among the networks of a batch."""

    whole_networks = True

    def __init__(self, config: PretrainConfig, model: ClozeModel, subject: WholeNetworks):
        super().__init__(config, model, subject)
        self.projection = perceptron(config.d_model, config.d_model, config.d_model)

    def loss(self, batch: Batch, masks: Sequence[torch.Tensor], *, generator: torch.Generator) -> torch.Tensor:
        del masks
        pieces = [piece for segment in batch for piece in segment.split(self.config.batch_size) if len(piece) > 1]
        return torch.stack([nt_xent(*self._projected(p, generator), self.config.temperature) for p in pieces]).mean()

    def _projected(self, segment: Segment, generator: torch.Generator) -> list[torch.Tensor]:
        views = [same_function(segment.tensors, self.subject, self.config, generator=generator) for _ in range(2)]
        return [self.projection(self.model.pool(self.model.states(self.subject.segment(view)))) for view in views]


class LatentPrediction(Objective):
    """The states of a slow copy of the model, predicted where values are masked."""

    def __init__(self, config: PretrainConfig, model: ClozeModel, subject: WholeNetworks | None):
        super().__init__(config, model, subject)
        self.predictor = perceptron(config.d_model, 2 * config.d_model, config.d_model)
        self.teacher = deepcopy(model).requires_grad_(False)

    @property
    def encoder(self) -> ClozeModel:
        return self.teacher

    def loss(self, batch: Batch, masks: Sequence[torch.Tensor], *, generator: torch.Generator) -> torch.Tensor:
        del generator
        touched = torch.cat([mask.any(dim=-1).flatten() for mask in masks])
        states = torch.cat([state.flatten(0, 1) for state in self.model.encode(batch, masks)])
        targets = self.targets(batch)
        if self.everywhere:
            error = mean_where((self.predictor(states) - targets).square().mean(dim=1), touched)
        else:
            error = F.mse_loss(self.predictor(states[touched]), targets[touched])
        return error / targets.var(dim=0, correction=0).mean().clamp_min(1e-6)

    def metrics(self, batch: Batch, masks: Sequence[torch.Tensor]) -> dict[str, float]:
        """The spread of the teacher's states over tokens: 1 is the most that normalised states can have, 0 is collapse."""
        del masks
        return {"teacher_spread": float(self.targets(batch).std(dim=0, correction=0).mean())}

    def targets(self, batch: Batch) -> torch.Tensor:
        """(N, D): what the teacher makes of all tokens of whole windows, each state of mean 0 and variance 1."""
        with torch.no_grad():
            states = self.teacher.encode(batch, [segment.no_mask for segment in batch])
        return torch.cat([F.layer_norm(state, state.shape[-1:]).flatten(0, 1) for state in states])

    @torch.no_grad()
    def after_step(self) -> None:
        for slow, fast in zip(self.teacher.parameters(), self.model.parameters(), strict=True):
            slow.lerp_(fast, 1 - self.config.teacher_momentum)


OBJECTIVES = {"cloze": Cloze, "autoencoder": Autoencoder, "contrastive": Contrastive, "latent": LatentPrediction}


def build_objective(config: PretrainConfig, model: ClozeModel, subject: WholeNetworks | None) -> Objective:
    """The objective that the config names, around a model; torch's global generator decides how the rest of it starts.

    Raises MetarepError for an objective on whole networks of one architecture where there is no such `subject`.
    """
    kind = OBJECTIVES[config.objective]
    if (kind.whole_networks or config.decoder) and subject is None:
        what = "decoder=true" if config.decoder else f"objective={config.objective}"
        expected, fix = "networks of one architecture that fit into one window", "use cloze without a decoder"
        raise MetarepError(f"{what} is for a single architecture", expected=expected, fix=fix)
    return kind(config, model, subject)


def mean_where(values: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """(): the mean of those values that are chosen, bool of the same shape; 0 where none is."""
    return torch.where(chosen, values, 0.0).sum() / chosen.sum().clamp_min(1)


def nt_xent(one: torch.Tensor, other: torch.Tensor, temperature: float) -> torch.Tensor:
    """(): how hard row i of `other` (N, D) is to find among all other rows when row i of `one` is given, both ways, in nats.

    The cross-entropy of the softmax over cosine similarities / temperature; Chen et al. (2020), equation 1.
    """
    n = len(one)
    rows = F.normalize(torch.cat([one, other]), dim=1)
    similarity = (rows @ rows.T / temperature).masked_fill(torch.eye(2 * n, dtype=torch.bool, device=rows.device), -torch.inf)
    return F.cross_entropy(similarity, torch.arange(2 * n, device=rows.device).roll(n))


def on_device(batch: Batch, masks: Sequence[torch.Tensor], device: str) -> tuple[list[Segment], list[torch.Tensor]]:
    """A batch and its masks on another device."""
    return [segment.to(device) for segment in batch], [without_waiting(mask, device) for mask in masks]
