"""The algorithm labels of 2-2-1 networks: modes, quadrant codes, sign patterns. Source: section 5 of the design.

Nothing here depends on the order of the hidden units, to the last bit, save `Labels.active_area`,
whose columns are the units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metarep.domains.multiplier.geometry import QUADRANTS, active_area, quadrant_area
from metarep.networks.spec import NetworkSpec

MULTIPLIER = NetworkSpec((2, 2, 1))
MODES = ("1", "2", "2.5", "3", "4")
MODE_NAMES = {
    "1": "collapse: both units off, constant output",
    "2": "one unit off, the other does it all",
    "2.5": "both units on everywhere: linear",
    "3": "one unit straddles its boundary, the other is mainly on",
    "4": "both units straddle their boundaries",
}
TOLERANCE = 0.02
"""τ: below it a unit counts as off everywhere, above 1 − τ as on everywhere."""

MAINLY_ON = 0.8
"""In mode 3 the larger active area lies above this, in mode 4 it does not."""

UNIT_STATES = ("off", "bent", "on")
"""What a hidden unit does on the unit square: off everywhere, on in a part of it, on everywhere; to within TOLERANCE."""

MAX_SPELT = 4
"""The states of more units than this are counted."""

OCCURS = 0.01
"""A quadrant is in the code where its area is larger than this."""

_CODES = np.array(["+".join(sorted(q for i, q in enumerate(QUADRANTS) if n >> i & 1)) for n in range(16)], dtype=object)


@dataclass(frozen=True)
class Labels:
    """What N networks are called. Texts are "" and numbers NaN where there is nothing to say.

    active_area: (N, H) float64, of the first hidden layer's units in the network's own order.
    quadrant_area: (N, 4) float64, the areas of 00, 10, 01 and 11, the units named so that 01 is not
        smaller than 10; (N, 0) unless there are two inputs and two hidden units.
    quadrant_code: (N,) text, the quadrants with an area above OCCURS, as "00+01+11". 15 sets, 11 of
        them distinct once units may swap.
    mode: (N,) text, one of MODES; "" where the network is not 2-2-1 or not finite.
    mode_margin: (N,) float64, the least change of an active area that changes the mode.
    sign_pattern: (N,) text, the sorted signs of the last layer's weights, as "--", "-+", "++", "0+".
    """

    active_area: np.ndarray
    quadrant_area: np.ndarray
    quadrant_code: np.ndarray
    mode: np.ndarray
    mode_margin: np.ndarray
    sign_pattern: np.ndarray


def label_modes(spec: NetworkSpec, params: np.ndarray) -> Labels:
    """Labels of networks params (N, P). Networks of other specs get the labels that have a meaning for them."""
    params = np.asarray(params, dtype=np.float64)
    active, quadrants = active_area(spec, params), quadrant_area(spec, params)
    if quadrants.shape[1]:
        quadrants[:, 1:3] = np.sort(quadrants[:, 1:3], axis=1)
    finite = np.isfinite(params).all(axis=1)
    mode = np.full(len(params), "", dtype=object)
    margin = np.full(len(params), np.nan)
    if spec == MULTIPLIER:
        mode[finite], margin[finite] = modes_of_areas(active[finite])
    return Labels(active, quadrants, _codes(quadrants, finite), mode, margin, sign_patterns(spec, params))


def modes_of_areas(area: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The modes (N,) and their margins (N,) from the two active areas (N, 2) of each network.

    A margin is the least by which an area has to change for another mode: the distance of the
    deciding area to the nearest threshold.
    """
    low, high = area.min(axis=1), area.max(axis=1)
    off, one_off, all_on = high < TOLERANCE, low < TOLERANCE, low > 1 - TOLERANCE
    rules = [off, one_off, all_on, high > MAINLY_ON]
    mode = np.select(rules, np.array(MODES[:4], dtype=object), MODES[4])
    straddles = low - TOLERANCE
    margins = [
        TOLERANCE - high,
        np.minimum(-straddles, high - TOLERANCE),
        low - (1 - TOLERANCE),
        np.minimum(np.minimum(straddles, 1 - TOLERANCE - low), high - MAINLY_ON),
    ]
    return mode, np.select(rules, margins, np.minimum(straddles, MAINLY_ON - high))


def unit_states(area: np.ndarray) -> np.ndarray:
    """(N, H) text, one of UNIT_STATES: what hidden units do, by their active areas (N, H); "" where one is not a number."""
    states = np.select([area < TOLERANCE, area > 1 - TOLERANCE, np.isfinite(area)], ["off", "on", "bent"], "")
    return states.astype(object)


def compositions(area: np.ndarray) -> np.ndarray:
    """(N,) text: the sorted states of each network's units, such as "bent+off", and of more than MAX_SPELT units how often each
    occurs, such as "7 bent+9 on"; "" where there are none, or one has none.
    """
    if not area.shape[1]:
        return np.full(len(area), "", dtype=object)
    states = np.sort(unit_states(area), axis=1)
    if area.shape[1] > MAX_SPELT:
        rows = ([f"{(row == state).sum()} {state}" for state in np.unique(row)] for row in states)
    else:
        rows = states
    text = np.array(["+".join(row) for row in rows], dtype=object)
    return np.where(np.isfinite(area).all(axis=1), text, "")


def sign_patterns(spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """(N,) text: the signs of the last layer's weights, sorted as -, 0, +; "" for networks that are not finite."""
    weight = spec.unpack(params)[-1][0].reshape(len(params), spec.widths[-1] * spec.widths[-2])
    patterns = np.full(len(params), "", dtype=object)
    finite = np.isfinite(params).all(axis=1)
    signs = np.array(list("-0+"))[1 + np.sort(np.sign(weight[finite]), axis=1).astype(int)]
    patterns[finite] = ["".join(row) for row in signs]
    return patterns


def _codes(quadrants: np.ndarray, finite: np.ndarray) -> np.ndarray:
    if not quadrants.shape[1]:
        return np.full(len(quadrants), "", dtype=object)
    occurs = quadrants > OCCURS
    return np.where(finite, _CODES[occurs @ (1 << np.arange(4))], "")
