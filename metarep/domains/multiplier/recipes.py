"""The recipe of the multipliers and its variants. Source: section 4 of the design."""

from __future__ import annotations

import math

import numpy as np

from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.networks.spec import NetworkSpec
from metarep.training.recipe import Recipe
from metarep.training.settings import FamilyConfig

_H = math.sqrt(0.5)
HANDCRAFTED = np.array([-_H, _H, -_H, -_H, 0.0, math.sqrt(2.0), -0.5, -_H, 1.0])
"""e06: hidden weight = rotation by −3π/4, hidden bias (0, √2), output weight (−1/2, −1/√2), output bias 1."""

HIDDEN_BIAS = slice(4, 6)
PUBLISHED_BIAS_START = (-0.0023, 1.6139)
"""e08 as published starts its hidden bias here."""

BIAS_GRID = (-2.0, 2.0)
"""A family of e08 starts its two hidden biases on a square grid over this range."""

DEFAULT_JITTER = 0.1
"""Standard deviation of the noise that makes a family out of the one hand-crafted network."""


def handcrafted_start(config: FamilyConfig, n: int, rng: np.random.Generator) -> np.ndarray:
    """(N, 9) float32: exactly the hand-crafted network where seeds are given, else jittered copies of it."""
    return _jittered(config, 0.0 if config.seeds is not None else DEFAULT_JITTER, n, rng).astype(np.float32)


def bias_start(config: FamilyConfig, n: int, rng: np.random.Generator) -> np.ndarray:
    """(N, 9) float32: the hand-crafted network with one start of the hidden bias, or a grid of them."""
    start = _jittered(config, 0.0, n, rng)
    if config.hidden_bias_start is not None or config.seeds is not None:
        start[:, HIDDEN_BIAS] = config.hidden_bias_start or PUBLISHED_BIAS_START
    else:
        grid = np.linspace(*BIAS_GRID, math.ceil(math.sqrt(n)))
        start[:, HIDDEN_BIAS] = np.stack(np.meshgrid(grid, grid, indexing="ij"), -1).reshape(-1, 2)[:n]
    return start.astype(np.float32)


def _jittered(config: FamilyConfig, default: float, n: int, rng: np.random.Generator) -> np.ndarray:
    jitter = default if config.jitter is None else config.jitter
    return HANDCRAFTED + jitter * rng.standard_normal((n, HANDCRAFTED.size))


FURTHER = {"spec": MULTIPLIER, "lr": 1e-4, "fresh": False}
"""What variants that train a network further have in common."""

VARIANTS = {
    recipe.name: recipe
    for recipe in (
        Recipe("e01", "linear, no activation", NetworkSpec((2, 1)), "square", lr=0.1, n_steps=100),
        Recipe("e02", "linear with a ReLU on the output", NetworkSpec((2, 1), True), "square", lr=0.1, n_steps=100),
        Recipe("e03", "one hidden layer of two", MULTIPLIER, lineage="e09"),
        Recipe("e04", "the clean mode-3 network", MULTIPLIER, lineage="e09"),
        Recipe(
            "e05",
            "mode-3 parents trained further on the unit square",
            input_distribution="square",
            parents={"mode": "3"},
            **FURTHER,
        ),
        Recipe("e06", "the hand-crafted network", MULTIPLIER, n_steps=0, fresh=False, start=handcrafted_start),
        Recipe("e07", "the hand-crafted network trained further", start=handcrafted_start, **FURTHER),
        Recipe("e08", "the same from other hidden biases", start=bias_start, **FURTHER),
        Recipe("e09", "thousands from scratch", MULTIPLIER),
    )
}
