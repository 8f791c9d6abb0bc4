"""The small convolutional networks that learn scikit-learn's digits (8 x 8 grey pixels, ten classes)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from metarep.domains.digits.settings import Hyperparameters
from metarep.networks.structure import Declared, Steps

N_CLASSES = 10
SIDE = 8
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}


def digits_network(
    channels: tuple[int, ...], pools: tuple[bool, ...], *, norm: bool, hidden: int, activation: str
) -> nn.Sequential:
    """Pictures (S, 1, 8, 8) -> logits (S, 10).

    Convolutions of three pixels, each with a batch norm or without, halving the picture where `pools` says so, then one linear
    layer, or two.
    """
    network, act = nn.Sequential(), ACTIVATIONS[activation]
    for number, ((n_in, n_out), pool) in enumerate(zip(pairwise((1, *channels)), pools, strict=True), start=1):
        network.add_module(f"conv{number}", nn.Conv2d(n_in, n_out, 3, padding=1))
        if norm:
            network.add_module(f"bn{number}", nn.BatchNorm2d(n_out))
        network.add_module(f"act{number}", act())
        if pool:
            network.add_module(f"pool{number}", nn.MaxPool2d(2))
    network.add_module("flat", nn.Flatten())
    flat = channels[-1] * (SIDE // 2 ** sum(pools)) ** 2
    for number, (n_in, n_out) in enumerate(pairwise((flat, *((hidden,) if hidden else ()), N_CLASSES)), start=1):
        if number == 2:
            network.add_module("act", act())
        network.add_module(f"fc{number}", nn.Linear(n_in, n_out))
    return network


ARCHITECTURES: dict[str, dict] = {
    "two-conv": {"channels": (8, 12), "pools": (True, True), "norm": False, "hidden": 0},
    "two-conv-norm": {"channels": (8, 12), "pools": (True, True), "norm": True, "hidden": 0},
    "two-conv-wide": {"channels": (12, 16), "pools": (True, True), "norm": False, "hidden": 24},
    "three-conv": {"channels": (6, 8, 12), "pools": (True, False, True), "norm": False, "hidden": 0},
    "three-conv-norm": {"channels": (6, 8, 12), "pools": (True, False, True), "norm": True, "hidden": 16},
}
"""By name: 1,400 to 4,900 parameters."""


def declared(settings: Hyperparameters) -> Declared:
    """How the networks of a run are to be computed, which their tensors do not say."""
    pools = ARCHITECTURES[settings.architecture]["pools"]
    steps = {f"conv{number}": Steps(pool=2 if pool else 1) for number, pool in enumerate(pools, start=1)}
    return Declared(activation=settings.activation, norms="before", steps=tuple(steps.items()), input_shape=(1, SIDE, SIDE))


def build_network(settings: Hyperparameters) -> nn.Sequential:
    """A freshly initialised network; torch's global generator decides. Weights are PyTorch's own, times `init_scale`."""
    network = digits_network(**ARCHITECTURES[settings.architecture], activation=settings.activation)
    with torch.no_grad():
        for name, value in network.named_parameters():
            if not name.startswith("bn"):
                value.mul_(settings.init_scale)
    return network
