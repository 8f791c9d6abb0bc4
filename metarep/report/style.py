"""How every figure looks.

The first eight colours are those of Okabe and Ito, "Color Universal Design", 2008. The other four lie as far from them and
from each other as they can, for normal, red-, green- and blue-blind eyes.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from sklearn.isotonic import isotonic_regression

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#F0E442", "#000000")
PALETTE += ("#8700FF", "#873C1E", "#B4F087", "#5A4B5A")
INK, MUTED, FAINT = "#222222", "#6B6B6B", "#E3E3E3"
OTHER = "#B9B9B9"
"""Values of a label beyond the palette."""

SEQUENTIAL = "viridis"
"""Colour map of amounts: the product, a density, a loss."""

DIVERGING = "PuOr_r"
"""Colour map of values about zero: a unit's activation."""

STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": matplotlib.cycler(color=PALETTE),
    "figure.titlesize": 13,
    "figure.facecolor": "white",
    "image.cmap": SEQUENTIAL,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "savefig.dpi": 150,
    "svg.hashsalt": "metarep",
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
}


def amounts_map(below: str | None = None) -> Colormap:
    """From almost white over the palette's two blues to almost black; white for NaN, `below` for what is below the scale."""
    shades = LinearSegmentedColormap.from_list("amounts", ["#F5F9FC", PALETTE[4], PALETTE[0], "#002A42"])
    return shades.with_extremes(bad="white", under=below)


def use_style() -> AbstractContextManager[None]:
    """A context in which figures take this style; outside of it nothing has changed."""
    return matplotlib.rc_context(STYLE)


@contextmanager
def drawing(width: float, height: float, **pads: float) -> Iterator[Figure]:
    """An empty figure of some inches, and this style while it is drawn; `pads` are those of the constrained layout."""
    with use_style():
        figure = Figure(figsize=(width, height), layout="constrained")
        if pads:
            figure.get_layout_engine().set(**pads)
        yield figure


def png_of(figure: Figure, *, dpi: int = 160) -> bytes:
    """The figure as PNG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def cluster_colour(cluster: int) -> tuple[float, float, float]:
    """A colour for a cluster's number, paler each time the palette starts again; noise (−1) is the palest."""
    colour, turn = (FAINT, 0) if cluster < 0 else (PALETTE[cluster % len(PALETTE)], cluster // len(PALETTE))
    pale = min(0.55 * turn, 0.8)
    return tuple(1 - (1 - channel) * (1 - pale) for channel in to_rgb(colour))


def colours_of(values: Sequence[str], given: Mapping[str, str]) -> dict[str, str]:
    """A colour for each value of a label, in their order: the one that is given, else the next of the palette that is not.

    No colour comes twice, but that all values beyond the palette are grey (OTHER). "" is a network without a value, and pale.
    """
    free = iter(colour for colour in PALETTE if colour not in given.values())
    known = {"": "#D8D8D8", **given}
    return known | {value: next(free, OTHER) for value in values if value not in known}


def key(label: str, colour: str, marker: str = "o", **look) -> Line2D:
    """The entry of a legend that shows a marker."""
    size = {"*": 12, "|": 11}.get(marker, 8)
    edge = {"mew": 1.6} if marker == "|" else {"mec": "white"}
    return Line2D([], [], **{"color": colour, "marker": marker, "ls": "", "ms": size, "label": label} | edge | look)


def keys_of(colours: Mapping[str, str], shown: Iterable[str]) -> list[Line2D]:
    """The legend of a label's values: those that are shown, in the order of `colours`; what is OTHER is one entry."""
    shown = set(shown)
    own = [value for value in colours if value in shown and colours[value] != OTHER]
    keys = [key(value or "none", colours[value], mec="none") for value in own]
    n_others = sum(colours[value] == OTHER for value in shown)
    return [*keys, key(f"{n_others} others", OTHER, mec="none")] if n_others else keys


def interval_mark(ax: Axes, y: float, ends: Sequence[float], value: float, colour: str, marker: str = "o") -> None:
    """A value and its interval at the height y."""
    ax.plot(ends, [y, y], color=colour, lw=2.6, alpha=0.7, zorder=3, solid_capstyle="butt")
    ax.plot(value, y, marker, color=colour, ms=12 if marker == "*" else 7.5, mec="white", mew=0.8, zorder=4)


def null_mark(ax: Axes, y: float, value: float, height: float = 0.26) -> None:
    """A short grey tick where chance reaches."""
    ax.plot([value, value], [y - height, y + height], color=MUTED, lw=1.6, zorder=2, alpha=0.8)


def zero_lines(ax: Axes, colour: str = MUTED) -> None:
    """Thin lines through the origin."""
    for line in (ax.axhline, ax.axvline):
        line(0, color=colour, lw=0.8, zorder=0.5)


def rows_axis(axes: Sequence[Axes], labels: Sequence[str], *, striped: bool = True) -> None:
    """Names the rows of axes that share their y axis, the first at the top; every other one has a tint behind it."""
    axes[0].set(yticks=range(len(labels)), yticklabels=labels, ylim=(len(labels) - 0.4, -0.6))
    for ax in axes:
        for y in range(0, len(labels), 2) if striped else ():
            ax.axhspan(y - 0.5, y + 0.5, color="#F5F5F2", lw=0, zorder=-1)
        grid(ax, "x")
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0, labelsize=10, labelcolor=INK)


def grid(ax: Axes, axis: str = "y") -> None:
    """Faint lines behind what is drawn."""
    ax.grid(axis=axis, color=FAINT, lw=0.6)
    ax.set_axisbelow(True)


def bare(ax: Axes, *sides: str) -> None:
    """Takes away spines, all of them if none is named, and the ticks."""
    ax.spines[list(sides) or slice(None)].set_visible(False)
    ax.tick_params(length=0, labelcolor=INK)


def colour_bar(figure: Figure, image, label: str, **options):
    """A colour bar without an outline."""
    bar = figure.colorbar(image, **options)
    bar.outline.set_visible(False)
    bar.set_label(label)
    return bar


def cells(ax: Axes, values: np.ndarray, texts: np.ndarray, rows: Sequence[str], columns: Sequence[str], **options):
    """A table (R, C) of texts on colours, white on what is dark; the image's `options` as in `imshow`; returns the image."""
    fontsize = options.pop("fontsize", None)
    image = ax.imshow(values, **{"aspect": "auto"} | options)
    dark = image.to_rgba(np.asarray(values, float))[..., :3] @ [0.299, 0.587, 0.114] < 0.55
    for y, x in np.argwhere(np.asarray(texts) != ""):
        colour = "white" if dark[y, x] else INK
        ax.text(x, y, texts[y, x], ha="center", va="center", color=colour, fontsize=fontsize)
    ax.set(xticks=range(len(columns)), xticklabels=columns, yticks=range(len(rows)), yticklabels=rows)
    bare(ax)
    return image


class EndLabel(NamedTuple):
    """A name, its colour, and the height at which its line ends, in the units of the axis."""

    y: float
    text: str
    colour: str


def spread_apart(heights: Sequence[float], gap: float, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """Heights (N,) moved as little as it takes for neighbours to be `gap` apart, their order kept, inside low … high where
    there is room: equal pushes to either side, block by block (pool adjacent violators).
    """
    order = np.argsort(heights, kind="stable")
    ramp = gap * np.arange(len(order))
    placed = np.empty(len(order))
    if len(order):
        level = isotonic_regression(np.asarray(heights, float)[order] - ramp)
        placed[order] = np.clip(level, low, max(low, high - ramp[-1])) + ramp
    return placed


def label_ends(ax: Axes, labels: Sequence[EndLabel], *, gap: float = 0.068, fontsize: float = 9) -> None:
    """Writes the labels right of the axes, level with the ends of their lines; set the limits of y before."""
    low, high = ax.get_ylim()
    heights = [(np.clip(label.y, low, high) - low) / (high - low) for label in labels]
    for label, height in zip(labels, spread_apart(heights, gap), strict=True):
        ax.text(1.015, height, label.text, color=label.colour, fontsize=fontsize, va="center", transform=ax.transAxes)
