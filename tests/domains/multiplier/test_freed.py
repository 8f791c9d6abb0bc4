"""Some parameters set free: against linear least squares, against the whole descent, and Shapley's value by hand."""

import numpy as np
import pytest

from metarep.domains.multiplier.expected_error import expected_error, expected_error_derivatives
from metarep.domains.multiplier.freed import descend_some, free_groups, worth
from metarep.domains.multiplier.minimise import minimise
from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.domains.multiplier.recipes import HANDCRAFTED

OUTPUT = np.array([6, 7, 8])


def test_the_output_layer_alone_is_linear_least_squares():
    found = descend_some(MULTIPLIER, HANDCRAFTED, OUTPUT)
    at = expected_error_derivatives(MULTIPLIER, HANDCRAFTED[None])
    step = np.linalg.solve(at.hessian[0][np.ix_(OUTPUT, OUTPUT)], at.gradient[0, OUTPUT])
    np.testing.assert_allclose(found.params[OUTPUT], HANDCRAFTED[OUTPUT] - step, atol=1e-7)
    np.testing.assert_array_equal(found.params[:6], HANDCRAFTED[:6])
    assert found.converged


def test_everything_free_is_the_minimum_of_newtons_method():
    found = descend_some(MULTIPLIER, HANDCRAFTED, np.arange(9))
    assert found.error == pytest.approx(minimise(MULTIPLIER, HANDCRAFTED[None]).error[0], abs=1e-9)


def test_freeing_more_never_ends_higher_and_only_the_free_move():
    groups = {"bias": (4, 5), "output": (6, 7), "output bias": (8,)}
    found = free_groups(MULTIPLIER, HANDCRAFTED, groups, n_random=1, spread=0.3, seed=0)
    assert len(found) == 7
    for names, freed in found.items():
        fixed = np.setdiff1d(np.arange(9), np.concatenate([groups[name] for name in names]))
        for descent in freed[:2]:
            np.testing.assert_array_equal(descent.params[fixed], HANDCRAFTED[fixed])
            assert descent.error == pytest.approx(expected_error(MULTIPLIER, descent.params[None])[0])
        assert freed.best.error <= freed.near.error < expected_error(MULTIPLIER, HANDCRAFTED[None])[0]
        for less, smaller in found.items():
            if set(less) < set(names):
                assert freed.best.error <= smaller.best.error + 1e-12


def test_shapleys_value_adds_up_and_knows_who_does_nothing():
    saved = {frozenset(): 0.0, frozenset("a"): 1.0, frozenset("b"): 2.0, frozenset("ab"): 4.0}
    values = worth("abc", lambda chosen: saved[chosen - {"c"}])
    assert values == pytest.approx({"a": 1.5, "b": 2.5, "c": 0.0})
    twins = worth("ab", lambda chosen: float(bool(chosen)))
    assert twins == pytest.approx({"a": 0.5, "b": 0.5})
