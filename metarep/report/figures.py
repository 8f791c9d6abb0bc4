"""The report's charts: tables in, figures out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metarep.report.representations import Look
from metarep.report.style import (
    INK,
    MUTED,
    PALETTE,
    EndLabel,
    drawing,
    grid,
    label_ends,
    rows_axis,
)
from metarep.report.wording import num

BEHIND = "#C4C4C4"
"""What is there to be compared with, not to be read first."""

RIDGE_BINS, RIDGE_HEIGHT = 90, 0.82


def label_figure(
    title: str, rows: Sequence[Mapping], colours: Mapping[str, str], numbers: Mapping[str, np.ndarray], what: str
) -> Figure:
    """Shares of a label's values with intervals, and how a property `what` spreads among the networks of each.

    rows: value, n, share, low, high; `numbers` {value: (n,)}, or nothing, which leaves the right panel out.
    """
    at = np.arange(len(rows))
    with drawing(10, 0.72 * len(rows) + 1.2) as figure:
        axes = figure.subplots(1, 2, sharey=True, width_ratios=(1, 1.35)) if numbers else [figure.subplots()]
        for y, row in zip(at, rows, strict=True):
            axes[0].barh(y, row["share"], color=colours[row["value"]], height=0.62)
            axes[0].plot([row["low"], row["high"]], [y, y], color=INK, lw=1.4, solid_capstyle="butt")
            text = f"{row['share']:.1%}  ({row['n']:,})"
            axes[0].annotate(text, (row["high"], y), (7, 0), textcoords="offset points", va="center", color=INK)
        axes[0].set(xlim=(0, 1.45 * max(row["high"] for row in rows)), xlabel="share of networks, 95 % interval")
        axes[0].set_title("How often each occurs")
        axes[0].xaxis.set_major_formatter("{x:.0%}")
        if numbers:
            values = [numbers[row["value"]] for row in rows]
            ridges(axes[1], values, [colours[row["value"]] for row in rows], at + 0.31)
            axes[1].set_xlabel(what)
            axes[1].set_title("How it spreads; the tick is the median")
        short = all(len(row["value"]) < 4 for row in rows)
        named = [f"{title} {row['value']}" if short else row["value"] for row in rows]
        rows_axis(axes, named, striped=False)
        for ax in axes:
            ax.grid(visible=False)
        axes[0].set_ylim(len(rows) - 0.5, -0.68)
    return figure


def ridges(ax: Axes, values: Sequence[np.ndarray], colours: Sequence[str], feet: np.ndarray) -> None:
    """A histogram for each of some samples, one above the other (the y axis points down), each of the same height."""
    low, high = np.quantile(np.concatenate(values), [0.001, 0.999])
    pad = 0.03 * (high - low) + 1e-9
    edges = np.linspace(low - pad, high + pad, RIDGE_BINS + 1)
    for sample, colour, foot in zip(values, colours, feet, strict=True):
        density = np.histogram(np.clip(sample, edges[0], edges[-1]), edges)[0].astype(float)
        density *= RIDGE_HEIGHT / max(density.max(), 1)
        ax.stairs(foot - density, edges, baseline=foot, fill=True, color=colour, alpha=0.85, lw=0)
        ax.plot(edges[[0, -1]], [foot, foot], color=MUTED, lw=0.6)
        ax.plot([np.median(sample)] * 2, [foot - 0.12, foot + 0.12], color=INK, lw=2.4, solid_capstyle="butt")


def training_figure(log: Sequence[Mapping]) -> Figure:
    """The pretraining curve: losses, and the masked R² on validation networks; the best step is marked."""
    step = np.array([row["step"] for row in log])
    columns = {name: np.array([row[name] for row in log], float) for name in ("train_loss", "valid_loss", "valid_r2")}
    best = int(np.nanargmin(columns["valid_loss"]))
    with drawing(10, 3.5) as figure:
        losses, r2 = figure.subplots(1, 2)
        losses.plot(step, columns["train_loss"], color=MUTED, ls=(0, (4, 2)), label="training")
        losses.plot(step, columns["valid_loss"], color=PALETTE[0], label="validation")
        losses.legend(loc="upper right")
        losses.set_title(f"Loss, at best {num(columns['valid_loss'][best], 3)}")
        r2.plot(step, columns["valid_r2"], color=PALETTE[0])
        r2.set_title(f"Masked R² on validation networks, {num(columns['valid_r2'][best], 3)} there")
        for ax, name in ((losses, "valid_loss"), (r2, "valid_r2")):
            ax.plot(step[best], columns[name][best], "o", ms=8, mfc="white", mec=PALETTE[0], mew=2, zorder=4)
            ax.set_xlabel("training step")
            grid(ax)
    return figure


def k_figure(
    curves: Mapping[str, Sequence[tuple[int, float]]],
    chosen: Mapping[str, int],
    looks: Mapping[str, Look],
    *,
    n_values: int,
    label: str,
) -> Figure:
    """The ARI of a clusterer with a label by the number of clusters, a line a representation; rings are the chosen k.

    `curves` go by title; those that have a look are in its colour, the others stay behind in grey. A dotted line stands
    where there are as many clusters as the label has values, if so many were tried.
    """
    drawn = {name: np.array(points, float) for name, points in curves.items() if points}
    ticks = sorted({int(k) for points in drawn.values() for k in points[:, 0]})
    with drawing(10, 4.8) as figure:
        ax = figure.subplots()
        for name, points in drawn.items():
            look, width, size, over = (looks[name].colour, 2.6, 9, 3) if name in looks else (BEHIND, 1.3, 6, 1)
            ax.plot(*points.T, color=look, lw=width, zorder=over)
            here = points[points[:, 0] == chosen[name]]
            ax.plot(*here.T, "o", mfc="white", mec=look, ms=size, mew=0.25 * size, zorder=over + 2)
        ax.set(xscale="log", xticks=ticks, xticklabels=ticks, xlim=(ticks[0] * 0.95, ticks[-1] * 1.05))
        ax.minorticks_off()
        if n_values <= ticks[-1]:
            ax.axvline(n_values, color=MUTED, lw=0.9, ls=(0, (2, 2)), zorder=0)
            note = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "color": MUTED, "fontsize": 9}
            ax.annotate("as many clusters as values", (n_values, 1), (4, -4), va="top", **note)
        ax.set(xlabel="number of clusters k", ylabel=f"adjusted Rand index with the {label}")
        grid(ax)
        ends = [(name, looks[name].colour if name in looks else MUTED) for name in drawn]
        label_ends(ax, [EndLabel(drawn[name][-1, 1], name, colour) for name, colour in ends], gap=0.056)
    return figure
