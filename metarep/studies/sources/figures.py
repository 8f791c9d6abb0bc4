"""The figures of question 2: the matrix, and one source's row with its controls."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from metarep.report.style import INK, PALETTE, amounts_map, colour_bar, use_style
from metarep.studies.drawing import Series, dots_figure, draw_cells
from metarep.studies.rows import Rows, where
from metarep.studies.settings import SourceName
from metarep.studies.sources.text import picked
from metarep.studies.sources.zoos import RANDOM, SOURCES
from metarep.studies.study import Figure

TITLES = {
    "masked_r2": "Masked parameters predicted: masked R²",
    "unit_probe": "What units do: probe, balanced accuracy",
    "clusters_ari": "Clusters of networks: ARI",
}
FLOORS = {"masked_r2": -0.3, "unit_probe": 0.25, "clusters_ari": -0.1}
"""What lies below is drawn at the edge, with its value."""

BELOW = "#F4D3BF"
"""Of cells of the matrix that are negative."""


def figures(rows: Rows, source: SourceName) -> dict[str, Figure]:
    titles = {name: zoo.title for name, zoo in SOURCES.items() if where(rows, target=name)}
    panels = {TITLES[metric]: series_of_source(rows, source, metric) for metric in TITLES}
    floors = {TITLES[metric]: floor for metric, floor in FLOORS.items()}
    return {
        "matrix": Figure(
            matrix_figure(rows, titles),
            "What is fitted on the training networks of a source (rows), measured on the test networks of a target "
            "(columns), in hundredths. On the diagonal, framed, a model meets new networks of its own zoo. Orange cells "
            "with a minus lie below 0; empty ones are not defined, since networks or units of the target are all alike. "
            "Units are judged on the unit square, whatever inputs their networks were trained on.",
        ),
        "targets": Figure(
            dots_figure(panels, "target", titles, width=12, floor=floors, chance="chance"),
            f"Carried over from {SOURCES[source].title} networks: the model, the same probes on an untrained model of its "
            "shape, and what needs no model (raw parameters; for masked R² the linear-Gaussian imputer, which reads one "
            "architecture only and has no value on others); beside them the target's own model. 95 % bootstrap intervals "
            "over networks. Ticks: the 95th percentile of permutations; for masked R² a control of its own is the mean of "
            "the source's networks. Arrows lie beyond the edge.",
        ),
    }


def series_of_source(rows: Rows, source: SourceName, metric: str) -> list[Series]:
    """What one panel draws: the model carried over, the target's own, and controls."""
    own = [row for row in where(rows, metric=metric, representation="cloze") if row["source"] == row["target"]]
    found = [Series("target's own model", own, PALETTE[1], "D")]
    control = ("source_mean", "means of the source", "s") if metric == "masked_r2" else ("untrained", "untrained model", "s")
    baseline = "linear_gaussian" if metric == "masked_r2" else "raw"
    looks = (("cloze", f"{SOURCES[source].title} model, carried over", "o"), control)
    looks += ((baseline, "linear-Gaussian / raw parameters, carried over", "^"),)
    for (name, label, marker), colour in zip(looks, (PALETTE[0], PALETTE[4], PALETTE[2]), strict=True):
        some = where(rows, source=source, metric=metric, representation=name)
        found.append(Series(label, some, colour, marker, null="null" if name == "cloze" else ""))
    return found


def matrix_figure(rows: Rows, titles: dict[SourceName, str]) -> Drawing:
    """Sources by targets, a panel a metric side by side, each cell's value written into it in hundredths."""
    names, labels = list(titles), list(titles.values())
    with use_style():
        figure = Drawing(figsize=(12.6, 5.0), layout="compressed")
        axes = figure.subplots(1, 3, sharey=True)
        for ax, (metric, title) in zip(axes, TITLES.items(), strict=True):
            cells = picked(rows, "cloze", metric)
            values = np.array([[cells[a, b]["value"] if (a, b) in cells else np.nan for b in names] for a in names], float)
            values[np.abs(values) < 0.005] = 0.0  # what rounds to 0 is not below it
            look = {"vmin": 0, "vmax": 1, "cmap": amounts_map(below=BELOW)}
            image = draw_cells(ax, values, labels, labels, lambda value: f"{100 * value:.0f}" if value >= 0 else "−", **look)
            frame(ax, names)
            ax.set_title(title, fontsize=10)
            ax.tick_params(axis="x", rotation=90)
            ax.set_xlabel("measured on")
        axes[0].set_ylabel("fitted on")
        bar = {"ax": axes, "shrink": 0.75, "aspect": 28, "pad": 0.012, "extend": "min"}
        colour_bar(figure, image, "in cells: hundredths; orange: below 0", **bar)
    return figure


def frame(ax: Axes, names: list[SourceName]) -> None:
    """A frame about each cell of the diagonal, a white line between groups and a dark one before the control."""
    for i in range(len(names)):
        ax.plot(i + np.array([-1, 1, 1, -1, -1]) / 2, i + np.array([-1, -1, 1, 1, -1]) / 2, color=INK, lw=0.7)
    for at, (one, other) in enumerate(pairwise(names)):
        if SOURCES[one].group != SOURCES[other].group:
            line = {"color": INK, "lw": 1.3} if other == RANDOM else {"color": "white", "lw": 1.6}
            ax.axhline(at + 0.5, **line)
            ax.axvline(at + 0.5, **line)
