"""The best linear network, in rational numbers."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction


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
