"""Distances modulo symmetry, local fits, and the Gamma test, where the answer is known."""

import numpy as np
import pytest

from metarep.analysis.neighbours import (
    HiddenNeighbours,
    gamma_noise,
    in_all_orders,
    local_linear,
    local_mean,
    nearest_distance,
    neighbours_without,
)
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import permute_units, random_scales

RNG = np.random.default_rng(0)
SPEC = NetworkSpec.parse("2-2-1")


def noisy_plane(n: int, noise: float, bend: float = 0.0) -> np.ndarray:
    """Rows (n, 4), the last column a function of the others and noise."""
    x = RNG.uniform(-1, 1, (n, 3))
    y = x @ [1.0, -2.0, 0.5] + bend * np.sin(2 * x[:, 0]) * x[:, 1] + noise * RNG.standard_normal(n)
    return np.column_stack([x, y])


def test_a_copy_in_another_order_and_scale_lies_nowhere_else_and_a_changed_one_does():
    params = RNG.standard_normal((60, 9))
    copies = permute_units(SPEC, params, 0, np.array([1, 0])) * random_scales(SPEC, 1.0, 60, rng=RNG)
    assert nearest_distance(SPEC, params, copies).max() < 1e-12
    assert nearest_distance(SPEC, params, params + 0.3 * RNG.standard_normal(params.shape)).min() > 0.01


def test_a_network_of_the_bank_does_not_count_as_its_own_neighbour():
    params = RNG.standard_normal((60, 9))
    others = nearest_distance(SPEC, params, params, skip_self=True)
    alone = [nearest_distance(SPEC, np.delete(params, i, axis=0), params[i : i + 1])[0] for i in range(10)]
    assert others.min() > 0.01
    np.testing.assert_allclose(others[:10], alone, rtol=0.1)  # the spread is that of 59 instead of 60
    twice = np.concatenate([params, params[:1]])
    assert nearest_distance(SPEC, twice, twice, skip_self=True)[[0, -1]].max() < 1e-12


def test_all_orders_hold_every_network_as_often_as_there_are_orders():
    params = RNG.standard_normal((5, 9))
    everything = in_all_orders(SPEC, params)
    np.testing.assert_array_equal(everything[:5], params)
    np.testing.assert_array_equal(everything[5:], permute_units(SPEC, params, 0, np.array([1, 0])))


def test_the_hidden_column_is_not_looked_at():
    bank, queries = noisy_plane(400, 0.1), noisy_plane(20, 0.1)
    found = neighbours_without(bank, queries, 3, 5)
    changed = queries.copy()
    changed[:, 3] += 100
    np.testing.assert_array_equal(neighbours_without(bank, changed, 3, 5).value, found.value)
    assert found.offset.shape == (20, 5, 3)
    assert (np.diff(found.squared_distance, axis=1) >= 0).all()


def test_a_local_fit_follows_a_plane_where_a_mean_lags():
    bank, queries = noisy_plane(600, 0.0), noisy_plane(100, 0.0)
    found = neighbours_without(bank, queries, 3, 20)
    inside = np.abs(queries[:, :3]).max(axis=1) < 0.7
    fit, mean = (np.abs(estimate(found) - found.truth)[inside].max() for estimate in (local_linear, local_mean))
    assert fit < 0.01
    assert mean > 10 * fit


def test_a_local_fit_does_not_leave_the_range_of_its_neighbours():
    offset = np.array([[[1.0, 0.0], [1.1, 0.0], [1.2, 0.0]]])
    found = HiddenNeighbours(offset, np.array([[0.0, 5.0, 10.0]]), np.zeros(1))
    assert local_linear(found)[0] == 0.0


@pytest.mark.parametrize("noise", [0.0, 0.3, 1.0])
def test_the_gamma_test_finds_the_variance_that_was_put_in(noise):
    found = neighbours_without(noisy_plane(20_000, noise, bend=1.0), noisy_plane(2000, noise, bend=1.0), 3, 10)
    assert gamma_noise(found) == pytest.approx(noise**2, abs=0.01 + 0.08 * noise**2)


def test_the_gamma_test_of_rows_that_are_all_alike_is_half_their_squared_difference():
    found = HiddenNeighbours(np.zeros((50, 4, 2)), np.ones((50, 4)), np.zeros(50))
    assert gamma_noise(found) == 0.5
