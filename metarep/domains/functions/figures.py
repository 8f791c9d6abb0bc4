"""Functions told apart, as a figure: rows of functions.csv in, a figure out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from metarep.report.end_labels import EndLabel, label_ends
from metarep.report.probe_words import LINEAR_PROBE, NEIGHBOUR_PROBE
from metarep.report.results import group_of, title_of
from metarep.report.style import FAINT, INK, MUTED, PALETTE, drawing, grid

PANELS = {LINEAR_PROBE: "Linear probe", NEIGHBOUR_PROBE: "Five nearest neighbours"}
COLOURS = {"cloze": PALETTE[0], "untrained": PALETTE[1], "baseline": INK, "oracle": PALETTE[2]}
MARKERS = "osD^vPXh"
DODGE = 1.025
"""Neighbouring points of one number of functions stand apart by this factor, so that intervals do not hide each other."""


def functions_figure(rows: Sequence[dict]) -> Figure:
    """Balanced accuracy (95 % interval) by number of functions, a line a representation, a panel a probe.

    Blue are cloze embeddings, orange untrained models, black baselines; the grey area is what answers reach that are dealt
    out to other networks, its edge the largest 95th percentile of all representations.
    """
    with drawing(11.5, 4.6) as figure:
        axes = figure.subplots(1, len(PANELS), sharey=True)
        for ax, (metric, title) in zip(axes, PANELS.items(), strict=True):
            _panel(ax, [row for row in rows if row["metric"] == metric])
            ax.set_title(title)
        axes[0].set_ylabel("balanced accuracy on held-out networks")
    return figure


def _panel(ax: Axes, rows: Sequence[dict]) -> None:
    counts = sorted({row["n_functions"] for row in rows})
    names = list(dict.fromkeys(row["representation"] for row in rows))
    labels = []
    for place, name in enumerate(names):
        own = sorted((row for row in rows if row["representation"] == name), key=lambda row: row["n_functions"])
        value, low, high = (np.array([row[column] for row in own]) for column in ("value", "low", "high"))
        colour, untrained = COLOURS[group_of(name)], group_of(name) == "untrained"
        x = np.array([row["n_functions"] for row in own]) * DODGE ** (place - (len(names) - 1) / 2)
        ends = np.clip([value - low, high - value], 0, None)
        style = {"color": colour, "marker": MARKERS[place % len(MARKERS)], "ls": "--" if untrained else "-"}
        ax.errorbar(x, value, ends, **style, ms=6, lw=1.2, elinewidth=1.6, mec="white", mew=0.5)
        labels.append(EndLabel(float(value[-1]), title_of(name), colour))
    null = [max(row["null_p95"] for row in rows if row["n_functions"] == count) for count in counts]
    ax.fill_between(counts, 0, null, color=FAINT, lw=0, zorder=0)
    labels.append(EndLabel(null[-1] / 2, "answers dealt out", MUTED))
    ax.set(xscale="log", xlabel="functions to tell apart", ylim=(0, 1.03))
    ax.set_xticks(counts, [str(count) for count in counts])
    ax.xaxis.set_minor_locator(NullLocator())
    grid(ax)
    label_ends(ax, labels)
