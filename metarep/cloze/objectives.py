"""What a model is trained on: the cloze test, and the unsupervised representations it is compared with.

All train the one encoder, `ClozeModel.encode`, on the same data for as many steps; what else they need (a decoder, a
projection, a teacher) is left behind when the model is saved, and so is the head that predicts values, but for the cloze test.

- "cloze": predict the hidden values from the others.
- "autoencoder": the mean hidden state through a bottleneck, from which all values are told; squared error. Units have no
  order, so the error is that of the unit order that fits best: an order fixed by a rule would jump where two units tie.
- "contrastive": two networks that compute the same function (`views`) must be found among all others of the batch.
  NT-Xent of SimCLR (Chen et al., "A simple framework for contrastive learning of visual representations", 2020).
- "latent": a teacher, the moving average of the model, reads the whole network; from what is visible the model predicts the
  teacher's hidden states at the hidden tokens. After data2vec (Baevski et al., 2022) and I-JEPA (Assran et al., 2023); as in
  the latter the teacher is what embeds. The error counts in shares of the variance of the teacher's states over networks, or
  else a teacher that tells networks apart less would score better; their spread is logged: 0 would be collapse.
"""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise, permutations, product
from math import factorial, prod

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from metarep.cloze.masked_r2 import predict_hidden, r_squared
from metarep.cloze.model import ClozeModel, masked_loss
from metarep.cloze.settings import PretrainConfig
from metarep.cloze.tokens import Layout
from metarep.cloze.views import input_grid, views
from metarep.networks.symmetry import canonical_order

MAX_ORDERS = 120
"""With more unit orders than this, an autoencoder's target is the one canonical order."""


class Objective(nn.Module):
    """A loss on parameters (N, P) and masks (N, T), True hidden, for a model and whatever else is trained with it.

    Everything that is trained or must survive an interruption is in its `state_dict`.
    """

    def __init__(self, config: PretrainConfig, model: ClozeModel):
        super().__init__()
        self.config = config
        self.model = model

    @property
    def encoder(self) -> ClozeModel:
        """The model that is kept in the end."""
        return self.model

    def loss(self, params: torch.Tensor, mask: torch.Tensor, *, generator: torch.Generator) -> torch.Tensor:
        """(): what is minimised; `generator` is for what else has to be drawn."""
        raise NotImplementedError

    def figures(self, params: torch.Tensor, mask: torch.Tensor) -> dict[str, float]:
        """What the log says of validation networks beside their loss."""
        del params, mask
        return {}

    def after_step(self) -> None:
        """Called once the parameters have been changed."""


class Cloze(Objective):
    """Hidden values from the others."""

    def loss(self, params: torch.Tensor, mask: torch.Tensor, *, generator: torch.Generator) -> torch.Tensor:
        weight = self.config.behaviour_weight
        return masked_loss(self.model, self.model.read(params), mask, behaviour_weight=weight, generator=generator)

    def figures(self, params: torch.Tensor, mask: torch.Tensor) -> dict[str, float]:
        values = self.model.read(params)
        return {"valid_r2": share_explained(self.model, values, predict_hidden(self.model, values, mask), mask)}


class Autoencoder(Objective):
    """Values -> bottleneck -> values, up to the order of units."""

    def __init__(self, config: PretrainConfig, model: ClozeModel):
        super().__init__(config, model)
        self.decoder = perceptron(config.bottleneck, 4 * config.d_model, model.layout.n_tokens, n_hidden=2)
        self.orders = torch.from_numpy(unit_orders(model.layout))

    def loss(self, params: torch.Tensor, mask: torch.Tensor, *, generator: torch.Generator) -> torch.Tensor:
        del mask, generator
        told, target = self._told_and_target(params)
        return (told - target).square().mean()

    def figures(self, params: torch.Tensor, mask: torch.Tensor) -> dict[str, float]:
        told, target = self._told_and_target(params)
        return {"valid_reconstruction_r2": share_explained(self.model, target, told, torch.ones_like(mask))}

    def _told_and_target(self, params: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Both (N, T): what the decoder tells, and the values in the unit order that is nearest to it."""
        canonical = torch.from_numpy(canonical_order(self.model.spec, params.cpu().numpy())).to(params.device)
        values = self.model.read(canonical)
        told = self.decoder(self.model.pool(values))
        ordered = values[:, self.orders.to(values.device)]
        best = (told.detach().unsqueeze(1) - ordered).square().sum(dim=2).argmin(dim=1)
        return told, ordered[torch.arange(len(values), device=values.device), best]


class Contrastive(Objective):
    """NT-Xent between two views of each network, among the networks of a batch."""

    def __init__(self, config: PretrainConfig, model: ClozeModel):
        super().__init__(config, model)
        self.projection = perceptron(config.d_model, config.d_model, config.d_model)
        self.inputs = input_grid(model.spec.widths[0], *config.probe_range)

    def loss(self, params: torch.Tensor, mask: torch.Tensor, *, generator: torch.Generator) -> torch.Tensor:
        del mask
        batches = [batch for batch in params.split(self.config.batch_size) if len(batch) > 1]
        return torch.stack([nt_xent(*self._projected(b, generator), self.config.temperature) for b in batches]).mean()

    def _projected(self, params: torch.Tensor, generator: torch.Generator) -> list[torch.Tensor]:
        noise, scale = self.config.view_noise, self.config.view_scale
        found = views(params, self.model.spec, self.inputs, noise=noise, scale=scale, generator=generator)
        return [self.projection(self.model.pool(self.model.read(view))) for view in found]


class LatentPrediction(Objective):
    """The hidden states of a slow copy of the model, predicted where values are hidden."""

    def __init__(self, config: PretrainConfig, model: ClozeModel):
        super().__init__(config, model)
        self.predictor = perceptron(config.d_model, 2 * config.d_model, config.d_model)
        self.teacher = deepcopy(model).requires_grad_(False)

    @property
    def encoder(self) -> ClozeModel:
        return self.teacher

    def loss(self, params: torch.Tensor, mask: torch.Tensor, *, generator: torch.Generator) -> torch.Tensor:
        del generator
        values = self.model.read(params)
        targets = self.targets(values)
        error = F.mse_loss(self.predictor(self.model.encode(values, mask)[mask]), targets[mask])
        return error / targets.var(dim=0, correction=0).mean().clamp_min(1e-6)

    def figures(self, params: torch.Tensor, mask: torch.Tensor) -> dict[str, float]:
        """The spread of the teacher's states over networks: 1 is the most that normalised states can have, 0 is collapse."""
        del mask
        return {"teacher_spread": float(self.targets(self.model.read(params)).std(dim=0, correction=0).mean())}

    def targets(self, values: torch.Tensor) -> torch.Tensor:
        """(N, T, D): what the teacher makes of the whole network, each state of mean 0 and variance 1."""
        with torch.no_grad():
            states = self.teacher.encode(values, torch.zeros_like(values, dtype=torch.bool))
        return F.layer_norm(states, states.shape[-1:])

    @torch.no_grad()
    def after_step(self) -> None:
        for slow, fast in zip(self.teacher.parameters(), self.model.parameters(), strict=True):
            slow.lerp_(fast, 1 - self.config.teacher_momentum)


OBJECTIVES = {"cloze": Cloze, "autoencoder": Autoencoder, "contrastive": Contrastive, "latent": LatentPrediction}


def build_objective(config: PretrainConfig, model: ClozeModel) -> Objective:
    """The objective that the config names, around a model; torch's global generator decides how the rest of it starts."""
    return OBJECTIVES[config.objective](config, model)


def share_explained(model: ClozeModel, values: torch.Tensor, predicted: torch.Tensor, chosen: torch.Tensor) -> float:
    """R² of predicted values (N, T) where `chosen` (N, T) is True, about the mean of each slot class."""
    classes = torch.from_numpy(model.layout.slot_class).expand(chosen.shape)
    return r_squared(values[chosen].cpu().numpy(), predicted[chosen].cpu().numpy(), classes[chosen.cpu()].numpy())


def nt_xent(one: torch.Tensor, other: torch.Tensor, temperature: float) -> torch.Tensor:
    """(): how hard row i of `other` (N, D) is to tell from all other rows when row i of `one` is given, both ways, in nats.

    The cross-entropy of the softmax over cosine similarities / temperature; Chen et al. (2020), equation 1.
    """
    n = len(one)
    rows = F.normalize(torch.cat([one, other]), dim=1)
    similarity = (rows @ rows.T / temperature).masked_fill(torch.eye(2 * n, dtype=torch.bool, device=rows.device), -torch.inf)
    return F.cross_entropy(similarity, torch.arange(2 * n, device=rows.device).roll(n))


def perceptron(d_in: int, d_hidden: int, d_out: int, *, n_hidden: int = 1) -> nn.Sequential:
    """Linear layers with GELU between."""
    widths = [d_in, *[d_hidden] * n_hidden]
    layers = [part for a, b in pairwise(widths) for part in (nn.Linear(a, b), nn.GELU())]
    return nn.Sequential(*layers, nn.Linear(widths[-1], d_out))


def unit_orders(layout: Layout) -> np.ndarray:
    """Indices (orders, T) into the tokens: every order of the hidden units, or the one that stands if they are too many."""
    widths = layout.spec.hidden_widths
    if prod(factorial(min(width, 10)) for width in widths) > MAX_ORDERS:
        return np.arange(layout.n_tokens)[None]
    every = product(*(permutations(range(width)) for width in widths))
    return np.stack([layout.order_index([np.array(order) for order in orders]) for orders in every])
