"""Experiment 6 as figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metarep.domains.multiplier.figures.choices import freed_figure
from metarep.domains.multiplier.figures.minima import gallery_figure
from metarep.domains.multiplier.figures.square import draw_network
from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.domains.multiplier.recipes import HANDCRAFTED
from metarep.studies.e06.ablation import GROUPS
from metarep.studies.study import Figure

if TYPE_CHECKING:
    from metarep.studies.e06.ablation import Ablation


def figures(found: Ablation) -> dict[str, Figure]:
    """The hand-crafted network, its ablation, and what each choice optimised alone makes of it."""
    names = sorted(GROUPS, key=lambda name: found.left(frozenset({name})), reverse=True)
    shown = [HANDCRAFTED, *(found.freed[(name,)].near.params for name in names), found.freed[tuple(GROUPS)].near.params]
    errors = [found.start, *(found.left(frozenset({name})) for name in names), found.left(frozenset(GROUPS))]
    titles = ["by hand", *(f"{name} optimised" for name in names), "all four optimised"]
    return {
        "stages": Figure(
            draw_network(MULTIPLIER, HANDCRAFTED, title=f"hand-crafted network, expected error {found.start:.4f}"),
            "The hand-crafted network: the square turned by −135°, moved up, folded, and read along a line. Colour is the "
            "true product; grey is where the ReLU sets a unit to zero.",
            "The hand-crafted network, step by step",
        ),
        "ablation": Figure(
            freed_figure(
                list(GROUPS),
                list(found.freed),
                np.array([freed.near.error for freed in found.freed.values()]),
                np.array([freed.best.error for freed in found.freed.values()]),
                found.start,
            ),
            "Every set of the four choices optimised, the others as chosen: the exact expected error. The four rows with one "
            "filled dot say what each choice costs.",
            "Error by which choices are optimised",
        ),
        "one_at_a_time": Figure(
            gallery_figure(MULTIPLIER, shown, [f"{t}\nerror {e:.4f}" for t, e in zip(titles, errors, strict=True)]),
            "The output over the square as chosen by hand, with one choice optimised, and with all four; lines are where the "
            "units turn on.",
            "Outputs of the hand-crafted network with one choice optimised",
        ),
    }
