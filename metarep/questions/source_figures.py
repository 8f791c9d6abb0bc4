"""The figures of question 2: the matrix, and one source's row with its baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metarep.config import SourceName
from metarep.questions.cells import METRICS
from metarep.questions.source_words import METRIC_TITLES, picked
from metarep.questions.source_zoos import RANDOM, SOURCES
from metarep.report.style import INK, MUTED, PALETTE, SEQUENTIAL, use_style
from metarep.report.wording import num

Row = Mapping[str, Any]

AXES_TITLES = {
    "masked_r2": "masked R², each parameter hidden in turn",
    "unit_probe": "unit probe: balanced accuracy of off / bent / on",
    "clusters_ari": "clusters: ARI with the composition of unit states",
}
FLOOR = -0.25
"""The dot plot of masked R² begins here; what lies below stands at the edge."""


def names_of(rows: Sequence[Row]) -> list[SourceName]:
    """The zoos, in the order of SOURCES."""
    there = {row["target"] for row in rows}
    return [name for name in SOURCES if name in there]


def matrix_figure(rows: Sequence[Row]) -> Figure:
    """Sources by targets, a panel a metric, the figure of each cell written into it."""
    names = names_of(rows)
    side = 0.47 * len(names)
    with use_style():
        figure = Figure(figsize=(side + 2.4, 3 * (side + 1.35)), layout="constrained")
        for ax, metric in zip(figure.subplots(3, 1), METRICS, strict=True):
            image = draw_matrix(ax, names, picked(rows, "cloze", metric))
            ax.set_title(AXES_TITLES[metric])
            figure.colorbar(image, ax=ax, shrink=0.6, extend="min" if metric == "masked_r2" else "neither")
    return figure


def draw_matrix(ax: Axes, names: list[SourceName], cells: Mapping[tuple[SourceName, SourceName], Row]):
    """One panel; returns its image. Empty cells are figures that are not defined."""
    values = np.array([[cells[a, b]["value"] if (a, b) in cells else np.nan for b in names] for a in names])
    image = ax.imshow(np.clip(values, 0, 1), vmin=0, vmax=1, cmap=SEQUENTIAL)
    for (i, j), value in np.ndenumerate(values):
        if np.isnan(value):
            ax.text(j, i, "–", ha="center", va="center", color=MUTED, fontsize=7.5)
            continue
        text = num(value) if value > -9.95 else "< −10"
        slant, colour = ("italic" if value < 0 else "normal"), ("white" if value < 0.6 else INK)
        weight = "bold" if i == j else "normal"
        ax.text(j, i, text, ha="center", va="center", color=colour, fontsize=7.5, style=slant, weight=weight)
    titles = [SOURCES[name].title for name in names]
    ax.set_xticks(range(len(names)), titles, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(names)), titles)
    ax.set(xlabel="target", ylabel="source")
    ax.tick_params(length=0)
    for at, (one, other) in enumerate(pairwise(names)):
        if SOURCES[one].group != SOURCES[other].group:
            line = {"color": INK, "linewidth": 3.0} if other == RANDOM else {"color": "white", "linewidth": 1.6}
            ax.axhline(at + 0.5, **line)
            ax.axvline(at + 0.5, **line)
    return image


def targets_figure(rows: Sequence[Row], source: SourceName) -> Figure:
    """What is carried over from one source, by target: the model, the target's own model, raw parameters, and chance."""
    names = names_of(rows)
    with use_style():
        figure = Figure(figsize=(11, 0.42 * len(names) + 1.7), layout="constrained")
        axes = figure.subplots(1, 3, sharey=True)
        for ax, metric in zip(axes, METRICS, strict=True):
            draw_targets(ax, names, rows, source, metric)
        axes[0].set_yticks(range(len(names)), [SOURCES[name].title for name in names])
        axes[0].invert_yaxis()
        handles = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=len(handles))
    return figure


def draw_targets(ax: Axes, names: list[SourceName], rows: Sequence[Row], source: SourceName, metric: str) -> None:
    """One panel: three dots with intervals a target, and a tick at what chance reaches."""
    ours = picked(rows, "cloze", metric)
    baseline = "linear_gaussian" if metric == "masked_r2" else "raw"
    series = (
        (
            f"{SOURCES[source].title} model, carried over",
            PALETTE[0],
            "o",
            -0.2,
            {b: r for (a, b), r in ours.items() if a == source},
        ),
        ("target's own model", PALETTE[1], "D", 0.0, {b: r for (a, b), r in ours.items() if a == b}),
        (
            "linear-Gaussian, carried over" if metric == "masked_r2" else "raw parameters, carried over",
            PALETTE[2] if metric != "masked_r2" else PALETTE[3],
            "s" if metric != "masked_r2" else "^",
            0.2,
            {b: r for (a, b), r in picked(rows, baseline, metric).items() if a == source},
        ),
    )
    floor = FLOOR if metric == "masked_r2" else -0.05
    for label, colour, marker, shift, found in series:
        at = [names.index(name) + shift for name in found]
        value, low, high = (np.array([row[key] for row in found.values()]) for key in ("value", "low", "high"))
        shown = np.maximum(value, floor)
        spread = np.maximum([shown - np.maximum(low, floor), np.maximum(high, floor) - shown], 0)
        style = {"color": colour, "marker": marker, "linestyle": "none", "markersize": 5, "elinewidth": 1.3}
        ax.errorbar(shown, at, xerr=spread, label=label, **style)
        for where, true in zip(at, value, strict=True):
            if true < floor:
                ax.annotate(f"◂ {num(true, 1)}", (floor, where), (6, 0), textcoords="offset points", va="center", fontsize=7)
    if metric != "masked_r2":
        nulls = {b: row["null"] for (a, b), row in ours.items() if a == source}
        ax.plot(
            list(nulls.values()), [names.index(name) for name in nulls], "|", color=MUTED, markersize=12, label="chance (p95)"
        )
    else:
        ax.axvline(0, color=MUTED, linewidth=0.8)
    if RANDOM in names and len(names) > 1:
        ax.axhline(names.index(RANDOM) - 0.5, color=INK, linewidth=1.5)
    ax.set(xlim=(floor - 0.03, 1.03), title=METRIC_TITLES[metric])
    ax.grid(axis="y", color="#EEEEEE")
    ax.set_axisbelow(True)
