"""Parents and children of experiment 5: their skew, where on the square they err, the square at the pre-activations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, TwoSlopeNorm
from matplotlib.figure import Figure

from metarep.domains.multiplier.figures.square import SIDE, outline, plot_plane, shade_off, square_window, unit_grid
from metarep.networks.forward import stages
from metarep.networks.spec import NetworkSpec
from metarep.report.style import DIVERGING, INK, MUTED, PALETTE, SEQUENTIAL, colour_bar, drawing, grid

PARENT, CHILD = PALETTE[0], PALETTE[1]
FLOOR = 0.01
"""Smaller values are drawn here: the axes are logarithmic."""


def skew_figure(
    pairs: Mapping[str, tuple[np.ndarray, np.ndarray]], published: Mapping[str, tuple[float, float]], titles: Mapping[str, str]
) -> Figure:
    """For each measure {name: (parents (N,), children (N,))} the children's values against their parents'."""
    with drawing(5.6 * len(pairs), 5.9, w_pad=0.15) as figure:
        for ax, (name, (parent, child)) in zip(np.atleast_1d(figure.subplots(1, len(pairs))), pairs.items(), strict=True):
            finite = np.isfinite(parent) & np.isfinite(child)
            low, high = FLOOR, 1.3 * max(parent[finite].max(), child[finite].max())
            ax.plot([low, high], [low, high], color=INK, lw=1, ls=(0, (4, 3)), zorder=1)
            ax.annotate("no change", (high, high), (-14, -2), textcoords="offset points", ha="right", fontsize=8.5, color=MUTED)
            points = [np.maximum(values[finite], FLOOR) for values in (parent, child)]
            ax.scatter(*points, s=14, lw=0, alpha=0.55, color=PARENT, zorder=2)
            middle = [np.maximum(np.median(values[finite]), FLOOR) for values in (parent, child)]
            ax.plot(*middle, "P", ms=12, mfc=CHILD, mec="white", mew=1.2, zorder=4, ls="", label="medians")
            star = [max(value, FLOOR) for value in published[name]]
            ax.plot(*star, "*", ms=17, mfc="white", mec=INK, mew=1.2, zorder=5, ls="", label="published network")
            ax.set(xscale="log", yscale="log", xlim=(low * 0.85, high), ylim=(low * 0.85, high), aspect="equal")
            ax.set(xlabel=f"{name} of the parent", ylabel=f"{name} of the child")
            ax.set_title(f"{titles[name]}\n{finite.sum():,} parents; {(child < parent)[finite].mean():.0%} below the line")
            ax.legend(loc="lower right", handletextpad=0.4, labelspacing=0.8)
    return figure


def error_figure(parent: np.ndarray, child: np.ndarray, rows: Sequence[Mapping], *, level: float) -> Figure:
    """Mean squared errors over the square (side, side) of parents and children, their difference, and both parts of the
    error with intervals: `rows` have part, parent, child and parent_low … child_high."""
    with drawing(16, 4.6, w_pad=0.1) as figure:
        axes = figure.subplots(1, 4, width_ratios=(1, 1, 1, 0.9))
        top = float(np.quantile(np.concatenate([parent, child]), 0.995))
        reach = float(np.quantile(np.abs(child - parent), 0.995))
        for ax, values, title in ((axes[0], parent, "parents"), (axes[1], child, "children")):
            image = _square_map(ax, values, SEQUENTIAL, Normalize(0, top), level)
            ax.set_title(f"mean squared error, {title}")
        _bar(figure, image, axes[:2], "squared error")
        image = _square_map(axes[2], child - parent, DIVERGING, TwoSlopeNorm(0, -reach, reach), level)
        axes[2].set_title("children − parents")
        _bar(figure, image, axes[2], "change of the squared error")
        _parts(axes[3], rows)
    return figure


def _square_map(ax: Axes, values: np.ndarray, cmap: str, norm: Normalize, level: float):
    image = ax.imshow(values, origin="lower", extent=(0, 1, 0, 1), cmap=cmap, norm=norm)
    x1 = np.linspace(level, 1, 100)
    ax.plot(x1, level / x1, color="white" if cmap == SEQUENTIAL else INK, lw=1.6)
    note = {"textcoords": "offset points", "fontsize": 9, "color": "white" if cmap == SEQUENTIAL else INK}
    ax.annotate(f"$x_1 x_2$ = {level:g}", (0.985, level + 0.02), (0, -14), ha="right", **note)
    ax.set(aspect="equal", xlabel="$x_1$", ylabel="$x_2$", xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    return image


def _bar(figure: Figure, image, axes, label: str) -> None:
    bar = colour_bar(figure, image, label, ax=axes, orientation="horizontal", shrink=0.75, aspect=30, pad=0.02, extend="both")
    bar.ax.locator_params(nbins=5)


def _parts(ax: Axes, rows: Sequence[Mapping]) -> None:
    for x, row in enumerate(rows):
        for shift, who, colour, marker in ((-0.12, "parent", PARENT, "o"), (0.12, "child", CHILD, "D")):
            ax.vlines(x + shift, row[f"{who}_low"], row[f"{who}_high"], color=colour, lw=2)
            style = {"ms": 7, "color": colour, "ls": ""}
            label = {"parent": "parents", "child": "children"}[who] if x == 0 else None
            ax.plot(x + shift, row[who], marker=marker, label=label, **style)
    ax.set_xticks(range(len(rows)), [row["part"].replace("product ", "") for row in rows])
    ax.set(xlim=(-0.5, len(rows) - 0.5), ylim=(0, None), ylabel="part of the expected error")
    ax.tick_params(axis="x", length=0, labelcolor=INK)
    ax.set_title("parts of the error, 95 % intervals")
    ax.legend(loc="best")
    grid(ax)


def pre_activations_figure(spec: NetworkSpec, networks: Sequence[np.ndarray], titles: Sequence[str]) -> Figure:
    """The unit square at the pre-activations of some 2-2-1 networks params (P,), all in one window."""
    x = np.concatenate([unit_grid(), outline()])
    values = [stages(spec, np.asarray(params, np.float64), x)[2].values for params in networks]
    window = square_window(np.concatenate(values))
    with drawing(5.2 * len(networks), 5.6, w_pad=0.1) as figure:
        for ax, moved, title in zip(np.atleast_1d(figure.subplots(1, len(networks))), values, titles, strict=True):
            plot_plane(ax, moved[: SIDE**2], moved[SIDE**2 :], window)
            shade_off(ax)
            ax.set_title(title)
    return figure
