"""The Gamma test on data with known answers."""

import numpy as np
import pytest

from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import permute_units
from metarep.studies.ceiling.run import intercept, nearest
from metarep.studies.reading import Kinds, Scale

SPEC = NetworkSpec((2, 2, 1))
KINDS = Kinds(np.array([0, 1, 0, 1, 2, 2, 3, 3, 4]), ("from x1", "from x2", "bias", "to y", "bias of y"))


def networks(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 9))


def test_the_scale_does_not_know_which_unit_comes_first():
    params = networks(300)
    own, swapped = (KINDS.scale(one) for one in (params, permute_units(SPEC, params, 0, np.array([1, 0]))))
    assert own.mean == pytest.approx(swapped.mean)
    assert own.std == pytest.approx(swapped.std)
    assert (own.mean[[0, 2]] == params[:, [0, 2]].mean()).all()


def made(n, noise, f, seed=0, d=3):
    """A bank of points whose last column is f of the others plus noise."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, d))
    return np.column_stack([x, f(x) + noise * rng.standard_normal(n)])


def plane(x):
    return 2 * x[:, 0] - x[:, 1] + 0.5


@pytest.mark.parametrize("noise", [0.0, 0.3, 1.0])
def test_the_gamma_test_recovers_the_variance_of_the_noise(noise):
    def curved(x):
        return np.sin(3 * x[:, 0]) + x[:, 1] * x[:, 2]

    points, queries = made(20_000, noise, curved), made(3000, noise, curved, seed=1)
    delta, gamma = nearest(points, queries, 3, 10)
    assert (np.diff(delta.mean(axis=0)) > 0).all()
    assert intercept(delta.mean(axis=0), gamma.mean(axis=0)) == pytest.approx(noise**2, abs=0.08 * max(noise**2, 0.05))


def test_a_line_is_met_exactly_and_equal_distances_give_the_mean():
    x = np.array([[1.0, 2.0, 3.0], [2.0, 2.0, 2.0]])
    assert intercept(x, 0.5 + 2 * x) == pytest.approx([0.5, 4.5])


def test_a_small_bank_gives_as_many_neighbours_as_it_has():
    points = made(5, 0.1, plane)
    assert nearest(points, points[:2], 3, 40)[1].shape == (2, 5)


def test_what_does_not_vary_stays_as_it_is():
    same = np.ones((20, 9))
    assert Scale(np.zeros(9), np.ones(9)).of(same).tolist() == same.tolist()
