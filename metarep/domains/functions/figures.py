"""Functions told apart, as a figure: rows of functions.csv in, a figure out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from metarep.report.representations import BASELINE, LOOKS, UNTRAINED, key_of, representation_of
from metarep.report.style import FAINT, INK, MUTED, EndLabel, drawing, grid, label_ends

PANELS = {"linear": "Linear probe", "nearest_neighbours": "Five nearest neighbours"}
MARKERS = "osD^vPXh"
DODGE = 1.025
"""Neighbouring points of one number of functions stand apart by this factor, so that intervals do not hide each other."""


def functions_figure(rows: Sequence[dict]) -> Figure:
    """Balanced accuracy (95 % interval) by number of functions, a line a representation, a panel a probe.

    Dark blue are cloze embeddings, light blue and dashed untrained models, black baselines; the grey area is what predictions
    reach that are permuted among networks, its edge the largest 95th percentile of all representations.
    """
    with drawing(11.5, 4.6) as figure:
        axes = figure.subplots(1, len(PANELS), sharey=True)
        for ax, (probe, title) in zip(axes, PANELS.items(), strict=True):
            _panel(ax, [row for row in rows if row["probe"] == probe])
            ax.set_title(title)
        axes[0].set_ylabel("balanced accuracy on held-out networks")
    return figure


def _panel(ax: Axes, rows: Sequence[dict]) -> None:
    counts = sorted({row["n_functions"] for row in rows})
    known = {key_of(row): representation_of(row, {}) for row in rows}
    labels = []
    for place, (name, one) in enumerate(known.items()):
        own = sorted((row for row in rows if key_of(row) == name), key=lambda row: row["n_functions"])
        value, low, high = (np.array([row[column] for row in own]) for column in ("value", "low", "high"))
        colour, untrained = INK if one.group == BASELINE else LOOKS[one.group].colour, one.group == UNTRAINED
        x = np.array([row["n_functions"] for row in own]) * DODGE ** (place - (len(known) - 1) / 2)
        ends = np.clip([value - low, high - value], 0, None)
        style = {"color": colour, "marker": MARKERS[place % len(MARKERS)], "ls": "--" if untrained else "-"}
        ax.errorbar(x, value, ends, **style, ms=6, lw=1.2, elinewidth=1.6, mec="white", mew=0.5)
        labels.append(EndLabel(float(value[-1]), one.title, colour))
    null = [max(row["null"] for row in rows if row["n_functions"] == count) for count in counts]
    ax.fill_between(counts, 0, null, color=FAINT, lw=0, zorder=0)
    labels.append(EndLabel(null[-1] / 2, "permuted", MUTED))
    ax.set(xscale="log", xlabel="functions to tell apart", ylim=(0, 1.03))
    ax.set_xticks(counts, [str(count) for count in counts])
    ax.xaxis.set_minor_locator(NullLocator())
    grid(ax)
    label_ends(ax, labels)
