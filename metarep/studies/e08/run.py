"""Experiment 8: the hand-crafted network from other hidden biases. Where each start ends, whether the bias moves, and into
how many local minima.

Every cell of the grid trains on the same samples, those of the published seed, so that nothing but the bias differs. What
training has reached after its 4,000 steps is then trained on with the recipe's learning rate and brought to convergence by
Newton's method on the exact expected error; ends that compute the same are one minimum.
"""

from __future__ import annotations

import numpy as np

from metarep.studies.e08.figures import figures
from metarep.studies.e08.grid import bias_grid, cell_rows, explore, minimum_rows, movement_rows, part
from metarep.studies.e08.text import basin_sentence, error_sentence, minima_sentence, moved_sentence, published_sentence
from metarep.studies.published import PUBLISHED
from metarep.studies.study import Claim, Context, Result


def run(context: Context) -> Result:
    """The published start as the first cell, then the grid."""
    published = PUBLISHED["8"]
    known = np.array(published["hidden_bias_start"])
    everything = explore(np.concatenate([known[None], bias_grid(context.config.bias_grid)]))
    own, grid = part(everything, slice(0, 1)), part(everything, slice(1, None))
    rows = minimum_rows(grid)
    claims = (
        Claim("valid_mse", float(own.trained.valid_mse[0]), published["valid_mse"], best=float(own.minimum.error[0])),
        Claim("local minima", len(rows)),
        Claim("lowest minimum of the grid", rows[0]["expected_error"] if rows else None),
        Claim("distance the bias moves", float(np.median(grid.moved)), **_range(grid.moved)),
    )
    return Result(
        claims,
        (
            published_sentence(own, published, claims[0].met),
            error_sentence(grid, own),
            moved_sentence(grid),
            minima_sentence(grid, rows),
            basin_sentence(grid),
        ),
        tables={"minima": rows, "movement": movement_rows(grid, rows), "grid": cell_rows(grid)},
        figures=figures(grid, own, rows),
        numbers={"share_converged": float((grid.member >= 0).mean()), "published_end": own.trained.params[0].tolist()},
        shown=("minima", "movement"),
    )


def _range(values: np.ndarray) -> dict:
    low, high = np.quantile(values, [0.025, 0.975])
    return {"low": float(low), "high": float(high), "over": f"95 % of {len(values):,} starting biases"}
