"""The flow of networks between modes over training: stacked shares at some steps, joined by ribbons."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

from metarep.domains.multiplier.figures.mode_looks import MODE_COLOURS
from metarep.domains.multiplier.modes import MODES
from metarep.report.style import INK, MUTED, drawing

BAR = 0.12
"""Half the width of a bar, where two bars stand 1 apart."""

GAP = 0.018
"""Between the modes of a bar, in shares of all networks."""

SMALLEST_LABEL = 0.012


def flow_columns(step: np.ndarray, n_bars: int = 7) -> np.ndarray:
    """The initialisation and n_bars − 1 columns of `step` (T,) that are about evenly spaced in the step's logarithm.

    The first of them lies at 1/128 of the training: hardly any network changes its mode before.
    """
    wanted = np.geomspace(max(step[-1] / 128, 1), step[-1], n_bars - 1)
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
            _bar(ax, i, bar)
        _edge_labels(ax, 0, bars[0], "right", -BAR - 0.06)
        _edge_labels(ax, len(bars) - 1, bars[-1], "left", len(bars) - 1 + BAR + 0.06)
        labels = ["0\n(initialisation)", *(f"{step[c]:,}" for c in columns[1:])]
        ax.set(xticks=range(len(bars)), xticklabels=labels, yticks=[], xlabel="training step, about evenly spaced in logarithm")
        ax.set(xlim=(-1.02, len(bars) - 1 + 1.02), ylim=(-0.01, 1 + GAP * (len(MODES) - 1) + 0.01))
        ax.tick_params(axis="x", length=0, labelcolor=INK)
        for side in ("left", "bottom"):
            ax.spines[side].set_visible(False)
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


def _bar(ax: Axes, x: float, bar: dict[str, tuple[float, float]]) -> None:
    for name, (bottom, share) in bar.items():
        if share:
            ax.add_patch(Rectangle((x - BAR, bottom), 2 * BAR, share, fc=MODE_COLOURS[name], ec="none", zorder=3))


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
    out_at = {name: bottom for name, (bottom, _) in left.items()}
    in_at = {name: bottom for name, (bottom, _) in right.items()}
    starts, flows = {}, []
    for source in MODES:
        for target in MODES:
            share = float(((before == source) & (after == target)).mean())
            starts[source, target] = out_at[source]
            out_at[source] += share
            if share:
                flows.append((source, target, share))
    ends = {}
    for target in MODES:
        for source in MODES:
            ends[source, target] = in_at[target]
            in_at[target] += sum(s for a, b, s in flows if (a, b) == (source, target))
    for source, target, share in flows:
        patch = ribbon((x + BAR, starts[source, target]), (x + 1 - BAR, ends[source, target]), share)
        stays = source == target
        ax.add_patch(
            PathPatch(patch, fc=MODE_COLOURS[source], ec="none", alpha=0.28 if stays else 0.8, zorder=1 if stays else 2)
        )


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
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    with drawing(1.15 * len(names) + 2.2, 0.95 * len(names) + 1.6) as figure:
        ax = figure.subplots()
        ax.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for (i, j), count in np.ndenumerate(counts):
            colour = "white" if shares[i, j] > 0.55 else INK if count else MUTED
            text = f"{count:,}\n{shares[i, j]:.1%}" if count else "0"
            ax.text(j, i, text, ha="center", va="center", color=colour)
        rows = [f"{name}\nn = {int(n):,}" for name, n in zip(names, totals[:, 0], strict=True)]
        ax.set(xticks=range(len(names)), xticklabels=names, yticks=range(len(names)), yticklabels=rows)
        ax.set(xlabel=after, ylabel=before)
        ax.tick_params(length=0, labelcolor=INK)
        for side in ("left", "bottom"):
            ax.spines[side].set_visible(False)
        same = np.trace(counts) / max(counts.sum(), 1)
        ax.set_title(f"Networks and shares of the row; {same:.1%} of {counts.sum():,} stay")
    return figure
