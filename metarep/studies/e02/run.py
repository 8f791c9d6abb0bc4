"""Experiment 2: a ReLU on the output. How good one fold can be, and how many networks it kills."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from metarep.domains.multiplier.figures.plane import Point
from metarep.domains.multiplier.geometry import UNIT_SQUARE
from metarep.domains.multiplier.minimise import Minimum, minimise
from metarep.networks.spec import NetworkSpec
from metarep.studies.e01.trained import about_optimum, small_zoo
from metarep.studies.rows import share_of
from metarep.studies.study import Context, Result
from metarep.studies.words import share
from metarep.zoos.zoo import Zoo


def run(context: Context) -> Result:
    """The optimum by exact integration, where training ends, and how many networks are dead before and behind it."""
    zoo = small_zoo(context, "e02")
    born_dead, dead = is_dead(zoo.init_params), is_dead(zoo.params)
    best = rectified_optimum(zoo.init_params[~born_dead].astype(float))
    words = "The line is where the output turns on: the corner that a plane would send below 0 is cut off."
    optimum = Point("best network", best.params, best.error)
    found = about_optimum(zoo.select(~dead), "2", optimum, who="living networks", words=words)
    numbers = {
        "optimum": best.params.tolist(),
        "optimum_error": best.error,
        "optimum_symmetric": best.symmetric,
        "optimum_reached_from": best.n_reached,
        "optimum_starts": best.n_starts,
        "gradient_norm": best.gradient_norm,
        "least_curvature": best.least_curvature,
        "n_born_dead": int(born_dead.sum()),
        "n_dead": int(dead.sum()),
    }
    return replace(
        found,
        sentences=(optimum_sentence(best), *found.sentences, death_sentence(born_dead, dead)),
        tables={**found.tables, "deaths": death_rows(zoo, born_dead, dead)},
        numbers=numbers | found.numbers,
    )


def death_rows(zoo: Zoo, born_dead: np.ndarray, dead: np.ndarray) -> list[dict]:
    """Counts and shares (Wilson) of networks by whether they lived before and behind training, with the median error."""
    fates = {
        "lives": ~born_dead & ~dead,
        "dies in training": ~born_dead & dead,
        "born dead": born_dead & dead,
        "comes back to life": born_dead & ~dead,
    }
    error = {fate: float(np.median(zoo["valid_mse"][own])) if own.any() else None for fate, own in fates.items()}
    return [{"fate": fate, **share_of(own.sum(), len(own)), "median_mse": error[fate]} for fate, own in fates.items()]


SPEC = NetworkSpec((2, 1), output_relu=True)

SILENT = 1 / 9
"""The error of an output that is 0 everywhere: E[(x1 x2)²]."""

SYMMETRIC = 1e-6
"""Weights that differ by less count as equal."""


class Optimum(NamedTuple):
    """The best network params (3,), its error, how many of n starts reached it, the least error of any other minimum
    that lives (NaN where there is none), the largest gradient and the least curvature at the best one.
    """

    params: np.ndarray
    error: float
    n_reached: int
    n_starts: int
    next_error: float
    gradient_norm: float
    least_curvature: float

    @property
    def symmetric(self) -> bool:
        """Whether both inputs have the same weight."""
        return bool(abs(self.params[0] - self.params[1]) < SYMMETRIC)


def is_dead(params: np.ndarray) -> np.ndarray:
    """(N,) bool: the output of params (N, 3) is 0 on all of the square. A plane is highest in a corner: exact."""
    return ((params[:, :2].astype(float) @ UNIT_SQUARE.T).max(axis=1) + params[:, 2]) <= 0


def rectified_optimum(start: np.ndarray) -> Optimum:
    """The least expected error over the square, by Newton's method from networks start (N, 3) that live."""
    found: Minimum = minimise(SPEC, start, input_distribution="square")
    usable = found.converged & (found.error < SILENT * (1 - 1e-9))
    best = int(np.where(usable, found.error, np.inf).argmin())
    level = np.isclose(found.error, found.error[best], rtol=1e-9, atol=0)
    others = found.error[usable & ~level]
    return Optimum(
        found.params[best],
        float(found.error[best]),
        int((usable & level).sum()),
        len(start),
        float(others.min()) if len(others) else float("nan"),
        float(found.gradient_norm[best]),
        float(found.least_curvature[best]),
    )


def optimum_sentence(best: Optimum) -> str:
    """What the best network is, how sure that is, and whether it treats both inputs alike."""
    w1, w2, b = best.params
    others = (
        f"; the next minimum has {best.next_error:.6f}" if np.isfinite(best.next_error) else "; no other living minimum was met"
    )
    alike = "treats both inputs alike" if best.symmetric else f"weighs one input more, by {abs(w1 - w2):.4f}"
    return (
        f"The best network is relu({w1:.4f} x1 + {w2:.4f} x2 − {-b:.4f}) with the error {best.error:.6f}: {best.n_reached:,} "
        f"of {best.n_starts:,} starts lead to it (gradient below {max(best.gradient_norm, 1e-16):.0e}, least curvature "
        f"{best.least_curvature:.4f}){others}; it {alike}."
    )


def death_sentence(born_dead: np.ndarray, dead: np.ndarray) -> str:
    """How many networks are 0 on the whole square after training, and how many of them were born so."""
    after, before = (share_of(own.sum(), len(own)) for own in (dead, born_dead))
    died, revived = int((dead & ~born_dead).sum()), int((born_dead & ~dead).sum())
    return (
        f"{after['n']:,} of {len(dead):,} networks are dead after training ({share(after)}): their output is 0 on the whole "
        f"square. {before['n']:,} were born dead ({share(before)}), {f'{died:,}' if died else 'none'} died on the way, "
        f"{f'{revived:,}' if revived else 'none'} came back to life."
    )
