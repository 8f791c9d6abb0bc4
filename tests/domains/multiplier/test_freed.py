"""Some parameters set free: against linear least squares, and against the whole descent."""

import numpy as np
import pytest

from metarep.domains.multiplier.expected_error import expected_error_derivatives
from metarep.domains.multiplier.freed import descend_some
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
    assert found.gradient_norm < 1e-7


def test_everything_free_is_the_minimum_of_newtons_method():
    found = descend_some(MULTIPLIER, HANDCRAFTED, np.arange(9))
    assert found.error == pytest.approx(minimise(MULTIPLIER, HANDCRAFTED[None]).error[0], abs=1e-9)
