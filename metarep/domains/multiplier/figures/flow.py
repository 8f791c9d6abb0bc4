"""The flow of networks between modes over training: stacked shares at some steps, joined by ribbons."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from metarep.domains.multiplier.figures.mode_looks import MODE_COLOURS
from metarep.domains.multiplier.mode_paths import transition_counts
from metarep.domains.multiplier.modes import MODES
from metarep.report.style import INK, bare, count_cells, drawing

BAR = 0.12
"""Half the width of a bar, where two bars stand 1 apart."""

GAP = 0.018
"""Between the modes of a bar, in shares of all networks."""

N_BARS = 7


def flow_columns(step: np.ndarray) -> np.ndarray:
    """The initialisation and N_BARS − 1 columns of `step` (T,) that are about evenly spaced in the step's logarithm.

    The first of them lies at 1/128 of the training: hardly any network changes its mode before.
    """
    wanted = np.geomspace(max(step[-1] / 128, 1), step[-1], N_BARS - 1)
    nearest = np.abs(np.log(step[1:, None]) - np.log(wanted)).argmin(axis=0) + 1
    return np.unique(np.r_[0, nearest])


def flow_figure(mode: np.ndarray, step: np.ndarray) -> Figure:
    """Shares of the modes (N, T) at chosen steps, and between them a ribbon for every transition, as wide as its share."""
    columns = flow_columns(step)
    chosen = mode[:, columns]
    with drawing(11.5, 6) as figure:
        ax = figure.subplots()
        bars = [_stack(chosen[:, i]) for i in range(chosen.shape[1])]
        for i in range(len(bars) - 1):
            _ribbons(ax, i, chosen[:, i], chosen[:, i + 1], bars[i], bars[i + 1])
        for i, bar in enumerate(bars):
            for name, (bottom, share) in bar.items():
                ax.bar(i, share, 2 * BAR, bottom, color=MODE_COLOURS[name], zorder=3)
        _edge_labels(ax, 0, bars[0], "right", -BAR - 0.06)
        _edge_labels(ax, len(bars) - 1, bars[-1], "left", len(bars) - 1 + BAR + 0.06)
        labels = ["0\n(initialisation)", *(f"{step[c]:,}" for c in columns[1:])]
        ax.set(xticks=range(len(bars)), xticklabels=labels, yticks=[], xlabel="training step, about evenly spaced in logarithm")
        ax.set(xlim=(-1.02, len(bars) - 1 + 1.02), ylim=(-0.01, 1 + GAP * (len(MODES) - 1) + 0.01))
        bare(ax, "left", "bottom")
        moved = (chosen[:, 1:] != chosen[:, :-1]).any(axis=1).mean()
        ax.set_title(f"{len(mode):,} networks between the modes; {moved:.0%} change theirs between two of these steps")
    return figure


def _stack(mode: np.ndarray) -> dict[str, tuple[float, float]]:
    """(bottom, share) of each mode in a bar; every mode keeps its place, whether it occurs or not."""
    places, at = {}, 0.0
    for name in MODES:
        share = float((mode == name).mean())
        places[name] = (at, share)
        at += share + GAP
    return places


def _edge_labels(ax: Axes, index: int, bar: dict, align: str, x: float) -> None:
    """The modes' names and shares beside the first and the last bar, pushed apart where bars are thin."""
    named = [(bottom + share / 2, name, share) for name, (bottom, share) in bar.items() if share]
    height = spread(np.array([y for y, _, _ in named]), 0.075)
    for y, (_, name, share) in zip(height, named, strict=True):
        ax.text(x, y, f"mode {name}\n{share:.1%}", ha=align, va="center", color=INK, linespacing=1.05)


def spread(at: np.ndarray, least: float) -> np.ndarray:
    """Ascending positions (K,) moved as little as need be until neighbours stand `least` apart."""
    at = np.array(at, float)
    for _ in range(200):
        lack = least - np.diff(at)
        if not (lack > 1e-9).any():
            break
        push = np.maximum(lack, 0) / 2
        at[:-1] -= push
        at[1:] += push
    return at


def _ribbons(ax: Axes, x: int, before: np.ndarray, after: np.ndarray, left: dict, right: dict) -> None:
    """A ribbon for each transition from bar x to bar x + 1; those that change the mode lie above and are stronger."""
    shares = transition_counts(before, after) / len(before)
    starts = np.array([left[name][0] for name in MODES])[:, None] + np.cumsum(shares, axis=1) - shares
    ends = np.array([right[name][0] for name in MODES]) + np.cumsum(shares, axis=0) - shares
    for i, j in np.argwhere(shares):
        patch = ribbon((x + BAR, starts[i, j]), (x + 1 - BAR, ends[i, j]), shares[i, j])
        look = {"alpha": 0.28, "zorder": 1} if i == j else {"alpha": 0.8, "zorder": 2}
        ax.add_patch(PathPatch(patch, fc=MODE_COLOURS[MODES[i]], ec="none", **look))


def ribbon(start: Sequence[float], end: Sequence[float], width: float) -> Path:
    """A band of constant height `width` from the lower left point `start` to the lower right `end`: two cubic Béziers."""
    (x0, y0), (x1, y1) = start, end
    middle = (x0 + x1) / 2
    lower = [(x0, y0), (middle, y0), (middle, y1), (x1, y1)]
    upper = [(x1, y1 + width), (middle, y1 + width), (middle, y0 + width), (x0, y0 + width)]
    codes = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
    return Path([*lower, *upper, (x0, y0)], codes)


def transition_figure(counts: np.ndarray, *, before: str, after: str) -> Figure:
    """Counts (5, 5) of networks from each mode (row) to each (column), with the row's shares."""
    present = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    counts = counts[np.ix_(present, present)]
    names = [f"mode {MODES[i]}" for i in present]
    with drawing(1.15 * len(names) + 2.2, 0.95 * len(names) + 1.6) as figure:
        ax = figure.subplots()
        rows = [f"{name}\nn = {n:,}" for name, n in zip(names, counts.sum(axis=1), strict=True)]
        count_cells(ax, counts, rows, names, shares=True)
        ax.set(xlabel=after, ylabel=before)
        same = np.trace(counts) / max(counts.sum(), 1)
        ax.set_title(f"Networks and shares of the row; {same:.1%} of {counts.sum():,} stay")
    return figure
