"""The report's charts: tables in, figures out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metarep.report.representations import LOOKS, Look
from metarep.report.style import (
    FAINT,
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

PREDICTOR_LOOKS = {
    "cloze": (PALETTE[0], "o"),
    "linear_gaussian": (PALETTE[1], "s"),
    "window mean": (PALETTE[2], "v"),
    "mean": (MUTED, "D"),
}
LEAST_SHOWN = -1.0
"""R² below this is drawn at the margin, with its value in words."""

WIDEST_SHOWN = 0.45
"""An interval wider than this is not drawn, nor what else is measured on the same networks."""

BEHIND = "#C4C4C4"
"""What is there to be compared with, not to be read first."""

ACCURACY_RANGE, ACCURACY_TICKS = (0.15, 0.998), (0.2, 0.5, 0.8, 0.95, 0.99)
"""Accuracies beyond the range are drawn at its edge."""

RIDGE_BINS, RIDGE_HEIGHT = 90, 0.82
MAX_CELLS = 24
"""Rows of masked R² that one panel shows."""


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
        axes[0].set_title(f"How often each {title} occurs")
        axes[0].xaxis.set_major_formatter("{x:.0%}")
        if numbers:
            values = [numbers[row["value"]] for row in rows]
            ridges(axes[1], values, [colours[row["value"]] for row in rows], at + 0.31)
            axes[1].set_xlabel(what)
            axes[1].set_title("How it spreads; the tick is the median")
        named = [f"{title} {row['value']}" if len(row["value"]) < 4 else row["value"] for row in rows]
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


def masked_figure(panels: Mapping[str, Mapping[str, Mapping[str, Score]]], titles: Callable[[str], str]) -> Figure:
    """Masked R² of the cloze model and the simple predictors, with intervals: {panel: {row: {predictor: score}}}."""
    longest = max(map(len, panels.values()))
    with drawing(10, 0.42 * longest + 1.5) as figure:
        axes = figure.subplots(1, len(panels), sharex=True, squeeze=False)[0]
        for ax, (title, rows) in zip(axes, panels.items(), strict=True):
            for y, scores in enumerate(rows.values()):
                _dumbbell(ax, y, scores)
            rows_axis([ax], list(rows), striped=False)
            ax.set_ylim(longest - 0.4, -0.6)
            ax.axvline(0, color=MUTED, lw=0.8, zorder=0)
            ax.set_title(title)
            ax.set_xlabel("masked R² on test networks")
        used = [name for name in PREDICTOR_LOOKS if any(name in own for rows in panels.values() for own in rows.values())]
        figure.legend(handles=[key(titles(n), *PREDICTOR_LOOKS[n]) for n in used], ncols=4, loc="outside upper left")
    return figure


def _dumbbell(ax: Axes, y: float, scores: Mapping[str, Score]) -> None:
    shown = {
        n: max(score.value, LEAST_SHOWN) for n, score in scores.items() if n in PREDICTOR_LOOKS and score.value == score.value
    }
    if not shown:
        return
    ax.plot([min(shown.values()), max(shown.values())], [y, y], color=FAINT, lw=5, solid_capstyle="round", zorder=1)
    for name, value in shown.items():
        ends = [max(end, LEAST_SHOWN) for end in (scores[name].low, scores[name].high)]
        interval_mark(ax, y, ends, value, *PREDICTOR_LOOKS[name])


@dataclass(frozen=True)
class Panel:
    """One metric of many representations: scores by name; accuracies are drawn on a logit scale."""

    title: str
    metric: str
    scores: Mapping[str, Score]
    is_accuracy: bool = False


def comparison_figure(panels: Sequence[Panel], names: Mapping[str, str], groups: Mapping[str, str]) -> Figure:
    """The representations of `names` {name: title}, a row each in that order, with intervals and nulls; `groups` by name."""
    with drawing(10.5, 0.37 * len(names) + 1.5) as figure:
        axes = figure.subplots(1, len(panels), sharey=True, width_ratios=[1.5] + [1] * (len(panels) - 1), squeeze=False)[0]
        for ax, panel in zip(axes, panels, strict=True):
            for y, name in enumerate(names):
                if (score := panel.scores.get(name)) is not None:
                    look, (low, high) = LOOKS[groups[name]], ACCURACY_RANGE if panel.is_accuracy else (LEAST_SHOWN, np.inf)
                    value, *ends, null = np.clip(score[:4], low, high)
                    null_mark(ax, y, null)
                    interval_mark(ax, y, ends, value, look.colour, look.marker)
            ax.set_title(panel.title)
            ax.set_xlabel(panel.metric)
            if panel.is_accuracy:
                _logit_axis(ax)
            else:
                ax.set_xlim(min(-0.01, ax.get_xlim()[0]), None)
        rows_axis(axes, list(names.values()))
        keys = [key(look.title, look.colour, look.marker) for group, look in LOOKS.items() if group in groups.values()]
        keys.append(key("chance, 95th percentile", MUTED, "|"))
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
            front = name in looks
            colour = looks[name].colour if front else BEHIND
            ax.plot(*points.T, color=colour, lw=2.6 if front else 1.3, zorder=3 if front else 1)
            here = points[points[:, 0] == chosen[name]]
            ring = {"ms": 9, "mew": 2.2, "zorder": 5} if front else {"ms": 6, "mew": 1.3, "zorder": 3}
            ax.plot(*here.T, "o", mfc="white", mec=colour, **ring)
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


def transfer_figure(
    panels: Mapping[str, Mapping[tuple[str, str], Score]],
    targets: Mapping[str, str],
    looks: Mapping[str, tuple[str, str]],
    titles: Callable[[str], str],
) -> Figure:
    """A panel for each metric {title: {(target, name): score}}, a row for each target {name: title}; `looks` by name."""
    with drawing(11, 0.85 * len(targets) + 1.7) as figure:
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        rows = list(targets)
        for ax, (title, scores) in zip(axes, panels.items(), strict=True):
            present = [name for name in looks if any(name == other for _, other in scores)]
            vague = {target for (target, _), score in scores.items() if score.high - score.low > WIDEST_SHOWN}
            for target in vague:
                place = {"transform": ax.get_yaxis_transform(), "ha": "center", "va": "center"}
                ax.text(0.5, rows.index(target), "interval too wide", color=MUTED, fontsize=8, **place)
            for (target, name), score in scores.items():
                if target not in vague:
                    shift = 0.78 / max(3, len(present)) * (present.index(name) - (len(present) - 1) / 2)
                    _transfer_mark(ax, rows.index(target) + shift, score, *looks[name])
            low = min(0.0, *(max(score.value, LEAST_SHOWN) for score in scores.values()))
            ax.set_xlim(low - (0.12 if low < 0 else 0.02), 1.04)
            ax.set_title(title, fontsize=10)
            ax.axvline(0, color=MUTED, lw=0.8, zorder=0)
        rows_axis(axes, list(targets.values()))
        alike = {look: ", ".join(titles(n) for n in looks if looks[n] == look) for look in looks.values()}
        keys = [key(label, *look) for look, label in alike.items()]
        keys.append(key("permuted predictions, 95th percentile", MUTED, "|"))
        figure.legend(handles=keys, ncols=min(4, len(keys)), loc="outside upper left")
    return figure


def _transfer_mark(ax: Axes, y: float, score: Score, colour: str, marker: str) -> None:
    if score.null >= LEAST_SHOWN:
        null_mark(ax, y, score.null, 0.11)
    if score.value < LEAST_SHOWN:
        ax.plot(LEAST_SHOWN, y, "<", color=colour, ms=7, zorder=4)
        place = {"textcoords": "offset points", "va": "center", "color": colour}
        ax.annotate(num(score.value, 1), (LEAST_SHOWN, y), (8, 0), **place)
        return
    interval_mark(ax, y, (max(score.low, LEAST_SHOWN), score.high), score.value, colour, marker)


def row_title(group: str, value: str) -> str:
    """A group of masked values as a figure calls it."""
    title = plain(value) if group in ("all", "kind", "slot") else f"{plain(group)} {value}"
    return {"all": "all values", "weight": "all weights", "bias": "all biases"}.get(value, title)
