"""Modes by their rules, on made and published networks; blind to the order and the scale of units."""

import numpy as np
import pytest

from metarep.domains.multiplier.modes import MODE_NAMES, MODES, compositions, label_modes, modes_of_areas, unit_states
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import permute_units, scale_units

SPEC = NetworkSpec((2, 2, 1))
# The research notes' experiments 4 (seed 2813536937, mode 3) and 6 (the hand-crafted network), as printed there.
PUBLISHED = [0.4373, -0.4425, -0.7523, -0.4695, -0.0023, 1.6139, -0.7446, -1.1377, 1.3982]
HANDCRAFTED = [-0.70710678, 0.70710678, -0.70710678, -0.70710678, 0.0, 1.41421356, -0.5, -0.70710678, 1.0]
OFF, ON, LEFT, MOST = [0.0, 0, -1], [0.0, 0, 1], [-1.0, 0, 0.5], [-1.0, 0, 0.9]


def network(*units):
    (a, b, c), (d, e, f) = units
    return [a, b, d, e, c, f, -1.0, -1.0, 1.0]


def test_published_networks_are_mode_3():
    labels = label_modes(SPEC, np.array([PUBLISHED, HANDCRAFTED]))
    assert labels.mode.tolist() == ["3", "3"]
    assert labels.quadrant_code.tolist() == ["01+11", "01+11"]
    assert labels.sign_pattern.tolist() == ["--", "--"]
    np.testing.assert_allclose(labels.active_area, [[0.48894, 1], [0.5, 1]], atol=1e-5)
    np.testing.assert_allclose(labels.mode_margin, 0.2)


@pytest.mark.parametrize(
    ("units", "mode", "code"),
    [
        ((OFF, OFF), "1", "00"),
        ((OFF, LEFT), "2", "00+01"),
        ((OFF, ON), "2", "01"),
        ((ON, ON), "2.5", "11"),
        ((LEFT, ON), "3", "01+11"),
        ((MOST, LEFT), "3", "00+01+11"),
        ((LEFT, LEFT), "4", "00+11"),
        ((LEFT, [1.0, 0, -0.5]), "4", "01+10"),
    ],
)
def test_made_networks(units, mode, code):
    labels = label_modes(SPEC, np.array([network(*units), network(*units[::-1])]))
    assert labels.mode.tolist() == [mode, mode]
    assert labels.quadrant_code.tolist() == [code, code]


def test_thresholds_and_margins():
    area = np.array([[0.0, 0.015], [0.0, 0.02], [0.02, 0.8], [0.3, 0.81], [0.98, 1.0], [0.985, 1.0], [0.97, 0.99], [0.7, 0.79]])
    mode, margin = modes_of_areas(area)
    assert mode.tolist() == ["1", "2", "4", "3", "3", "2.5", "3", "4"]
    np.testing.assert_allclose(margin, [0.005, 0, 0, 0.01, 0, 0.005, 0.01, 0.01], atol=1e-12)


def test_the_margin_is_the_distance_to_another_mode():
    area = np.random.default_rng(0).random((300, 2)) ** 3
    mode, margin = modes_of_areas(area)
    assert (margin >= 0).all()
    steps = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), axis=-1).reshape(-1, 2)
    reached = np.zeros(len(area), dtype=bool)
    for step in steps:
        assert (modes_of_areas(area + 0.999 * margin[:, None] * step)[0] == mode).all()
        reached |= modes_of_areas(area + (1.001 * margin[:, None] + 1e-9) * step)[0] != mode
    assert reached.all()


def test_labels_do_not_know_the_order_of_units():
    rng = np.random.default_rng(1)
    params = rng.normal(size=(3000, 9)).astype(np.float32)
    labels, swapped = label_modes(SPEC, params), label_modes(SPEC, permute_units(SPEC, params, 0, [1, 0]))
    for name in ("quadrant_area", "quadrant_code", "mode", "mode_margin", "sign_pattern"):
        np.testing.assert_array_equal(getattr(labels, name), getattr(swapped, name))
    np.testing.assert_array_equal(labels.active_area, swapped.active_area[:, ::-1])
    assert set(labels.mode) == set(MODES) == set(MODE_NAMES)
    only_biases = label_modes(SPEC, params[:, [0, 1, 2, 3, 5, 4, 6, 7, 8]])
    assert (only_biases.mode != labels.mode).mean() > 0.1


def test_labels_do_not_know_the_scale_of_units():
    params = np.random.default_rng(2).normal(size=(500, 9))
    labels, scaled = label_modes(SPEC, params), label_modes(SPEC, scale_units(SPEC, params, 0, [4.0, 0.125]))
    np.testing.assert_array_equal(labels.mode_margin, scaled.mode_margin)
    np.testing.assert_array_equal(labels.sign_pattern, scaled.sign_pattern)


def test_a_network_that_is_not_finite_has_no_mode():
    params = np.array([PUBLISHED] * 4)
    params[1, 0], params[2, 8], params[3] = np.nan, np.inf, -np.inf
    with np.errstate(all="raise"):
        labels = label_modes(SPEC, params)
    assert labels.mode.tolist() == ["3", "", "", ""]
    assert labels.quadrant_code.tolist() == ["01+11", "", "", ""]
    assert labels.sign_pattern.tolist() == ["--", "", "", ""]
    assert np.isnan(labels.mode_margin).tolist() == [False, True, True, True]


@pytest.mark.parametrize(
    ("text", "n_signs", "n_quadrants"), [("2-1", 2, 0), ("2-16-1", 16, 0), ("2-2-2-1", 2, 0), ("2-2-1-relu", 2, 4)]
)
def test_other_architectures_have_no_mode(text, n_signs, n_quadrants):
    spec = NetworkSpec.parse(text)
    labels = label_modes(spec, np.random.default_rng(3).normal(size=(4, spec.n_params)))
    assert labels.mode.tolist() == [""] * 4
    assert labels.quadrant_area.shape == (4, n_quadrants)
    assert {len(pattern) for pattern in labels.sign_pattern} == {n_signs}


def test_no_networks_have_no_labels():
    labels = label_modes(SPEC, np.zeros((0, 9)))
    assert len(labels.mode) == len(labels.sign_pattern) == len(labels.quadrant_code) == 0


def test_unit_states_say_what_each_unit_does_whatever_their_order():
    area = np.array([[0.01, 0.5], [0.5, 0.01], [0.99, 0.3], [0.0, 0.0], [np.nan, 0.5]])
    assert unit_states(area)[:2].tolist() == [["off", "bent"], ["bent", "off"]]
    assert compositions(area).tolist() == ["bent+off", "bent+off", "bent+on", "off+off", ""]
    assert compositions(np.zeros((2, 0))).tolist() == ["", ""]


def test_unit_states_of_wide_layers_are_counted():
    area = np.array([[0.5, 1.0, 0.0, 0.5, 0.5], [0.0] * 5, [np.nan, 0.5, 0.5, 0.5, 0.5]])
    assert compositions(area).tolist() == ["3 bent+1 off+1 on", "5 off", ""]
