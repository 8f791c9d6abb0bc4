"""Scores with their intervals as rows of dots, and as lines over a few values: what most figures of reports and studies are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from metarep.report.style import MUTED, PALETTE, drawing, grid, interval_mark, key, null_mark, rows_axis
from metarep.report.wording import Score, num, plain, score_of

MARKERS = "osD^vP*X"
DASHES = (0, (4, 3))
HALO = [withStroke(linewidth=2.5, foreground="white")]

LEAST_SHOWN = -1.0
"""R² below this is drawn at the margin, with its value in words."""

ACCURACY_RANGE, ACCURACY_TICKS = (0.15, 0.998), (0.2, 0.5, 0.8, 0.95, 0.99)
"""Accuracies beyond the range are drawn at its edge."""


@dataclass(frozen=True)
class Series:
    """Scores that are drawn alike, by their row or their place on the axis; dashed is a control."""

    label: str
    scores: Mapping[Any, Score]
    colour: str
    marker: str = "o"
    dashed: bool = False

    @classmethod
    def of(
        cls, label: str, rows: Iterable[Mapping], by: str, *look: str, metric: str = "value", dashed: bool = False
    ) -> Series:
        """A metric of those rows of a table that have it, by their column `by`."""
        return cls(label, {row[by]: score_of(row, metric) for row in rows if row[metric] is not None}, *look, dashed=dashed)


def series_of(rows: Sequence[Mapping], column: str, titles: Mapping[Any, str], by: str, metric: str = "value") -> list[Series]:
    """A series for each value of a column that has a title, in the palette's colours."""
    looks = zip(titles.items(), PALETTE, MARKERS, strict=False)
    return [Series.of(title, [r for r in rows if r[column] == name], by, c, m, metric=metric) for (name, title), c, m in looks]


@dataclass(frozen=True)
class Panel:
    """One metric. What lies below `floor` is an arrow; accuracies are on a logit scale; with `zero` there is a line at 0."""

    title: str
    series: Sequence[Series]
    metric: str = ""
    floor: float = -math.inf
    is_accuracy: bool = False
    zero: bool = False


def dots_figure(
    panels: Sequence[Panel],
    names: Mapping[Any, str] | None = None,
    *,
    width: float = 10.5,
    apart: float = 0.8,
    widest: float = math.inf,
    chance: str = "chance, 95th percentile",
    keys: Sequence[Artist] = (),
    **axis: Any,
) -> Figure:
    """A row for each of `names` {row: title}, or in each panel for those that it has scores of.

    Scores of one row lie over `apart` of its height. A row with an interval wider than `widest` says so and shows nothing else.
    `chance` is what a legend calls the nulls, `keys` are further entries of it.
    """
    rows = [names or {row: row for one in panel.series for row in one.scores} for panel in panels]
    longest, most = max(map(len, rows)), max(len([one for one in panel.series if one.scores]) for panel in panels)
    with drawing(width, 1.5 + longest * max(0.4, 0.16 + 0.1 * most * (apart > 0))) as figure:
        axes = figure.subplots(1, len(panels), sharey=names is not None, squeeze=False)[0]
        for ax, panel, own in zip(axes, panels, rows, strict=True):
            _draw_dots(ax, panel, list(own), apart, widest)
            ax.set(xlabel=panel.metric, **axis)
            ax.set_title(panel.title, fontsize=10)
            if panel.is_accuracy:
                low, high = ACCURACY_RANGE
                ax.set(xscale="logit", xlim=(low * 0.9, 1 - 0.9 * (1 - high)), xticks=ACCURACY_TICKS)
                ax.set_xticklabels([f"{tick:g}" for tick in ACCURACY_TICKS], fontsize=8)
                ax.minorticks_off()
            if names is None:
                rows_axis([ax], list(own.values()), striped=False)
                ax.set_ylim(longest - 0.4, -0.6)
        if names is not None:
            rows_axis(axes, list(names.values()))
        every = [one for panel in panels for one in panel.series]
        has_null = any(not math.isnan(score.null) for one in every for score in one.scores.values())
        _legend(figure, [*keys_of_series(every), *([key(chance, MUTED, "|")] if has_null else []), *keys])
    return figure


def _draw_dots(ax: Axes, panel: Panel, rows: Sequence[Any], apart: float, widest: float) -> None:
    low, high = ACCURACY_RANGE if panel.is_accuracy else (panel.floor, math.inf)
    for y, row in enumerate(rows):
        here = [(one, one.scores[row]) for one in panel.series if row in one.scores]
        if any(score.high - score.low > widest for _, score in here):
            place = {"transform": ax.get_yaxis_transform(), "ha": "center", "va": "center"}
            ax.text(0.5, y, "interval too wide", color=MUTED, fontsize=8, **place)
            here = []
        step, n_below = apart / max(len(here), 3), 0
        for number, (one, score) in enumerate(here):
            at = y + step * (number - (len(here) - 1) / 2)
            value, *ends, null = np.clip(score[:4], low, high)
            if score.value < panel.floor:
                ax.plot(panel.floor, at, "<", color=one.colour, ms=7, zorder=4, clip_on=False)
                place = {"textcoords": "offset points", "va": "center", "fontsize": 8, "color": one.colour, "zorder": 5}
                beside = 8 if apart else 8 + 23 * n_below
                ax.annotate(num(score.value, 1), (panel.floor, at), (beside, 0), path_effects=HALO, **place)
                n_below += 1
            elif not math.isnan(value):
                interval_mark(ax, at, ends, value, one.colour, one.marker)
            if panel.is_accuracy or score.null >= low:
                null_mark(ax, at, null, 0.45 * step if len(here) > 1 and apart else 0.26)
    if panel.zero and not panel.is_accuracy:
        ax.axvline(0, color=MUTED, lw=0.8, zorder=0)


def lines_figure(panels: Mapping[str, tuple[str, Sequence[Series]]], *, across: int = 3, **axis: Any) -> Figure:
    """A panel for each title: what lies along its axis, and series over the values there, evenly spaced."""
    across = min(across, len(panels))
    down = -(-len(panels) // across)
    with drawing(4.0 * across, 3.3 * down + 0.4) as figure:
        axes = figure.subplots(down, across, squeeze=False).ravel()
        for ax, (title, (x, series)) in zip(axes, panels.items(), strict=False):
            _draw_lines(ax, series)
            ax.set(**{"title": title, "xlabel": plain(x)} | axis)
        for ax in axes[len(panels) :]:
            ax.axis("off")
        legends = [keys_of_series(series, line=True) for _, series in panels.values()]
        if len({tuple(one.get_label() for one in keys) for keys in legends}) == 1:
            _legend(figure, legends[0])
        else:
            for ax, keys in zip(axes, legends, strict=False):
                ax.legend(handles=keys, fontsize=8)
    return figure


def _draw_lines(ax: Axes, series: Sequence[Series]) -> None:
    """Each series a little beside the one before; dashed ones without intervals."""
    ticks = list(dict.fromkeys(x for one in series for x in one.scores))
    ticks = ticks if any(isinstance(tick, str) for tick in ticks) else sorted(ticks)
    for number, one in enumerate(series):
        shift = 0.08 * (number - (len(series) - 1) / 2)
        xs = sorted(one.scores, key=ticks.index)
        at, scores = np.array([ticks.index(x) + shift for x in xs]), np.array([one.scores[x][:4] for x in xs]).reshape(-1, 4)
        look = {"ls": DASHES, "lw": 1.2, "alpha": 0.75} if one.dashed else {"marker": one.marker, "ms": 5, "lw": 1.5}
        ax.plot(at, scores[:, 0], color=one.colour, **look)
        if not one.dashed:
            ax.vlines(at, scores[:, 1], scores[:, 2], color=one.colour, lw=2, alpha=0.5)
            ax.plot(at, scores[:, 3], "_", color=MUTED, ms=10, mew=1.6)
    shown = range(0, len(ticks), -(-len(ticks) // 7))
    ax.set_xticks(shown, [ticks[i] if isinstance(ticks[i], str) else f"{ticks[i]:,}" for i in shown])
    grid(ax)


def keys_of_series(series: Iterable[Series], *, line: bool = False) -> list[Line2D]:
    """The legend of those that have a label and scores; those that look alike share an entry."""
    labels: dict[tuple, dict[str, None]] = {}
    for one in series:
        if one.label and one.scores:
            labels.setdefault((one.colour, "" if one.dashed else one.marker), {})[one.label] = None
    look = lambda marker: {"ls": "-" if marker else DASHES, "lw": 1.5} if line else {}  # noqa: E731
    return [key(", ".join(names), colour, marker, **look(marker)) for (colour, marker), names in labels.items()]


def _legend(figure: Figure, keys: Sequence[Artist]) -> None:
    figure.legend(handles=list(keys), loc="outside upper left", ncols=min(5, max(1, len(keys))))
