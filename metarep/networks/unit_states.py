"""What each unit of the first hidden layer does on the unit square: a label that exists for networks of any architecture."""

from __future__ import annotations

import numpy as np

from metarep.networks.geometry import active_area
from metarep.networks.modes import TOLERANCE
from metarep.networks.spec import NetworkSpec

UNIT_STATES = ("off", "bent", "on")
"""Off everywhere, on in a part of the square, on everywhere; to within `TOLERANCE` of its area."""


def unit_states(spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """(N, H) text, one of UNIT_STATES: what the first-layer units of finite networks params (N, P) do; two inputs."""
    area = active_area(spec, params)
    return np.select([area < TOLERANCE, area > 1 - TOLERANCE], ["off", "on"], "bent")


def compositions(states: np.ndarray) -> np.ndarray:
    """(N,) text such as "bent+off": the sorted states (N, H) of each network's units."""
    return np.array(["+".join(row) for row in np.sort(states, axis=1)])
