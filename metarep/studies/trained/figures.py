"""The figures of trained networks' parts: selectivity beside random groups, and what ablated clusters cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Drawing

from metarep.report.style import MUTED, PALETTE, use_style
from metarep.studies.drawing import legend_outside, marks
from metarep.studies.study import Figure
from metarep.studies.trained.text import TITLES

Row = Mapping[str, Any]

LEAST = 1e-8
"""Rises of the error below this are drawn at the edge of the logarithmic axis."""


def figures(rows: Sequence[Row], clusters: Sequence[Row]) -> dict[str, Figure]:
    """The figures of the page."""
    return {
        "selectivity": Figure(
            selectivity_figure(rows),
            "4-16-2 networks of two products. Groups of hidden units give their means: how far the rise of the error is "
            "that of one output and not of the other. 95 % bootstrap intervals over networks; grey, random groups of the "
            "same sizes.",
            "Dots with intervals by grouping, beside those of random groups",
        ),
        "clusters": Figure(
            clusters_figure(clusters),
            "2-16-1 networks. Units clustered by what the model predicts of them; the rise of the error where a cluster's "
            "units give their means, beside as many random units of the same network.",
            "Dots with intervals by cluster on a logarithmic axis",
        ),
    }


def selectivity_figure(rows: Sequence[Row]) -> Drawing:
    """A line for each grouping: its groups, and random ones of the same sizes."""
    own = [row for row in rows if row["selectivity"] is not None]
    with use_style():
        figure = Drawing(figsize=(8.4, 0.5 * len(own) + 1.5), layout="constrained")
        ax = figure.subplots()
        at = np.arange(len(own))
        grouped = [number for number, row in enumerate(own) if row["grouping"] != "alone"]
        marks(ax, at, own, "selectivity", across=True, label="groups found", color=PALETTE[0])
        marks(ax, at[grouped], [own[i] for i in grouped], "random", across=True, label="random groups", color=MUTED, fmt="s")
        ax.set_yticks(at, [f"{TITLES[row['method']]}, {row['grouping']}" for row in own])
        ax.set(xlim=(-0.02, 1.02), xlabel="selectivity: 1 where each group matters for one output alone")
        ax.invert_yaxis()
        legend_outside(figure, ax)
    return figure


def clusters_figure(rows: Sequence[Row]) -> Drawing:
    """A panel for each method: the rise of the error by cluster, beside random units, as many."""
    methods = list(dict.fromkeys(row["method"] for row in rows))
    with use_style():
        figure = Drawing(figsize=(5.2 * len(methods), 4.2), layout="constrained")
        axes = figure.subplots(1, len(methods), sharex=True, squeeze=False)[0]
        for ax, method in zip(axes, methods, strict=True):
            own = [row for row in rows if row["method"] == method and row["rise"] is not None]
            at = np.arange(len(own))
            marks(ax, at - 0.1, own, "rise", across=True, floor=LEAST, label="the cluster", color=PALETTE[0])
            marks(ax, at + 0.1, own, "random", across=True, floor=LEAST, label="as many random units", color=MUTED, fmt="s")
            names = [f"{row['cluster']}: {row['units']:.1f} units,\noff on {row['off']:.0%}" for row in own]
            ax.set_yticks(at, names)
            ax.set(title=TITLES[method][0].upper() + TITLES[method][1:], xscale="log", xlabel="rise of the error, ablated")
            ax.set_ylim(len(own) - 0.5, -0.5)
        legend_outside(figure, axes[0])
    return figure
