"""Experiment 7: the hand-crafted network trained further. What moved, and whether it moves the same way from elsewhere."""

from __future__ import annotations

import numpy as np

from metarep.domains.multiplier.minimise import minimise
from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.domains.multiplier.recipes import DEFAULT_JITTER, HANDCRAFTED
from metarep.studies.e07.figures import figures
from metarep.studies.e07.moved import JITTERED, OTHER_DATA, _change, family, family_rows, group_rows, parameter_rows, what_moved
from metarep.studies.e07.text import error_sentence, family_sentence, mode_sentence, moved_sentence, put_back_sentence
from metarep.studies.published import PUBLISHED, SEED
from metarep.studies.study import Claim, Context, Result
from metarep.training.settings import ZooConfig


def run(context: Context) -> Result:
    """The published run again, and families that differ from it by their data or by a jitter of the start."""
    config, published = context.config, PUBLISHED["7"]["valid_mse"]
    zoo = context.zoo("e07", ZooConfig(families=[{"variant": "e07", "seeds": [SEED]}], seed=config.seed))
    moved = what_moved(zoo)
    families = {
        OTHER_DATA: family(context, "e07_data", jitter=0.0),
        JITTERED: family(context, "e07_jittered", jitter=DEFAULT_JITTER),
    }
    minimum = minimise(MULTIPLIER, HANDCRAFTED[None])
    best = float(minimum.error[0])
    errors = families[OTHER_DATA]["valid_mse"]
    claims = (
        Claim("valid_mse", moved.valid_mse, published, best=best),
        Claim("expected_error", moved.expected_after, best=best),
        Claim("valid_mse over other seeds", float(np.median(errors)), **_range(errors, "the data's seeds")),
    )
    return Result(
        claims,
        (
            error_sentence(moved, published, claims[0].met, best),
            moved_sentence(moved),
            put_back_sentence(moved),
            *(family_sentence(name, found, moved) for name, found in families.items()),
            mode_sentence(moved, families[JITTERED]),
        ),
        tables={"parameters": parameter_rows(moved), "groups": group_rows(moved), "families": family_rows(families)},
        figures=figures(moved, families),
        numbers={"nearest_minimum": minimum.params[0].tolist(), "distance_moved": float(np.linalg.norm(_change(moved)))},
        shown=("parameters", "groups", "families"),
    )


def _range(values: np.ndarray, over: str) -> dict:
    low, high = np.quantile(values, [0.025, 0.975])
    return {"low": float(low), "high": float(high), "over": f"95 % of {len(values):,} of {over}"}
