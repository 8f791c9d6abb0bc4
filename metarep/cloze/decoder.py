"""From a network's parameters to what its parts do: the second thing a cloze model may be asked to fill in.

The behaviour of a network is hidden altogether, and predicted from the parameters that are seen: for each hidden
unit and each probe input, whether the unit is off there, and else what it contributes to the output. The
behaviour follows from the parameters, so this needs no label; it says over which inputs parameters matter.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from metarep.cloze.behaviour import BehaviourLayout
from metarep.cloze.heads import Rectified, RectifiedHead


class BehaviourDecoder(nn.Module):
    """Contributions of hidden units at any input, from the units' hidden states.

    A probe input is embedded linearly, scaled and shifted by the unit's state (so that a half-plane is one step away), and
    read by a small MLP.
    """

    def __init__(self, d_model: int, n_inputs: int, n_components: int):
        super().__init__()
        self.place = nn.Linear(n_inputs, d_model)
        self.unit = nn.Linear(d_model, 2 * d_model)
        self.mix = nn.Linear(d_model, d_model)
        self.head = RectifiedHead(d_model, n_components)
        self.register_buffer("scale", torch.ones(()))

    def forward(self, units: torch.Tensor, probes: torch.Tensor) -> Rectified:
        """States of units (B, U, D) and probe inputs (S, d) -> a prediction for each (B, U, S), in units of `scale`."""
        scale, shift = self.unit(units).unsqueeze(-2).chunk(2, dim=-1)
        x = F.gelu(self.place(probes) * scale + shift)
        return self.head(F.gelu(self.mix(x)))

    def fit_scale(self, layout: BehaviourLayout, params: torch.Tensor) -> None:
        """Sets the unit in which contributions are predicted: their root mean square on training networks (N, P)."""
        self.scale.copy_(layout.read(params).double().square().mean().sqrt().clamp_min(1e-6))

    def loss(
        self, units: torch.Tensor, layout: BehaviourLayout, params: torch.Tensor, *, generator: torch.Generator
    ) -> torch.Tensor:
        """The mean negative log-likelihood, in nats, of the contributions of networks params (B, P) at random probe inputs."""
        probes = layout.random_probes(generator=generator).to(params.device)
        truth = layout.contributions_at(params, probes) / self.scale
        return -self(units, probes).log_density(truth).mean()
