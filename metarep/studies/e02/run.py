"""Experiment 2: a ReLU on the output. How good one fold can be, and how many networks it kills."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from metarep.domains.multiplier.geometry import UNIT_SQUARE
from metarep.domains.multiplier.minimise import minimise
from metarep.evaluation.resampling import share_of
from metarep.networks.spec import NetworkSpec
from metarep.studies.e01.run import about_optimum, small_zoo
from metarep.studies.rows import share
from metarep.studies.study import Claim, Context, Result

SPEC = NetworkSpec((2, 1), output_relu=True)
SILENT = 1 / 9
"""The error of an output that is 0 everywhere: E[(x1 x2)²]."""


def run(context: Context) -> Result:
    """The optimum by exact integration, where training ends, and how many networks are dead before and behind it."""
    zoo = small_zoo(context, "e02")
    born_dead, dead = is_dead(zoo.init_params), is_dead(zoo.params)
    best, error, n_reached = rectified_optimum(zoo.init_params[~born_dead].astype(float))
    w1, w2, b = best
    alike = "treats both inputs alike" if np.isclose(w1, w2, atol=1e-6) else f"weighs one input more, by {abs(w1 - w2):.4f}"
    sentence = (
        f"The best network is relu({w1:.4f} x1 + {w2:.4f} x2 − {-b:.4f}) with the error {error:.6f}: {n_reached:,} of "
        f"{(~born_dead).sum():,} starts lead to it by Newton's method; it {alike}."
    )
    words = "The line is where the output turns on: the corner that a plane would send below 0 is cut off."
    found = about_optimum(zoo.select(~dead), "2", best, error, words)
    died = share_of(dead.sum(), len(dead))
    return replace(
        found,
        claims=(*found.claims, Claim.of("share of networks that are dead after training", died, "share")),
        sentences=(sentence, *found.sentences, death_sentence(born_dead, dead)),
    )


def is_dead(params: np.ndarray) -> np.ndarray:
    """(N,) bool: the output of params (N, 3) is 0 on all of the square. A plane is highest in a corner: exact."""
    return ((params[:, :2].astype(float) @ UNIT_SQUARE.T).max(axis=1) + params[:, 2]) <= 0


def rectified_optimum(start: np.ndarray) -> tuple[np.ndarray, float, int]:
    """The network (3,) of the least expected error over the square, that error, and how many of the living networks start
    (N, 3) lead to it by Newton's method.
    """
    found = minimise(SPEC, start, input_distribution="square")
    error = np.where(found.converged & (found.error < SILENT * (1 - 1e-9)), found.error, np.inf)
    return found.params[error.argmin()], float(error.min()), int(np.isclose(error, error.min(), rtol=1e-9, atol=0).sum())


def death_sentence(born_dead: np.ndarray, dead: np.ndarray) -> str:
    """How many networks are 0 on the whole square after training, and how many of them were born so."""
    after, before = (share_of(own.sum(), len(own)) for own in (dead, born_dead))
    died, revived = (f"{int(own.sum()):,}" if own.any() else "none" for own in (dead & ~born_dead, born_dead & ~dead))
    return (
        f"{after['n']:,} of {len(dead):,} networks are dead after training ({share(after)}): their output is 0 on the whole "
        f"square. {before['n']:,} were born dead ({share(before)}), {died} died on the way, {revived} came back to life."
    )
