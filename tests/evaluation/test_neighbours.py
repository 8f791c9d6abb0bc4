"""Neighbours on data with known answers: distances modulo symmetry, the local fit, the Gamma test."""

import numpy as np
import pytest

from metarep.evaluation.neighbours import (
    Bank,
    Units,
    bank_of,
    half_squares,
    hidden_neighbours,
    intercept,
    local_linear,
    nearest_distance,
    neighbour_mean,
    units_of,
)
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import canonical_scale, permute_units, scale_units

SPEC = NetworkSpec((2, 2, 1))
KINDS = np.array([0, 1, 0, 1, 2, 2, 3, 3, 4])
"""The slot class of each parameter."""


def networks(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 9))


def units():
    return units_of(canonical_scale(SPEC, networks(500)), KINDS)


def test_a_permuted_and_rescaled_copy_is_at_distance_0_and_a_perturbed_one_is_not():
    bank, rng = networks(200), np.random.default_rng(1)
    copy = scale_units(SPEC, permute_units(SPEC, bank[:20], 0, np.array([1, 0])), 0, rng.uniform(0.3, 3, (20, 2)))
    assert nearest_distance(SPEC, bank, copy, units()) == pytest.approx(np.zeros(20), abs=1e-9)
    assert (nearest_distance(SPEC, bank, copy + 0.05, units()) > 1e-3).all()


def test_a_network_is_no_neighbour_of_itself_or_of_its_own_other_order():
    bank = networks(50)
    distance = nearest_distance(SPEC, bank, bank[:10], units(), own=np.arange(10))
    brute = [nearest_distance(SPEC, np.delete(bank, i, axis=0), bank[i : i + 1], units())[0] for i in range(10)]
    assert distance == pytest.approx(brute)
    twice = np.concatenate([bank, permute_units(SPEC, bank[:3], 0, np.array([1, 0]))])
    assert nearest_distance(SPEC, twice, bank[:3], units(), own=np.arange(3)) == pytest.approx(np.zeros(3), abs=1e-9)
    assert np.isinf(nearest_distance(SPEC, bank[:1], bank[:1], units(), own=np.arange(1))).all()


def test_units_and_banks_do_not_know_which_unit_comes_first():
    params = networks(300)
    own, swapped = units_of(params, KINDS), units_of(permute_units(SPEC, params, 0, np.array([1, 0])), KINDS)
    assert own.mean == pytest.approx(swapped.mean)
    assert own.std == pytest.approx(swapped.std)
    bank = bank_of(SPEC, params, own)
    assert len(bank.points) == 600
    assert own.of(permute_units(SPEC, params, 0, np.array([1, 0]))[7]).tolist() in bank.points[bank.owner == 7].tolist()


def made(n, noise, f, seed=0, d=3):
    """A bank of points whose last column is f of the others plus noise."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, d))
    return np.column_stack([x, f(x) + noise * rng.standard_normal(n)])


def plane(x):
    return 2 * x[:, 0] - x[:, 1] + 0.5


def test_the_local_fit_recovers_a_linear_function_where_the_mean_does_not():
    points, queries = made(4000, 0.0, plane), made(200, 0.0, plane, seed=1) * [0.8, 0.8, 0.8, 1]
    queries[:, 3] = plane(queries)
    found = hidden_neighbours(Bank(points, np.arange(4000)), queries, 3, 30)
    assert found.value.shape == (200, 30)
    exact = local_linear(found, ridge=1e-9)
    assert exact == pytest.approx(queries[:, 3], abs=1e-5)
    assert np.abs(local_linear(found) - queries[:, 3]).mean() < np.abs(neighbour_mean(found, 10) - queries[:, 3]).mean()


@pytest.mark.parametrize("noise", [0.0, 0.3, 1.0])
def test_the_gamma_test_recovers_the_variance_of_the_noise(noise):
    def curved(x):
        return np.sin(3 * x[:, 0]) + x[:, 1] * x[:, 2]

    points, queries = made(20_000, noise, curved), made(3000, noise, curved, seed=1)
    found = hidden_neighbours(Bank(points, np.arange(20_000)), queries, 3, 10)
    delta, gamma = half_squares(found, queries[:, 3], 10)
    assert (np.diff(delta.mean(axis=0)) > 0).all()
    assert intercept(delta.mean(axis=0), gamma.mean(axis=0)) == pytest.approx(noise**2, abs=0.08 * max(noise**2, 0.05))


def test_a_line_is_met_exactly_and_equal_distances_give_the_mean():
    x = np.array([[1.0, 2.0, 3.0], [2.0, 2.0, 2.0]])
    assert intercept(x, 0.5 + 2 * x) == pytest.approx([0.5, 4.5])


def test_a_small_bank_gives_as_many_neighbours_as_it_has():
    points = made(5, 0.1, plane)
    found = hidden_neighbours(Bank(points, np.arange(5)), points[:2], 3, 40)
    assert found.value.shape == (2, 5)
    assert np.isfinite(local_linear(found)).all()


def test_what_does_not_vary_stays_as_it_is():
    same = np.ones((20, 9))
    assert Units(np.zeros(9), np.ones(9)).of(same).tolist() == same.tolist()
