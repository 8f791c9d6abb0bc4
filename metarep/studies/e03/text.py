"""Experiment 3 in words; what it says of one network, experiment 4 says too."""

from __future__ import annotations

import numpy as np

from metarep.report.wording import listed
from metarep.studies.published import PUBLISHED
from metarep.zoos.zoo import Zoo

PUBLISHED_MSE = PUBLISHED["3"]["valid_mse"]


def like_published(zoo: Zoo, like: Zoo) -> str:
    """A sentence on the networks whose error rounds to the published one."""
    if not len(like):
        return f"No network of {len(zoo):,} has an error that rounds to {PUBLISHED_MSE:.4f}."
    modes, counts = np.unique(like["mode"].astype(str), return_counts=True)
    order = np.argsort(-counts)
    shares = [f"{counts[i] / len(like):.0%} are of mode {modes[i]}" for i in order]
    return f"{len(like):,} networks have an error that rounds to {PUBLISHED_MSE:.4f}; of them {listed(shares)}."


def turned(numbers: dict) -> str:
    """A sentence on the factors of the hidden weight."""
    first, second = numbers["scales"]
    over = ", which turns the plane over" if second < 0 else ""
    return (
        f"The hidden weight of the network shown rotates the square by {numbers['rotation_first_degrees']:.0f}°, scales it by "
        f"{first:.2f} and {second:.2f}{over}, and rotates it by {numbers['rotation_last_degrees']:.0f}°.".replace("-", "−")
    )
