"""The figures of question 2: the matrix, and one source's row with its controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D

from metarep.report.style import FAINT, INK, MUTED, PALETTE, amounts_map, drawing, use_style
from metarep.report.wording import num
from metarep.studies.settings import SourceName
from metarep.studies.sources.cells import METRICS
from metarep.studies.sources.text import picked
from metarep.studies.sources.zoos import RANDOM, SOURCES
from metarep.studies.study import Figure

Row = Mapping[str, Any]

TITLES = {
    "masked_r2": "Masked parameters predicted: masked R²",
    "unit_probe": "What units do: probe, balanced accuracy",
    "clusters_ari": "Clusters of networks: ARI",
}
LIMITS = {"masked_r2": (-0.3, 1.0), "unit_probe": (0.25, 1.0), "clusters_ari": (-0.1, 1.0)}
"""What the dot plot shows; what lies below is drawn at the edge, with its value."""

BELOW = "#F4D3BF"
"""Of cells of the matrix that are negative."""

GROUP_GAP = 0.55
"""Between groups of targets in the dot plot, in rows."""


class Look(NamedTuple):
    """What is drawn of each target alike: what it is called, its colour and marker, and how far off the row's middle."""

    label: str
    colour: str
    marker: str
    shift: float


def figures(rows: Sequence[Row], source: SourceName) -> dict[str, Figure]:
    """The figures of the page."""
    return {
        "matrix": Figure(
            matrix_figure(rows),
            "What is fitted on the training networks of a source (rows), measured on the test networks of a target "
            "(columns), in hundredths. On the diagonal, framed, a model meets new networks of its own zoo. Orange cells "
            "with a minus lie below 0; empty ones are not defined, since networks or units of the target are all alike. "
            "Units are judged on the unit square, whatever inputs their networks were trained on.",
            "Three heat maps of sources by targets: masked R², unit probe, clusters",
        ),
        "targets": Figure(
            targets_figure(rows, source),
            f"Carried over from {SOURCES[source].title} networks: the model, the same probes on an untrained model of its "
            "shape, and what needs no model (raw parameters; for masked R² the linear-Gaussian imputer, which reads one "
            "architecture only and has no value on others); beside them the target's own model. 95 % bootstrap intervals "
            "over networks. Ticks: the 95th percentile of permutations; for masked R², which an untrained model has no "
            "share in, the means of the source's networks. Arrows lie beyond the edge.",
            "Dots with intervals by target for three metrics",
        ),
    }


def names_of(rows: Sequence[Row]) -> list[SourceName]:
    """The zoos, in the order of SOURCES."""
    there = {row["target"] for row in rows}
    return [name for name in SOURCES if name in there]


def group_ends(names: Sequence[SourceName]) -> list[int]:
    """Behind which of the names another group begins."""
    return [i for i, (one, other) in enumerate(pairwise(names)) if SOURCES[one].group != SOURCES[other].group]


def matrix_figure(rows: Sequence[Row]) -> Drawing:
    """Sources by targets, a panel a metric side by side, each cell's figure written into it in hundredths."""
    names = names_of(rows)
    titles = [SOURCES[name].title for name in names]
    with use_style():
        figure = Drawing(figsize=(12.6, 5.0), layout="compressed")
        axes = figure.subplots(1, 3, sharey=True)
        for ax, metric in zip(axes, METRICS, strict=True):
            image = draw_matrix(ax, names, picked(rows, "cloze", metric))
            ax.set_title(TITLES[metric], fontsize=10)
            ax.set_xticks(range(len(names)), titles, rotation=90, fontsize=8)
            ax.set_xlabel("measured on", fontsize=9)
        axes[0].set_yticks(range(len(names)), titles, fontsize=8)
        axes[0].set_ylabel("fitted on", fontsize=9)
        bar = figure.colorbar(image, ax=axes, shrink=0.75, aspect=28, pad=0.012, extend="min", extendfrac=0.06)
        bar.outline.set_visible(False)
        bar.set_label("in cells: hundredths; orange: below 0", fontsize=8.5)
        bar.ax.tick_params(length=0, labelsize=8)
    return figure


def draw_matrix(ax: Axes, names: list[SourceName], cells: Mapping[tuple[SourceName, SourceName], Row]):
    """One panel; returns its image. Cells of metrics that are not defined are empty, negative ones orange with a minus."""
    values = np.array([[cells[a, b]["value"] if (a, b) in cells else np.nan for b in names] for a in names], float)
    values[np.abs(values) < 0.005] = 0.0  # what rounds to 0 is not below it
    image = ax.imshow(values, vmin=0, vmax=1, cmap=amounts_map(below=BELOW), interpolation="nearest")
    size = min(8.0, 145 / len(names))
    for (i, j), value in np.ndenumerate(values):
        if np.isnan(value):
            continue
        text, colour = f"{100 * value:.0f}", "white" if value > 0.5 else INK
        if value < 0:
            text, colour = "−", PALETTE[1]
        small = 0.82 if len(text) > 2 else 1.0
        ax.text(j, i, text, ha="center", va="center_baseline", color=colour, fontsize=small * size)
    for i in range(len(names)):
        ax.plot(i + np.array([-1, 1, 1, -1, -1]) / 2, i + np.array([-1, -1, 1, 1, -1]) / 2, color=INK, lw=0.7, zorder=4)
    for at in group_ends(names):
        line = {"color": INK, "lw": 1.3} if names[at + 1] == RANDOM else {"color": "white", "lw": 1.6}
        ax.axhline(at + 0.5, **line)
        ax.axvline(at + 0.5, **line)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0, pad=2, labelcolor=INK)
    return image


def targets_figure(rows: Sequence[Row], source: SourceName) -> Drawing:
    """What is carried over from one source, by target: the model, the target's own model, controls, and what chance reaches."""
    names = names_of(rows)
    at = places(names)
    with drawing(12, 0.315 * (max(at.values()) + 1) + 1.0) as figure:
        axes = figure.subplots(1, 3, sharey=True)
        looks: dict[str, Look] = {}
        for ax, metric in zip(axes, METRICS, strict=True):
            for series, found in series_of(rows, source, metric):
                looks[series.label] = series
                draw_series(ax, at, series, found, metric)
            draw_chance(ax, at, rows, source, metric)
            frame_targets(ax, names, at, metric)
        axes[0].set_yticks(list(at.values()), [SOURCES[name].title for name in names])
        axes[0].set_ylim(max(at.values()) + 0.7, -0.7)
        keys = [
            Line2D([], [], color=s.colour, marker=s.marker, ls="", ms=7, mec="white", label=s.label) for s in looks.values()
        ]
        keys.append(Line2D([], [], color=MUTED, marker="|", ls="", ms=10, mew=1.6, label="chance"))
        figure.legend(handles=keys, ncols=len(keys), loc="outside upper left", columnspacing=1.4, handletextpad=0.3)
    return figure


def places(names: Sequence[SourceName]) -> dict[SourceName, float]:
    """Where each target's row is, from the top, with gaps between groups."""
    ends = group_ends(names)
    return {name: i + GROUP_GAP * sum(end < i for end in ends) for i, name in enumerate(names)}


def series_of(rows: Sequence[Row], source: SourceName, metric: str) -> list[tuple[Look, dict[SourceName, Row]]]:
    """What one panel draws: each series with its rows by target."""
    from_source = lambda name: {b: row for (a, b), row in picked(rows, name, metric).items() if a == source}  # noqa: E731
    own = {b: row for (a, b), row in picked(rows, "cloze", metric).items() if a == b}
    model = Look(f"{SOURCES[source].title} model, carried over", PALETTE[0], "o", -0.3)
    found = [(model, from_source("cloze")), (Look("target's own model", PALETTE[1], "D", -0.1), own)]
    found.append((Look("untrained model", PALETTE[4], "s", 0.1), from_source("untrained")))
    baseline = "linear_gaussian" if metric == "masked_r2" else "raw"
    found.append((Look("linear-Gaussian / raw parameters, carried over", PALETTE[2], "^", 0.3), from_source(baseline)))
    return found


def draw_series(ax: Axes, at: Mapping[SourceName, float], series: Look, found: Mapping[SourceName, Row], metric: str) -> None:
    """Dots with intervals; an arrow and the value at the edge for what lies below it."""
    floor = LIMITS[metric][0]
    for name, row in found.items():
        y = at[name] + series.shift
        if row["value"] < floor:
            ax.plot(floor, y, "<", color=series.colour, ms=4.5, clip_on=False, zorder=4)
            text = {"textcoords": "offset points", "va": "center_baseline", "fontsize": 6.5, "color": series.colour}
            ax.annotate(num(row["value"], 1), (floor, y), (5, 0), **text)
            continue
        ax.plot([max(row["low"], floor), row["high"]], [y, y], color=series.colour, lw=1.7, alpha=0.75, solid_capstyle="butt")
        ax.plot(row["value"], y, series.marker, color=series.colour, ms=5.2, mec="white", mew=0.5, zorder=4)


def draw_chance(ax: Axes, at: Mapping[SourceName, float], rows: Sequence[Row], source: SourceName, metric: str) -> None:
    """A tick a target: what 95 of 100 permutations stay below; for masked R² what the means of the source give."""
    means = metric == "masked_r2"
    for (a, b), row in picked(rows, "source_mean" if means else "cloze", metric).items():
        value = row["value"] if means else row["null"]
        if a == source and value >= LIMITS[metric][0]:
            ax.plot([value, value], [at[b] - 0.36, at[b] + 0.36], color=MUTED, lw=1.4, zorder=2)


def frame_targets(ax: Axes, names: list[SourceName], at: Mapping[SourceName, float], metric: str) -> None:
    """Title, limits, a pale line between targets and a darker one between groups."""
    ends = group_ends(names)
    for i, (one, other) in enumerate(pairwise(names)):
        line = {"color": MUTED, "lw": 0.8} if i in ends else {"color": FAINT, "lw": 0.6}
        ax.axhline((at[one] + at[other]) / 2, zorder=0, **line)
    if metric != "unit_probe":
        ax.axvline(0, color=MUTED, lw=0.8, zorder=1)
    low, high = LIMITS[metric]
    ax.set_xlim(low - 0.02 * (high - low), high + 0.03 * (high - low))
    ax.set_title(TITLES[metric], fontsize=10)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0, labelcolor=INK)
