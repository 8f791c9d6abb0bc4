"""Names at the ends of lines, pushed apart where the lines end close to each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes


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
    blocks: list[list[float]] = []
    for value in np.asarray(heights, float)[order] - ramp:
        blocks.append([value, 1.0])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, n), (b, m) = blocks[-2:]
            blocks[-2:] = [[(a * n + b * m) / (n + m), n + m]]
    level = np.concatenate([np.full(int(n), value) for value, n in blocks]) if blocks else np.zeros(0)
    placed = np.empty(len(order))
    placed[order] = np.clip(level, low, max(low, high - (ramp[-1] if len(ramp) else 0.0))) + ramp
    return placed


def label_ends(ax: Axes, labels: Sequence[EndLabel], *, gap: float = 0.068, fontsize: float = 9) -> None:
    """Writes the labels right of the axes, level with the ends of their lines; set the limits of y before."""
    low, high = ax.get_ylim()
    heights = [(np.clip(label.y, low, high) - low) / (high - low) for label in labels]
    for label, height in zip(labels, spread_apart(heights, gap), strict=True):
        ax.text(1.015, height, label.text, color=label.colour, fontsize=fontsize, va="center", transform=ax.transAxes)
