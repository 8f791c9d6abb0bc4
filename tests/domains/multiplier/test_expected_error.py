"""The exact expected error: closed forms, sampling, differences, symmetries that must hold and one that must break."""

import math

import numpy as np
import pytest

from metarep.domains.multiplier.expected_error import expected_error, expected_error_derivatives
from metarep.domains.multiplier.recipes import HANDCRAFTED
from metarep.errors import MetarepError
from metarep.networks.forward import forward
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import permute_units, scale_units
from metarep.training.recipe import draw_reference

INPUT_DISTRIBUTIONS = ("square", "product")
SPECS = tuple(map(NetworkSpec.parse, ("2-1", "2-1-relu", "2-2-1", "2-3-1")))
LINEAR, RECTIFIED, MULTIPLIER, _ = SPECS


def draw(input_distribution: str, n: int, rng: np.random.Generator) -> np.ndarray:
    """Inputs (n, 2) of an input distribution, by its definition."""
    if input_distribution == "square":
        return rng.random((n, 2))
    y, d = rng.random(n), rng.uniform(0.5, 1, n)
    return np.where((rng.random(n) < 0.5)[:, None], np.stack([d, y / d], 1), np.stack([y / d, d], 1))


def some_params(spec: NetworkSpec, n: int = 6) -> np.ndarray:
    """Random networks; in the first three a unit's boundary is parallel to an axis or there is none."""
    params = np.random.default_rng(5).standard_normal((n, spec.n_params))
    params[0, 0] = params[1, 1] = params[2, 0] = params[2, 1] = 0.0
    return params


def test_closed_forms():
    nothing, product_mean = np.zeros((1, 3)), np.array([[0.0, 0.0, 0.25]])
    assert expected_error(LINEAR, np.array([[0.5, 0.5, -0.25]]), input_distribution="square") == pytest.approx(
        1 / 144, abs=1e-15
    )
    assert expected_error(LINEAR, nothing, input_distribution="square") == pytest.approx(1 / 9, abs=1e-15)
    assert expected_error(LINEAR, nothing, input_distribution="product") == pytest.approx(1 / 3, abs=1e-15)  # y is uniform
    assert expected_error(LINEAR, product_mean, input_distribution="square") == pytest.approx(1 / 9 - 1 / 16, abs=1e-15)
    # f = x1 + x2: E[(y/d + d)²] = 2/3 + 1 + 7/12 and E[y (y/d + d)] = 2 ln 2 / 3 + 3/8 for d on [0.5, 1)
    second, mixed = 2 / 3 + 1 + 7 / 12, 2 * math.log(2) / 3 + 3 / 8
    found = expected_error(LINEAR, np.array([[1.0, 1.0, 0.0]]), input_distribution="product")
    assert found == pytest.approx(second - 2 * mixed + 1 / 3, abs=1e-14)
    # relu(x1 + x2 − 1) on the square, with s = 1 − x1, t = 1 − x2: E f² = 1/12, E f y = ∫ (1 − s)(1 − t)(1 − s − t)
    mixed = dirichlet(0, 0) - 2 * dirichlet(1, 0) + dirichlet(1, 1)
    found = expected_error(RECTIFIED, np.array([[1.0, 1.0, -1.0]]), input_distribution="square")
    assert found == pytest.approx(1 / 12 - 2 * mixed + 1 / 9, abs=1e-15)


def dirichlet(a: int, b: int) -> float:
    """∫ s^a t^b (1 − s − t) over the triangle s, t > 0, s + t < 1."""
    return math.factorial(a) * math.factorial(b) / math.factorial(a + b + 3)


@pytest.mark.parametrize("input_distribution", INPUT_DISTRIBUTIONS)
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_sampling_agrees(spec, input_distribution):
    params, rng = some_params(spec), np.random.default_rng(1)
    squares = []
    for _ in range(8):
        x = draw(input_distribution, 150_000, rng)
        squares.append(np.square(forward(spec, params, x)[:, :, 0] - x.prod(axis=1)).T)
    squares = np.concatenate(squares)
    error = squares.std(axis=0) / math.sqrt(len(squares))
    exact = expected_error(spec, params, input_distribution=input_distribution)
    assert (np.abs(exact - squares.mean(axis=0)) < 4.5 * error).all()
    other = expected_error(spec, params, input_distribution="square" if input_distribution == "product" else "product")
    assert (np.abs(other - squares.mean(axis=0)) > 20 * error).all()


@pytest.mark.parametrize("input_distribution", INPUT_DISTRIBUTIONS)
def test_the_recipes_own_samples_agree(input_distribution):
    params = np.concatenate([HANDCRAFTED[None], some_params(MULTIPLIER)])
    drawn = [draw_reference(seed, input_distribution, MULTIPLIER) for seed in range(20)]
    x, y = np.concatenate([d.x for d in drawn]).astype(float), np.concatenate([d.y for d in drawn])
    squares = np.square(forward(MULTIPLIER, params, x)[:, :, 0] - y)
    error = squares.std(axis=1) / math.sqrt(len(y))
    assert (
        np.abs(expected_error(MULTIPLIER, params, input_distribution=input_distribution) - squares.mean(axis=1)) < 4.5 * error
    ).all()


@pytest.mark.parametrize("input_distribution", INPUT_DISTRIBUTIONS)
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_gradient_and_hessian_are_the_differences(spec, input_distribution):
    params, step = some_params(spec), 1e-5
    found = expected_error_derivatives(spec, params, input_distribution=input_distribution)
    for slot, direction in enumerate(step * np.eye(spec.n_params)):
        (up, up_gradient), (down, down_gradient) = (
            expected_error_derivatives(spec, params + s * direction, input_distribution=input_distribution)[:2] for s in (1, -1)
        )
        np.testing.assert_allclose(found.gradient[:, slot], (up - down) / (2 * step), atol=2e-8)
        np.testing.assert_allclose(found.hessian[:, slot], (up_gradient - down_gradient) / (2 * step), atol=1e-6)
    np.testing.assert_allclose(found.hessian, found.hessian.swapaxes(1, 2), atol=1e-14)


@pytest.mark.parametrize("input_distribution", INPUT_DISTRIBUTIONS)
def test_unit_order_and_positive_scale_do_not_matter_and_a_sign_does(input_distribution):
    params, rng = some_params(MULTIPLIER, 50), np.random.default_rng(2)
    error = expected_error(MULTIPLIER, params, input_distribution=input_distribution)
    scaled = scale_units(MULTIPLIER, params, 0, np.exp(2 * rng.standard_normal((50, 2))))
    for same in (permute_units(MULTIPLIER, params, 0, np.array([1, 0])), scaled, params[:, [1, 0, 3, 2, 4, 5, 6, 7, 8]]):
        np.testing.assert_allclose(expected_error(MULTIPLIER, same, input_distribution=input_distribution), error, rtol=1e-11)
    flipped = params * np.array([-1, -1, 1, 1, -1, 1, -1, 1, 1.0])  # unit 0 times −1, and back behind it
    assert (np.abs(expected_error(MULTIPLIER, flipped, input_distribution=input_distribution) / error - 1) > 1e-3).mean() > 0.9


def test_two_opposite_units_are_a_linear_network():
    w1, w2, b = 0.3, -0.8, 0.2
    twin = np.array([[w1, w2, -w1, -w2, b, -b, 1.0, -1.0, 0.0]])
    for input_distribution in INPUT_DISTRIBUTIONS:
        linear = expected_error(LINEAR, np.array([[w1, w2, b]]), input_distribution=input_distribution)
        np.testing.assert_allclose(expected_error(MULTIPLIER, twin, input_distribution=input_distribution), linear, rtol=1e-13)


def test_not_finite_networks_have_no_error_and_others_keep_theirs():
    params = some_params(MULTIPLIER)
    clean = expected_error(MULTIPLIER, params)
    params[1, 3], params[4, 8] = np.nan, np.inf
    found = expected_error_derivatives(MULTIPLIER, params)
    assert np.isnan(found.error[[1, 4]]).all()
    assert np.isnan(found.hessian[[1, 4]]).all()
    np.testing.assert_array_equal(found.error[[0, 2, 3, 5]], clean[[0, 2, 3, 5]])
    assert expected_error(MULTIPLIER, np.zeros((0, 9))).shape == (0,)


def test_what_it_cannot_integrate_is_refused():
    for text in ("2-2-2-1", "3-2-1", "2-2-2", "2-2-1-relu"):
        spec = NetworkSpec.parse(text)
        with pytest.raises(MetarepError, match="no exact expected error"):
            expected_error(spec, np.zeros((1, spec.n_params)))
    with pytest.raises(MetarepError, match="unknown input distribution"):
        expected_error(LINEAR, np.zeros((1, 3)), input_distribution="normal")
    with pytest.raises(MetarepError, match="fit the spec"):
        expected_error(MULTIPLIER, np.zeros((1, 8)))
