"""Which minimum of the expected error a 2-2-1 network is in."""

from __future__ import annotations

import numpy as np

from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.networks.forward import forward

SAME_ERROR, SAME_OUTPUT = 1e-7, 1e-3
"""Two minima are one if their errors and their outputs, everywhere on the inputs that occur, differ by less."""


def distinct_minima(params: np.ndarray, error: np.ndarray) -> np.ndarray:
    """(N,) which minimum each of N converged networks params (N, 9) is in, numbered from 0 by rising error.

    Two are the same minimum if they compute the same on the inputs that occur, or after the inputs have changed places.
    What is flat (the order and scale of units, a dead unit, a unit that turns on where no input falls) tells nothing apart.
    """
    points = support()
    output = forward(MULTIPLIER, params, points)[:, :, 0]
    swapped = forward(MULTIPLIER, params, points[:, ::-1])[:, :, 0]
    member, found = np.full(len(params), -1), 0
    for i in np.argsort(error, kind="stable"):
        if member[i] >= 0:
            continue
        far = np.minimum(np.abs(output - output[i]).max(axis=1), np.abs(swapped - output[i]).max(axis=1))
        member[(member < 0) & (far < SAME_OUTPUT) & (np.abs(error - error[i]) < SAME_ERROR)] = found
        found += 1
    return member


def support() -> np.ndarray:
    """(S, 2): points all over the inputs that occur under the recipe's input distribution."""
    d, y = (part.ravel() for part in np.meshgrid(np.linspace(0.5, 1, 9), np.linspace(0, 1, 13)))
    points = np.stack([y / d, d], axis=1)
    return np.concatenate([points, points[:, ::-1]])
