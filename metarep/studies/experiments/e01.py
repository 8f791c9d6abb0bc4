"""Experiment 1: a linear network, no activation. The best one is known exactly; trained ones lie about it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from metarep.domains.multiplier.expected_error import expected_error
from metarep.domains.multiplier.figures.plane import Point, output_figure, trained_figure
from metarep.studies.experiment import Claim, Context, Picture, Result
from metarep.studies.experiments.published import PUBLISHED
from metarep.training.settings import ZooConfig
from metarep.zoos.zoo import Zoo


def run(context: Context) -> Result:
    """The optimum over the square in rationals, and where training from many initialisations ends."""
    zoo = small_zoo(context, "e01")
    best, best_error = linear_optimum()
    params, notes = zoo.params.astype(float), PUBLISHED["1"]
    exact = expected_error(zoo.spec, params, input_distribution="square")
    best_params = np.array([float(value) for value in best])
    published = np.array([*notes["weight"], notes["bias"]])
    claims = trained_claims(zoo, notes, best_params, float(best_error))
    published_exact = float(expected_error(zoo.spec, published[None], input_distribution="square")[0])
    return Result(
        claims,
        (
            f"The best linear network over the unit square is exactly {best[0]} x1 + {best[1]} x2 − {-best[2]}, with the error "
            f"{best_error} = {float(best_error):.6f}: the solution of the normal equations in rational numbers.",
            f"Over {len(zoo):,} initialisations training ends at the error {claims[0].value:.4f} on its own validation samples "
            f"(median; 95 % in {claims[0].low:.4f} to {claims[0].high:.4f}); the published {notes['valid_mse']:.4f} lies "
            f"{'within' if claims[0].met else 'outside'} that range.",
            excess_sentence(exact - float(best_error), published_exact - float(best_error), float(best_error)),
            spread_sentence(params, best_params, published),
        ),
        tables={"parameters": parameter_rows(params, best_params, published)},
        pictures={
            "output": Picture(
                output_figure(zoo.spec, {"best linear network": best_params, "as published": published}),
                f"The product, the best linear network (error {float(best_error):.4f}) and the published one over the square, "
                "in the same colours. A plane cannot follow the saddle: it is too low in two corners and too high in two.",
                "Output of linear networks over the unit square",
            ),
            "trained": Picture(
                trained_figure(
                    params,
                    zoo["valid_mse"],
                    exact,
                    Point("analytic optimum", best_params, float(best_error)),
                    Point("published", published, notes["valid_mse"]),
                ),
                f"Where {len(zoo):,} initialisations end. Left: their two weights. Right: their errors, on the 2,000 "
                "validation samples of each and exactly; no network can lie to the left of the optimum in the exact error.",
                "Trained linear networks about the analytic optimum",
            ),
        },
        numbers={
            "optimum": [str(value) for value in best],
            "optimum_error": str(best_error),
            "expected_error_median": float(np.median(exact)),
            "published_expected_error": published_exact,
        },
        shown=("parameters",),
    )


def small_zoo(context: Context, variant: str) -> Zoo:
    """The networks that experiments 1 and 2 train: `n_initialisations` seeds, those that did not diverge."""
    families = [{"variant": variant, "n_networks": context.config.n_initialisations}]
    return context.zoo(variant, ZooConfig(families=families, seed=context.config.seed)).final()


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


def trained_claims(zoo: Zoo, notes: dict, best: np.ndarray, best_error: float) -> tuple[Claim, ...]:
    """The published error, weights and bias beside the medians over seeds: the published seed is not known."""
    over = f"95 % of {len(zoo):,} seeds"
    claims = []
    for name, values, optimum in (
        ("valid_mse", zoo["valid_mse"], best_error),
        ("weight", zoo.params[:, :2].astype(float), best[:2].tolist()),
        ("bias", zoo.params[:, 2].astype(float), float(best[2])),
    ):
        low, high = np.quantile(values, [0.025, 0.975])
        middle = np.median(values, axis=0).tolist()
        claims.append(
            Claim(name, middle, notes[name], best=optimum, low=float(low), high=float(high), over=over, seed_known=False)
        )
    return tuple(claims)


def excess_sentence(excess: np.ndarray, published: float, best_error: float) -> str:
    """How much above the optimum the exact errors (N,) of trained networks lie, and that of the published one."""
    rank = float((excess < published).mean())
    return (
        f"Measured exactly, a trained network is {np.median(excess) / best_error:.2%} above the optimum (median; 95 % are less "
        f"than {np.quantile(excess, 0.95) / best_error:.1%}); the published parameters are {published / best_error:.2%} above "
        f"it, more than {rank:.0%} of the networks trained here."
    )


def spread_sentence(params: np.ndarray, best: np.ndarray, published: np.ndarray) -> str:
    """How far the trained parameters (N, 3) scatter about the optimum."""
    bias, spread = (params - best).mean(axis=0), params.std(axis=0)
    off = np.abs(published - best) / spread
    return (
        f"The trained parameters scatter about the optimum by {spread[0]:.4f}, {spread[1]:.4f} and {spread[2]:.4f} (standard "
        f"deviations; their means are off by {np.abs(bias).max():.4f} at most); the published ones lie at most {off.max():.1f} "
        "standard deviations from it."
    )


def parameter_rows(params: np.ndarray, best: np.ndarray, published: np.ndarray) -> list[dict]:
    """One row a parameter: the optimum, the published value, and quantiles of the trained ones (N, 3)."""
    rows = []
    for i, name in enumerate(("w1", "w2", "b")):
        low, middle, high = np.quantile(params[:, i], [0.025, 0.5, 0.975])
        row = {"parameter": name, "optimum": float(best[i]), "published": float(published[i]), "median": float(middle)}
        rows.append(row | {"low": float(low), "high": float(high), "std": float(params[:, i].std())})
    return rows
