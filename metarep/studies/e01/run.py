"""Experiment 1: a linear network, no activation. The best one is known exactly; trained ones lie about it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from metarep.domains.multiplier.expected_error import expected_error
from metarep.domains.multiplier.figures.plane import Point
from metarep.studies.e01.trained import (
    excess_sentence,
    parameter_rows,
    small_zoo,
    trained_claims,
    trained_figures,
    trained_sentence,
)
from metarep.studies.published import PUBLISHED
from metarep.studies.study import Context, Result


def run(context: Context) -> Result:
    """The optimum over the square in rationals, and where training from many initialisations ends."""
    zoo = small_zoo(context, "e01")
    best, error = linear_optimum()
    params, notes, best_error = zoo.params.astype(float), PUBLISHED["1"], float(error)
    best_params, published = np.array([float(value) for value in best]), np.array([*notes["weight"], notes["bias"]])
    exact = expected_error(zoo.spec, params, input_distribution="square")
    published_exact = float(expected_error(zoo.spec, published[None], input_distribution="square")[0])
    claims = trained_claims(zoo, notes, best_params, best_error)
    return Result(
        claims,
        (
            f"The best linear network over the unit square is exactly {best[0]} x1 + {best[1]} x2 − {-best[2]}, with the error "
            f"{error} = {best_error:.6f}: the solution of the normal equations in rational numbers.",
            trained_sentence(claims[0], len(zoo), "initialisations"),
            excess_sentence(exact - best_error, published_exact - best_error, best_error),
        ),
        tables={"parameters": parameter_rows(params, best_params, published)},
        figures=trained_figures(
            zoo,
            exact,
            Point("best linear network", best_params, best_error),
            Point("published", published, notes["valid_mse"]),
            words="A plane cannot follow the saddle: it is too low in two corners and too high in two.",
        ),
        numbers={
            "optimum": [str(value) for value in best],
            "optimum_error": str(error),
            "expected_error_median": float(np.median(exact)),
            "published_expected_error": published_exact,
        },
        shown=("parameters",),
    )


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
