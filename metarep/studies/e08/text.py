"""Experiment 8 in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metarep.domains.multiplier.expected_error import expected_error
from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.domains.multiplier.optima import SAME_ERROR, SAME_OUTPUT
from metarep.domains.multiplier.recipes import BIAS_GRID, HIDDEN_BIAS
from metarep.report.wording import listed
from metarep.studies.e08.grid import LONGER, STANDS, grid_step, serving_units, with_bias
from metarep.studies.published import SEED

if TYPE_CHECKING:
    from metarep.studies.e08.grid import Grid


def published_sentence(own: Grid, published: dict, met: bool) -> str:
    """Whether the published error comes back, and what happens to the bias it starts from."""
    (s1, s2), (e1, e2) = own.start[0], own.end[0]
    text = (
        f"From the hidden bias ({s1:.4f}, {s2:.4f}) and seed {SEED} training ends at the error {own.trained.valid_mse[0]:.4f}; "
        f"the published {published['valid_mse']:.4f} {'comes back' if met else 'does not come back'}. The bias moves by "
        f"{own.moved[0]:.2f}, to ({e1:.4f}, {e2:.4f})"
    )
    gap = expected_error(MULTIPLIER, own.trained.params.astype(np.float64))[0] - own.minimum.error[0]
    return f"{text}, and {gap:.4f} of the error is left above the minimum it is on its way to.".replace("(-", "(−").replace(
        " -", " −"
    )


def error_sentence(grid: Grid, own: Grid) -> str:
    """How the final errors spread over the grid, and whether the published start is a good one."""
    error = grid.trained.valid_mse
    low, middle, high = np.quantile(error, [0.25, 0.5, 0.75])
    better = int((error < own.trained.valid_mse[0]).sum())
    best = grid.start[error.argmin()]
    verdict = "none ends lower" if not better else f"{better} ({better / len(error):.1%}) end lower"
    return (
        f"From {len(error):,} starting biases in [{BIAS_GRID[0]:.0f}, {BIAS_GRID[1]:.0f}]² on the same samples the error ends "
        f"at {middle:.4f} (median; half of them in {low:.4f} to {high:.4f}); the lowest is {error.min():.4f}, from "
        f"({best[0]:.2f}, {best[1]:.2f}), and of the grid {verdict} than the published start."
    ).replace("-", "−")


def moved_sentence(grid: Grid) -> str:
    """Whether the bias moves."""
    low, middle, high = np.quantile(grid.moved, [0.025, 0.5, 0.975])
    stands = float((grid.moved < STANDS).mean())
    serving = serving_units(with_bias(grid.start))
    dead = float((serving[grid.moved < STANDS] < 2).mean()) if stands else 0.0
    further = np.linalg.norm(grid.longer.params[:, HIDDEN_BIAS] - grid.start, axis=1)
    text = (
        f"In training the pair of biases moves by {middle:.2f} (median; 95 % in {low:.2f} to {high:.2f}), against a distance "
        f"of {grid_step(grid.start):.2f} between starts; {stands:.0%} of them stand still (less than {STANDS})"
    )
    text += f", and {dead:.0%} of those started with a unit that no input turns on" if stands else ""
    return f"{text}. Trained on with the recipe's learning rate it comes to {np.median(further):.2f} (median)."


def minima_sentence(grid: Grid, rows: list[dict]) -> str:
    """How many local minima, and the share of the grid that leads to each."""
    converged = float((grid.member >= 0).mean())
    parts = [
        f"{row['minimum']} with {row['expected_error']:.5f} ({row['share']:.0%}; units that serve: {row['units_that_serve']})"
        for row in rows
    ]
    gaps = np.diff([row["expected_error"] for row in rows])
    apart = f"; the two nearest differ by {gaps.min():.1e}" if len(gaps) else ""
    count = "One local minimum is" if len(rows) == 1 else f"{len(rows)} local minima are"
    return (
        f"{count} reached by the {converged:.1%} of the grid that converge: {listed(parts)}. Ends count as one if, up to the "
        f"order and scale of units and the order of the inputs, their outputs differ by less than {SAME_OUTPUT:g} everywhere "
        f"and their errors by less than {SAME_ERROR:g}{apart}."
    )


def basin_sentence(grid: Grid) -> str:
    """Whether the way to convergence matters."""
    same = float((grid.jumped == grid.member)[grid.member >= 0].mean()) if (grid.member >= 0).any() else 0.0
    left = expected_error(MULTIPLIER, grid.longer.params.astype(np.float64)) - grid.minimum.error
    near = float((np.abs(left) < 1e-4).mean())
    return (
        f"Newton's method straight from the end of training leads {same:.0%} of the grid to the same minimum as "
        f"{LONGER.n_steps:,} further steps before it do; after those {near:.0%} are within 0.0001 of their minimum, so that "
        f"{'little' if near > 0.9 else 'something'} is left for Newton's method to decide."
    )
