"""Networks of three parameters about their optimum, for experiments 1 and 2: the zoo, claims, sentences, tables and figures."""

from __future__ import annotations

import numpy as np

from metarep.domains.multiplier.figures.plane import Point, output_figure, trained_figure
from metarep.studies.study import Claim, Context, Figure
from metarep.training.settings import ZooConfig
from metarep.zoos.zoo import Zoo


def small_zoo(context: Context, variant: str) -> Zoo:
    """The networks that experiments 1 and 2 train: `n_initialisations` seeds, those that did not diverge."""
    families = [{"variant": variant, "n_networks": context.config.n_initialisations}]
    return context.zoo(variant, ZooConfig(families=families, seed=context.config.seed)).final()


def trained_claims(zoo: Zoo, notes: dict, best: np.ndarray, best_error: float) -> tuple[Claim, ...]:
    """The published error, weights and bias beside the medians over seeds: the published seed is not known."""
    columns = {
        "valid_mse": (zoo["valid_mse"], best_error),
        "weight": (zoo.params[:, :2].astype(float), best[:2].tolist()),
        "bias": (zoo.params[:, 2].astype(float), float(best[2])),
    }
    return tuple(
        Claim.over_all(name, values, "seeds", notes[name], best=optimum, seed_known=False)
        for name, (values, optimum) in columns.items()
    )


def trained_sentence(claim: Claim, n: int, who: str) -> str:
    """Where training ends, beside the published error."""
    return (
        f"Over {n:,} {who} training ends at the error {claim.value:.4f} on its own validation samples (median; 95 % in "
        f"{claim.low:.4f} to {claim.high:.4f}); the published {claim.published:.4f} lies "
        f"{'within' if claim.met else 'outside'} that range."
    )


def excess_sentence(excess: np.ndarray, published: float, best_error: float) -> str:
    """How much above the optimum the exact errors (N,) of trained networks lie, and that of the published one."""
    rank = float((excess < published).mean())
    return (
        f"Measured exactly, a trained network is {np.median(excess) / best_error:.2%} above the optimum (median; 95 % are less "
        f"than {np.quantile(excess, 0.95) / best_error:.1%}); the published parameters are {published / best_error:.2%} above "
        f"it, more than {rank:.0%} of the networks trained here."
    )


def parameter_rows(params: np.ndarray, best: np.ndarray, published: np.ndarray) -> list[dict]:
    """One row a parameter: the optimum, the published value, and quantiles of the trained ones (N, 3)."""
    rows = []
    for i, name in enumerate(("w1", "w2", "b")):
        low, middle, high = np.quantile(params[:, i], [0.025, 0.5, 0.975])
        row = {"parameter": name, "optimum": float(best[i]), "published": float(published[i]), "median": float(middle)}
        rows.append(row | {"low": float(low), "high": float(high), "std": float(params[:, i].std())})
    return rows


def trained_figures(
    zoo: Zoo, exact: np.ndarray, best: Point, published: Point, *, words: str, living: str = ""
) -> dict[str, Figure]:
    """The outputs of the best and of the published network over the square, and trained networks about the optimum.

    exact (N,): the exact errors of the zoo's networks; `words` says how the best one falls short.
    """
    params = zoo.params.astype(float)
    return {
        "output": Figure(
            output_figure(zoo.spec, {best.name: best.params, "as published": published.params}),
            f"The product, the {best.name} (error {best.error:.4f}) and the published one over the square, in the same "
            f"colours. {words}",
        ),
        "trained": Figure(
            trained_figure(params, zoo["valid_mse"], exact, best, published),
            f"Where {len(zoo):,} {living}initialisations end. Left: their two weights. Right: their errors, on the 2,000 "
            "validation samples of each and exactly; no network can lie to the left of the optimum in the exact error.",
        ),
    }
