"""The skew of a hidden weight: zero for rotations, blind to the scale and order of units, and what no scale removes."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.domains.multiplier.recipes import HANDCRAFTED
from metarep.domains.multiplier.skew import off_right_angle, skew
from metarep.networks.symmetry import permute_units, scale_units


def network(weight) -> np.ndarray:
    return np.concatenate([np.ravel(weight), [0.1, 0.2, -1, -1, 1]])[None]


def stretch(params) -> np.ndarray:
    """The logarithm of the ratio of the singular values."""
    values = np.linalg.svd(MULTIPLIER.unpack(params)[0][0], compute_uv=False)
    return np.log(values[:, 0] / values[:, 1])


def rotation(angle) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


@pytest.mark.parametrize("angle", [0, 0.3, 2.0, -3 * np.pi / 4])
def test_rotations_and_reflections_of_any_size_have_none(angle):
    for weight in (rotation(angle), 3 * rotation(angle), rotation(angle) @ np.diag([1, -1])):
        for measure in (skew, off_right_angle):
            assert measure(network(weight))[0] == pytest.approx(0, abs=1e-6)
    assert skew(HANDCRAFTED[None])[0] == pytest.approx(0, abs=1e-12)


def test_the_control_a_shear_has_some():
    assert skew(network([[1, 0], [1, 1]]))[0] == pytest.approx(np.arctanh(np.sqrt(0.5)))
    assert off_right_angle(network([[1, 0], [1, 1]]))[0] == pytest.approx(45)
    assert np.isinf(skew(network([[1, 2], [2, 4]]))[0])
    assert np.isnan(skew(network([[0, 0], [1, 1]]))[0])


def test_no_scale_or_order_of_units_changes_the_skew_but_a_scale_changes_the_stretch():
    rng = np.random.default_rng(0)
    params = rng.standard_normal((200, 9))
    scaled = scale_units(MULTIPLIER, params, 0, np.exp(rng.standard_normal((200, 2))))
    swapped = permute_units(MULTIPLIER, params, 0, np.array([1, 0]))
    np.testing.assert_allclose(skew(scaled), skew(params), rtol=1e-9)
    np.testing.assert_allclose(skew(swapped), skew(params), rtol=1e-12)
    np.testing.assert_allclose(stretch(swapped), stretch(params), rtol=1e-9)
    assert np.abs(stretch(scaled) - stretch(params)).max() > 0.5


@pytest.mark.parametrize("seed", range(5))
def test_the_skew_is_the_least_stretch_over_all_scales(seed):
    params = np.random.default_rng(seed).standard_normal((1, 9))
    least = minimize_scalar(
        lambda log: stretch(scale_units(MULTIPLIER, params, 0, np.exp([log, 0.0])))[0], bounds=(-6, 6), method="bounded"
    )
    assert least.fun == pytest.approx(skew(params)[0], abs=1e-6)
