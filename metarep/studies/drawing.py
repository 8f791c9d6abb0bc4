"""The figures that several studies draw alike: rows of dots, lines over a few values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metarep.report.style import MUTED, PALETTE, drawing, grid, null_mark, rows_axis
from metarep.report.wording import num
from metarep.studies.rows import Rows, ends, values

MARKERS = "osD^vP*X"


@dataclass(frozen=True)
class Series:
    """Rows that are drawn alike: their metric `of` with its interval, and where it is named a `null`; dashed is a control."""

    label: str
    rows: Rows
    colour: str
    marker: str = "o"
    of: str = "value"
    null: str = ""
    dashed: bool = False

    def points(self, at: Mapping[Any, float], by: str) -> list[tuple[float, float, float, float, float | None]]:
        """(place, value, low, high, null) of each row that has a value, and a place by its column `by`."""
        found = []
        for row in (row for row in self.rows if row[self.of] is not None and row[by] in at):
            value, (low, high) = row[self.of], ends(row, self.of)
            span = (value, value) if low is None else (low, high)
            found.append((at[row[by]], value, *span, row[self.null] if self.null else None))
        return found


def series_of(rows: Rows, by: str, titles: Mapping[Any, str], **look: Any) -> list[Series]:
    """A series for each value of a column that has a title, in the palette's colours."""
    looks = zip(titles.items(), PALETTE, MARKERS, strict=False)
    return [Series(title, [r for r in rows if r[by] == name], c, m, **look) for (name, title), c, m in looks]


def dots_figure(
    panels: Mapping[str, Sequence[Series]],
    by: str,
    names: Mapping[Any, str],
    *,
    width: float = 10.5,
    floor: float | Mapping[str, float] = -np.inf,
    chance: str = "chance, 95th percentile",
    **axis: Any,
) -> Figure:
    """A panel for each title, a row for each value of the column `by` that has a name; what lies below `floor` is an arrow."""
    most = max(map(len, panels.values()))
    with drawing(width, 1.3 + max(0.4, 0.16 + 0.1 * most) * len(names)) as figure:
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for ax, (title, series) in zip(axes, panels.items(), strict=True):
            draw_dots(ax, series, by, list(names), floor[title] if isinstance(floor, Mapping) else floor)
            ax.set(title=title, **axis)
            ax.title.set_fontsize(10)
        rows_axis(axes, list(names.values()))
        legend_outside(figure, axes, chance if any(one.null for series in panels.values() for one in series) else "")
    return figure


def draw_dots(ax: Axes, series: Sequence[Series], by: str, names: Sequence[Any], floor: float) -> None:
    """Each series a little below the one before, in the row of its name."""
    step = 0.8 / max(len(series), 2)
    for number, one in enumerate(series):
        shift = step * (number - (len(series) - 1) / 2)
        look = {"color": one.colour, "mec": "white", "mew": 0.6}
        for y, value, low, high, null in one.points({name: at + shift for at, name in enumerate(names)}, by):
            if value < floor:
                ax.plot(floor, y, "<", ms=6, clip_on=False, **look)
                text = {"textcoords": "offset points", "va": "center", "fontsize": 7, "color": one.colour}
                ax.annotate(num(value, 1), (floor, y), (6, 0), **text)
            else:
                ax.plot([max(low, floor), high], [y, y], color=one.colour, lw=2, alpha=0.6, solid_capstyle="butt")
                ax.plot(value, y, one.marker, ms=6, **look)
            if null is not None and null >= floor:
                null_mark(ax, y, null, 0.45 * step)
        ax.plot([], [], one.marker, ms=7, label=one.label, **look)


def lines_figure(panels: Mapping[str, tuple[str, Sequence[Series]]], *, across: int = 3, **axis: Any) -> Figure:
    """A panel for each title: the column x, and series that are drawn over its values, evenly spaced."""
    across = min(across, len(panels))
    down = -(-len(panels) // across)
    with drawing(4.0 * across, 3.3 * down + 0.4) as figure:
        axes = figure.subplots(down, across, squeeze=False).ravel()
        for ax, (title, (x, series)) in zip(axes, panels.items(), strict=False):
            draw_lines(ax, series, x)
            ax.set(**{"title": title, "xlabel": x.replace("_", " ")} | axis)
        for ax in axes[len(panels) :]:
            ax.axis("off")
        if len({tuple(one.label for one in series) for _, series in panels.values()}) == 1:
            legend_outside(figure, axes)
        else:
            for ax in axes[: len(panels)]:
                ax.legend(fontsize=8)
    return figure


def draw_lines(ax: Axes, series: Sequence[Series], x: str) -> None:
    """Each series a little beside the one before; dashed ones without intervals."""
    ticks = values([row for one in series for row in one.rows], x)
    ticks = ticks if any(isinstance(tick, str) for tick in ticks) else sorted(ticks)
    for number, one in enumerate(series):
        shift = 0.08 * (number - (len(series) - 1) / 2)
        points = one.points({tick: at + shift for at, tick in enumerate(ticks)}, x)
        if not points:
            continue
        at, value, low, high, null = (np.array(column) for column in zip(*sorted(points), strict=True))
        look = {"ls": (0, (4, 3)), "lw": 1.2, "alpha": 0.75} if one.dashed else {"marker": one.marker, "ms": 5, "lw": 1.5}
        ax.plot(at, value, color=one.colour, label=one.label, **look)
        if not one.dashed:
            ax.vlines(at, low, high, color=one.colour, lw=2, alpha=0.5)
        if one.null:
            ax.plot(at, null, "_", color=MUTED, ms=10, mew=1.6)
    shown = range(0, len(ticks), -(-len(ticks) // 7))
    ax.set_xticks(shown, [ticks[i] if isinstance(ticks[i], str) else f"{ticks[i]:,}" for i in shown])
    grid(ax)


def legend_outside(figure: Figure, axes: Sequence[Axes], chance: str = "") -> None:
    """One legend in a row above all panels, each label once; `chance` is what grey ticks are called."""
    labels: dict[str, Any] = {}
    for ax in axes:
        labels |= {label: handle for handle, label in zip(*ax.get_legend_handles_labels(), strict=True) if label}
    if chance:
        labels[chance] = axes[0].plot([], [], "|", color=MUTED, ms=10, mew=1.6)[0]
    figure.legend(list(labels.values()), list(labels), loc="outside upper left", ncols=min(5, max(1, len(labels))))
