"""Figures of the dynamics: errors around a change of mode, shares by setting, single runs, what decides at birth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from metarep.domains.multiplier.figures.mode_looks import MODE_COLOURS, MODE_MARKERS
from metarep.domains.multiplier.modes import MODES
from metarep.report.style import (
    INK,
    MUTED,
    PALETTE,
    band,
    drawing,
    grid,
    interval_mark,
    key,
    legend_below,
    null_mark,
    rows_axis,
    zero_lines,
)

FEWEST = 20
"""An offset from the change is drawn where at least so many networks have a snapshot."""

MOST_SHOWN = 10
"""Of the quantities that decide at birth."""


def aligned_figure(offsets: np.ndarray, own: np.ndarray, control: np.ndarray, *, control_name: str) -> Figure:
    """Errors (M, K) in decades above that at the last snapshot before the change, and the matched control's.

    Left: medians and quartiles over networks; right: the difference, its mean with 95 % of the mean.
    """
    kept = np.isfinite(own).sum(axis=0) >= min(FEWEST, len(own))
    offsets, own, control = offsets[kept], own[:, kept], control[:, kept]
    difference = own - control
    mean = np.nanmean(difference, axis=0)
    half = 1.96 * np.nanstd(difference, axis=0) / np.sqrt(np.isfinite(difference).sum(axis=0))
    with drawing(11, 4.2) as figure:
        levels, gap = figure.subplots(1, 2)
        point = {"marker": "o", "ms": 3}
        quartiles = [np.nanquantile(values, [0.25, 0.5, 0.75], axis=0) for values in (own, control)]
        band(levels, offsets, *quartiles[0], PALETTE[1], label="networks that change mode", **point)
        band(levels, offsets, *quartiles[1], MUTED, label=control_name, ls=(0, (4, 2)), **point)
        levels.set_title(f"Error around the last change of mode, n = {len(own):,}")
        levels.set_ylabel("error, decades relative to just before\n(median and quartiles)")
        figure.legend(loc="outside lower left", ncols=2)
        band(gap, offsets, mean - half, mean, mean + half, PALETTE[0], **point)
        gap.set_title("Changing networks less their controls")
        gap.set_ylabel("difference in decades\n(mean and 95 % interval)")
        for ax in (levels, gap):
            zero_lines(ax)
            ax.set_xlabel("snapshots from the change (log-spaced steps)")
    return figure


def settings_figure(rows: Sequence[Mapping]) -> Figure:
    """Shares of the modes by learning rate (panels) and number of steps, with 95 % intervals.

    rows: lr, n_steps, mode, share, low, high, of.
    """
    rates, lengths = (sorted({row[name] for row in rows}) for name in ("lr", "n_steps"))
    with drawing(11, 4) as figure:
        for ax, lr in zip(np.atleast_1d(figure.subplots(1, len(rates), sharey=True)), rates, strict=True):
            own = [row for row in rows if row["lr"] == lr]
            for row in own:
                number, colour = lengths.index(row["n_steps"]), MODE_COLOURS[row["mode"]]
                x = MODES.index(row["mode"]) + 0.24 * (number - (len(lengths) - 1) / 2)
                ax.vlines(x, row["low"], row["high"], color=INK, lw=1.3)
                look = {"mfc": "white" if number == 0 else colour, "mec": colour, "ms": 8, "mew": 1.8, "zorder": 3}
                ax.plot(x, row["share"], MODE_MARKERS[row["mode"]], **look)
            ax.set(xticks=range(len(MODES)), xticklabels=MODES, xlim=(-0.5, len(MODES) - 0.5), xlabel="mode")
            n_networks = "–".join(f"{n:,}" for n in sorted({row["of"] for row in own}))
            ax.set_title(f"learning rate {lr:g}, n = {n_networks}")
            grid(ax)
            ax.tick_params(axis="x", length=0, labelcolor=INK)
        figure.axes[0].set(ylabel="share of networks, 95 % interval", ylim=(0, None))
        figure.axes[0].yaxis.set_major_formatter("{x:.0%}")
        lines = [f"{'hollow' if i == 0 else 'full'}: after {n:,} steps" for i, n in enumerate(lengths)]
        figure.supxlabel("; ".join(lines), fontsize=10, color=INK)
    return figure


def runs_figure(
    titles: Sequence[str], step: np.ndarray, mode: np.ndarray, error: np.ndarray, area: np.ndarray, scan: np.ndarray
) -> Figure:
    """Single runs side by side: error, the two active areas and the scan along each; shaded by the mode of the moment.

    mode, error, scan: (R, T); area: (R, T, 2); step: (T,), 0 the first.
    """
    n, x = len(titles), np.r_[step[1] / 2, step[1:]].astype(float)
    with drawing(3.1 * n + 0.8, 6.8) as figure:
        panels = figure.subplots(3, n, sharex=True, sharey="row", squeeze=False)
        for column, title in enumerate(titles):
            errors, areas, scans = panels[:, column]
            errors.set_title(title, fontsize=10)
            errors.plot(x, error[column], color=INK)
            for unit, dash in enumerate(("solid", (0, (4, 2)))):
                areas.plot(x, area[column, :, unit], color=INK, ls=dash, label=f"unit {unit + 1}")
            scans.plot(x, scan[column], color=INK)
            for ax in panels[:, column]:
                _shade(ax, x, mode[column])
            _step_axis(scans, x, step)
        panels[0, 0].set(yscale="log", ylabel="validation error")
        panels[1, 0].set(ylim=(-0.04, 1.04), ylabel="active area")
        panels[2, 0].set_ylabel("published scan")
        beside = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)}
        patches = [Patch(color=MODE_COLOURS[m], alpha=0.35, lw=0, label=f"mode {m}") for m in MODES if (mode == m).any()]
        panels[0, -1].legend(handles=patches, **beside)
        panels[1, -1].legend(**beside)
    return figure


def along_figure(scan: Sequence[Mapping], embedding: Sequence[Mapping], step: np.ndarray, *, n_modes: int) -> Figure:
    """What the scan and the embedding see along the runs; rows as `scan_rows` and `embedding_rows` give them."""
    x = dict(zip(step.tolist(), np.r_[step[1] / 2, step[1:]].astype(float), strict=True))
    with drawing(11.5, 4.2) as figure:
        scans, embedded = figure.subplots(1, 2)
        for mode in (m for m in MODES if any(row["final_mode"] == m for row in scan)):
            own = [row for row in scan if row["final_mode"] == mode]
            look = {"marker": MODE_MARKERS[mode], "markevery": max(1, len(own) // 8), "ms": 5, "label": f"ends in mode {mode}"}
            quartiles = ([row[name] for row in own] for name in ("q25", "median", "q75"))
            band(scans, [x[row["step"]] for row in own], *quartiles, MODE_COLOURS[mode], **look)
        scans.set(ylabel="published scan, median and quartiles")
        scans.set_title("The scan, by the mode in which a run ends")
        at = [x[row["step"]] for row in embedding]
        embedded.plot(at, [row["mode_now"] for row in embedding], color=PALETTE[0], label="its mode at that step")
        embedded.plot(at, [row["mode_at_the_end"] for row in embedding], "--", color=PALETTE[1], label="its final mode")
        embedded.axhline(1 / n_modes, color=MUTED, lw=1)
        embedded.annotate("chance", (x[step[-1]], 1 / n_modes), (-4, 4), textcoords="offset points", ha="right", color=MUTED)
        embedded.set(ylim=(0, 1), ylabel="balanced accuracy")
        embedded.set_title(f"The embedding of {embedding[0]['n']:,} test runs: nearest centre")
        for ax in (scans, embedded):
            _step_axis(ax, np.array(list(x.values())), step)
            legend_below(ax, 0.16)
    return figure


def _shade(ax: Axes, x: np.ndarray, mode: np.ndarray) -> None:
    """Colours the background by the mode; a change is drawn half-way between two snapshots."""
    starts = np.flatnonzero(np.r_[True, mode[1:] != mode[:-1]])
    edges = np.r_[x[0], np.sqrt(x[starts[1:] - 1] * x[starts[1:]]), x[-1]]
    for start, (left, right) in zip(starts, pairwise(edges), strict=True):
        ax.axvspan(left, right, color=MODE_COLOURS[mode[start]], alpha=0.35, lw=0, zorder=0)
    ax.set_xlim(x[0], x[-1])


def _step_axis(ax: Axes, x: np.ndarray, step: np.ndarray) -> None:
    """A logarithmic axis whose left end is the initialisation."""
    ax.set_xscale("log")
    powers = [10**k for k in range(0, int(np.log10(step[-1])) + 1)]
    ax.set_xticks([x[0], *powers[1:]])
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: "0" if value <= x[0] else f"{value:,.0f}"))
    ax.xaxis.set_minor_locator(LogLocator(subs=range(2, 10)))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("training step")


def birth_figure(rows: Sequence[Mapping], importance: Sequence[Mapping], twins: Mapping) -> Figure:
    """Left: balanced accuracy of the final mode from each set of quantities, with null and twins; right: what matters.

    rows, importance: the tables of `birth_rows`; twins: balanced accuracy with low and high.
    """
    sets, predictors = (list(dict.fromkeys(row[name] for row in rows)) for name in ("quantities", "predictor"))
    with drawing(11.5, 4.6) as figure:
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.05))
        for row in rows:
            number = predictors.index(row["predictor"])
            y, ends = sets.index(row["quantities"]) + 0.22 * (number - 0.5), ("low", "high")
            ends = [row[f"balanced_accuracy_{end}"] for end in ends]
            interval_mark(left, y, ends, row["balanced_accuracy"], PALETTE[number], "os"[number])
            null_mark(left, y, row["null_max"], 0.1)
        left.axvspan(twins["low"], twins["high"], color=PALETTE[2], alpha=0.25, lw=0)
        left.axvline(twins["value"], color=PALETTE[2])
        names = {"mode": "initial mode", "areas": "initial areas", "parameters": "initial parameters", "all": "all of them"}
        rows_axis([left], [names.get(name, name) for name in sets], striped=False)
        left.set(xlim=(0, 1.02), xlabel=f"balanced accuracy on {rows[0]['n_test']:,} test networks, 95 % interval")
        left.set_title("How well the start foretells the final mode")
        keys = [key(predictor, PALETTE[i], "os"[i]) for i, predictor in enumerate(predictors)]
        keys += [key("shuffled", MUTED, "|"), key("same start, other data", PALETTE[2], "", ls="-")]
        figure.legend(handles=keys, loc="outside lower left", ncols=4)
        shown = importance[:MOST_SHOWN]
        bits, low, high = (np.array([row[name] for row in shown]) for name in ("bits", "low", "high"))
        right.barh(range(len(shown)), bits, xerr=[bits - low, high - bits], color=PALETTE[1], height=0.6, ecolor=INK)
        rows_axis([right], [row["quantity"] for row in shown], striped=False)
        right.set(xlabel="bits lost when shuffled (validation networks, range of shuffles)")
        right.set_title("What matters (boosted trees, all quantities)")
    return figure
