"""One network as a figure: the unit square through its every step.

Points on a grid over the unit square keep the colour of their true product on their way through
the network. A layer of two units moves them in the plane; one unit puts them on a line, drawn
against the product, where a perfect multiplier is the diagonal; any other width is a small
map of the square for each unit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from metarep.domains.multiplier.geometry import UNIT_SQUARE, active_area
from metarep.domains.multiplier.modes import MODE_NAMES, label_modes
from metarep.errors import MetarepError
from metarep.networks.forward import NetworkStep, forward, stages
from metarep.networks.spec import NetworkSpec
from metarep.report.style import DIVERGING, FAINT, INK, MUTED, SEQUENTIAL, colour_bar, drawing, zero_lines

SIDE = 41
"""Grid points along each side of the square."""

MAX_UNIT_MAPS = 64
"""Of a wider layer only the first units are drawn, and the panel says so."""

UNIT_GAP = 3
"""Pixels between their maps."""

SHORTEST_LINE = 0.03
"""A boundary that only clips a corner by less than this is left out."""

UNIT_LINES = ("solid", (0, (4, 2)))
CORNERS = {(0, 0): "o", (1, 0): ">", (0, 1): "^", (1, 1): "s"}
PRODUCT = Normalize(0, 1)


def draw_network(spec: NetworkSpec, params: np.ndarray, *, title: str | None = None) -> Figure:
    """The figure of one network params (P,): a panel for every step, in reading order.

    Raises MetarepError for networks with other than two inputs and for parameters that are not finite.
    """
    _require_two_inputs(spec)
    params = np.asarray(params, dtype=np.float64)
    if not np.isfinite(params).all():
        raise MetarepError("the network cannot be drawn: its parameters are not all finite", fix="choose another network")
    steps = stages(spec, params, np.concatenate([unit_grid(), outline()]))
    n_columns = 3 if len(steps) % 3 == 0 else 4
    n_rows = math.ceil(len(steps) / n_columns)
    with drawing(3.7 * n_columns + 1.1, 3.75 * n_rows + 0.6, w_pad=0.1, h_pad=0.1, wspace=0.04, hspace=0.05) as figure:
        axes = [figure.add_subplot(n_rows, n_columns, number) for number in range(1, len(steps) + 1)]
        for number, (ax, stage) in enumerate(zip(axes, steps, strict=True), start=1):
            _draw_stage(ax, stage, steps)
            ax.set_title(f"{number}  {_heading(stage, spec)}")
        if spec.hidden_widths and spec.hidden_widths[0] == 2:
            draw_boundaries(axes[0], spec, params, numbered=True)
            on = active_area(spec, params[None])[0]
            axes[2].set(xlabel=f"unit 1, on over {on[0]:.0%} of the square", ylabel=f"unit 2, on over {on[1]:.0%}")
        scale = ScalarMappable(PRODUCT, SEQUENTIAL)
        colour_bar(figure, scale, "true product $x_1 x_2$", ax=axes, shrink=0.6, aspect=30, pad=0.01)
        figure.suptitle(title if title is not None else _describe(spec, params), x=0.01, ha="left")
    return figure


def draw_small(ax: Axes, spec: NetworkSpec, params: np.ndarray) -> None:
    """One network params (P,) on one axes, for galleries: its output over the square as filled contours.

    The colours are those of the product, 0 to 1, so that networks compare. A white line is where a
    unit of the first hidden layer turns on, with an arrow to the side where it is on; the label
    below gives the share of the square where each is on, for up to four units. Raises
    MetarepError unless the network has two inputs and one output; one that is not finite says so in words.
    """
    if spec.widths[-1] != 1:
        raise MetarepError("only networks with one output have a small picture", met=spec)
    _require_two_inputs(spec)
    ax.set(aspect="equal", xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[])
    params = np.asarray(params, dtype=np.float64)
    if not np.isfinite(params).all():
        ax.text(0.5, 0.5, "not finite", ha="center", va="center", color=MUTED)
        return
    contours(ax, forward(spec, params, unit_grid())[:, 0])
    draw_boundaries(ax, spec, params)
    shares = active_area(spec, params[None])[0]
    if 0 < len(shares) <= 4:
        ax.set_xlabel("on: " + ", ".join(f"{share:.0%}" for share in shares), fontsize=8, labelpad=2)


def gallery(spec: NetworkSpec, networks: Sequence[np.ndarray], titles: Sequence[str]) -> Figure:
    """Some networks params (P,), small, in rows of six, each with a title of two or three lines."""
    across = min(6, len(networks))
    down = -(-len(networks) // across)
    with drawing(2.6 * across, 3.5 * down, h_pad=0.1) as figure:
        axes = figure.subplots(down, across, squeeze=False).ravel()
        for ax, params, title in zip(axes, networks, titles, strict=False):
            draw_small(ax, spec, params)
            ax.set_title(title, fontsize=10)
        for ax in axes[len(networks) :]:
            ax.axis("off")
    return figure


def contours(ax: Axes, values: np.ndarray, cmap: str = SEQUENTIAL, norm: Normalize = PRODUCT) -> None:
    """Values (SIDE²,) over the square, in ten steps of colour with thin lines between them."""
    at, levels, shown = np.linspace(0, 1, SIDE), np.linspace(norm.vmin, norm.vmax, 11), values.reshape(SIDE, SIDE)
    ax.contourf(at, at, shown, levels=levels, cmap=cmap, norm=norm, extend="both")
    ax.contour(at, at, shown, levels=levels, colors="black", linewidths=0.3, alpha=0.4)


def plot_plane(ax: Axes, points: np.ndarray, edge: np.ndarray, alike: np.ndarray) -> None:
    """The grid's points (SIDE², 2) in the plane in the colours of their products, with the square's outline.

    The window is square and holds the origin and the points alike (…, 2), which are those of all panels that are compared.
    """
    low, high = np.minimum(alike.min(axis=0), 0), np.maximum(alike.max(axis=0), 0)
    middle, reach = (low + high) / 2, max(0.56 * (high - low).max(), 1e-3)
    ends = np.stack([middle - reach, middle + reach], axis=1)
    ax.set(aspect="equal", xlim=ends[0], ylim=ends[1], xlabel="unit 1", ylabel="unit 2")
    ax.locator_params(nbins=5)
    zero_lines(ax)
    ax.scatter(*points.T, c=unit_grid().prod(axis=1), cmap=SEQUENTIAL, norm=PRODUCT, s=12, lw=0, zorder=2)
    ax.plot(*edge.T, color=INK, lw=1, zorder=3)
    for corner, marker in CORNERS.items():
        at = points[corner[1] * (SIDE - 1) * SIDE + corner[0] * (SIDE - 1)]
        ax.plot(*at, marker=marker, ms=6.5, mfc="white", mec=INK, mew=1.1, zorder=4, clip_on=False)
    if np.ptp(points, axis=0).max() < 1e-9:
        note = {"ha": "center", "color": MUTED, "backgroundcolor": "white"}
        ax.text(0.5, 0.55, "every input ends in this point", transform=ax.transAxes, **note)


def plot_against_product(ax: Axes, values: np.ndarray) -> None:
    """One unit's values (SIDE²,) against the true product; on the diagonal they are equal."""
    product = unit_grid().prod(axis=1)
    ax.axhline(0, color=FAINT, lw=0.8, zorder=1)
    ax.scatter(product, values, c=product, cmap=SEQUENTIAL, norm=PRODUCT, s=9, lw=0, zorder=2)
    ax.plot([0, 1], [0, 1], color=INK, lw=1.2, ls=(0, (5, 3)), zorder=3)
    ax.annotate("value = product", (1, 1), (-4, 3), textcoords="offset points", fontsize=8, color=INK, ha="right")
    low, high = min(0.0, values.min()), max(1.0, values.max())
    reach, middle = 0.56 * (high - low), (low + high) / 2
    ax.set(aspect="equal", xlim=(0.5 - reach, 0.5 + reach), ylim=(middle - reach, middle + reach))
    ax.set(xlabel="true product $x_1 x_2$", ylabel="value")
    ax.locator_params(nbins=5)


def plot_units(ax: Axes, values: np.ndarray, largest: float) -> None:
    """A map of the unit square for each unit of values (SIDE², H), side by side, coloured from −largest to largest."""
    shown = min(values.shape[1], MAX_UNIT_MAPS)
    across = math.ceil(math.sqrt(shown))
    tiles = np.full((across * math.ceil(shown / across), SIDE + UNIT_GAP, SIDE + UNIT_GAP), np.nan)
    tiles[:shown, :SIDE, :SIDE] = values[:, :shown].T.reshape(shown, SIDE, SIDE)[:, ::-1]
    rows = [np.concatenate(row, axis=1) for row in np.split(tiles, len(tiles) // across)]
    image = ax.imshow(np.concatenate(rows), cmap=DIVERGING, vmin=-largest, vmax=largest)
    ax.axis("off")
    note = "each unit's value over the square" if shown == values.shape[1] else f"units 1 to {shown} of {values.shape[1]}"
    cax = ax.inset_axes([0.15, -0.08, 0.7, 0.025])
    colour_bar(ax.figure, image, note, cax=cax, orientation="horizontal").ax.locator_params(nbins=5)


def draw_boundaries(ax: Axes, spec: NetworkSpec, params: np.ndarray, *, numbered: bool = False) -> None:
    """Where each unit of the first hidden layer turns on, over the square, with an arrow to the side where it is on.

    More than four units get thin lines without arrows. `numbered` writes each unit's number beside its arrow.
    """
    if not spec.hidden_widths:
        return
    weights, biases = spec.unpack(np.asarray(params, dtype=np.float64))[0]
    few = len(weights) <= 4
    halo = [withStroke(linewidth=3.4 if few else 1.6, foreground=INK)]
    for unit, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        ends = boundary(weight, bias)
        if ends is None or np.ptp(ends, axis=0).max() < SHORTEST_LINE:
            continue
        ax.plot(*ends.T, color="white", lw=1.8 if few else 0.8, ls=UNIT_LINES[unit % 2], path_effects=halo, zorder=5)
        if few:
            foot, direction = ends.mean(axis=0), weight / np.hypot(*weight)
            inside = ((foot + 0.13 * direction) >= 0).all() and ((foot + 0.13 * direction) <= 1).all()
            tail, tip = (foot, foot + 0.13 * direction) if inside else (foot - 0.13 * direction, foot)
            arrow = {"arrowstyle": "-|>", "color": "white", "lw": 1.4, "shrinkA": 0, "shrinkB": 0, "path_effects": halo}
            ax.annotate("", tip, tail, arrowprops=arrow, zorder=6)
            look = {"color": "white", "ha": "center", "va": "center", "fontsize": 11, "weight": "bold", "path_effects": halo}
            beside = foot + 0.075 * direction + 0.05 * np.array([-direction[1], direction[0]])
            ax.text(*beside, str(unit + 1) if numbered else "", zorder=7, **look)


def boundary(weight: np.ndarray, bias: float) -> np.ndarray | None:
    """The two ends (2, 2) of the part of the line weight·x + bias = 0 inside the unit square; None where there is none."""
    height = UNIT_SQUARE @ weight + bias
    ends = []
    for corner, there, h, g in zip(UNIT_SQUARE, np.roll(UNIT_SQUARE, -1, 0), height, np.roll(height, -1), strict=True):
        if (h > 0) != (g > 0):
            ends.append(corner + h / (h - g) * (there - corner))
    return np.array(ends) if len(ends) == 2 else None


def _draw_stage(ax: Axes, stage: NetworkStep, steps: list[NetworkStep]) -> None:
    """One panel; stages of one layer share their window and their colours, so that a bias is seen to move."""
    layer = np.concatenate([step.values for step in steps if step.layer == stage.layer])
    grid, edge = stage.values[: SIDE**2], stage.values[SIDE**2 :]
    width = grid.shape[1]
    if width == 1:
        plot_against_product(ax, grid[:, 0])
    elif width > 2:
        plot_units(ax, grid, max(np.abs(layer).max(), 1e-12))
    else:
        plot_plane(ax, grid, edge, layer)
        if stage.kind == "input":
            ax.collections[0].set_sizes([48])  # the points touch, so that lines and numbers on them can be read
            ax.set(xlabel="$x_1$", ylabel="$x_2$")
        if stage.kind == "pre-activations":  # a tint where the ReLU that follows will set a unit to zero
            ax.axvspan(ax.get_xlim()[0], 0, color=FAINT, alpha=0.6, lw=0, zorder=0)
            ax.axhspan(ax.get_ylim()[0], 0, color=FAINT, alpha=0.6, lw=0, zorder=0)


def _heading(stage: NetworkStep, spec: NetworkSpec) -> str:
    i = stage.layer
    source = "x" if i == 1 else f"h_{i - 1}"
    sum_text = f"W_{i} {source} + b_{i}"
    relu = rf"\mathrm{{ReLU}}({sum_text})"
    formula = {
        "input": "x",
        "before bias": f"W_{i} {source}",
        "pre-activations": sum_text,
        "activations": f"h_{i} = {relu}",
        "output": relu if spec.output_relu else sum_text,
    }[stage.kind]
    return f"{stage.kind}  ${formula}$"


def _describe(spec: NetworkSpec, params: np.ndarray) -> str:
    mode = label_modes(spec, params[None]).mode[0]
    parts = [f"{spec} network"] + ([f"mode {mode} ({MODE_NAMES[mode]})"] if mode else [])
    if spec.widths[-1] == 1:
        x = unit_grid()
        error = np.square(forward(spec, params, x)[:, 0] - x.prod(axis=1)).mean()
        parts.append(f"mean squared error over the unit square {error:.2g}")
    return ", ".join(parts)


def unit_grid() -> np.ndarray:
    """(SIDE², 2): points of the unit square, x1 fastest."""
    at = np.linspace(0, 1, SIDE)
    return np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2)


def outline() -> np.ndarray:
    """Once around the unit square, dense enough that a fold shows."""
    corners, at = np.concatenate([UNIT_SQUARE, UNIT_SQUARE[:1]]), np.linspace(0, 4, 401)
    return np.stack([np.interp(at, range(5), side) for side in corners.T], axis=1)


def _require_two_inputs(spec: NetworkSpec) -> None:
    if spec.widths[0] != 2:
        raise MetarepError("only networks with two inputs can be drawn over the square", met=spec, expected="such as 2-2-1")
