"""The pictures of question 4: what is predicted of each kind of parameter, and whether the bound has converged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metarep.report.style import FAINT, INK, MODE_COLOURS, MUTED, PALETTE, use_style

STYLES = {
    "ceiling": (INK, "|", "bound (Gamma test)"),
    "cloze model": (PALETTE[0], "o", "cloze model"),
    "local fit": (PALETTE[2], "D", "local fit on the nearest networks"),
    "neighbours' mean": (PALETTE[4], "v", "mean of the nearest networks"),
    "linear-Gaussian imputer": (PALETTE[1], "s", "linear-Gaussian imputer"),
}


def ceiling_figure(rows: Sequence[dict]) -> Figure:
    """A line a kind of parameter; each predictor with its interval, the bound as a bar across."""
    parameters = list(dict.fromkeys(row["parameter"] for row in rows))
    parameters.sort(key=lambda name: name != "all parameters")
    with use_style():
        figure = Figure(figsize=(10.5, 1.6 + 0.72 * len(parameters)), layout="constrained")
        ax = figure.subplots()
        names = [name for name in STYLES if any(row["predictor"] == name for row in rows)]
        for y, parameter in enumerate(parameters):
            own = {row["predictor"]: row for row in rows if row["parameter"] == parameter}
            bound = own["ceiling"]
            ax.fill_betweenx([y - 0.4, y + 0.4], bound["low"], bound["high"], color=INK, alpha=0.13, lw=0)
            ax.plot([bound["r2"]] * 2, [y - 0.4, y + 0.4], color=INK, lw=2)
            others = [name for name in names if name != "ceiling"]
            for place, name in enumerate(others):
                row, (colour, marker, _) = own[name], STYLES[name]
                at = y + (place - (len(others) - 1) / 2) * 0.17
                ax.plot([row["low"], row["high"]], [at, at], color=colour, lw=2.2, alpha=0.5, solid_capstyle="butt")
                ax.plot(row["r2"], at, marker, color=colour, ms=6.5, mec="white", mew=0.7)
        for name in names:
            colour, marker, title = STYLES[name]
            style = {"ms": 14, "mew": 2} if marker == "|" else {"ms": 7}
            ax.plot([], [], marker, color=colour, label=title, **style)
        for y in range(1, len(parameters)):
            ax.axhline(y - 0.5, color=FAINT, lw=0.8)
        ax.set(yticks=range(len(parameters)), yticklabels=parameters, ylim=(len(parameters) - 0.5, -0.5))
        ax.set(
            xlim=(min(0.0, 1.1 * min(row["low"] for row in rows)), 1.02),
            xlabel="share of a hidden parameter's variance that is predicted (R²)",
        )
        ax.grid(axis="x", color=FAINT)
        ax.set_axisbelow(True)
        ax.tick_params(axis="y", length=0)
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def convergence_figure(rows: Sequence[dict], modes: Sequence[dict]) -> Figure:
    """The bound and the local estimates against the size of the bank; residuals by mode."""
    with use_style():
        figure = Figure(figsize=(12.5, 4.6), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.5))
        for name in ("ceiling", "local fit", "neighbours' mean"):
            own = sorted((row for row in rows if row["predictor"] == name), key=lambda row: row["bank"])
            colour, marker, title = STYLES[name]
            size = [row["bank"] for row in own]
            left.fill_between(size, [row["low"] for row in own], [row["high"] for row in own], color=colour, alpha=0.15, lw=0)
            left.plot(
                size, [row["r2"] for row in own], marker="o" if marker == "|" else marker, color=colour, ms=5, label=title
            )
        left.set(
            xscale="log", xlabel="networks in the bank", ylabel="R², all parameters", title="Does a larger bank change it?"
        )
        left.set_xticks([row["bank"] for row in rows if row["predictor"] == "ceiling"])
        left.xaxis.set_major_formatter("{x:,.0f}")
        left.minorticks_off()
        left.tick_params(axis="x", rotation=25)
        left.grid(axis="y", color=FAINT)
        left.legend(loc="lower right")
        draw_modes(right, modes)
    return figure


def draw_modes(ax: Axes, rows: Sequence[dict]) -> None:
    """Bars by kind of parameter and mode: what the model leaves; marks: what the local fit leaves."""
    parameters = list(dict.fromkeys(row["parameter"] for row in rows))
    modes = list(dict.fromkeys(row["mode"] for row in rows))
    width = 0.82 / len(modes)
    for place, mode in enumerate(modes):
        own = {row["parameter"]: row for row in rows if row["mode"] == mode}
        at = np.arange(len(parameters)) + (place - (len(modes) - 1) / 2) * width
        ax.bar(at, [own[p]["cloze model"] for p in parameters], width * 0.92, color=MODE_COLOURS[mode], label=f"mode {mode}")
        ax.plot(at, [own[p]["local fit"] for p in parameters], "_", color=INK, ms=11, mew=1.8)
    ax.plot([], [], "_", color=INK, ms=11, mew=1.8, label="local fit")
    ax.set_xticks(range(len(parameters)), ["all" if p == "all parameters" else p for p in parameters])
    ax.set(ylabel="squared residual / variance", title="Where what is not predicted lies")
    ax.grid(axis="y", color=FAINT)
    ax.set_axisbelow(True)
    ax.tick_params(axis="x", length=0, labelcolor=MUTED)
    ax.legend(ncols=2)
