"""Hand-built scores of 2-2-1 networks: parameters (N, 9) in, one number a network out, nothing fitted.

- `published`: the score of the notes (section 6 of the design), high for networks built like the hand-crafted one.
- `invariant`: the largest published score among all 2-2-1 networks that compute the same on the unit square.
- `loss`: minus the logarithm of the error: is being a good multiplier enough?

Which symmetries? The published score knows neither the order of units (it compares two vectors
that permute together and averages the rest) nor that of inputs (it sees only row sums). It changes
with the scale of a unit, relu(z) = relu(k z) / k, and with sign flips. ReLU(z) = z + ReLU(−z), so a
unit may change its sign wherever another one is linear on the whole square and takes up the linear
rest; and that linear unit is itself free: its sign, and how much constant lies in its bias and how
much in the output bias. All of that leaves the function on the square as it is, and all of it moves
the published score, since θ, σ(−v) and σ(c) look at the free part. Reflections of the square
(x₁ → 1 − x₁) are no symmetry here: the recipe's inputs are not reflected with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
from scipy.special import expit, softmax

from metarep.domains.multiplier.geometry import active_area
from metarep.domains.multiplier.modes import MULTIPLIER, TOLERANCE
from metarep.errors import MetarepError
from metarep.networks.forward import forward
from metarep.networks.spec import NetworkSpec
from metarep.training.recipe import draw_reference

PARTS = ("angle", "bias", "output weights", "output bias")
"""What the four parts of the published score look at."""

WEIGHTS = np.array([4, 2, 2, 1])
"""Of the four parts."""

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
    """(…, 4): the parts s1 … s4 of the published score, as in PARTS, for params (…, 9).

    With W hidden weight, b hidden bias, v output weight, c output bias, u = W·(1,1)/‖W·(1,1)‖ and
    θ the angle between u and (1,1): s1 = σ(1 − |1 − θ/(3π/4)|), s2 = cosine of softmax(−u) and
    softmax(b), s3 = mean σ(−v), s4 = σ(c). Source: section 6 of the design.
    """
    (_, bias), (out_weight, out_bias) = MULTIPLIER.unpack(np.asarray(params, np.float64))
    a, b = softmax(-turned_diagonal(params), axis=-1), softmax(bias, axis=-1)
    cosine = (a * b).sum(-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))
    angle = expit(1 - np.abs(1 - diagonal_angle(params) / (3 * math.pi / 4)))
    return np.stack([angle, cosine, expit(-out_weight).mean(axis=(-1, -2)), expit(out_bias)[..., 0]], axis=-1)


def turned_diagonal(params: np.ndarray) -> np.ndarray:
    """(…, 2): the direction u into which the hidden weight turns the diagonal (1,1); 0 where it maps it to 0."""
    image = MULTIPLIER.unpack(np.asarray(params, np.float64))[0][0].sum(axis=-1)
    return image / np.maximum(np.linalg.norm(image, axis=-1, keepdims=True), 1e-300)


def diagonal_angle(params: np.ndarray) -> np.ndarray:
    """(…,) θ in radians: how far the hidden weight turns the diagonal (1,1); π/2 where it maps it to 0."""
    return np.arccos(np.clip(turned_diagonal(params).sum(axis=-1) / math.sqrt(2), -1, 1))


def invariant(params: np.ndarray) -> np.ndarray:
    """(N,): the largest published score among the `equals` of each network."""
    return published(equals(params)).max(axis=1)


def equals(params: np.ndarray) -> np.ndarray:
    """(N, 4, 9): networks that compute the same on the unit square, in one scale: the choices that are left.

    Each unit's incoming weight has length 1, as in the hand-crafted network. Where a unit is on or
    off everywhere (its active area is within τ of 1 or 0, as for the modes) it is the carrier of
    everything linear, and the four are: the other unit as it is or with its sign turned, times the
    carrier with either sign; its bias is the least that keeps it on over the whole square. Two such
    units are one carrier and an empty unit. Where both units straddle, there is no choice and the
    four are alike.
    """
    params = np.asarray(params, np.float64)
    (weight, bias), (out_weight, out_bias) = MULTIPLIER.unpack(params)
    norm = np.linalg.norm(weight, axis=-1)
    safe = np.where(norm > 0, norm, 1.0)
    units = np.concatenate([weight / safe[..., None], (bias / safe)[..., None], (out_weight[:, 0] * safe)[..., None]], -1)
    area = active_area(MULTIPLIER, params)
    on, off = area > 1 - TOLERANCE, area < TOLERANCE
    line = np.where(on[..., None], units[..., :3] * units[..., 3:], 0.0).sum(axis=1)
    line[:, 2] += out_bias[:, 0]
    kink = np.where((on | off)[..., None], 0.0, units).sum(axis=1)
    choices = np.stack([_with_carrier(line, kink, turned, sign) for turned in (False, True) for sign in (1, -1)], axis=1)
    as_it_is = MULTIPLIER.pack([(units[..., :2], units[..., 2]), (units[:, None, :, 3], out_bias)])
    return np.where((on | off).any(axis=1)[:, None, None], choices, as_it_is[:, None])


def _with_carrier(line: np.ndarray, kink: np.ndarray, turned: bool, sign: int) -> np.ndarray:
    """Networks (N, 9) of line (N, 3) as (slope, constant) and one kinked unit (N, 4) as (w, b, v)."""
    if turned:  # v·relu(z) = v·z + v·relu(−z)
        line = line + kink[:, :3] * kink[:, 3:]
        kink = kink * np.array([-1, -1, -1, 1])
    slope = np.linalg.norm(line[:, :2], axis=-1)
    weight = sign * line[:, :2] / np.where(slope > 0, slope, 1.0)[:, None]
    bias = np.maximum(-weight, 0.0).sum(axis=-1)  # zero at the lowest corner of the square
    out_weight, out_bias = sign * slope, line[:, 2] - sign * slope * bias
    hidden = (np.stack([kink[:, :2], weight], axis=1), np.stack([kink[:, 2], bias], axis=-1))
    return MULTIPLIER.pack([hidden, (np.stack([kink[:, 3], out_weight], axis=-1)[:, None], out_bias[:, None])])


def loss(params: np.ndarray) -> np.ndarray:
    """(N,): minus log10 of the mean squared error on one fixed draw of 2,000 products by the recipe."""
    x, y = _products()
    chunks = np.array_split(np.asarray(params, np.float32), 1 + len(params) // CHUNK)
    error = [np.square(forward(MULTIPLIER, some, x)[..., 0] - y).mean(axis=-1) for some in chunks]
    return -np.log10(np.maximum(np.concatenate(error), 1e-12)).astype(np.float64)


@cache
def _products() -> tuple[np.ndarray, np.ndarray]:
    return draw_reference(LOSS_SEED, "product", MULTIPLIER).valid


SCORES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {"published": published, "invariant": invariant, "loss": loss}
"""The scans without labels, by name: params (N, 9) to scores (N,)."""
