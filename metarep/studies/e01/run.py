"""Experiment 1: a linear network, no activation. The best one is known exactly; trained ones lie about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure as Drawing

from metarep.domains.multiplier.expected_error import expected_error
from metarep.domains.multiplier.figures.square import PRODUCT, boundary, contours, unit_grid
from metarep.networks.forward import forward
from metarep.networks.spec import NetworkSpec
from metarep.report.style import DIVERGING, INK, SEQUENTIAL, colour_bar, drawing
from metarep.studies.published import PUBLISHED
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.zoos.zoo import Zoo

ERRORS = Normalize(-0.25, 0.25)
"""The colours of an error."""


def run(context: Context) -> Result:
    """The optimum over the square in rationals, and where training from many initialisations ends."""
    best, error = linear_optimum()
    sentence = (
        f"The best linear network over the unit square is exactly {best[0]} x1 + {best[1]} x2 − {-best[2]}, with the error "
        f"{error} = {float(error):.6f}: the solution of the normal equations in rational numbers."
    )
    words = "A plane cannot follow the saddle: it is too low in two corners and too high in two."
    found = about_optimum(small_zoo(context, "e01"), "1", np.array(best, float), float(error), words)
    return replace(found, sentences=(sentence, *found.sentences))


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


def small_zoo(context: Context, variant: str) -> Zoo:
    """The networks that experiments 1 and 2 train: `n_initialisations` seeds, those that did not diverge."""
    return context.family(variant, variant=variant, n_networks=context.config.n_initialisations).final()


def about_optimum(zoo: Zoo, experiment: str, best: np.ndarray, error: float, words: str) -> Result:
    """The published error, weights and bias beside the medians over seeds (the published seed is not known), and how far
    trained networks lie above the best one, params (3,) with its error; `words` say how that one falls short.
    """
    params, notes = zoo.params.astype(float), PUBLISHED[experiment]
    published = np.array([*notes["weight"], notes["bias"]])
    found = {
        "valid_mse": (zoo["valid_mse"], error),
        "weight": (params[:, :2], best[:2].tolist()),
        "bias": (params[:, 2], float(best[2])),
    }
    claims = tuple(
        Claim.over_all(name, values, "seeds", notes[name], best=optimum, seed_known=False)
        for name, (values, optimum) in found.items()
    )
    excess = expected_error(zoo.spec, params, input_distribution="square") / error - 1
    (own,) = expected_error(zoo.spec, published[None], input_distribution="square") / error - 1
    mse = claims[0]
    sentence = (
        f"Over {len(zoo):,} networks training ends at the error {mse.value:.4f} on their own validation samples (median; 95 % "
        f"in {mse.low:.4f} to {mse.high:.4f}); the published {mse.published:.4f} lies {'within' if mse.met else 'outside'} "
        f"that range. Measured exactly, a trained network is {np.median(excess):.2%} above the optimum (median), the published "
        f"one {own:.2%}."
    )
    networks = {"best network": best, "as published": published}
    caption = f"The product, the best network (error {error:.4f}) and the published one over the square. {words}"
    return Result(claims, (sentence,), figures={"output": Figure(output_figure(zoo.spec, networks), caption)})


def output_figure(spec: NetworkSpec, networks: Mapping[str, np.ndarray]) -> Drawing:
    """The product over the square, and each network {name: params (3,)} beside it: its output, and below how far it is off.

    A line is where a ReLU on the output turns on.
    """
    grid = unit_grid()
    truth = grid.prod(axis=1)
    n = len(networks) + 1
    with drawing(3.3 * n + 0.9, 6.9, h_pad=0.1) as figure:
        axes = figure.subplots(2, n)
        contours(axes[0, 0], truth)
        axes[0, 0].set_title("the product $x_1 x_2$")
        axes[1, 0].axis("off")
        for ax, off, (name, params) in zip(axes[0, 1:], axes[1, 1:], networks.items(), strict=True):
            output = forward(spec, np.asarray(params, np.float64), grid)[:, 0]
            contours(ax, output)
            contours(off, output - truth, DIVERGING, ERRORS)
            ends = boundary(params[:2], params[2]) if spec.output_relu else None
            if ends is not None:
                ax.plot(*ends.T, color="white", lw=2)
                off.plot(*ends.T, color=INK, lw=2)
            ax.set_title(name)
            off.set_title("output − product")
        for ax in (*axes[0], *axes[1, 1:]):
            ax.set(aspect="equal", xlabel="$x_1$", ylabel="$x_2$", xticks=[0, 1], yticks=[0, 1])
        for norm, cmap, row, label in ((PRODUCT, SEQUENTIAL, axes[0], "value"), (ERRORS, DIVERGING, axes[1], "error")):
            colour_bar(figure, ScalarMappable(norm, cmap), label, ax=row, shrink=0.85, aspect=22, pad=0.01)
    return figure
