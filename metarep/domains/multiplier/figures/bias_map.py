"""A grid of starting biases: the error that each ends with, where each bias goes, and which minimum it reaches."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from metarep.report.style import FAINT, INK, MUTED, PALETTE, SEQUENTIAL, colour_bar, drawing, key

LOOKS = tuple(zip(PALETTE, "os^DvP", strict=False))
"""A colour and a marker by minimum, lowest error first; later ones are drawn alike, in black."""


class Marked(NamedTuple):
    """A bias (2,) to point out, and its name."""

    name: str
    bias: np.ndarray


def error_map(ax: Axes, start: np.ndarray, error: np.ndarray, marked: Marked) -> None:
    """Errors (N,) of a square grid of starting biases start (N, 2), the second bias running fastest, as a map."""
    side = round(len(start) ** 0.5)
    at = start[:side, 1]
    values = error.reshape(side, side).T
    image = ax.pcolormesh(at, at, values, cmap=SEQUENTIAL + "_r", norm=LogNorm(error.min(), error.max()), shading="nearest")
    halo = [withStroke(linewidth=2.6, foreground="white")]
    ax.annotate(marked.name, marked.bias, (9, -14), textcoords="offset points", color=INK, fontsize=9, path_effects=halo)
    colour_bar(ax.figure, image, "validation error after training", ax=ax, shrink=0.8, pad=0.02)


def movement_map(ax: Axes, start: np.ndarray, end: np.ndarray, member: np.ndarray, names: list[str]) -> None:
    """An arrow from each starting bias (N, 2) to its end (N, 2), in the colour of the minimum member (N,) that it leads to."""
    style = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.0028, "headwidth": 4, "headlength": 5}
    for i in range(len(names)):
        own = member == i
        colour, marker = _look(i)
        ax.quiver(*start[own].T, *(end - start)[own].T, color=colour, zorder=2, minlength=0, **style)
        still = own & (np.abs(end - start).max(axis=1) < 0.02)
        ax.plot(*start[still].T, ls="", marker=marker, ms=2.6, color=colour, zorder=2)


def minimum_map(ax: Axes, start: np.ndarray, member: np.ndarray, names: list[str]) -> None:
    """Which minimum member (N,) each starting bias (N, 2) leads to; −1 is none."""
    for i, name in enumerate(names):
        colour, marker = _look(i)
        ax.plot(*start[member == i].T, ls="", marker=marker, ms=5.5, color=colour, label=name)
    if (member < 0).any():
        ax.plot(*start[member < 0].T, ls="", marker="x", ms=4, color=MUTED, label="not converged")


def bias_figure(
    start: np.ndarray, end: np.ndarray, error: np.ndarray, member: np.ndarray, names: list[str], marked: Marked
) -> Figure:
    """The three maps side by side; all over the same starting biases, in units of the bias."""
    with drawing(16, 6.1, w_pad=0.1) as figure:
        errors, moves, minima = figure.subplots(1, 3, width_ratios=(1.01, 1, 1))
        error_map(errors, start, error, marked)
        movement_map(moves, start, end, member, names)
        minimum_map(minima, start, member, names)
        reach = np.abs(np.concatenate([start, end])).max() * 1.04
        for ax in (errors, moves, minima):
            ax.plot(*marked.bias, "*", ms=16, mfc="white", mec=INK, mew=1.1, zorder=4)
            ax.set(aspect="equal", xlim=(-reach, reach), ylim=(-reach, reach), xlabel="hidden bias 1", ylabel="hidden bias 2")
            ax.axhline(0, color=FAINT, lw=0.8, zorder=0.5)
            ax.axvline(0, color=FAINT, lw=0.8, zorder=0.5)
            ax.locator_params(nbins=5)
        errors.set_title(f"error from {len(start):,} starting biases")
        moves.set_title("the bias from start to end")
        minima.set_title("minimum that training goes on to")
        keys = [key(name, *_look(i), ms=7) for i, name in enumerate(names)]
        if (member < 0).any():
            keys.append(key("not converged", MUTED, "x", ms=6, mec=MUTED))
        figure.legend(handles=keys, loc="outside lower center", ncols=min(len(keys), 4), handletextpad=0.2)
    return figure


def _look(i: int) -> tuple[str, str]:
    return LOOKS[i] if i < len(LOOKS) else (INK, ".")
