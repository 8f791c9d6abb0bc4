"""The small convolutional networks that learn scikit-learn's digits (8 x 8 grey pixels, ten classes)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import nn

from metarep.domains.digits.settings import Hyperparameters

N_CLASSES = 10
SIDE = 8
ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {"relu": torch.relu, "tanh": torch.tanh}


class Digits(nn.Module):
    """Convolutions of three pixels, each with a batch norm or without, halving the picture where `pools` says so, then one
    linear layer, or two.
    """

    def __init__(self, channels: tuple[int, ...], pools: tuple[bool, ...], *, norm: bool, hidden: int, activation: str):
        super().__init__()
        self.pools, self.activation = pools, ACTIVATIONS[activation]
        ends = (1, *channels)
        side = SIDE // 2 ** sum(pools)
        for number, (n_in, n_out) in enumerate(pairwise(ends), start=1):
            setattr(self, f"conv{number}", nn.Conv2d(n_in, n_out, 3, padding=1))
            if norm:
                setattr(self, f"bn{number}", nn.BatchNorm2d(n_out))
        widths = (channels[-1] * side**2, *((hidden,) if hidden else ()), N_CLASSES)
        for number, (n_in, n_out) in enumerate(pairwise(widths), start=1):
            setattr(self, f"fc{number}", nn.Linear(n_in, n_out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pictures (S, 1, 8, 8) -> logits (S, 10)."""
        for number, pool in enumerate(self.pools, start=1):
            x = getattr(self, f"conv{number}")(x)
            norm = getattr(self, f"bn{number}", None)
            x = self.activation(x if norm is None else norm(x))
            x = nn.functional.max_pool2d(x, 2) if pool else x
        x = x.flatten(1)
        if hasattr(self, "fc2"):
            return self.fc2(self.activation(self.fc1(x)))
        return self.fc1(x)


ARCHITECTURES: dict[str, dict] = {
    "two-conv": {"channels": (8, 12), "pools": (True, True), "norm": False, "hidden": 0},
    "two-conv-norm": {"channels": (8, 12), "pools": (True, True), "norm": True, "hidden": 0},
    "two-conv-wide": {"channels": (12, 16), "pools": (True, True), "norm": False, "hidden": 24},
    "three-conv": {"channels": (6, 8, 12), "pools": (True, False, True), "norm": False, "hidden": 0},
    "three-conv-norm": {"channels": (6, 8, 12), "pools": (True, False, True), "norm": True, "hidden": 16},
}
"""By name: 1,400 to 4,900 parameters."""


def build_network(settings: Hyperparameters) -> Digits:
    """A freshly initialised network; torch's global generator decides. Weights are PyTorch's own, times `init_scale`."""
    network = Digits(**ARCHITECTURES[settings.architecture], activation=settings.activation)
    with torch.no_grad():
        for name, value in network.named_parameters():
            if not name.startswith("bn"):
                value.mul_(settings.init_scale)
    return network
