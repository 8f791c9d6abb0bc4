"""What each choice of a hand-crafted network costs, and what training moves in it: figures of experiments 6 and 7."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from metarep.report.style import FAINT, INK, MUTED, PALETTE, bare, drawing, key, legend_below

NEAR, LOWEST = PALETTE[0], PALETTE[1]
START, SPREAD, MEAN = PALETTE[1], PALETTE[4], PALETTE[0]


def freed_figure(
    groups: Sequence[str], freed: Sequence[Sequence[str]], near: np.ndarray, best: np.ndarray, start: float
) -> Figure:
    """The error when some groups are optimised and the others stay: one row a set of `freed`, by size and error.

    near (N,) descends from where the network stands, best (N,) is the lowest of many descents; `start` frees none.
    """
    rows = sorted(range(len(freed)), key=lambda i: (len(freed[i]), near[i]))
    with drawing(11.5, 7.2) as figure:
        sets, errors = figure.subplots(1, 2, width_ratios=(2, 5), sharey=True)
        for y, names in enumerate([(), *(freed[i] for i in rows)]):
            for x, group in enumerate(groups):
                face, edge = (INK, INK) if group in names else ("white", MUTED)
                sets.plot(x, y, "o", ms=9, mfc=face, mec=edge, mew=1)
        near, best = np.r_[start, near[rows]], np.r_[start, best[rows]]
        at = np.arange(len(near))
        errors.hlines(at, best, start, color=FAINT, lw=5, zorder=1)
        errors.plot(near, at, "o", ms=8, color=NEAR, zorder=3)
        errors.plot(best, at, "|", ms=15, mew=2.2, color=LOWEST, zorder=4)
        for y, value in enumerate(near):
            errors.annotate(f"{value:.4f}", (value, y), (9, 5), textcoords="offset points", fontsize=9, color=INK, zorder=5)
        errors.set(xscale="log", xlabel="expected squared error (recipe's input distribution)", xlim=(None, start * 1.35))
        errors.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        errors.xaxis.set_major_formatter("{x:g}")
        errors.minorticks_off()
        sets.set(xlim=(-0.5, len(groups) - 0.5))
        sets.set_xticks(range(len(groups)), [name.replace(" ", "\n") for name in groups])
        sets.xaxis.tick_top()
        sets.set_yticks([])
        sets.invert_yaxis()
        bare(sets)
        keys = [
            key("optimised", INK),
            key("as chosen by hand", MUTED, mfc="white", mec=MUTED),
            key("descent from the chosen values", NEAR),
            key("lowest of many descents", LOWEST, "|", mew=2.2),
        ]
        figure.legend(handles=keys, loc="outside lower center", ncols=4, handletextpad=0.3)
    return figure


def moved_figure(names: Sequence[str], before: np.ndarray, after: np.ndarray, families: Mapping[str, np.ndarray]) -> Figure:
    """Each parameter before and after (P,) on the left; on the right its change, and the changes (N, P) of families."""
    places = np.arange(len(names))
    with drawing(13, 5.4, w_pad=0.12) as figure:
        values, changes = figure.subplots(1, 2, width_ratios=(4, 5), sharey=True)
        values.hlines(places, before, after, color=MUTED, lw=1.4, zorder=1)
        values.plot(before, places, "o", ms=7, mfc="white", mec=INK, label="by hand")
        values.plot(after, places, "o", ms=7, color=START, label="trained further")
        values.set(xlabel="value", title="before and after")
        values.set_yticks(places, names)
        for k, (name, moved) in enumerate(families.items()):
            low, middle, high = np.quantile(moved, [0.025, 0.5, 0.975], axis=0)
            at = places + 0.22 * (k + 1) - 0.33
            changes.hlines(at, low, high, color=(SPREAD, MEAN)[k], lw=5, alpha=0.8, label=f"{name} (n = {len(moved):,})")
            changes.plot(middle, at, "|", ms=9, mew=1.8, color=INK, zorder=3)
        changes.plot(after - before, places, "o", ms=7, color=START, zorder=4, label="published seed")
        changes.set(xlabel="change (bars: 95 % of the networks, tick: median)", title="change")
        for ax in (values, changes):
            ax.axvline(0, color=FAINT, zorder=0)
            ax.tick_params(axis="y", length=0, labelcolor=INK)
            legend_below(ax)
        values.invert_yaxis()
    return figure
