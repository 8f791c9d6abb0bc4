"""One 2-2-1 network step by step, for experiments 3 and 4."""

from __future__ import annotations

import math

import numpy as np

from metarep.domains.multiplier.figures.folding import draw_factors, draw_iso_curves, factors
from metarep.domains.multiplier.figures.square import draw_network
from metarep.networks.spec import NetworkSpec
from metarep.studies.study import Figure


def transformation(spec: NetworkSpec, params: np.ndarray, title: str) -> tuple[dict[str, Figure], dict]:
    """The figures of one 2-2-1 network params (P,) that experiments 3 and 4 share, and its hidden weight's factors."""
    found = factors(spec.unpack(params)[0][0])
    found_figures = {
        "stages": Figure(
            draw_network(spec, params, title=title),
            "The unit square through every step of the network. Colour is the true product and stays with its point; "
            "grey is where the ReLU that follows sets a unit to zero.",
            "The unit square through every step of the network",
        ),
        "iso_curves": Figure(
            draw_iso_curves(spec, params, title=title),
            "The curves on which the product is 0, 0.1, …, 0.9. A perfect multiplier would bring each curve to one value, and "
            "the values onto a line of slope 1: the length of a bar is what the network leaves of a curve.",
            "Iso-curves of the product at the four stages",
        ),
        "rotation_scale_rotation": Figure(
            draw_factors(spec, params, title=title),
            "The hidden weight by its singular values: a rotation, a scale along the axes, another rotation. A negative scale "
            "turns the plane over.",
            "Hidden weight as rotation, scale, rotation",
        ),
    }
    angles = {"rotation_first_degrees": math.degrees(found.right), "rotation_last_degrees": math.degrees(found.left)}
    return found_figures, angles | {"scales": list(found.scale)}
