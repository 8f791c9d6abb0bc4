"""The figures of planted blocks: found by noise, the controls, and one network as two matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from metarep.report.style import DIVERGING, INK, MUTED, PALETTE, use_style
from metarep.studies.beyond.planted_words import TITLES, picked
from metarep.studies.beyond.planting import CLOZE, CONNECTIVITY, METHODS, RANDOM, UNTRAINED

Row = Mapping[str, Any]

LOOKS = {
    CLOZE: {"color": PALETTE[0], "marker": "o"},
    CONNECTIVITY: {"color": PALETTE[1], "marker": "s"},
    UNTRAINED: {"color": PALETTE[2], "marker": "^"},
    RANDOM: {"color": MUTED, "marker": "x"},
}
SHIFT = 0.09
"""So far apart stand the marks of two methods at one noise."""

CONTROLS = (
    ("shared", "zoo", "One wiring for all blocks"),
    ("apart", "strangers", "Units of different networks"),
    ("apart", "initial", "Networks at initialisation"),
)


def found_figure(rows: Sequence[Row]) -> Figure:
    """Share of blocks found, and named, over noise: a column for each number of blocks, a line for each method."""
    ks = sorted({row["k"] for row in rows})
    sigmas = sorted({row["sigma"] for row in rows})
    with use_style():
        figure = Figure(figsize=(3.4 * len(ks) + 1.2, 5.6), layout="constrained")
        axes = figure.subplots(2, len(ks), sharex=True, sharey=True, squeeze=False)
        for column, k in enumerate(ks):
            for ax, name in zip(axes[:, column], ("found", "named"), strict=True):
                for number, method in enumerate(METHODS):
                    own = [row for row in rows if (row["k"], row["method"]) == (k, method)]
                    at = np.array([sigmas.index(row["sigma"]) for row in own]) + SHIFT * (number - 1.5)
                    intervals(ax, at, own, name, method)
                ax.set(ylim=(-0.03, 1.03))
                ax.set_xticks(range(len(sigmas)), [f"{sigma:g}" for sigma in sigmas])
            axes[0, column].set_title(f"{k} blocks")
            axes[1, column].set_xlabel("noise between blocks")
        axes[0, 0].set_ylabel("found")
        axes[1, 0].set_ylabel("found and named rightly")
        legend(figure, axes[0, 0])
    return figure


def intervals(ax: Axes, at: np.ndarray, own: Sequence[Row], name: str, method: str) -> None:
    """A method's line with its intervals."""
    value, low, high = (np.array([row[key] for row in own], dtype=float) for key in (name, f"{name}_low", f"{name}_high"))
    spread = np.maximum([value - low, high - value], 0)
    ax.errorbar(at, value, yerr=spread, label=TITLES[method], markersize=5, elinewidth=1.2, linewidth=1.3, **LOOKS[method])


def legend(figure: Figure, ax: Axes) -> None:
    """One legend above all panels."""
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=len(handles))


def controls_figure(rows: Sequence[Row]) -> Figure:
    """The shared wiring, and the two controls: share of blocks taken for sections, by number of blocks and method."""
    with use_style():
        figure = Figure(figsize=(11, 3.4), layout="constrained")
        axes = figure.subplots(1, len(CONTROLS), sharey=True)
        for ax, (wiring, kind, title) in zip(axes, CONTROLS, strict=True):
            some = picked(rows, wiring, kind)
            ks = sorted({row["k"] for row in some})
            for number, method in enumerate(METHODS):
                own = [row for row in some if row["method"] == method]
                at = np.array([ks.index(row["k"]) for row in own]) + 1.5 * SHIFT * (number - 1.5)
                intervals(ax, at, own, "found", method)
            ax.set_xticks(range(len(ks)), ks)
            ax.set(xlabel="blocks", ylim=(-0.03, 1.03), title=title)
        axes[0].set_ylabel("taken for sections")
        legend(figure, axes[0])
    return figure


def matrices_figure(wired: np.ndarray, believed: np.ndarray) -> Figure:
    """Likeness of wiring and the model's affinity (H, H), units in the order of their blocks of two."""
    with use_style():
        figure = Figure(figsize=(9.4, 4.3), layout="constrained")
        for ax, matrix, title, label in zip(
            figure.subplots(1, 2),
            (wired, believed),
            ("Wiring alone", "The model"),
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
