"""Networks by what they compute: their outputs over one or two inputs, side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from metarep.report.style import PALETTE, SEQUENTIAL, bare, colour_bar, drawing, grid, png_of


def outputs_figure(rows: Sequence[Sequence[np.ndarray]], n_inputs: int, limits: tuple[float, float] = (0.0, 1.0)) -> Figure:
    """A panel a network, from its outputs on a grid of inputs, flat, the last input fastest: a curve over one input, a map over
    two. All panels share one scale, from the 1st to the 99th percentile of all outputs; inputs run between the limits.
    """
    shown = np.concatenate([one for row in rows for one in row])
    low, high = np.percentile(shown, [1, 99])
    n_columns = max(map(len, rows))
    with drawing(1.35 * n_columns + 0.8, 1.35 * len(rows) + 0.3, w_pad=0.03, h_pad=0.03) as figure:
        axes = figure.subplots(len(rows), n_columns, squeeze=False, sharex=True, sharey=True)
        for ax, outputs in zip(axes.flat, (one for row in rows for one in row), strict=True):
            if n_inputs == 1:
                ax.plot(np.linspace(*limits, len(outputs)), outputs, color=PALETTE[0])
                ax.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
                grid(ax)
                continue
            side = math.isqrt(len(outputs))
            look = {"origin": "lower", "extent": (*limits, *limits), "vmin": low, "vmax": high, "cmap": SEQUENTIAL}
            image = ax.imshow(outputs.reshape(side, side).T, **look)
            bare(ax)
        if n_inputs == 2:
            colour_bar(figure, image, "output", ax=list(axes.flat), shrink=0.7)
    return figure


def png_of_networks(rows: Sequence[Sequence[np.ndarray]], n_inputs: int, limits: tuple[float, float]) -> bytes:
    """The same as PNG."""
    return png_of(outputs_figure(rows, n_inputs, limits))
