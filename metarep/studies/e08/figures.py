"""Experiment 8 as figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metarep.domains.multiplier.figures.bias_map import Marked, bias_figure
from metarep.domains.multiplier.figures.minima import gallery_figure
from metarep.domains.multiplier.figures.square import draw_network
from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.studies.study import Figure

if TYPE_CHECKING:
    from metarep.studies.e08.grid import Grid


def figures(grid: Grid, own: Grid, rows: list[dict]) -> dict[str, Figure]:
    """The maps, the minima, and the network from the published start."""
    names = [f"{row['minimum']}: error {row['expected_error']:.5f}, {row['share']:.0%}" for row in rows]
    marked = Marked("published start", own.start[0])
    first = [int(np.flatnonzero(grid.member == i)[0]) for i in range(len(rows))]
    titles = [
        f"{r['minimum']}: error {r['expected_error']:.5f}\n{r['share']:.0%} of the grid\nmodes {r['modes']}" for r in rows
    ]
    found = {
        "maps": Figure(
            bias_figure(grid.start, grid.end, grid.trained.valid_mse, grid.member, names, marked),
            f"{len(grid.start):,} starting biases, all on the same samples. Left: the error after training. Middle: each bias "
            "from its start to its end, in the colour of the minimum it goes on to. Right: that minimum.",
            "Maps of the final error, the movement of the bias and the minimum reached",
        ),
        "stages": Figure(
            draw_network(
                MULTIPLIER,
                own.trained.params[0].astype(np.float64),
                title=f"from the published start, error {own.trained.valid_mse[0]:.4f}",
            ),
            "The network trained from the published starting bias, step by step.",
        ),
    }
    if rows:
        found["minima"] = Figure(
            gallery_figure(MULTIPLIER, [grid.minimum.params[i] for i in first], titles),
            "A network of each local minimum: its output over the square, and where its units turn on.",
            "The local minima",
        )
    return found
