"""The report's maps: networks as points, clusters against labels, networks as small figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from metarep.networks.spec import NetworkSpec
from metarep.report.style import INK, SEQUENTIAL, cells, cluster_colour, colour_bar, drawing, keys_of
from metarep.report.wording import plain

GROUND = "#F7F6F3"
"""Behind a map, so that islands of one are not taken for those of the next."""

CLUSTER = "k-means cluster"


def map_figure(
    xy: np.ndarray,
    cluster: np.ndarray,
    labels: Mapping[str, np.ndarray],
    properties: Mapping[str, np.ndarray],
    colours: Mapping[str, Mapping[str, str]],
) -> Figure:
    """One map (N, 2) many times: coloured by each label (N,), by cluster (N,) and by each property (N,), three in a row.

    `colours` {label: {value: colour}}, the values in their order.
    """
    drawn = [*list(labels)[:1], CLUSTER, *list(labels)[1:], *properties]
    keys = {name: keys_of(colours[name], values) for name, values in labels.items()}
    below = 0.5 + 0.24 * max([1, *(-(-len(own) // 3) for own in keys.values())])
    n_rows = -(-len(drawn) // 3)
    with drawing(11, (4.2 + below) * n_rows) as figure:
        axes = figure.subplots(2 * n_rows, 3, height_ratios=(4.2, below) * n_rows, squeeze=False)
        for ax in axes.ravel():
            ax.axis("off")
        for number, name in enumerate(drawn):
            ax, foot = axes[2 * (number // 3) : 2 * (number // 3) + 2, number % 3]
            ax.axis("on")
            ax.set_title(f"by {plain(name)}")
            if name == CLUSTER:
                scatter(ax, xy, [cluster_colour(int(c)) for c in cluster])
                for own in np.unique(cluster):
                    _number(ax, np.median(xy[cluster == own], axis=0), str(own))
            elif name in labels:
                scatter_label(ax, xy, labels[name], colours[name])
                look = {"ncols": 3, "columnspacing": 1.2, "handletextpad": 0.1, "borderaxespad": 0}
                foot.legend(handles=keys[name], loc="upper center", **look)
            else:
                known = np.isfinite(properties[name])
                low, high = np.quantile(properties[name][known], [0.02, 0.98])
                limits = {"vmin": low, "vmax": max(high, low + 1e-6)}
                points = scatter(ax, xy[known], properties[name][known], cmap=SEQUENTIAL, **limits)
                bar = foot.inset_axes([0.05, 1 - 0.1 / below, 0.9, 0.1 / below])
                colour_bar(figure, points, plain(name), cax=bar, orientation="horizontal")
    return figure


def atlas_figure(maps: Mapping[str, tuple[np.ndarray, np.ndarray]], colours: Mapping[str, str]) -> Figure:
    """The maps {title: (xy (N, 2), values of a label (N,))} of every representation that has one."""
    n_columns = 3 if len(maps) in (3, 5, 6, 9) else min(4, len(maps))
    n_rows = -(-len(maps) // n_columns)
    with drawing(10.5, 10.5 / n_columns * n_rows + 0.5) as figure:
        axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
        for ax, (title, (xy, values)) in zip(axes, maps.items(), strict=False):
            scatter_label(ax, xy, values, colours)
            ax.set_title(title)
        for ax in axes[len(maps) :]:
            ax.axis("off")
        keys = keys_of(colours, {value for _, values in maps.values() for value in values})
        figure.legend(handles=keys, ncols=min(9, len(keys)), loc="outside upper left")
    return figure


def scatter_label(ax: Axes, xy: np.ndarray, values: np.ndarray, colours: Mapping[str, str]) -> None:
    """Points (N, 2) in the colours of their values (N,), in an order that hides no value behind another."""
    order = np.random.default_rng(0).permutation(len(xy))
    scatter(ax, xy[order], [colours[value] for value in values[order]])


def scatter(ax: Axes, xy: np.ndarray, colour, **options):
    """Small square maps without ticks: the axes of a UMAP mean nothing."""
    size = float(np.clip(9000 / max(len(xy), 1), 2.5, 22))
    ax.set(xticks=[], yticks=[], facecolor=GROUND)
    ax.spines[:].set_visible(False)
    ax.set_box_aspect(1)
    return ax.scatter(*xy.T, c=colour, s=size, lw=0, alpha=0.8, **options)


def _number(ax: Axes, at: np.ndarray, text: str) -> None:
    halo = [withStroke(linewidth=3.5, foreground="white")]
    ax.text(*at, text, ha="center", va="center", weight="bold", fontsize=13, color=INK, path_effects=halo, zorder=5)


def contingency_figure(tables: Mapping[str, Mapping[int, Mapping[str, int]]], values: Sequence[str], label: str) -> Figure:
    """Counts of clusters (rows, by their most common value) by a label's values, for each representation {title: …}."""
    most = max(len(rows) for rows in tables.values())
    with drawing(min(12, (0.6 * len(values) + 1.4) * len(tables) + 1.2), 0.4 * most + 1.4) as figure:
        axes = figure.subplots(1, len(tables), squeeze=False)[0]
        for ax, (title, rows) in zip(axes, tables.items(), strict=True):
            counts = np.array([[row.get(value, 0) for value in values] for row in rows.values()], dtype=int)
            order = np.lexsort((-counts.max(axis=1), counts.argmax(axis=1)))
            names = [f"cluster {list(rows)[i]}" for i in order]
            columns = [f"{label} {v}" if v == values[0] and len(v) < 4 else v for v in values]
            share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
            texts = np.array([[f"{n:,}" if n else "·" for n in row] for row in counts[order]])
            image = cells(ax, share[order], texts, names, columns, cmap="Blues", vmin=0, vmax=1)
            ax.set_ylim(most - 0.5, -0.5)
            ax.xaxis.tick_top()
            if max(map(len, values)) > 6:
                ax.tick_params(axis="x", labelrotation=40)
            ax.set_title(title, pad=10)
        bar = colour_bar(figure, image, "share of the cluster", ax=axes[-1], shrink=0.75, aspect=22, pad=0.03)
        bar.ax.yaxis.set_major_formatter("{x:.0%}")
    return figure


def small_figure(draw: Callable, spec: NetworkSpec, params: np.ndarray) -> Figure:
    """One network params (P,), drawn small by its domain."""
    with drawing(2.3, 2.45) as figure:
        draw(figure.subplots(), spec, params)
    return figure
