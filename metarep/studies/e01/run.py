"""Experiment 1: a linear network, no activation. The best one is known exactly; trained ones lie about it."""

from __future__ import annotations

from collections.abc import Sequence
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
            spread_sentence(params, best_params, published),
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


def linear_optimum() -> tuple[tuple[Fraction, Fraction, Fraction], Fraction]:
    """(w1, w2, b) of the least E[(w1 x1 + w2 x2 + b − x1 x2)²] over the unit square, and that error: exact rationals.

    With z = (x1, x2, 1) the normal equations are E[z zᵀ] p = E[z x1 x2], and E[x1^i x2^j] = 1 / ((i + 1)(j + 1)).
    """
    powers = ((1, 0), (0, 1), (0, 0))
    matrix = [[_moment(a[0] + b[0], a[1] + b[1]) for b in powers] for a in powers]
    right = [_moment(a[0] + 1, a[1] + 1) for a in powers]
    best = solve(matrix, right)
    error = _moment(2, 2) - sum(p * r for p, r in zip(best, right, strict=True))
    return best, error


def _moment(i: int, j: int) -> Fraction:
    return Fraction(1, (i + 1) * (j + 1))


def solve(matrix: Sequence[Sequence[Fraction]], right: Sequence[Fraction]) -> tuple[Fraction, ...]:
    """The solution of a regular linear system in rationals, by Gauss and Jordan's elimination."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for i in range(len(rows)):
        pivot = next(k for k in range(i, len(rows)) if rows[k][i] != 0)
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [value / rows[i][i] for value in rows[i]]
        for k in range(len(rows)):
            if k != i:
                rows[k] = [value - rows[k][i] * lead for value, lead in zip(rows[k], rows[i], strict=True)]
    return tuple(row[-1] for row in rows)


def spread_sentence(params: np.ndarray, best: np.ndarray, published: np.ndarray) -> str:
    """How far the trained parameters (N, 3) scatter about the optimum."""
    bias, spread = (params - best).mean(axis=0), params.std(axis=0)
    off = np.abs(published - best) / spread
    return (
        f"The trained parameters scatter about the optimum by {spread[0]:.4f}, {spread[1]:.4f} and {spread[2]:.4f} (standard "
        f"deviations; their means are off by {np.abs(bias).max():.4f} at most); the published ones lie at most {off.max():.1f} "
        "standard deviations from it."
    )
