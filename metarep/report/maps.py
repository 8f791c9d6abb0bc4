"""The report's maps: networks as points of a UMAP, clusters against modes, networks as small pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from metarep.domains.multiplier.figures.square import draw_small
from metarep.domains.multiplier.modes import MODES
from metarep.networks.spec import NetworkSpec
from metarep.report.results import title_of
from metarep.report.style import INK, MODE_COLOURS, MUTED, PALETTE, SEQUENTIAL, cluster_colour, use_style

CONTINGENCY_COLOURS = "Blues"
GROUND = "#F7F6F3"
"""Behind a map, so that islands of one are not taken for those of the next."""


def umap_figure(xy: np.ndarray, mode: np.ndarray, cluster: np.ndarray, error: np.ndarray) -> Figure:
    """One map (N, 2) three times: coloured by mode (N,), by cluster (N,) and by validation error (N,)."""
    with use_style():
        figure = Figure(figsize=(11, 4.75), layout="constrained")
        axes = figure.subplots(2, 3, height_ratios=(8, 1))
        by_mode, by_cluster, by_error = axes[0]
        for key in axes[1]:
            key.axis("off")
        scatter_modes(by_mode, xy, mode)
        by_mode.set_title("by mode")
        keys = [_mode_key(m) for m in MODES if (mode == m).any()]
        axes[1][0].legend(handles=keys, loc="upper center", ncols=3, columnspacing=1.2, handletextpad=0.1, borderaxespad=0)
        _scatter(by_cluster, xy, [cluster_shade(int(c)) for c in cluster])
        for number in np.unique(cluster):
            _number(by_cluster, np.median(xy[cluster == number], axis=0), str(number))
        by_cluster.set_title("by k-means cluster")
        loss = np.log10(np.maximum(error, 1e-12))
        low, high = np.quantile(loss, [0.02, 0.98])
        points = _scatter(by_error, xy, loss, cmap=SEQUENTIAL, vmin=low, vmax=max(high, low + 1e-6))
        by_error.set_title("by validation error")
        bar = figure.colorbar(points, cax=axes[1][2].inset_axes([0.05, 0.82, 0.9, 0.18]), orientation="horizontal")
        bar.outline.set_visible(False)
        bar.set_label("log₁₀ of the mean squared error")
    return figure


def atlas_figure(maps: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """The maps {representation: (xy (N, 2), mode (N,))} of every representation that has one, coloured by mode."""
    n_columns = 3 if len(maps) in (3, 5, 6, 9) else min(4, len(maps))
    n_rows = -(-len(maps) // n_columns)
    with use_style():
        figure = Figure(figsize=(10.5, 10.5 / n_columns * n_rows + 0.5), layout="constrained")
        axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
        for ax, (name, (xy, mode)) in zip(axes, maps.items(), strict=False):
            scatter_modes(ax, xy, mode)
            ax.set_title(title_of(name))
        for ax in axes[len(maps) :]:
            ax.axis("off")
        found = [m for m in MODES if any((mode == m).any() for _, mode in maps.values())]
        figure.legend(handles=[_mode_key(m) for m in found], ncols=len(found), loc="outside upper left")
    return figure


def cluster_shade(number: int) -> tuple[float, float, float]:
    """A cluster's colour, paler where the palette starts again."""
    pale = 0.55 * max(number // len(PALETTE), 0)
    return tuple(1 - (1 - channel) * (1 - min(pale, 0.8)) for channel in to_rgb(cluster_colour(number)))


def scatter_modes(ax: Axes, xy: np.ndarray, mode: np.ndarray) -> None:
    """Points (N, 2) in the colours of their modes (N,), in an order that hides no mode behind another."""
    order = np.random.default_rng(0).permutation(len(xy))
    _scatter(ax, xy[order], [MODE_COLOURS[m] for m in mode[order]])


def _mode_key(mode: str) -> Line2D:
    return Line2D([], [], ls="", marker="o", ms=8, color=MODE_COLOURS[mode], label=f"mode {mode}")


def _scatter(ax: Axes, xy: np.ndarray, colour, **options):
    """Small square-ish maps without ticks: the axes of a UMAP mean nothing."""
    size = float(np.clip(9000 / max(len(xy), 1), 2.5, 22))
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.set_facecolor(GROUND)
    ax.set_box_aspect(1)
    return ax.scatter(*xy.T, c=colour, s=size, lw=0, alpha=0.8, **options)


def _number(ax: Axes, at: np.ndarray, text: str) -> None:
    halo = [withStroke(linewidth=3.5, foreground="white")]
    ax.text(*at, text, ha="center", va="center", weight="bold", fontsize=13, color=INK, path_effects=halo, zorder=5)


def contingency_figure(tables: Mapping[str, Sequence[dict]], modes: Sequence[str]) -> Figure:
    """For each representation a table of clusters (rows) and modes (columns): counts, shaded by share of the cluster.

    Clusters stand in the order of the mode that most of their networks have.
    """
    most = max(len(rows) for rows in tables.values())
    with use_style():
        figure = Figure(figsize=(min(11, 3.9 * len(tables) + 0.6), 0.4 * most + 1.3), layout="constrained")
        axes = figure.subplots(1, len(tables), squeeze=False)[0]
        for ax, (name, rows) in zip(axes, tables.items(), strict=True):
            image = _contingency(ax, rows, modes, most)
            ax.set_title(title_of(name), pad=10)
        bar = figure.colorbar(image, ax=axes[-1], shrink=0.75, aspect=22, pad=0.03)
        bar.outline.set_visible(False)
        bar.set_label("share of the cluster")
        bar.ax.yaxis.set_major_formatter("{x:.0%}")
    return figure


def _contingency(ax: Axes, rows: Sequence[dict], modes: Sequence[str], most: int):
    counts = np.array([[row["modes"].get(mode, 0) for mode in modes] for row in rows], dtype=int)
    order = np.lexsort((-counts.max(axis=1), counts.argmax(axis=1)))
    counts = counts[order]
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = ax.imshow(share, cmap=CONTINGENCY_COLOURS, vmin=0, vmax=1, aspect="auto")
    for (y, x), count in np.ndenumerate(counts):
        colour = "white" if share[y, x] > 0.55 else INK if count else MUTED
        ax.text(x, y, f"{count:,}" if count else "·", ha="center", va="center", color=colour, fontsize=10)
    ax.set(xticks=range(len(modes)), xticklabels=[f"mode {mode}" if i == 0 else mode for i, mode in enumerate(modes)])
    ax.set(yticks=range(len(rows)), yticklabels=[f"cluster {rows[i]['cluster']}" for i in order])
    ax.set_ylim(most - 0.5, -0.5)
    ax.xaxis.tick_top()
    ax.tick_params(length=0, labelsize=10, labelcolor=INK)
    ax.spines[:].set_visible(False)
    return image


def small_figure(spec: NetworkSpec, params: np.ndarray) -> Figure:
    """One network params (P,) as a small picture."""
    with use_style():
        figure = Figure(figsize=(2.3, 2.45), layout="constrained")
        draw_small(figure.subplots(), spec, params)
    return figure
