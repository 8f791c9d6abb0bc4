"""The error below and above a product: against the exact expected error, a fine grid, and a network whose error is known."""

import numpy as np
import pytest

from metarep.domains.multiplier.error_by_product import cut_rule, error_map, share_below, split_error
from metarep.domains.multiplier.expected_error import expected_error
from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.networks.forward import forward

NETWORKS = np.random.default_rng(3).uniform(-1, 1, (150, 9))


def test_both_parts_add_up_to_the_exact_expected_error():
    exact = expected_error(MULTIPLIER, NETWORKS, input_distribution="square")
    np.testing.assert_allclose(split_error(NETWORKS).sum(axis=1), exact, rtol=2e-4)


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_parts_agree_with_a_fine_grid(level):
    at = (np.arange(1500) + 0.5) / 1500
    x = np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2)
    y = x.prod(axis=1)
    squared = np.square(forward(MULTIPLIER, NETWORKS[0], x)[:, 0] - y)
    found = split_error(NETWORKS[:1], level=level)[0]
    assert found[0] == pytest.approx((squared * (y < level)).mean(), rel=2e-3)
    assert found[1] == pytest.approx((squared * (y >= level)).mean(), rel=2e-3)


def test_a_constant_output_has_its_integral():
    silent = np.array([[0, 0, 0, 0, -1, -1, 0, 0, 1.0]])  # the output is 1 everywhere
    below, above = split_error(silent)[0]
    assert below + above == pytest.approx(1 - 2 / 4 + 1 / 9)
    points, weights, side = cut_rule(0.5)
    assert weights.sum() == pytest.approx(1)
    assert weights[side].sum() == pytest.approx(share_below()) == pytest.approx(0.5 * (1 + np.log(2)))
    assert (points.prod(axis=1)[side] < 0.5).all()
    assert (points.prod(axis=1)[~side] > 0.5).all()


def test_the_map_is_symmetric_and_has_the_mean_error():
    found = error_map(NETWORKS, side=200)
    np.testing.assert_allclose(found, found.T)
    assert found.mean() == pytest.approx(expected_error(MULTIPLIER, NETWORKS, input_distribution="square").mean(), rel=1e-3)
