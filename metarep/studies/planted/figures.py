"""The figures of planted blocks: found by noise, the controls, and one network as two matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.patches import Rectangle

from metarep.report.style import DIVERGING, INK, MUTED, PALETTE, use_style
from metarep.studies.drawing import legend_outside, marks
from metarep.studies.planted.planting import CLOZE, CONNECTIVITY, METHODS, RANDOM, UNTRAINED, Setting
from metarep.studies.planted.text import TITLES, picked
from metarep.studies.study import Figure

Row = Mapping[str, Any]

LOOKS = {
    CLOZE: {"color": PALETTE[0], "marker": "o"},
    CONNECTIVITY: {"color": PALETTE[1], "marker": "s"},
    UNTRAINED: {"color": PALETTE[2], "marker": "^"},
    RANDOM: {"color": MUTED, "marker": "x"},
}
SHIFT = 0.09
"""So far apart are the marks of two methods at one noise."""

CONTROLS = (
    ("shared", "zoo", "The same connections for all blocks"),
    ("apart", "strangers", "Units of different networks"),
    ("apart", "initial", "Networks at initialisation"),
)


def figures(rows: Sequence[Row], matrices: tuple[np.ndarray, np.ndarray], example: Setting) -> dict[str, Figure]:
    """The figures of the page."""
    return {
        "found": Figure(
            found_figure(picked(rows)),
            "Planted blocks that are found as sections (above), and found and given their right mode (below), by the noise "
            "on the weights between blocks as a share of those within. 95 % bootstrap intervals over networks.",
            "Lines by method over noise, a column for each number of blocks",
        ),
        "controls": Figure(
            controls_figure(rows),
            "No noise. Left: all blocks read the same two inputs and feed one output, so connections tell nothing. Middle and "
            "right: connected as blocks, but their two units come from different networks, or from no trained one; these "
            "should not be taken for sections.",
            "Dots with intervals by number of blocks and method in three panels",
        ),
        "matrices": Figure(
            matrices_figure(*matrices),
            f"One network of {example.k} blocks with noise of {example.sigma:g} between them, units in the order of their "
            "blocks (squares). Left: how alike units are connected; right: what the model says of every two.",
            "Two matrices of units by units with the planted blocks framed",
        ),
    }


def found_figure(rows: Sequence[Row]) -> Drawing:
    """Share of blocks found, and named, over noise: a column for each number of blocks, a line for each method."""
    ks = sorted({row["k"] for row in rows})
    sigmas = sorted({row["sigma"] for row in rows})
    with use_style():
        figure = Drawing(figsize=(3.4 * len(ks) + 1.2, 5.6), layout="constrained")
        axes = figure.subplots(2, len(ks), sharex=True, sharey=True, squeeze=False)
        for column, k in enumerate(ks):
            for ax, name in zip(axes[:, column], ("found", "named"), strict=True):
                for number, method in enumerate(METHODS):
                    own = [row for row in rows if (row["k"], row["method"]) == (k, method)]
                    at = np.array([sigmas.index(row["sigma"]) for row in own]) + SHIFT * (number - 1.5)
                    lines(ax, at, own, name, method)
                ax.set(ylim=(-0.03, 1.03))
                ax.set_xticks(range(len(sigmas)), [f"{sigma:g}" for sigma in sigmas])
            axes[0, column].set_title(f"{k} blocks")
            axes[1, column].set_xlabel("noise between blocks")
        axes[0, 0].set_ylabel("found")
        axes[1, 0].set_ylabel("found and named rightly")
        legend_outside(figure, axes[0, 0])
    return figure


def lines(ax: Axes, at: np.ndarray, own: Sequence[Row], name: str, method: str) -> None:
    """A method's line with its intervals."""
    marks(ax, at, own, name, fmt="-", lw=1.3, ms=5, elinewidth=1.2, label=TITLES[method], **LOOKS[method])


def controls_figure(rows: Sequence[Row]) -> Drawing:
    """Shared inputs and outputs, and the two controls: share of blocks taken for sections, by number of blocks and method."""
    with use_style():
        figure = Drawing(figsize=(11, 3.4), layout="constrained")
        axes = figure.subplots(1, len(CONTROLS), sharey=True)
        for ax, (connections, kind, title) in zip(axes, CONTROLS, strict=True):
            some = picked(rows, connections, kind)
            ks = sorted({row["k"] for row in some})
            for number, method in enumerate(METHODS):
                own = [row for row in some if row["method"] == method]
                at = np.array([ks.index(row["k"]) for row in own]) + 1.5 * SHIFT * (number - 1.5)
                lines(ax, at, own, "found", method)
            ax.set_xticks(range(len(ks)), ks)
            ax.set(xlabel="blocks", ylim=(-0.03, 1.03), title=title)
        axes[0].set_ylabel("taken for sections")
        legend_outside(figure, axes[0])
    return figure


def matrices_figure(connected: np.ndarray, evidence: np.ndarray) -> Drawing:
    """Likeness of connections and the model's affinity (H, H), units in the order of their blocks of two."""
    with use_style():
        figure = Drawing(figsize=(9.4, 4.3), layout="constrained")
        for ax, matrix, title, label in zip(
            figure.subplots(1, 2),
            (connected, evidence),
            ("Connectivity alone", "The model"),
            ("likeness beyond chance", "evidence for one network (nats)"),
            strict=True,
        ):
            finite = np.where(np.isfinite(matrix), matrix, np.nan)
            np.fill_diagonal(finite, np.nan)
            most = np.nanmax(finite) if np.nanmax(finite) > 0 else 1.0
            image = ax.imshow(np.clip(finite, -most, most), vmin=-most, vmax=most, cmap=DIVERGING)
            for first in range(0, len(matrix), 2):
                ax.add_patch(Rectangle((first - 0.5, first - 0.5), 2, 2, fill=False, edgecolor=INK, linewidth=1.6))
            ax.set(title=title, xticks=[], yticks=[], xlabel="hidden units")
            figure.colorbar(image, ax=ax, label=label, shrink=0.85, extend="min")
    return figure
