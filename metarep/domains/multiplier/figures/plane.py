"""Networks without a hidden layer, experiments 1 and 2: their output over the square, and many trained ones about the best."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from metarep.domains.multiplier.figures.square import PRODUCT, boundary, contours, unit_grid
from metarep.networks.forward import forward
from metarep.networks.spec import NetworkSpec
from metarep.report.style import DIVERGING, INK, PALETTE, SEQUENTIAL, colour_bar, drawing, legend_below

TRAINED, BEST, IN_NOTES = PALETTE[4], PALETTE[1], PALETTE[2]
"""Colours: networks trained here, the best one, the published one."""

ERRORS = Normalize(-0.25, 0.25)
"""The colours of an error."""


class Point(NamedTuple):
    """A network to mark among others: its name, params (3,) and error."""

    name: str
    params: np.ndarray
    error: float


def output_figure(spec: NetworkSpec, networks: Mapping[str, np.ndarray]) -> Figure:
    """The product over the square, and each network {name: params (3,)} beside it: its output, and below how far it is off.

    A line is where a ReLU on the output turns on.
    """
    grid = unit_grid()
    truth = grid.prod(axis=1)
    n = len(networks) + 1
    with drawing(3.3 * n + 0.9, 6.9, h_pad=0.1) as figure:
        axes = figure.subplots(2, n)
        contours(axes[0, 0], truth)
        axes[0, 0].set_title("the product $x_1 x_2$")
        axes[1, 0].axis("off")
        for ax, off, (name, params) in zip(axes[0, 1:], axes[1, 1:], networks.items(), strict=True):
            output = forward(spec, np.asarray(params, np.float64), grid)[:, 0]
            contours(ax, output)
            contours(off, output - truth, DIVERGING, ERRORS)
            ends = boundary(params[:2], params[2]) if spec.output_relu else None
            if ends is not None:
                ax.plot(*ends.T, color="white", lw=2)
                off.plot(*ends.T, color=INK, lw=2)
            ax.set_title(name)
            off.set_title("output − product")
        for ax in (*axes[0], *axes[1, 1:]):
            ax.set(aspect="equal", xlabel="$x_1$", ylabel="$x_2$", xticks=[0, 1], yticks=[0, 1])
        for norm, cmap, row, label in ((PRODUCT, SEQUENTIAL, axes[0], "value"), (ERRORS, DIVERGING, axes[1], "error")):
            colour_bar(figure, ScalarMappable(norm, cmap), label, ax=row, shrink=0.85, aspect=22, pad=0.01)
    return figure


def trained_figure(params: np.ndarray, valid_mse: np.ndarray, exact: np.ndarray, best: Point, published: Point) -> Figure:
    """Trained networks params (N, 3) about the best: their weights as points, their errors (N,) as histograms."""
    with drawing(11, 5.2, w_pad=0.15) as figure:
        weights, errors = figure.subplots(1, 2)
        weights.scatter(*params[:, :2].T, s=10, lw=0, alpha=0.5, color=TRAINED, label=f"trained, {len(params):,} seeds")
        for point, marker, colour in ((best, "D", BEST), (published, "s", IN_NOTES)):
            style = {"ls": "", "ms": 8, "mec": "white", "mew": 1, "zorder": 5}
            weights.plot(*point.params[:2], marker=marker, color=colour, label=point.name, **style)
        off = np.abs(params[:, :2] - best.params[:2]).max(axis=1)
        reach = 1.05 * max(np.quantile(off, 0.99), np.abs(published.params - best.params)[:2].max())
        limits = [(middle - reach, middle + reach) for middle in best.params[:2]]
        weights.set(xlabel="$w_1$", ylabel="$w_2$", aspect="equal", xlim=limits[0], ylim=limits[1])
        weights.locator_params(nbins=5)
        weights.set_title(f"weights ({(off > reach).sum()} of {len(params):,} lie outside)")
        legend_below(weights, 0.14)
        low, high = min(valid_mse.min(), best.error), np.quantile(valid_mse, 0.995)
        bins = np.linspace(low - 0.02 * (high - low), high, 50)
        errors.hist(np.minimum(valid_mse, high), bins, color=TRAINED, label="on its 2,000 validation samples")
        errors.hist(np.minimum(exact, high), bins, histtype="step", color=INK, lw=1.5, label="exact, over the square")
        errors.axvline(best.error, color=BEST, label=f"{best.name} {best.error:.4f}")
        errors.axvline(published.error, color=IN_NOTES, ls=(0, (4, 2)), label=f"{published.name} {published.error:.4f}")
        errors.set(xlabel="mean squared error (last bar: and above)", ylabel="networks", title="errors")
        errors.locator_params(axis="x", nbins=6)
        legend_below(errors, 0.14, ncols=2)
    return figure
