"""Experiment 7 as figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metarep.domains.multiplier.figures.choices import moved_figure
from metarep.domains.multiplier.figures.minima import gallery_figure
from metarep.domains.multiplier.figures.square import draw_network
from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.studies.published import PARAMETERS
from metarep.studies.study import Figure
from metarep.zoos.zoo import Zoo

if TYPE_CHECKING:
    from metarep.studies.e07.moved import Moved


def figures(moved: Moved, families: dict[str, Zoo]) -> dict[str, Figure]:
    """Before and after, step by step and side by side; every parameter's way."""
    changes = {name: (zoo.params - zoo.init_params).astype(np.float64) for name, zoo in families.items()}
    titles = [f"by hand\nerror {moved.expected_before:.4f}", f"trained further\nerror {moved.expected_after:.4f}"]
    return {
        "parameters": Figure(
            moved_figure(PARAMETERS, moved.before, moved.after, changes),
            "Each parameter before and after training; at the right its change, for the published seed and for families that "
            "differ by their data, or by their data and a jitter of the start.",
            "Nine parameters before and after training",
        ),
        "outputs": Figure(
            gallery_figure(MULTIPLIER, [moved.before, moved.after], titles),
            "The output over the square before and after; lines are where the units turn on.",
            "Outputs before and after training",
        ),
        "stages_before": Figure(
            draw_network(MULTIPLIER, moved.before, title=f"before: by hand, expected error {moved.expected_before:.4f}"),
            "Before: the hand-crafted network, step by step.",
        ),
        "stages_after": Figure(
            draw_network(MULTIPLIER, moved.after, title=f"after: trained further, expected error {moved.expected_after:.4f}"),
            "After training: the same steps.",
        ),
    }
