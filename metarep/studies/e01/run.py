"""Experiment 1: a linear network, no activation. The best one is known exactly; trained ones lie about it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from metarep.domains.multiplier.figures.plane import Point
from metarep.studies.e01.trained import about_optimum, small_zoo
from metarep.studies.study import Context, Result


def run(context: Context) -> Result:
    """The optimum over the square in rationals, and where training from many initialisations ends."""
    best, error = linear_optimum()
    optimum = Point("best linear network", np.array([float(value) for value in best]), float(error))
    words = "A plane cannot follow the saddle: it is too low in two corners and too high in two."
    found = about_optimum(small_zoo(context, "e01"), "1", optimum, who="initialisations", words=words)
    sentence = (
        f"The best linear network over the unit square is exactly {best[0]} x1 + {best[1]} x2 − {-best[2]}, with the error "
        f"{error} = {optimum.error:.6f}: the solution of the normal equations in rational numbers."
    )
    numbers = {"optimum": [str(value) for value in best], "optimum_error": str(error), **found.numbers}
    return replace(found, sentences=(sentence, *found.sentences), numbers=numbers)


def linear_optimum() -> tuple[tuple[Fraction, ...], Fraction]:
    """(w1, w2, b) of the least E[(w1 x1 + w2 x2 + b − x1 x2)²] over the unit square, and that error: exact rationals.

    With z = (x1, x2, 1) the normal equations are E[z zᵀ] p = E[z x1 x2], and E[x1^i x2^j] = 1 / ((i + 1)(j + 1)).
    """
    moment = lambda i, j: Fraction(1, (i + 1) * (j + 1))  # noqa: E731
    powers = np.array([(1, 0), (0, 1), (0, 0)])
    matrix = np.array([[moment(*(a + b).tolist()) for b in powers] for a in powers])
    right = np.array([moment(*(a + 1).tolist()) for a in powers])
    best = np.array([Fraction(v).limit_denominator(1000) for v in np.linalg.solve(matrix.astype(float), right.astype(float))])
    assert (matrix @ best == right).all()
    return tuple(best), moment(2, 2) - best @ right
