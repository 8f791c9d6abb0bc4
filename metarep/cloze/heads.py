"""What the model predicts for a hidden value: a distribution, with its loss, its mean and its entropy.

All in normalised units. A head maps hidden states (…, D) to the parameters of a
distribution over one real number.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

LOG_STD_RANGE = (-5.0, 3.0)
HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
N_NODES = 12


class Mixture(NamedTuple):
    """A mixture of K Gaussians for each of many values: log weights, means, log standard deviations (…, K)."""

    log_weight: torch.Tensor
    mean: torch.Tensor
    log_std: torch.Tensor

    def log_density(self, value: torch.Tensor) -> torch.Tensor:
        """(…): log p(value) for value (…)."""
        z = (value.unsqueeze(-1) - self.mean) * torch.exp(-self.log_std)
        return torch.logsumexp(self.log_weight - 0.5 * z.square() - self.log_std - HALF_LOG_2PI, dim=-1)

    def expectation(self) -> torch.Tensor:
        """(…): the mean of the mixture."""
        return (self.log_weight.exp() * self.mean).sum(-1)

    def entropy(self) -> torch.Tensor:
        """(…): the differential entropy in nats, −E log p, each component's part by Gauss–Hermite quadrature."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(N_NODES)
        total = torch.zeros_like(self.mean[..., 0])
        for node, weight in zip(nodes, weights / weights.sum(), strict=True):
            points = self.mean + float(node) * self.log_std.exp()
            at = Mixture(*(part.unsqueeze(-2) for part in self)).log_density(points)
            total -= float(weight) * (self.log_weight.exp() * at).sum(-1)
        return total


class DensityHead(nn.Module):
    """A mixture of `n_components` Gaussians, trained by its likelihood. One component is a Gaussian head."""

    def __init__(self, d_model: int, n_components: int):
        super().__init__()
        self.n_components = n_components
        self.out = nn.Linear(d_model, 3 * n_components)
        with torch.no_grad():  # components start spread out, so that they do not collapse into one
            self.out.bias[n_components : 2 * n_components] = (
                torch.linspace(-1.5, 1.5, n_components) if n_components > 1 else 0.0
            )

    def forward(self, hidden: torch.Tensor) -> Mixture:
        logit, mean, log_std = self.out(hidden).split(self.n_components, dim=-1)
        return Mixture(F.log_softmax(logit, dim=-1), mean, log_std.clamp(*LOG_STD_RANGE))

    def loss(self, prediction: Mixture, value: torch.Tensor) -> torch.Tensor:
        """(…): the negative log-likelihood in nats."""
        return -prediction.log_density(value)


class SquaredHead(nn.Module):
    """One number, trained by squared error: a Gaussian of unit variance, so its entropy tells nothing."""

    def __init__(self, d_model: int):
        super().__init__()
        self.out = nn.Linear(d_model, 1)

    def forward(self, hidden: torch.Tensor) -> Mixture:
        mean = self.out(hidden)
        return Mixture(torch.zeros_like(mean), mean, torch.zeros_like(mean))

    def loss(self, prediction: Mixture, value: torch.Tensor) -> torch.Tensor:
        """(…): the squared error."""
        return (prediction.expectation() - value).square()


def build_head(kind: str, d_model: int, n_components: int) -> nn.Module:
    """The head "mixture", "gaussian" or "squared"."""
    if kind == "squared":
        return SquaredHead(d_model)
    return DensityHead(d_model, n_components if kind == "mixture" else 1)
