"""Parents and children of experiment 5: their skew, where on the square they err, the square at the pre-activations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from metarep.domains.multiplier.figures.square import SIDE, outline, plot_plane, shade_off, unit_grid
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
            points = np.maximum([parent[finite], child[finite]], FLOOR)
            ax.scatter(*points, s=14, lw=0, alpha=0.55, color=PARENT, zorder=2)
            ax.plot(
                *np.median(points, axis=1), marker="P", ls="", ms=12, mfc=CHILD, mec="white", mew=1.2, zorder=4, label="medians"
            )
            star = np.maximum(published[name], FLOOR)
            ax.plot(*star, marker="*", ls="", ms=17, mfc="white", mec=INK, mew=1.2, zorder=5, label="published network")
            ax.set(xscale="log", yscale="log", xlim=(low * 0.85, high), ylim=(low * 0.85, high), aspect="equal")
            ax.set(xlabel=f"{name} of the parent", ylabel=f"{name} of the child")
            ax.set_title(f"{titles[name]}\n{finite.sum():,} parents; {(child < parent)[finite].mean():.0%} below the line")
            ax.legend(loc="lower right", handletextpad=0.4, labelspacing=0.8)
    return figure


def error_figure(parent: np.ndarray, child: np.ndarray, rows: Sequence[Mapping], *, level: float) -> Figure:
    """Mean squared errors over the square (side, side) of parents and children, their difference, and both parts of the
    error with intervals: `rows` have part, parent, child and parent_low … child_high."""
    top, reach = (float(np.quantile(values, 0.995)) for values in (np.concatenate([parent, child]), np.abs(child - parent)))
    errors, change = Normalize(0, top), Normalize(-reach, reach)
    with drawing(16, 4.6, w_pad=0.1) as figure:
        axes = figure.subplots(1, 4, width_ratios=(1, 1, 1, 0.9))
        _square_map(axes[0], parent, SEQUENTIAL, errors, level, "mean squared error, parents")
        image = _square_map(axes[1], child, SEQUENTIAL, errors, level, "mean squared error, children")
        difference = _square_map(axes[2], child - parent, DIVERGING, change, level, "children − parents")
        for shown, own, label in ((image, axes[:2], "squared error"), (difference, axes[2], "change of the squared error")):
            place = {"orientation": "horizontal", "shrink": 0.75, "aspect": 30, "pad": 0.02, "extend": "both"}
            colour_bar(figure, shown, label, ax=own, **place).ax.locator_params(nbins=5)
        _parts(axes[3], rows)
    return figure


def _square_map(ax: Axes, values: np.ndarray, cmap: str, norm: Normalize, level: float, title: str):
    image = ax.imshow(values, origin="lower", extent=(0, 1, 0, 1), cmap=cmap, norm=norm)
    x1, colour = np.linspace(level, 1, 100), "white" if cmap == SEQUENTIAL else INK
    ax.plot(x1, level / x1, color=colour, lw=1.6)
    note = {"textcoords": "offset points", "fontsize": 9, "color": colour}
    ax.annotate(f"$x_1 x_2$ = {level:g}", (0.985, level + 0.02), (0, -14), ha="right", **note)
    ax.set(aspect="equal", xlabel="$x_1$", ylabel="$x_2$", xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    ax.set_title(title)
    return image


def _parts(ax: Axes, rows: Sequence[Mapping]) -> None:
    x = np.arange(len(rows))
    looks = ((-0.12, "parent", "parents", PARENT, "o"), (0.12, "child", "children", CHILD, "D"))
    for shift, who, label, colour, marker in looks:
        value, low, high = (np.array([row[f"{who}{end}"] for row in rows]) for end in ("", "_low", "_high"))
        ax.errorbar(x + shift, value, [value - low, high - value], color=colour, marker=marker, ms=7, ls="", lw=2, label=label)
    ax.set_xticks(x, [row["part"].replace("product ", "") for row in rows])
    ax.set(xlim=(-0.5, len(rows) - 0.5), ylim=(0, None), ylabel="part of the expected error")
    ax.tick_params(axis="x", length=0, labelcolor=INK)
    ax.set_title("parts of the error, 95 % intervals")
    ax.legend(loc="best")
    grid(ax)


def pre_activations_figure(spec: NetworkSpec, networks: Sequence[np.ndarray], titles: Sequence[str]) -> Figure:
    """The unit square at the pre-activations of some 2-2-1 networks params (P,), all in one window."""
    x = np.concatenate([unit_grid(), outline()])
    values = [stages(spec, np.asarray(params, np.float64), x)[2].values for params in networks]
    with drawing(5.2 * len(networks), 5.6, w_pad=0.1) as figure:
        for ax, moved, title in zip(np.atleast_1d(figure.subplots(1, len(networks))), values, titles, strict=True):
            plot_plane(ax, moved[: SIDE**2], moved[SIDE**2 :], np.concatenate(values))
            shade_off(ax)
            ax.set_title(title)
    return figure
