"""Baselines from gradients and contributions: against automatic differentiation, and the symmetries they claim."""

import numpy as np
import pytest
import torch

from metarep.domains.multiplier.domain import DOMAIN
from metarep.domains.multiplier.geometry import active_area, quadrant_area
from metarep.embeddings.behaviour import activity_of, ordered, pattern_shares
from metarep.evaluation.baselines import (
    BASELINES,
    Baseline,
    baselines_of,
    fisher_information,
    input_gradients,
    midpoints,
    outputs_on_grid,
    parameter_gradients,
    strongest_contributions,
    units_off,
)
from metarep.networks.forward import contributions, forward
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import all_unit_orders, order_index, random_scales
from metarep.zoos.columns import Contents
from metarep.zoos.zoo import Zoo

SPECS = ["2-2-1", "2-3-4-1", "1-5-1"]


RNG = np.random.default_rng(0)


def zoo_of(params, text="2-2-1", domain="multiplier"):
    n, spec = len(params), NetworkSpec.parse(text)
    columns = {
        "network_id": np.array([f"e09-{i}" for i in range(n)], dtype=object),
        "spec": np.array([text] * n, dtype=object),
        "params": params.astype(np.float32),
        "log_error": np.full(n, -2.0),
    }
    known = DOMAIN.columns_of(spec, columns["params"]) if domain else {}
    return Zoo(columns | known, contents=Contents(domain))


def made(zoo, train):
    return {one.name: one.make(zoo, train) for one in baselines_of(zoo)}


def exact_behaviour(spec, params, kind, n_points):
    off = units_off(spec, params, n_points)
    if kind == "activity":
        return activity_of(off).numpy()
    return torch.cat([pattern_shares(ordered(one, one)) for one in off], dim=1).numpy()


def networks(text, n=20, seed=0):
    return np.random.default_rng(seed).normal(size=(n, NetworkSpec.parse(text).n_params))


def random_orders(spec, n, rng):
    """Indices (n, P) into params: the hidden units of each network in a random order."""
    return order_index(spec, [rng.random((n, width)).argsort(axis=-1) for width in spec.hidden_widths])


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
    moved = np.take_along_axis(params, random_orders(spec, len(params), rng), axis=1)
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
    tokens = contributions(spec, params, midpoints(2, 25))[0].swapaxes(1, 2)
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
    means = exact_behaviour(spec, params, "patterns", 40_000)[:, ::3]
    np.testing.assert_allclose(np.sort(means, axis=1), np.sort(quadrant_area(spec, params), axis=1), atol=0.01)


@pytest.mark.parametrize("kind", ["activity", "patterns"])
def test_exact_behaviour_knows_neither_order_nor_scale_but_a_shifted_bend(kind):
    spec, params, rng = NetworkSpec((2, 3, 1)), networks("2-3-1"), np.random.default_rng(1)
    moved = np.take_along_axis(params, random_orders(spec, len(params), rng), axis=1)
    moved = moved * random_scales(spec, 1.0, len(params), rng=rng)
    np.testing.assert_array_equal(exact_behaviour(spec, moved, kind, 100), exact_behaviour(spec, params, kind, 100))
    assert np.abs(exact_behaviour(spec, params + 0.3, kind, 100) - exact_behaviour(spec, params, kind, 100)).max() > 0.1


def test_unit_symmetric_baselines_do_not_see_the_order_of_units_and_raw_does():
    params = RNG.standard_normal((50, 9))
    swapped = params[:, all_unit_orders(NetworkSpec.parse("2-2-1"))[1]]
    train = np.arange(50) < 30
    one, other = made(zoo_of(params), train), made(zoo_of(swapped), train)
    for name in ("canonical", "weight_statistics", "oracle", "loss"):
        np.testing.assert_allclose(other[name], one[name], atol=1e-9, err_msg=name)
    np.testing.assert_allclose(other["outputs"], one["outputs"], atol=1e-6)
    assert np.abs(one["raw"] - other["raw"]).max() > 0.1


def test_what_a_baseline_fits_does_not_look_at_test_rows():
    params = RNG.standard_normal((80, 9))
    changed = params.copy()
    changed[60:] = 50 * RNG.standard_normal((20, 9))
    train = np.arange(80) < 60
    one, other = made(zoo_of(params), train), made(zoo_of(changed), train)
    for name in one:
        np.testing.assert_allclose(other[name][:60], one[name][:60], atol=1e-9, err_msg=name)


def test_outputs_are_those_of_the_network():
    linear = np.array([[1.0, 0, 0, 1, 0, 0, 1, 1, 0.5]])  # relu(x1) + relu(x2) + 1/2
    grid = (np.arange(8) + 0.5) / 8
    spec = NetworkSpec.parse("2-2-1")
    np.testing.assert_allclose(outputs_on_grid(spec, linear)[0], (grid[:, None] + grid[None, :] + 0.5).ravel())


def test_a_zoo_without_a_domain_has_the_baselines_that_its_networks_allow():
    small, wide = (
        {one.name: one for one in baselines_of(zoo_of(networks(text), text, domain=None))} for text in ("2-2-1", "2-20-20-1")
    )
    assert "oracle" not in small
    assert set(small) == {name for name, one in BASELINES.items() if one.part == "network"}
    assert set(small) - set(wide) == {"parameter_gradients", "fisher", "log_fisher", "oracle_patterns"}
    assert {name for name, one in small.items() if one.oracle} == {"oracle_activity", "oracle_patterns"}


def test_a_domain_adds_its_oracles():
    found = baselines_of(zoo_of(networks("2-2-1")))
    assert {one.name for one in found} - set(BASELINES) == set(DOMAIN.oracles)
    assert all(isinstance(one, Baseline) and one.description for one in found)
