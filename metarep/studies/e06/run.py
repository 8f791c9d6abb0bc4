"""Experiment 6: the hand-crafted network. On which data its published error comes back, and which of its choices costs most."""

from __future__ import annotations

from metarep.domains.multiplier.expected_error import expected_error
from metarep.domains.multiplier.freed import free_groups
from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.domains.multiplier.recipes import HANDCRAFTED
from metarep.studies.e06.ablation import (
    GROUPS,
    N_RANDOM,
    SPREAD,
    VALID,
    Ablation,
    ablation_rows,
    choice_rows,
    costliest,
    error_rows,
    valid_errors,
)
from metarep.studies.e06.figures import figures
from metarep.studies.e06.text import sentences
from metarep.studies.published import PUBLISHED
from metarep.studies.study import Claim, Context, Result


def run(context: Context) -> Result:
    """The error of the hand-crafted network on every data there is, and its ablation on the exact expected error."""
    published = PUBLISHED["6"]["valid_mse"]
    data, over_seeds = error_rows(published), valid_errors(context.config.n_initialisations, seed=context.config.seed)
    found = Ablation(
        float(expected_error(MULTIPLIER, HANDCRAFTED[None])[0]),
        free_groups(MULTIPLIER, HANDCRAFTED, GROUPS, n_random=N_RANDOM, spread=SPREAD, seed=context.config.seed),
    )
    valid = next(row["mse"] for row in data if row["data"] == VALID)
    everything = found.freed[tuple(GROUPS)]
    claims = (
        Claim("valid_mse", valid, published, best=everything.near.error),
        Claim("expected_error", found.start, best=everything.near.error),
        Claim("costliest choice", costliest(found)),
    )
    return Result(
        claims,
        sentences(data, over_seeds, found, published),
        tables={"choices": choice_rows(found), "ablation": ablation_rows(found), "data": data},
        figures=figures(found),
        numbers={"parameters_all_free": everything.near.params.tolist(), "lowest_all_free": everything.best.error},
        shown=("choices", "ablation", "data"),
    )
