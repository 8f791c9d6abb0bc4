"""Hand-built scores of 2-2-1 networks: parameters (N, 9) in, one number a network out, nothing fitted.

- `published`: the score of the notes (section 6 of the design), high for networks built like the hand-crafted one.
- `loss`: minus the logarithm of the error: is being a good multiplier enough?
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
from scipy.special import expit, softmax

from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.errors import MetarepError
from metarep.networks.forward import forward
from metarep.networks.spec import NetworkSpec
from metarep.training.recipe import draw_reference

WEIGHTS = np.array([4, 2, 2, 1])
"""Of the four parts of the published score: angle, bias, output weights, output bias."""

LOSS_SEED = 0
CHUNK = 2000


def scan_score(spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """The published score (N,) of 2-2-1 networks (N, P). Raises MetarepError for another architecture."""
    if spec != MULTIPLIER:
        raise MetarepError("the scan reads 2-2-1 networks", met=spec, expected=str(MULTIPLIER))
    return published(params)


def published(params: np.ndarray) -> np.ndarray:
    """The published score (…,) of 2-2-1 networks params (…, 9): (4 s1 + 2 s2 + 2 s3 + s4) / 9, in 0 … 1."""
    return published_parts(params) @ (WEIGHTS / WEIGHTS.sum())


def published_parts(params: np.ndarray) -> np.ndarray:
    """(…, 4): the parts s1 … s4 of the published score, for params (…, 9).

    With W hidden weight, b hidden bias, v output weight, c output bias, u = W·(1,1)/‖W·(1,1)‖ and
    θ the angle between u and (1,1): s1 = σ(1 − |1 − θ/(3π/4)|), s2 = cosine of softmax(−u) and
    softmax(b), s3 = mean σ(−v), s4 = σ(c). Source: section 6 of the design.
    """
    (weight, bias), (out_weight, out_bias) = MULTIPLIER.unpack(np.asarray(params, np.float64))
    image = weight.sum(axis=-1)
    u = image / np.maximum(np.linalg.norm(image, axis=-1, keepdims=True), 1e-300)
    theta = np.arccos(np.clip(u.sum(axis=-1) / math.sqrt(2), -1, 1))
    a, b = softmax(-u, axis=-1), softmax(bias, axis=-1)
    cosine = (a * b).sum(-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))
    angle = expit(1 - np.abs(1 - theta / (3 * math.pi / 4)))
    return np.stack([angle, cosine, expit(-out_weight).mean(axis=(-1, -2)), expit(out_bias)[..., 0]], axis=-1)


def loss(params: np.ndarray) -> np.ndarray:
    """(N,): minus log10 of the mean squared error on one fixed draw of 2,000 products by the recipe."""
    x, y = _products()
    chunks = np.array_split(np.asarray(params, np.float32), 1 + len(params) // CHUNK)
    error = [np.square(forward(MULTIPLIER, some, x)[..., 0] - y).mean(axis=-1) for some in chunks]
    return -np.log10(np.maximum(np.concatenate(error), 1e-12)).astype(np.float64)


@cache
def _products() -> tuple[np.ndarray, np.ndarray]:
    return draw_reference(LOSS_SEED, "product", MULTIPLIER).valid


SCORES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {"published": published, "loss": loss}
"""The scans without labels, by name: params (N, 9) to scores (N,)."""
