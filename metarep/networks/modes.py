"""The mode (algorithm) of a 2-2-1 network, by the exact active areas of its two hidden units.

The rules and thresholds are those of the design, section 5. The order of units never matters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metarep.networks.geometry import active_area, quadrant_area
from metarep.networks.spec import NetworkSpec

MODES = ("1", "2", "2.5", "3", "4")
MODE_NAMES = {
    "1": "collapse: both units off",
    "2": "one unit does it all",
    "2.5": "both units on: linear",
    "3": "one unit straddles, the other is on",
    "4": "both units straddle",
}
TOLERANCE = 0.02
MAINLY_ON = 0.8
QUADRANT_MIN_AREA = 0.01
PATTERNS = ("00", "10", "01", "11")
"""The on/off patterns of (unit 0, unit 1) in the order of `quadrant_area`."""


@dataclass(frozen=True)
class Labels:
    """What is exactly known of N networks. Text labels are "" where they do not apply; margins are NaN there."""

    active_area: np.ndarray
    quadrant_area: np.ndarray
    quadrant_code: np.ndarray
    mode: np.ndarray
    mode_margin: np.ndarray
    sign_pattern: np.ndarray


def label_modes(spec: NetworkSpec, params: np.ndarray) -> Labels:
    """Areas (N, H) and (N, 4), quadrant codes, modes, margins and sign patterns (N,) of networks (N, P)."""
    params = np.asarray(params, np.float64)
    areas, quadrants = active_area(spec, params), quadrant_area(spec, params)
    n = len(params)
    mode, margin = np.full(n, "", object), np.full(n, np.nan)
    codes = np.full(n, "", object)
    known = np.isfinite(params).all(axis=1) & (spec.widths == (2, 2, 1))
    if known.any():
        mode[known], margin[known] = mode_of_areas(areas[known])
        codes[known] = quadrant_codes(quadrants[known])
    return Labels(areas, quadrants, codes, mode, margin, sign_patterns(spec, params))


def mode_of_areas(areas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mode (N,) and its margin (N,) from two active areas (N, 2) in any order.

    The margin is the distance of the deciding areas to the nearest threshold that would change the mode.
    """
    low, high, t = areas.min(axis=1), areas.max(axis=1), TOLERANCE
    rules = {
        "1": (high < t, t - high),
        "2": ((low < t) & (high >= t), np.minimum(t - low, high - t)),
        "2.5": (low > 1 - t, low - (1 - t)),
        "3": ((low >= t) & (low <= 1 - t) & (high > MAINLY_ON), np.minimum.reduce([low - t, 1 - t - low, high - MAINLY_ON])),
        "4": ((low >= t) & (high <= MAINLY_ON), np.minimum(low - t, MAINLY_ON - high)),
    }
    mode, margin = np.full(len(areas), "", object), np.full(len(areas), np.nan)
    for name, (holds, distance) in rules.items():
        mode[holds], margin[holds] = name, distance[holds]
    return mode, margin


def quadrant_codes(quadrants: np.ndarray) -> np.ndarray:
    """The patterns that occur, as "00+10+11", for quadrant areas (N, 4); of the two unit orders the text that sorts first."""
    present = quadrants > QUADRANT_MIN_AREA
    codes = np.empty(len(quadrants), object)
    for row in np.unique(present, axis=0):
        straight = {pattern for pattern, there in zip(PATTERNS, row, strict=True) if there}
        swapped = {pattern[::-1] for pattern in straight}
        codes[(present == row).all(axis=1)] = min("+".join(sorted(straight)), "+".join(sorted(swapped)))
    return codes


def sign_patterns(spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """The sorted signs of the output weights, such as "-+", (N,); "" where a parameter is not finite."""
    weight = spec.unpack(np.asarray(params))[-1][0].reshape(len(params), -1)
    n_positive = (weight > 0).sum(axis=1)
    n_zero = (weight == 0).sum(axis=1)
    finite = np.isfinite(weight).all(axis=1)
    texts = [
        "-" * (weight.shape[1] - p - z) + "0" * z + "+" * p if ok else ""
        for p, z, ok in zip(n_positive.tolist(), n_zero.tolist(), finite.tolist(), strict=True)
    ]
    return np.array(texts, dtype=object)
