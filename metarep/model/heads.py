"""What the model predicts for a masked value: a distribution, with its loss, its mean and its entropy.

All in normalised units. A head maps states (…, D) to one distribution over the real numbers for each of the C values
of a token, (…, C); `shift` (…, C), if given, is added to the means.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

LOG_STD_RANGE = (-5.0, 3.0)
HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
N_NODES = 12


def perceptron(d_in: int, d_hidden: int, d_out: int, *, n_hidden: int = 1) -> nn.Sequential:
    """Linear layers with GELU between."""
    widths = [d_in, *[d_hidden] * n_hidden]
    layers = [part for a, b in pairwise(widths) for part in (nn.Linear(a, b), nn.GELU())]
    return nn.Sequential(*layers, nn.Linear(widths[-1], d_out))


class Prediction(NamedTuple):
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
            at = Prediction(*(part.unsqueeze(-2) for part in self)).log_density(points)
            total -= float(weight) * (self.log_weight.exp() * at).sum(-1)
        return total


class Rectified(NamedTuple):
    """A value that is exactly 0 with probability exp(log_off), and else drawn from a mixture: what a ReLU leaves.

    Densities are with respect to a point mass of 1 at 0 beside length: −log p is the surprisal of the one or the other.
    Source: the hurdle model (Mullahy, "Specification and testing of some modified count data models", 1986).
    """

    log_off: torch.Tensor
    log_on: torch.Tensor
    on: Prediction

    def log_density(self, value: torch.Tensor) -> torch.Tensor:
        """(…): log p(value)."""
        return torch.where(value == 0, self.log_off, self.log_on + self.on.log_density(value))

    def expectation(self) -> torch.Tensor:
        """(…): the mean."""
        return self.log_on.exp() * self.on.expectation()

    def entropy(self) -> torch.Tensor:
        """(…): −E log p in nats: of being on or off, and of the value where it is on."""
        on = self.log_on.exp()
        return -self.log_off.exp() * self.log_off - on * self.log_on + on * self.on.entropy()


class LikelihoodHead(nn.Module):
    """A head that is trained by the likelihood of its distributions."""

    def loss(self, prediction: Prediction | Rectified, value: torch.Tensor) -> torch.Tensor:
        """(…): the negative log-likelihood in nats."""
        return -prediction.log_density(value)


class DensityHead(LikelihoodHead):
    """For each of `n_values` a mixture of `n_components` Gaussians, trained by its likelihood. One component is a Gaussian
    head.
    """

    def __init__(self, d_model: int, n_components: int, n_values: int = 1):
        super().__init__()
        self.n_components, self.n_values = n_components, n_values
        self.out = nn.Linear(d_model, n_values * 3 * n_components)
        start = torch.linspace(-1.5, 1.5, n_components) if n_components > 1 else torch.zeros(1)
        with torch.no_grad():  # components start spread out, so that they do not collapse into one
            self.out.bias.view(n_values, 3, n_components)[:, 1] = start

    def forward(self, states: torch.Tensor, shift: torch.Tensor | None = None) -> Prediction:
        logit, mean, log_std = self.out(states).unflatten(-1, (self.n_values, 3, self.n_components)).unbind(-2)
        mean = mean if shift is None else mean + shift.unsqueeze(-1)
        return Prediction(F.log_softmax(logit, dim=-1), mean, log_std.clamp(*LOG_STD_RANGE))


class RectifiedHead(LikelihoodHead):
    """Exactly 0 or not, and a mixture for the value where it is not; trained by its likelihood."""

    def __init__(self, d_model: int, n_components: int, n_values: int = 1):
        super().__init__()
        self.gate = nn.Linear(d_model, n_values)
        self.value = DensityHead(d_model, n_components, n_values)

    def forward(self, states: torch.Tensor, shift: torch.Tensor | None = None) -> Rectified:
        logit = self.gate(states)
        return Rectified(F.logsigmoid(logit), F.logsigmoid(-logit), self.value(states, shift))


class SquaredHead(nn.Module):
    """One number a value, trained by squared error: a Gaussian of unit variance, so its entropy says nothing."""

    def __init__(self, d_model: int, n_components: int, n_values: int = 1):
        super().__init__()
        del n_components
        self.out = nn.Linear(d_model, n_values)

    def forward(self, states: torch.Tensor, shift: torch.Tensor | None = None) -> Prediction:
        mean = (self.out(states) if shift is None else self.out(states) + shift).unsqueeze(-1)
        return Prediction(torch.zeros_like(mean), mean, torch.zeros_like(mean))

    def loss(self, prediction: Prediction, value: torch.Tensor) -> torch.Tensor:
        """(…): the squared error."""
        return (prediction.expectation() - value).square()


HEADS = {
    "mixture": DensityHead,
    "gaussian": lambda d_model, _, n_values: DensityHead(d_model, 1, n_values),
    "squared": SquaredHead,
    "rectified": RectifiedHead,
}
"""By name: (d_model, n_components, n_values) -> a head."""
