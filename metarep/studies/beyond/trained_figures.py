"""The figures of trained networks' parts: selectivity beside random groups, and what silent clusters cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metarep.report.style import MUTED, PALETTE, use_style
from metarep.studies.beyond.trained_words import TITLES

Row = Mapping[str, Any]

LEAST = 1e-8
"""Rises of the error below this stand at the edge of the logarithmic axis."""


def selectivity_figure(rows: Sequence[Row]) -> Figure:
    """A line for each grouping: its groups, and random ones of the same sizes."""
    own = [row for row in rows if row["selectivity"] is not None]
    with use_style():
        figure = Figure(figsize=(8.4, 0.5 * len(own) + 1.5), layout="constrained")
        ax = figure.subplots()
        at = np.arange(len(own))
        grouped = [number for number, row in enumerate(own) if row["grouping"] != "alone"]
        marks(ax, own, at, "selectivity", "groups found", PALETTE[0], "o")
        marks(ax, [own[number] for number in grouped], at[grouped], "random", "random groups", MUTED, "s")
        ax.set_yticks(at, [f"{TITLES[row['method']]}, {row['grouping']}" for row in own])
        ax.set(xlim=(-0.02, 1.02), xlabel="selectivity: 1 where each group matters for one output alone")
        ax.invert_yaxis()
        figure.legend(*ax.get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return figure


def marks(ax: Axes, own: Sequence[Row], at: np.ndarray, name: str, label: str, colour: str, marker: str) -> None:
    """Dots with intervals along x."""
    value, low, high = (np.array([row[key] for row in own], dtype=float) for key in (name, f"{name}_low", f"{name}_high"))
    spread = np.maximum([value - low, high - value], 0)
    ax.errorbar(value, at, xerr=spread, label=label, color=colour, marker=marker, linestyle="none", markersize=6)


def clusters_figure(rows: Sequence[Row]) -> Figure:
    """A panel for each method: the rise of the error by cluster, beside random units, as many."""
    methods = list(dict.fromkeys(row["method"] for row in rows))
    with use_style():
        figure = Figure(figsize=(5.2 * len(methods), 4.2), layout="constrained")
        axes = figure.subplots(1, len(methods), sharex=True, squeeze=False)[0]
        for ax, method in zip(axes, methods, strict=True):
            own = [row for row in rows if row["method"] == method and row["rise"] is not None]
            at = np.arange(len(own))
            clipped = [{key: max(v, LEAST) if isinstance(v, float) else v for key, v in row.items()} for row in own]
            marks(ax, clipped, at - 0.1, "rise", "the cluster", PALETTE[0], "o")
            marks(ax, clipped, at + 0.1, "random", "as many random units", MUTED, "s")
            names = [f"{row['cluster']}: {row['units']:.1f} units,\noff on {row['off']:.0%}" for row in own]
            ax.set_yticks(at, names)
            ax.set(title=TITLES[method][0].upper() + TITLES[method][1:], xscale="log", xlabel="rise of the error, silenced")
            ax.set_ylim(len(own) - 0.5, -0.5)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return figure
