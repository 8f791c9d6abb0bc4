"""Networks of three parameters about their optimum, for experiments 1 and 2."""

from __future__ import annotations

import numpy as np

from metarep.domains.multiplier.expected_error import expected_error
from metarep.domains.multiplier.figures.plane import Point, output_figure, trained_figure
from metarep.studies.published import PUBLISHED
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.zoos.zoo import Zoo


def small_zoo(context: Context, variant: str) -> Zoo:
    """The networks that experiments 1 and 2 train: `n_initialisations` seeds, those that did not diverge."""
    return context.family(variant, variant=variant, n_networks=context.config.n_initialisations).final()


def about_optimum(zoo: Zoo, experiment: str, best: Point, *, who: str, words: str) -> Result:
    """The published error, weights and bias beside the medians over seeds (the published seed is not known), and how far
    trained networks lie above the optimum `best`. `who` are the networks, `words` say how the best one falls short.
    """
    params, notes = zoo.params.astype(float), PUBLISHED[experiment]
    published = Point("published", np.array([*notes["weight"], notes["bias"]]), notes["valid_mse"])
    exact = expected_error(zoo.spec, params, input_distribution="square")
    published_exact = float(expected_error(zoo.spec, published.params[None], input_distribution="square")[0])
    found = {
        "valid_mse": (zoo["valid_mse"], best.error),
        "weight": (params[:, :2], best.params[:2].tolist()),
        "bias": (params[:, 2], float(best.params[2])),
    }
    claims = tuple(
        Claim.over_all(name, values, "seeds", notes[name], best=optimum, seed_known=False)
        for name, (values, optimum) in found.items()
    )
    error, excess = claims[0], (exact - best.error) / best.error
    sentences = (
        f"Over {len(zoo):,} {who} training ends at the error {error.value:.4f} on its own validation samples (median; 95 % in "
        f"{error.low:.4f} to {error.high:.4f}); the published {error.published:.4f} lies "
        f"{'within' if error.met else 'outside'} that range.",
        f"Measured exactly, a trained network is {np.median(excess):.2%} above the optimum (median; 95 % are less than "
        f"{np.quantile(excess, 0.95):.1%}); the published parameters are {published_exact / best.error - 1:.2%} above it, more "
        f"than {(exact < published_exact).mean():.0%} of the networks trained here.",
    )
    rows = []
    for i, name in enumerate(("w1", "w2", "b")):
        low, middle, high = (float(value) for value in np.quantile(params[:, i], [0.025, 0.5, 0.975]))
        row = {"parameter": name, "optimum": float(best.params[i]), "published": float(published.params[i])}
        rows.append(row | {"median": middle, "low": low, "high": high, "std": float(params[:, i].std())})
    figures = {
        "output": Figure(
            output_figure(zoo.spec, {best.name: best.params, "as published": published.params}),
            f"The product, the {best.name} (error {best.error:.4f}) and the published one over the square, in the same "
            f"colours. {words}",
        ),
        "trained": Figure(
            trained_figure(params, zoo["valid_mse"], exact, best, published),
            f"Where {len(zoo):,} {who} end. Left: their two weights. Right: their errors, on the 2,000 validation samples of "
            "each and exactly; no network can lie to the left of the optimum in the exact error.",
        ),
    }
    numbers = {"expected_error_median": float(np.median(exact)), "published_expected_error": published_exact}
    return Result(claims, sentences, {"parameters": rows}, figures, numbers)
