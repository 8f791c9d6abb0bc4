"""Training one digit network, with what it is and does at chosen epochs."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from metarep.domains.digits.networks import SIDE, build_network
from metarep.domains.digits.settings import Hyperparameters
from metarep.zoos.zoo import Zoo

N_TRAIN = 1200
"""Of the 1,797 pictures; the others are the test pictures of every network."""

SPLIT_SEED = 0


class Pictures(NamedTuple):
    """Pictures (S, 1, 8, 8) in [0, 1] and their classes (S,)."""

    x: torch.Tensor
    y: torch.Tensor


class Snapshot(NamedTuple):
    """A network at an epoch: its tensors, and accuracies and losses on what it trains on and on the test pictures."""

    epoch: int
    tensors: dict[str, torch.Tensor]
    figures: dict[str, float]


@lru_cache(maxsize=1)
def load_pictures() -> tuple[Pictures, Pictures]:
    """The pictures to train on and to test on, the same for all networks."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = torch.from_numpy(np.random.default_rng(SPLIT_SEED).permutation(len(data.target)))
    x = torch.from_numpy(data.images).float().reshape(-1, 1, SIDE, SIDE)[order] / 16
    y = torch.from_numpy(data.target).long()[order]
    return Pictures(x[:N_TRAIN], y[:N_TRAIN]), Pictures(x[N_TRAIN:], y[N_TRAIN:])


def unlabelled_pictures(zoo: Zoo | None = None) -> np.ndarray:
    """(S, 1, 8, 8): the pictures that the networks of any zoo train on, without their classes."""
    del zoo
    return load_pictures()[0].x.numpy()


def own_pictures(settings: Hyperparameters, everything: Pictures) -> Pictures:
    """What one network trains on: its share of the pictures, some with a random label."""
    rng = np.random.default_rng(settings.seed)
    n = max(settings.batch_size, round(settings.train_share * len(everything.y)))
    chosen = torch.from_numpy(rng.permutation(len(everything.y))[:n])
    y = everything.y[chosen].clone()
    noisy = torch.from_numpy(rng.random(n) < settings.label_noise)
    y[noisy] = torch.from_numpy(rng.integers(10, size=int(noisy.sum())))
    return Pictures(everything.x[chosen], y)


def train_network(settings: Hyperparameters, epochs: tuple[int, ...]) -> list[Snapshot]:
    """The network at each of some epochs, rising; it stops where its parameters are no longer finite."""
    everything, test = load_pictures()
    train = own_pictures(settings, everything)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = build_network(settings)
        optimiser = build_optimiser(settings, network)
        snapshots = []
        for epoch in range(1, max(epochs) + 1):
            network.train()
            for rows in torch.randperm(len(train.y)).split(settings.batch_size):
                if len(rows) > 1:  # a batch norm needs two
                    optimiser.zero_grad()
                    nn.functional.cross_entropy(network(train.x[rows]), train.y[rows]).backward()
                    optimiser.step()
            if not all(bool(torch.isfinite(value).all()) for value in network.state_dict().values()):
                break
            if epoch in epochs:
                tensors = {name: value.detach().clone() for name, value in network.state_dict().items()}
                snapshots.append(Snapshot(epoch, tensors, metrics(network, train, test)))
    return snapshots


def build_optimiser(settings: Hyperparameters, network: nn.Module) -> torch.optim.Optimizer:
    """SGD with momentum 0.9, or Adam."""
    shared = {"lr": settings.lr, "weight_decay": settings.weight_decay}
    if settings.optimiser == "sgd":
        return torch.optim.SGD(network.parameters(), momentum=0.9, **shared)
    return torch.optim.Adam(network.parameters(), **shared)


def metrics(network: nn.Module, train: Pictures, test: Pictures) -> dict[str, float]:
    """Accuracies, losses, and the gap: training accuracy less test accuracy."""
    network.eval()
    found = {}
    with torch.no_grad():
        for name, pictures in (("train", train), ("test", test)):
            logits = network(pictures.x)
            found[f"{name}_accuracy"] = float((logits.argmax(dim=1) == pictures.y).float().mean())
            found[f"{name}_loss"] = float(nn.functional.cross_entropy(logits, pictures.y))
    return found | {"gap": found["train_accuracy"] - found["test_accuracy"]}
