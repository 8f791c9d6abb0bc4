"""The minima of the expected error of 2-2-1 networks: which there are, which start leads to which, the best of each mode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from metarep.domains.multiplier.expected_error import InputDistribution, expected_error
from metarep.domains.multiplier.minimise import Minimum, minimise
from metarep.domains.multiplier.mode_borders import Within, beyond, bring_into, minimise_within, twins
from metarep.domains.multiplier.modes import MODES, MULTIPLIER, label_modes
from metarep.networks.forward import forward
from metarep.networks.symmetry import canonical_order, canonical_scale

SAME_ERROR, SAME_OUTPUT = 1e-7, 1e-3
"""Two minima are one if their errors and their outputs, everywhere on the inputs that occur, differ by less."""

UNBOUNDED = 1e3
"""An output weight above this, the incoming norm being 1: the network is on its way to infinity."""

N_TWINNED = 20
"""So many of the best networks of a mode are tried again with one unit doubled."""


class Starts(NamedTuple):
    """Networks params (N, 9) to descend from, the mode (N,) of each, and whether it was trained so or brought there (N,)."""

    params: np.ndarray
    mode: np.ndarray
    real: np.ndarray


@dataclass(frozen=True)
class BestOfModes:
    """The lowest expected error found in each of `modes` (M,) for one input distribution.

    Errors are (M,), parameters (M, 9) and canonical.

    error, params: the infimum over the mode.
    held: (M,) bool: the infimum is no local minimum but lies on the mode's border; `beyond` (M,) is then the mode that
        the falling error leads to.
    unbounded: (M,) bool: weights grow without end on the way to the infimum, which no network attains; held too.
    inside_error, inside_params: the lowest local minimum within the mode; NaN where there is none.
    """

    modes: tuple[str, ...]
    error: np.ndarray
    params: np.ndarray
    held: np.ndarray
    unbounded: np.ndarray
    beyond: np.ndarray
    inside_error: np.ndarray
    inside_params: np.ndarray


def choose_starts(params: np.ndarray, mode: np.ndarray, n: int, *, seed: int) -> Starts:
    """n networks of every mode from those of a zoo, params (N, 9) and mode (N,).

    A mode that has fewer is filled up with networks of other modes whose hidden biases are moved until they are in it.
    """
    rng = np.random.default_rng(seed)
    chosen, real = [], []
    for name in MODES:
        own, others = (np.flatnonzero(same) for same in (mode == name, mode != name))
        own = rng.permutation(own)[:n]
        lack = rng.choice(others, n - len(own)) if len(own) < n else own[:0]
        chosen += [params[own].astype(np.float64), bring_into(name, params[lack])]
        real += [np.ones(len(own), bool), np.zeros(len(lack), bool)]
    return Starts(np.concatenate(chosen), np.repeat(np.array(MODES, dtype=object), n), np.concatenate(real))


def border_starts(starts: Starts, mode: str, *, seed: int) -> np.ndarray:
    """The starts of a mode, and as many networks of the other modes brought into it, which look for the best on its border."""
    rng, others = np.random.default_rng(seed), np.flatnonzero(starts.mode != mode)
    own = starts.params[starts.mode == mode]
    brought = bring_into(mode, starts.params[rng.choice(others, len(own))])
    return np.concatenate([own, brought])


def best_of_modes(free: Minimum, within: dict[str, Within]) -> BestOfModes:
    """The best of every mode from where free descents ended and those that stayed in each mode {mode: Within}."""
    ends, found = label_modes(MULTIPLIER, free.params).mode, []
    for mode in MODES:
        inside, stays = np.flatnonzero((ends == mode) & free.converged), within[mode]
        lowest = inside[free.error[inside].argmin()] if len(inside) else None
        own = (np.nan, np.full(9, np.nan)) if lowest is None else (free.error[lowest], free.params[lowest])
        best, held = own, False
        if len(stays.error) and not stays.error.min() > own[0] - SAME_ERROR:
            at = stays.error.argmin()
            best = (stays.error[at], stays.params[at])
            held = bool(stays.held[at] or np.abs(best[1][6:8]).max() > UNBOUNDED)
        found.append((*best, held, beyond(mode, best[1]) if held else "", *own))
    error, params, held, out, inside_error, inside_params = (np.array(column) for column in zip(*found, strict=True))
    unbounded = np.abs(np.nan_to_num(params[:, 6:8])).max(axis=1) > UNBOUNDED
    canonical = _canonical(params), _canonical(inside_params)
    return BestOfModes(MODES, error, canonical[0], held, unbounded, out.astype(object), inside_error, canonical[1])


def descend(starts: Starts, *, input_distribution: InputDistribution = "product") -> Minimum:
    """Where every start ends that may go where it likes."""
    return minimise(MULTIPLIER, starts.params, input_distribution=input_distribution)


def stay(starts: Starts, mode: str, *, seed: int) -> Within:
    """Where the starts of one mode end that have to stay in it; and then the twins of the best of them."""
    first = minimise_within(mode, border_starts(starts, mode, seed=seed))
    best = first.params[first.error.argsort()[:N_TWINNED]]
    second = minimise_within(mode, bring_into(mode, twins(best, rng=np.random.default_rng(seed))))
    return Within(*(np.concatenate(parts) for parts in zip(first, second, strict=True)))


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


def errors_under_both(params: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The expected errors (N,) of params (N, 9) under "product" and on the square; NaN for rows of NaN."""
    return expected_error(MULTIPLIER, params), expected_error(MULTIPLIER, params, input_distribution="square")


def _canonical(params: np.ndarray) -> np.ndarray:
    known = np.isfinite(params).all(axis=1)
    result = params.copy()
    if known.any():
        result[known] = canonical_order(MULTIPLIER, canonical_scale(MULTIPLIER, params[known]))
    return result
