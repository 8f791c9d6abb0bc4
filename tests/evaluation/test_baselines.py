"""Baselines from gradients and contributions: against automatic differentiation, and the symmetries they claim."""

import numpy as np
import pytest
import torch
from metarep.evaluation.representations import (
    exact_behaviour,
    fisher_information,
    input_gradients,
    midpoints,
    outputs_on_grid,
    parameter_gradients,
    strongest_contributions,
)

from metarep.cloze.behaviour import BehaviourLayout
from metarep.domains.multiplier.geometry import active_area, quadrant_area
from metarep.networks.forward import forward
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import random_scales, random_unit_order

SPECS = ["2-2-1", "2-3-4-1", "1-5-1"]


def networks(text, n=20, seed=0):
    return np.random.default_rng(seed).normal(size=(n, NetworkSpec.parse(text).n_params))


def test_of_a_linear_network_the_gradients_are_its_weights():
    both_on = np.array([[1.0, 2, 0, 1, 3, 3, 2, -1, 0.5]])  # 2 (x1 + 2 x2 + 3) − (x2 + 3) + 1/2
    np.testing.assert_allclose(input_gradients(NetworkSpec((2, 2, 1)), both_on).reshape(64, 2), np.tile([2.0, 3.0], (64, 1)))
    assert outputs_on_grid(NetworkSpec((2, 2, 1)), both_on).shape == (1, 64)


@pytest.mark.parametrize("text", SPECS)
def test_input_gradients_are_finite_differences_of_the_outputs(text):
    spec, params = NetworkSpec.parse(text), networks(text)
    points, step = midpoints(spec.widths[0], 64), 1e-6
    for axis in range(spec.widths[0]):
        shift = step * np.eye(spec.widths[0])[axis]
        slope = (forward(spec, params, points + shift) - forward(spec, params, points - shift))[..., 0] / (2 * step)
        found = input_gradients(spec, params).reshape(len(params), len(points), -1)[..., axis]
        assert np.isclose(found, slope, atol=1e-5).mean() > 0.99  # a kink may lie within a step


@pytest.mark.parametrize("text", SPECS)
@pytest.mark.parametrize("make", [parameter_gradients, fisher_information, strongest_contributions, input_gradients])
def test_they_know_neither_the_order_nor_the_scale_of_units(make, text):
    spec, params, rng = NetworkSpec.parse(text), networks(text), np.random.default_rng(1)
    moved = np.take_along_axis(params, random_unit_order(spec, len(params), rng=rng), axis=1)
    scaled = moved * random_scales(spec, 1.0, len(params), rng=rng)
    np.testing.assert_allclose(make(spec, moved), make(spec, params), atol=1e-9)
    np.testing.assert_allclose(make(spec, scaled), make(spec, params), atol=1e-9)
    assert np.abs(make(spec, params + 0.1) - make(spec, params)).max() > 0.01


def test_fisher_information_is_the_mean_square_of_the_gradient():
    spec, params = NetworkSpec((2, 2, 1)), networks("2-2-1", n=1)
    norms = np.linalg.norm(np.c_[params[:, :4].reshape(2, 2), params[0, 4:6]], axis=1)
    form = params[0] / [*np.repeat(norms, 2), *norms, *(1 / norms), 1]
    one = torch.from_numpy(form).requires_grad_()
    squares = []
    for point in midpoints(2, 64):
        (gradient,) = torch.autograd.grad(forward(spec, one, torch.from_numpy(point[None]))[0, 0], one)
        squares.append(gradient.square().numpy())
    expected, found = np.mean(squares, axis=0), fisher_information(spec, params)[0]
    np.testing.assert_allclose(np.sort(found), np.sort(expected), atol=1e-12)
    assert found[[0, 1, 4, 6]].sum() >= found[[2, 3, 5, 7]].sum()
    np.testing.assert_allclose(found[8], 1.0)


def test_contributions_are_the_tokens_of_behaviour_strongest_unit_first():
    spec, params = NetworkSpec((2, 3, 1)), networks("2-3-1")
    tokens = BehaviourLayout(spec, 5, 0.0, 1.0).read(torch.from_numpy(params)).numpy().reshape(len(params), 3, 25)
    order = np.argsort(-np.square(tokens).sum(axis=2), axis=1)
    expected = np.take_along_axis(tokens, order[:, :, None], axis=1).reshape(len(params), -1)
    np.testing.assert_allclose(strongest_contributions(spec, params), expected, atol=1e-6)


def test_a_dead_unit_has_no_gradient_and_no_contribution():
    dead = np.array([[-1.0, -1, 1, 1, -1, 1, 5, 1, 0]])
    assert (fisher_information(NetworkSpec((2, 2, 1)), dead)[0, [2, 3, 5, 7]] == 0).all()
    assert (strongest_contributions(NetworkSpec((2, 2, 1)), dead)[0, 25:] == 0).all()


def test_midpoints_stand_for_equal_cells():
    np.testing.assert_allclose(midpoints(1, 4)[:, 0], [0.125, 0.375, 0.625, 0.875])
    assert midpoints(2, 64).shape == (64, 2)
    assert midpoints(3, 64).shape == (64, 3)
    assert midpoints(3, 25).shape == (8, 3)


def test_exact_activity_comes_to_the_exact_areas():
    """Shares of a fine grid against closed-form areas; "anywhere" and "everywhere" are their ends."""
    spec, params = NetworkSpec((2, 2, 1)), networks("2-2-1", n=200)
    found = exact_behaviour(spec, params, "activity", 40_000)
    off = np.sort(1 - active_area(spec, params), axis=1)
    np.testing.assert_allclose(found[:, :2], off, atol=0.01)
    clear = np.abs(off * (1 - off)) > 0.001  # a sliver may lie between the points
    assert (found[:, 2:4][clear] == 1).all()
    assert (found[:, 4:6][clear] == 0).all()
    assert (found[:, 2:4][off == 0] == 0).all()
    assert (found[:, 4:6][off == 1] == 1).all()


def test_exact_patterns_come_to_the_exact_quadrants():
    spec, params = NetworkSpec((2, 2, 1)), networks("2-2-1", n=200)
    means = exact_behaviour(spec, params, "patterns", 40_000)[:, ::2]
    np.testing.assert_allclose(np.sort(means, axis=1), np.sort(quadrant_area(spec, params), axis=1), atol=0.01)


@pytest.mark.parametrize("kind", ["activity", "patterns"])
def test_exact_behaviour_knows_neither_order_nor_scale_but_a_shifted_bend(kind):
    spec, params, rng = NetworkSpec((2, 3, 1)), networks("2-3-1"), np.random.default_rng(1)
    moved = np.take_along_axis(params, random_unit_order(spec, len(params), rng=rng), axis=1)
    moved = moved * random_scales(spec, 1.0, len(params), rng=rng)
    np.testing.assert_array_equal(exact_behaviour(spec, moved, kind, 100), exact_behaviour(spec, params, kind, 100))
    assert np.abs(exact_behaviour(spec, params + 0.3, kind, 100) - exact_behaviour(spec, params, kind, 100)).max() > 0.1
