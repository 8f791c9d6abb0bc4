"""A 2-2-1 network as a fold of the plane: its hidden weight as rotation, scale, rotation, and what becomes of the
iso-curves of the product, step by step.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from metarep.domains.multiplier.figures.square import (
    PRODUCT,
    outline,
    plot_plane,
    product_bar,
    shade_off,
    square_window,
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
    second = s[1]
    if np.linalg.det(u) < 0:
        u, second = u * [1, -1], -second
    if np.linalg.det(vt) < 0:
        vt, second = vt * [[1], [-1]], -second
    left, right = math.atan2(u[1, 0], u[0, 0]), math.atan2(vt[1, 0], vt[0, 0])
    if not -math.pi / 2 < right <= math.pi / 2:
        left, right = left + math.pi, right + math.pi
    return Factors(_wrapped(left), (float(s[0]), float(second)), _wrapped(right))


def _wrapped(angle: float) -> float:
    return -((-angle + math.pi) % (2 * math.pi) - math.pi)


def draw_factors(spec: NetworkSpec, params: np.ndarray, *, title: str = "") -> Figure:
    """The hidden weight of a 2-2-1 network params (P,) as rotation, scale, rotation of the unit square."""
    found = factors(spec.unpack(np.asarray(params, np.float64))[0][0])
    left, scale, right = found.matrices
    steps = [
        ("input  $x$", np.eye(2)),
        (f"rotated by {num(math.degrees(found.right), 0)}°", right),
        (f"scaled by {num(found.scale[0])} and {num(found.scale[1])}", scale @ right),
        (f"rotated by {num(math.degrees(found.left), 0)}°: before bias  $W_1 x$", left @ scale @ right),
    ]
    grid, edge = unit_grid(), outline()
    window = square_window(np.concatenate([grid @ matrix.T for _, matrix in steps]))
    with drawing(15, 4.2) as figure:
        axes = figure.subplots(1, 4)
        for number, (ax, (name, matrix)) in enumerate(zip(axes, steps, strict=True), start=1):
            plot_plane(ax, grid @ matrix.T, edge @ matrix.T, window)
            ax.set(xlabel="", ylabel="")
            ax.set_title(f"{number}  {name}")
        product_bar(figure, axes)
        if title:
            figure.suptitle(title, x=0.01, ha="left")
    return figure


def draw_iso_curves(spec: NetworkSpec, params: np.ndarray, *, title: str = "") -> Figure:
    """The curves on which the product is the same, at each of the four stages of a 2-2-1 network params (P,).

    Before the hidden bias, pre-activations and activations are planes; before the output bias each curve has become
    a stretch of a line, which should be a point: its height in the figure is how much the network errs along it.
    """
    params = np.asarray(params, np.float64)
    curves = [iso_curve(level) for level in LEVELS]
    steps = stages(spec, params, np.concatenate([*curves, outline()]))
    shown = [steps[1], steps[2], steps[3], steps[4]]
    names = (
        "before the hidden bias  $W_1 x$",
        "pre-activations  $W_1 x + b_1$",
        "activations  $h = \\mathrm{ReLU}(W_1 x + b_1)$",
        "before the output bias  $W_2 h$",
    )
    with drawing(15, 4.3) as figure:
        axes = figure.subplots(1, 4)
        for number, (ax, stage, name) in enumerate(zip(axes, shown, names, strict=True), start=1):
            if stage.values.shape[1] == 2:
                _curves_in_plane(ax, stage, shown[:3])
            else:
                _curves_on_line(ax, stage)
            ax.set_title(f"{number}  {name}")
        product_bar(figure, axes)
        if title:
            figure.suptitle(title, x=0.01, ha="left")
    return figure


def iso_curve(level: float) -> np.ndarray:
    """(POINTS, 2): x1 · x2 = level within the unit square, from one side to the other; for 0 the two sides themselves."""
    if level == 0:
        half = np.linspace(0, 1, POINTS // 2 + 1)
        return np.concatenate([np.stack([0 * half, half[::-1]], 1)[:-1], np.stack([half, 0 * half], 1)])
    x1 = np.geomspace(level, 1, POINTS)
    return np.stack([x1, level / x1], axis=1)


def _curves_in_plane(ax: Axes, stage: Stage, alike: list[Stage]) -> None:
    left, right, low, high = square_window(np.concatenate([step.values for step in alike]))
    ax.axhline(0, color=INK, lw=0.6, zorder=1)
    ax.axvline(0, color=INK, lw=0.6, zorder=1)
    for level, curve in _curves(stage):
        ax.plot(*curve.T, color=_colour(level), lw=2, zorder=3)
    ax.plot(*stage.values[-len(outline()) :].T, color=INK, lw=0.8, zorder=2)
    ax.set(aspect="equal", xlim=(left, right), ylim=(low, high), xlabel="unit 1", ylabel="unit 2")
    if stage.kind == "pre-activations":
        shade_off(ax)
    ax.locator_params(nbins=5)


def _curves_on_line(ax: Axes, stage: Stage) -> None:
    for level, curve in _curves(stage):
        values = curve[:, 0]
        ax.plot([level, level], [values.min(), values.max()], color=_colour(level), lw=5, solid_capstyle="butt", zorder=2)
        ax.plot(level, values.mean(), "o", ms=5, mfc="white", mec=INK, zorder=3)
    everything = stage.values[:, 0]
    middle, reach = (everything.min() + everything.max()) / 2, 0.56 * max(np.ptp(everything), 1.0)
    ends = np.array([0.0, 1.0])
    offset = np.mean([curve[:, 0].mean() - level for level, curve in _curves(stage)])
    ax.plot(ends, ends + offset, color=INK, lw=1.2, ls=(0, (5, 3)), zorder=1)
    ax.annotate("slope 1", (0.95, 0.95 + offset), (6, -10), textcoords="offset points", fontsize=8)
    ax.set(aspect="equal", xlim=(0.5 - reach, 0.5 + reach), ylim=(middle - reach, middle + reach))
    ax.set(xlabel="product of the curve", ylabel="value along the curve")
    ax.locator_params(nbins=5)


def _curves(stage: Stage) -> list[tuple[float, np.ndarray]]:
    return [(level, stage.values[i * POINTS : (i + 1) * POINTS]) for i, level in enumerate(LEVELS)]


def _colour(level: float) -> tuple:
    return ScalarMappable(PRODUCT, SEQUENTIAL).to_rgba(level)
