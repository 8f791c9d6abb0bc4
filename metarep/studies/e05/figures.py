"""Experiment 5 as figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metarep.domains.multiplier.error_by_product import HALF, error_map
from metarep.domains.multiplier.figures.skew_figures import error_figure, pre_activations_figure, skew_figure
from metarep.domains.multiplier.figures.square import draw_network
from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.domains.multiplier.skew import skew, stretch
from metarep.studies.e05.pairs import MEASURES
from metarep.studies.study import Figure

if TYPE_CHECKING:
    from metarep.studies.e05.pairs import Pairs


SIDE = 100


def figures(
    family: Pairs, own: Pairs, measured: dict[str, tuple[np.ndarray, np.ndarray]], splits: list[dict]
) -> dict[str, Figure]:
    """Skews of all pairs, errors over the square, the published network before and after."""
    titles = {"skew": "skew, free of units' scales", "stretch": "stretch, as drawn"}
    shown = {name: measured[name] for name in titles}
    both = np.concatenate([own.parent, own.child])
    stars = {name: tuple(float(value) for value in MEASURES[name](both)) for name in titles}
    values = skew(both), stretch(both)
    heads = [f"{who}\nskew {values[0][i]:.3f}, stretch {values[1][i]:.3f}" for i, who in enumerate(("parent", "child"))]
    return {
        "skew": Figure(
            skew_figure(shown, stars, titles),
            "Each point is a parent with its child; 0 is a rotation. Left: the skew, which no scale of units changes. "
            "Right: the stretch of the square at the pre-activations.",
            "Skew of children against that of their parents",
        ),
        "error": Figure(
            error_figure(error_map(family.parent, side=SIDE), error_map(family.child, side=SIDE), splits[:2], level=HALF),
            f"Where {len(family.parent):,} parents and their children err on the square, on average (each with its mirror "
            "image); the curve is the product 1/2. Right: the error below and above it.",
            "Errors over the square before and after",
        ),
        "pre_activations": Figure(
            pre_activations_figure(MULTIPLIER, both, [f"{head}" for head in heads]),
            "The square at the pre-activations of the published network and its child; grey is where a unit is off.",
            "Pre-activations of the published network and its child",
        ),
        "stages": Figure(
            draw_network(MULTIPLIER, own.child[0], title=f"child of the published network, error {own.valid_mse[0]:.4f}"),
            "The child of the published network, step by step.",
        ),
    }
