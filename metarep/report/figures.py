"""The report's charts: tables in, figures out."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metarep.report.representations import LOOKS, PREDICTORS, Look
from metarep.report.style import (
    INK,
    MUTED,
    PALETTE,
    EndLabel,
    drawing,
    grid,
    interval_mark,
    key,
    label_ends,
    null_mark,
    rows_axis,
)
from metarep.report.wording import Score, num, plain

LEAST_SHOWN = -1.0
"""R² below this is drawn at the margin, with its value in words."""

WIDEST_SHOWN = 0.45
"""An interval wider than this is not drawn, nor what else is measured on the same networks."""

BEHIND = "#C4C4C4"
"""What is there to be compared with, not to be read first."""

ACCURACY_RANGE, ACCURACY_TICKS = (0.15, 0.998), (0.2, 0.5, 0.8, 0.95, 0.99)
"""Accuracies beyond the range are drawn at its edge."""

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


@dataclass(frozen=True)
class Panel:
    """One metric: scores {(row, name): score}; accuracies are drawn on a logit scale."""

    title: str
    metric: str
    scores: Mapping[tuple[str, str], Score]
    is_accuracy: bool = False


def draw_scores(ax: Axes, panel: Panel, rows: Sequence[str], looks: Mapping[str, Look], *, apart: float = 0.0) -> None:
    """A panel's scores with intervals and nulls, those of one row `apart` from each other in the order of the looks.

    What lies below the axis is an arrow at its edge with its value in words.
    """
    low, high = ACCURACY_RANGE if panel.is_accuracy else (LEAST_SHOWN, np.inf)
    names = [name for name in looks if any(name == other for _, other in panel.scores)]
    for (row, name), score in panel.scores.items():
        y = rows.index(row) + apart * (names.index(name) - (len(names) - 1) / 2)
        value, *ends, null = np.clip(score[:4], low, high)
        if score.null >= low or panel.is_accuracy:
            null_mark(ax, y, null, 0.42 * apart or 0.26)
        if score.value < low and not panel.is_accuracy:
            ax.plot(low, y, "<", color=looks[name].colour, ms=7, zorder=4)
            place = {"textcoords": "offset points", "va": "center", "color": looks[name].colour}
            ax.annotate(num(score.value, 1), (low, y), (8, 0), **place)
        elif not math.isnan(value):
            interval_mark(ax, y, ends, value, *looks[name][1:])
    ax.set_title(panel.title, fontsize=10)
    ax.set_xlabel(panel.metric)


def masked_figure(panels: Mapping[str, Mapping[str, Mapping[str, Score]]]) -> Figure:
    """Masked R² of the cloze model and the simple predictors, with intervals: {panel: {row: {predictor: score}}}."""
    longest = max(map(len, panels.values()))
    used = {name for rows in panels.values() for scores in rows.values() for name in scores}
    with drawing(10, 0.42 * longest + 1.5) as figure:
        axes = figure.subplots(1, len(panels), sharex=True, squeeze=False)[0]
        for ax, (title, rows) in zip(axes, panels.items(), strict=True):
            scores = {(row, n): score._replace(null=math.nan) for row, own in rows.items() for n, score in own.items()}
            draw_scores(ax, Panel(title, "masked R² on test networks", scores), list(rows), PREDICTORS)
            rows_axis([ax], list(rows), striped=False)
            ax.set_ylim(longest - 0.4, -0.6)
            ax.axvline(0, color=MUTED, lw=0.8, zorder=0)
        keys = [look.key for name, look in PREDICTORS.items() if name in used]
        figure.legend(handles=keys, ncols=4, loc="outside upper left")
    return figure


def comparison_figure(panels: Sequence[Panel], names: Mapping[str, str], shown: Collection[str]) -> Figure:
    """Panels of {(representation, group): score}: a row for each of `names` {representation: title}; `shown` groups."""
    with drawing(10.5, 0.37 * len(names) + 1.5) as figure:
        axes = figure.subplots(1, len(panels), sharey=True, width_ratios=[1.5] + [1] * (len(panels) - 1), squeeze=False)[0]
        for ax, panel in zip(axes, panels, strict=True):
            draw_scores(ax, panel, list(names), LOOKS)
            if panel.is_accuracy:
                _logit_axis(ax)
            else:
                ax.set_xlim(min(-0.01, ax.get_xlim()[0]), None)
        rows_axis(axes, list(names.values()))
        keys = [*(look.key for group, look in LOOKS.items() if group in shown), key("chance, 95th percentile", MUTED, "|")]
        figure.legend(handles=keys, ncols=len(keys), loc="outside upper left")
    return figure


def _logit_axis(ax: Axes) -> None:
    low, high = ACCURACY_RANGE
    ax.set(xscale="logit", xlim=(low * 0.9, 1 - 0.9 * (1 - high)), xticks=ACCURACY_TICKS)
    ax.set_xticklabels([f"{tick:g}" for tick in ACCURACY_TICKS], fontsize=8)
    ax.minorticks_off()


def k_figure(
    curves: Mapping[str, Sequence[tuple[int, float]]],
    chosen: Mapping[str, int],
    looks: Mapping[str, Look],
    *,
    n_values: int,
    label: str,
) -> Figure:
    """The ARI of a clusterer with a label by the number of clusters, a line a representation; rings are the chosen k.

    `curves` go by title; those that have a look are in its colour, the others stay behind in grey.
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
        ax.axvline(n_values, color=MUTED, lw=0.9, ls=(0, (2, 2)), zorder=0)
        note = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "color": MUTED, "fontsize": 9}
        ax.annotate("as many clusters as values", (n_values, 1), (4, -4), va="top", **note)
        ax.set(xlabel="number of clusters k", ylabel=f"adjusted Rand index with the {label}")
        grid(ax)
        ends = [(name, looks[name].colour if name in looks else MUTED) for name in drawn]
        label_ends(ax, [EndLabel(drawn[name][-1, 1], name, colour) for name, colour in ends], gap=0.056)
    return figure


def transfer_figure(panels: Sequence[Panel], targets: Mapping[str, str], looks: Mapping[str, Look]) -> Figure:
    """Panels of {(target, name): score}: a row for each target {name: title}, a mark for each of `looks` by name."""
    rows = list(targets)
    with drawing(11, 0.85 * len(targets) + 1.7) as figure:
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for ax, panel in zip(axes, panels, strict=True):
            vague = {target for (target, _), score in panel.scores.items() if score.high - score.low > WIDEST_SHOWN}
            for target in vague:
                place = {"transform": ax.get_yaxis_transform(), "ha": "center", "va": "center"}
                ax.text(0.5, rows.index(target), "interval too wide", color=MUTED, fontsize=8, **place)
            sure = {at: score for at, score in panel.scores.items() if at[0] not in vague}
            draw_scores(ax, replace(panel, scores=sure), rows, looks, apart=0.78 / max(3, len({n for _, n in sure})))
            low = min(0.0, *(max(score.value, LEAST_SHOWN) for score in panel.scores.values()))
            ax.set_xlim(low - (0.12 if low < 0 else 0.02), 1.04)
            ax.axvline(0, color=MUTED, lw=0.8, zorder=0)
        rows_axis(axes, list(targets.values()))
        alike = {look[1:]: ", ".join(one.title for one in looks.values() if one[1:] == look[1:]) for look in looks.values()}
        keys = [*(key(label, *look) for look, label in alike.items()), key("permuted predictions, 95th percentile", MUTED, "|")]
        figure.legend(handles=keys, ncols=min(4, len(keys)), loc="outside upper left")
    return figure


def row_title(group: str, value: str) -> str:
    """A group of masked values as a figure calls it."""
    title = plain(value) if group in ("all", "kind", "slot") else f"{plain(group)} {value}"
    return {"all": "all values", "weight": "all weights", "bias": "all biases"}.get(value, title)
