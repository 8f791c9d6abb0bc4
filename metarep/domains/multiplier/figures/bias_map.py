"""A grid of starting biases: the error that each ends with, where each bias goes, and which minimum it reaches."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from metarep.report.style import FAINT, INK, MUTED, PALETTE, SEQUENTIAL, colour_bar, drawing, key, zero_lines


def look(i: int) -> tuple[str, str]:
    """A colour and a marker by minimum, lowest error first; later ones are drawn alike, and −1, which is none, as a cross."""
    return (MUTED, "x") if i < 0 else (PALETTE[i], "os^DvP"[i]) if i < 6 else (INK, ".")


def bias_figure(
    start: np.ndarray, end: np.ndarray, error: np.ndarray, member: np.ndarray, names: list[str], marked: np.ndarray
) -> Figure:
    """Two maps over the same starting biases start (N, 2), a square grid whose second bias runs fastest.

    The error (N,) after training; and an arrow to the end (N, 2) in the colour of the minimum member (N,) that it leads to, −1
    for none. All are in units of the bias; marked (2,) is pointed out.
    """
    side = round(len(start) ** 0.5)
    groups = [(i, member == i) for i in (*range(len(names)), -1) if i >= 0 or (member < 0).any()]
    with drawing(11.5, 6.1, w_pad=0.1) as figure:
        errors, moves = figure.subplots(1, 2)
        at, norm = start[:side, 1], LogNorm(error.min(), error.max())
        image = errors.pcolormesh(at, at, error.reshape(side, side).T, cmap=SEQUENTIAL + "_r", norm=norm, shading="nearest")
        colour_bar(figure, image, "validation error after training", ax=errors, shrink=0.7, pad=0.02)
        arrow = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.0028, "headwidth": 4, "headlength": 5}
        for i, own in groups:
            colour, marker = look(i)
            moves.quiver(*start[own].T, *(end - start)[own].T, color=colour, zorder=2, minlength=0, **arrow)
            moves.plot(*start[own].T, ls="", marker=marker, ms=3.5, color=colour, zorder=2)
        reach = np.abs(np.concatenate([start, end])).max() * 1.04
        titles = (f"error from {len(start):,} starting biases", "the bias from start to end, by minimum")
        for ax, title in zip((errors, moves), titles, strict=True):
            ax.plot(*marked, "*", ms=16, mfc="white", mec=INK, mew=1.1, zorder=4)
            ax.set(aspect="equal", xlim=(-reach, reach), ylim=(-reach, reach), xlabel="hidden bias 1", ylabel="hidden bias 2")
            zero_lines(ax, FAINT)
            ax.locator_params(nbins=5)
            ax.set_title(title)
        keys = [key([*names, "not converged"][i], *look(i), ms=7, mec=look(i)[0]) for i, _ in groups]
        figure.legend(handles=keys, loc="outside lower center", ncols=min(len(keys), 4), handletextpad=0.2)
    return figure
