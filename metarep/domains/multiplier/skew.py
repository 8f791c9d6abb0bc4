"""How far a 2-2-1 network's hidden weight is from a rotation: the skew of the unit square at the pre-activations.

skew = artanh |cos φ|, φ the angle between the two rows of the weight (the directions in which the units grow). Zero exactly
where the rows are at a right angle, so for every rotation and every reflection. Neither a positive scale of a unit nor the
order of units changes it.

It is the logarithm of the ratio of the weight's singular values once no scale D of units can make that less: with
k = s1/s2 of D W and rows r1, r2, k + 1/k = (s1² + s2²) / (s1 s2) = (‖r1‖² + ‖r2‖²) / (‖r1‖ ‖r2‖ sin φ), which is least,
2 / sin φ, for rows of equal norm (the arithmetic mean is not below the geometric one). There W Wᵀ has the eigenvalues
1 ± |cos φ| times a constant, so that ln k = ½ ln((1 + |cos φ|) / (1 − |cos φ|)) = artanh |cos φ|.
"""

from __future__ import annotations

import numpy as np

from metarep.domains.multiplier.modes import MULTIPLIER


def skew(params: np.ndarray) -> np.ndarray:
    """(N,): artanh |cos φ| of networks params (N, 9); inf where the rows are parallel, NaN where one is zero."""
    rows = MULTIPLIER.unpack(np.asarray(params, np.float64))[0][0]
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
        cos, sin = (unit[:, 0] * unit[:, 1]).sum(axis=-1), unit[:, 0, 0] * unit[:, 1, 1] - unit[:, 0, 1] * unit[:, 1, 0]
        return np.arcsinh(np.abs(cos) / np.abs(sin))


def off_right_angle(params: np.ndarray) -> np.ndarray:
    """(N,) degrees: how far the angle between the two rows is from 90°; 0 for a rotation, 90 for parallel rows. It is the
    skew on another scale: the Gudermannian, sin(angle) = tanh(skew)."""
    return np.degrees(np.arcsin(np.tanh(skew(params))))
