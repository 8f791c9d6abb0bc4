"""The palette under simulated colour blindness; the style leaves no trace."""

from itertools import combinations

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from metarep.domains.multiplier.domain import MODE_COLOURS
from metarep.domains.multiplier.modes import MODES
from metarep.report.style import OTHER, PALETTE, cluster_colour, colours_of, keys_of, use_style

# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency",
# 2009, severity 1, on linear RGB.
VISION = {
    "normal": np.eye(3),
    "red-blind": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "green-blind": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "blue-blind": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(colour, vision):
    """CIELAB, D65, of a colour as it is seen."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    x, y, z = np.cbrt(np.maximum(TO_XYZ @ np.clip(vision @ linear, 0, 1) / [0.9505, 1, 1.089], 1e-6))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def nearest(colours, vision):
    return min(np.linalg.norm(lab(a, np.array(vision)) - lab(b, np.array(vision))) for a, b in combinations(colours, 2))


@pytest.mark.parametrize("vision", VISION.values(), ids=VISION)
def test_modes_can_be_told_apart(vision):
    assert nearest(MODE_COLOURS.values(), vision) > 25


def test_the_check_sees_a_red_and_a_green_that_green_blind_eyes_confuse():
    assert nearest(["#C00000", "#5A6A00"], VISION["normal"]) > 60
    assert nearest(["#C00000", "#5A6A00"], VISION["green-blind"]) < 25


def test_every_mode_has_a_colour_of_its_own():
    assert set(MODES) < set(MODE_COLOURS)
    assert len(set(MODE_COLOURS.values())) == len(MODE_COLOURS)


def test_the_style_leaves_no_trace():
    before = dict(matplotlib.rcParams)
    with use_style():
        assert matplotlib.rcParams["axes.spines.top"] is False
    assert dict(matplotlib.rcParams) == before


def test_noise_and_clusters_beyond_the_palette_have_colours_of_their_own():
    assert len({cluster_colour(number) for number in range(-1, 24)}) == 25


@pytest.mark.parametrize("vision", VISION.values(), ids=VISION)
def test_twelve_colours_can_be_told_apart(vision):
    assert len(set(PALETTE)) == 12
    assert nearest(PALETTE, vision) > 15
    assert min(nearest((one, other), vision) for one in PALETTE[8:] for other in PALETTE if other != one) > 25


def test_no_colour_of_a_label_comes_twice_and_what_is_beyond_the_palette_is_one_entry():
    names = [f"v{i:02}" for i in range(12)]
    assert len(set(colours_of(names, {}).values())) == 13  # and one for networks without a value
    found = colours_of(["a", "b", "c"], {"a": "#0072B2"})
    assert found["a"] == "#0072B2"
    assert len({found[value] for value in "abc"}) == 3
    many = colours_of([*names, "x", "y"], {})
    assert [value for value, colour in many.items() if colour == OTHER] == ["x", "y"]
    assert [one.get_label() for one in keys_of(many, {"v00", "v03", "x", "y"})] == ["v00", "v03", "2 others"]
