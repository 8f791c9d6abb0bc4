"""The scans as figures: ROC curves, a table of AUC in colour, AUC by distance to the threshold. Tables in, figures out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metarep.domains.multiplier.figures.mode_looks import MODE_COLOURS
from metarep.domains.multiplier.figures.scans import CHANCE, TITLES, negative_title, on_most_networks, scans_of, side_by_side
from metarep.domains.multiplier.modes import MODES
from metarep.report.figures import ridges
from metarep.report.style import INK, MUTED, PALETTE, cells, colour_bar, drawing, grid, rows_axis
from metarep.report.wording import auc

LOOKS = {
    "published": {"color": INK, "ls": "-", "marker": "o"},
    "invariant": {"color": PALETTE[3], "ls": (0, (5, 2)), "marker": "s"},
    "loss": {"color": MUTED, "ls": (0, (1, 1.2)), "marker": "X"},
    "linear": {"color": PALETTE[2], "ls": (0, (6, 2, 1, 2)), "marker": "D"},
    "embedding": {"color": PALETTE[0], "ls": "-", "marker": "^"},
}
AGAINST = ("random", "other modes")


def score_figure(scores: Sequence[Mapping], roc: Sequence[Mapping], rows: Sequence[Mapping]) -> Figure:
    """How the published score spreads by mode and for random starts, and its ROC curves for mode 3."""
    by_mode: dict[str, list[float]] = {}
    for row in scores:
        by_mode.setdefault(row["mode"], []).append(row["score"])
    names = sorted(by_mode, key=lambda name: (name != "3", name != "random", name))
    with drawing(10, 4.6) as figure:
        spread, curves = figure.subplots(1, 2, width_ratios=(1.15, 1))
        feet = np.arange(len(names)) + 0.31
        ridges(spread, [np.array(by_mode[name]) for name in names], [MODE_COLOURS[name] for name in names], feet)
        rows_axis([spread], [negative_title(name) for name in names], striped=False)
        spread.grid(visible=False)
        spread.set(ylim=(len(names) - 0.5, -0.68), xlabel="scan score")
        spread.set_title("The score by what the network is")
        _unit_axes(curves)
        for row in rows:
            name = row["negative"]
            points = np.array([(r["fpr"], r["tpr"]) for r in roc if r["negative"] == name], float)
            look = {"color": MODE_COLOURS[name], "lw": 2.2} if name in MODE_COLOURS else {"color": INK, "ls": ":", "lw": 2.4}
            curves.plot(*points.T, label=f"{negative_title(name)}: {row['auc']:.2f}", **look)
        curves.set(xlabel="share of the others above the threshold", ylabel="share of mode 3 above it")
        curves.set_title("Mode 3 against")
        curves.legend(title="area under the curve", alignment="left", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def roc_figure(roc: Sequence[Mapping], rows: Sequence[Mapping]) -> Figure:
    """A curve for each scan: mode 3 against random starts, and against all other modes."""
    with drawing(11, 6.8) as figure:
        axes, keys = figure.subplots(2, 2, height_ratios=(3.1, 1))
        for ax, key, negative in zip(axes, keys, AGAINST, strict=True):
            _unit_axes(ax)
            for name in scans_of(rows):
                own = [r for r in on_most_networks(rows, name) if r["negative"] == negative]
                points = [(r["fpr"], r["tpr"]) for r in on_most_networks(roc, name) if r["negative"] == negative]
                if own and points:
                    look = {key: LOOKS[name][key] for key in ("color", "ls")}
                    label = f"{TITLES[name]}: {auc(own[0])}, n = {int(own[0]['n_positive']):,}"
                    ax.plot(*np.array(points, float).T, label=label, lw=2.3, **look)
            ax.set(xlabel=f"share of {negative_title(negative)} above it", ylabel="share of mode 3 above a threshold")
            ax.set_title(f"Mode 3 against {negative_title(negative)}")
            key.set_axis_off()
            title = "area under the curve [95 % interval], networks of mode 3"
            key.legend(*ax.get_legend_handles_labels(), title=title, loc="upper center", fontsize=9.5, alignment="left")
    return figure


def _unit_axes(ax: Axes) -> None:
    """The unit square with its diagonal, which is chance."""
    ax.plot([0, 1], [0, 1], color=MUTED, lw=1, ls=(0, (4, 3)))
    ax.set(aspect="equal", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))


def heat_figure(rows: Sequence[Mapping]) -> Figure:
    """The AUC of each scan for each mode, in numbers on a colour: purple above chance, orange below."""
    rows = side_by_side(rows)
    names, modes = scans_of(rows), [m for m in MODES if any(r["positive"] == m for r in rows)]
    with drawing(11.5, 0.62 * len(names) + 2.0) as figure:
        axes = figure.subplots(1, 2, sharey=True)
        for ax, negative in zip(axes, AGAINST, strict=True):
            found = {(r["scan"], r["positive"]): r for r in rows if r["negative"] == negative}
            values, texts = np.full((len(names), len(modes)), np.nan), np.full((len(names), len(modes)), "none", dtype=object)
            for at in np.ndindex(values.shape):
                if row := found.get((names[at[0]], modes[at[1]])):
                    values[at] = row["auc"]
                    texts[at] = f"{row['auc']:.2f}\n{row['auc_low']:.2f} to {row['auc_high']:.2f}"
            most = {m: max((r["n_positive"] for r in found.values() if r["positive"] == m), default=0) for m in modes}
            heads, titles = [f"mode {m}\nn = {n:,}" for m, n in most.items()], [TITLES[name] for name in names]
            image = cells(ax, values, texts, titles, heads, cmap="PuOr", vmin=0, vmax=1, fontsize=9)
            ax.set_title(f"Each mode against {negative_title(negative)}")
        colour_bar(figure, image, "AUC; 0.5 is chance", ax=axes, shrink=0.85, pad=0.01, ticks=[0, 0.25, 0.5, 0.75, 1])
    return figure


def margin_figure(margin: Sequence[Mapping]) -> Figure:
    """The AUC of mode 3 in bins of its distance to the threshold, with intervals; bins with no network are left out."""
    counts: dict[tuple, int] = {}
    for row in margin:
        edges = (row["margin_low"], row["margin_high"])
        counts[edges] = max(counts.get(edges, 0), int(row["n_positive"]))
    bins, names = sorted(counts), scans_of(margin)
    with drawing(11, 4.9) as figure:
        axes = figure.subplots(1, 2, sharey=True)
        for ax, negative in zip(axes, AGAINST, strict=True):
            ax.axhline(CHANCE, color=MUTED, lw=1, ls=(0, (4, 3)))
            for number, name in enumerate(names):
                own = [r for r in margin if r["scan"] == name and r["negative"] == negative]
                x = np.array([bins.index((r["margin_low"], r["margin_high"])) for r in own])
                value, low, high = (np.array([r[key] for r in own], float) for key in ("auc", "auc_low", "auc_high"))
                look = {"ms": 6, "mec": "white", "mew": 0.6, "lw": 1.5, "elinewidth": 2, "label": TITLES[name], **LOOKS[name]}
                ends = np.clip([value - low, high - value], 0, None)
                ax.errorbar(x + 0.11 * (number - (len(names) - 1) / 2), value, ends, **look)
            ax.set_xticks(range(len(bins)), [f"{low:g} to {high:g}\nn = {counts[low, high]:,}" for low, high in bins])
            ax.set(xlim=(-0.5, len(bins) - 0.5), ylim=(-0.02, 1.02))
            ax.set_xlabel("distance of the active areas to the threshold, in shares of the square")
            ax.set_title(f"Mode 3 against {negative_title(negative)}")
            grid(ax)
        axes[0].set_ylabel("AUC, 95 % interval")
        figure.legend(*axes[0].get_legend_handles_labels(), ncols=len(names), loc="outside upper left", fontsize=10)
    return figure
