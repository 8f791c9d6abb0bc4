"""A 2-2-1 network as a fold of the plane: its hidden weight as rotation, scale, rotation, and what becomes of the
iso-curves of the product, step by step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from metarep.domains.multiplier.figures.square import (
    PRODUCT,
    line_axes,
    outline,
    plane_axes,
    plot_plane,
    product_bar,
    shade_off,
    unit_grid,
)
from metarep.networks.forward import Stage, stages
from metarep.networks.spec import NetworkSpec
from metarep.report.style import INK, SEQUENTIAL, drawing
from metarep.report.wording import num

LEVELS = tuple(i / 10 for i in range(10))
"""Products whose iso-curves are drawn."""

POINTS = 201
"""On each iso-curve."""


class Factors(NamedTuple):
    """W = R(left) · diag(scale) · R(right): two rotations (radians, anticlockwise) and two scales about them.

    scale[0] ≥ |scale[1]|; scale[1] is negative where W turns the plane over, so that both factors stay rotations.
    """

    left: float
    scale: tuple[float, float]
    right: float

    @property
    def matrices(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """R(left), diag(scale), R(right), each (2, 2)."""
        return rotation(self.left), np.diag(self.scale), rotation(self.right)


def rotation(angle: float) -> np.ndarray:
    """(2, 2): anticlockwise by an angle in radians."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s], [s, c]])


def factors(weight: np.ndarray) -> Factors:
    """The singular value decomposition of weight (2, 2) with proper rotations; of the two equal choices (both turned
    by π) the one with the smaller right angle, in (−π/2, π/2].
    """
    u, s, vt = np.linalg.svd(np.asarray(weight, dtype=np.float64))
    turn_u, turn_vt = (1 if np.linalg.det(side) > 0 else -1 for side in (u, vt))
    u, vt = u * [1, turn_u], vt * [[1], [turn_vt]]
    left, right = math.atan2(u[1, 0], u[0, 0]), math.atan2(vt[1, 0], vt[0, 0])
    if not -math.pi / 2 < right <= math.pi / 2:
        left, right = left + math.pi, right + math.pi
    return Factors(_wrapped(left), (float(s[0]), float(s[1] * turn_u * turn_vt)), _wrapped(right))


def _wrapped(angle: float) -> float:
    return -((-angle + math.pi) % (2 * math.pi) - math.pi)


def draw_factors(spec: NetworkSpec, params: np.ndarray, *, title: str = "") -> Figure:
    """The hidden weight of a 2-2-1 network params (P,) as rotation, scale, rotation of the unit square."""
    found = factors(spec.unpack(np.asarray(params, np.float64))[0][0])
    left, scale, right = found.matrices
    steps = {
        "input  $x$": np.eye(2),
        f"rotated by {num(math.degrees(found.right), 0)}°": right,
        f"scaled by {num(found.scale[0])} and {num(found.scale[1])}": scale @ right,
        f"rotated by {num(math.degrees(found.left), 0)}°: before bias  $W_1 x$": left @ scale @ right,
    }
    grid, edge = unit_grid(), outline()
    alike = np.concatenate([grid @ matrix.T for matrix in steps.values()])
    with _four_panels(list(steps), title) as axes:
        for ax, matrix in zip(axes, steps.values(), strict=True):
            plot_plane(ax, grid @ matrix.T, edge @ matrix.T, alike)
            ax.set(xlabel="", ylabel="")
    return axes[0].figure


def draw_iso_curves(spec: NetworkSpec, params: np.ndarray, *, title: str = "") -> Figure:
    """The curves on which the product is the same, at each of the four stages of a 2-2-1 network params (P,).

    Before the hidden bias, pre-activations and activations are planes; before the output bias each curve has become
    a stretch of a line, which should be a point: its height in the figure is how much the network errs along it.
    """
    curves = [iso_curve(level) for level in LEVELS]
    shown = stages(spec, np.asarray(params, np.float64), np.concatenate([*curves, outline()]))[1:5]
    alike = np.concatenate([stage.values for stage in shown[:3]])
    names = ("before the hidden bias  $W_1 x$", "pre-activations  $W_1 x + b_1$")
    names += ("activations  $h = \\mathrm{ReLU}(W_1 x + b_1)$", "before the output bias  $W_2 h$")
    with _four_panels(names, title) as axes:
        for ax, stage in zip(axes, shown[:3], strict=False):
            plane_axes(ax, alike)
            for level, curve in _curves(stage):
                ax.plot(*curve.T, color=_colour(level), lw=2, zorder=3)
            ax.plot(*stage.values[-len(outline()) :].T, color=INK, lw=0.8, zorder=2)
        shade_off(axes[1])
        _curves_on_line(axes[3], shown[3])
    return axes[0].figure


@contextmanager
def _four_panels(names: Sequence[str], title: str) -> Iterator[list[Axes]]:
    with drawing(15, 4.3) as figure:
        axes = list(figure.subplots(1, 4))
        yield axes
        for number, (ax, name) in enumerate(zip(axes, names, strict=True), start=1):
            ax.set_title(f"{number}  {name}")
        product_bar(figure, axes)
        figure.suptitle(title, x=0.01, ha="left")


def iso_curve(level: float) -> np.ndarray:
    """(POINTS, 2): x1 · x2 = level within the unit square, from one side to the other, evenly in x1 − x2."""
    difference = np.linspace(level - 1, 1 - level, POINTS)
    total = np.sqrt(difference**2 + 4 * level)
    return np.stack([total + difference, total - difference], axis=1) / 2


def _curves_on_line(ax: Axes, stage: Stage) -> None:
    curves = [(level, curve[:, 0]) for level, curve in _curves(stage)]
    for level, values in curves:
        ax.plot([level, level], [values.min(), values.max()], color=_colour(level), lw=5, solid_capstyle="butt", zorder=2)
        ax.plot(level, values.mean(), "o", ms=5, mfc="white", mec=INK, zorder=3)
    offset = np.mean([values.mean() - level for level, values in curves])
    ax.plot([0, 1], [offset, 1 + offset], color=INK, lw=1.2, ls=(0, (5, 3)), zorder=1)
    ax.annotate("slope 1", (0.95, 0.95 + offset), (6, -10), textcoords="offset points", fontsize=8)
    low, high = stage.values.min(), stage.values.max()
    line_axes(ax, low, max(high, low + 1))
    ax.set(xlabel="product of the curve", ylabel="value along the curve")


def _curves(stage: Stage) -> list[tuple[float, np.ndarray]]:
    return [(level, stage.values[i * POINTS : (i + 1) * POINTS]) for i, level in enumerate(LEVELS)]


def _colour(level: float) -> tuple:
    return ScalarMappable(PRODUCT, SEQUENTIAL).to_rgba(level)
