"""Experiment 2: a ReLU on the output. How good one fold can be, and how many networks it kills."""

from __future__ import annotations

import numpy as np

from metarep.domains.multiplier.expected_error import expected_error
from metarep.domains.multiplier.figures.plane import Point
from metarep.evaluation.resampling import wilson
from metarep.studies.e01.trained import (
    excess_sentence,
    parameter_rows,
    small_zoo,
    trained_claims,
    trained_figures,
    trained_sentence,
)
from metarep.studies.e02.optimum import SPEC, is_dead, rectified_optimum
from metarep.studies.e02.text import death_sentence, optimum_sentence
from metarep.studies.published import PUBLISHED
from metarep.studies.study import Context, Result
from metarep.zoos.zoo import Zoo


def run(context: Context) -> Result:
    """The optimum by exact integration, where training ends, and how many networks are dead before and behind it."""
    zoo, notes = small_zoo(context, "e02"), PUBLISHED["2"]
    born_dead, dead = is_dead(zoo.init_params), is_dead(zoo.params)
    living = zoo.select(~dead)
    best = rectified_optimum(zoo.init_params[~born_dead].astype(float))
    params, published = living.params.astype(float), np.array([*notes["weight"], notes["bias"]])
    exact = expected_error(SPEC, params, input_distribution="square")
    published_exact = float(expected_error(SPEC, published[None], input_distribution="square")[0])
    claims = trained_claims(living, notes, best.params, best.error)
    return Result(
        claims,
        (
            optimum_sentence(best),
            trained_sentence(claims[0], len(living), "living networks"),
            excess_sentence(exact - best.error, published_exact - best.error, best.error),
            death_sentence(born_dead, dead),
        ),
        tables={"parameters": parameter_rows(params, best.params, published), "deaths": death_rows(zoo, born_dead, dead)},
        figures=trained_figures(
            living,
            exact,
            Point("best network", best.params, best.error),
            Point("published", published, notes["valid_mse"]),
            words="The line is where the output turns on: the corner that a plane would send below 0 is cut off.",
            living="living ",
        ),
        numbers={
            "optimum": best.params.tolist(),
            "optimum_error": best.error,
            "optimum_symmetric": best.symmetric,
            "optimum_reached_from": best.n_reached,
            "optimum_starts": best.n_starts,
            "gradient_norm": best.gradient_norm,
            "least_curvature": best.least_curvature,
            "expected_error_median": float(np.median(exact)),
            "published_expected_error": published_exact,
            "n_born_dead": int(born_dead.sum()),
            "n_dead": int(dead.sum()),
        },
        shown=("parameters", "deaths"),
    )


def death_rows(zoo: Zoo, born_dead: np.ndarray, dead: np.ndarray) -> list[dict]:
    """Counts and shares (Wilson) of networks by whether they lived before and behind training, with the median error."""
    rows = []
    for name, chosen in (
        ("lives", ~born_dead & ~dead),
        ("dies in training", ~born_dead & dead),
        ("born dead", born_dead & dead),
        ("comes back to life", born_dead & ~dead),
    ):
        low, high = wilson(int(chosen.sum()), len(zoo))
        error = float(np.median(zoo["valid_mse"][chosen])) if chosen.any() else None
        share = float(chosen.mean())
        rows.append({"fate": name, "n": int(chosen.sum()), "share": share, "low": low, "high": high, "median_mse": error})
    return rows
