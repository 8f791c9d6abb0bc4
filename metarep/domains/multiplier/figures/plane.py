"""Networks without a hidden layer, experiments 1 and 2: their output over the square."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from metarep.domains.multiplier.figures.square import PRODUCT, boundary, contours, unit_grid
from metarep.networks.forward import forward
from metarep.networks.spec import NetworkSpec
from metarep.report.style import DIVERGING, INK, SEQUENTIAL, colour_bar, drawing

ERRORS = Normalize(-0.25, 0.25)
"""The colours of an error."""


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
