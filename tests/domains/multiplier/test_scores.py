"""Hand-built scores: golden values, and which symmetries they know, each beside the published score that does not."""

import numpy as np
import pytest

from metarep.domains.multiplier.geometry import active_area
from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.domains.multiplier.recipes import HANDCRAFTED
from metarep.domains.multiplier.scan import random_initialisations
from metarep.domains.multiplier.scores import (
    PARTS,
    SCORES,
    WEIGHTS,
    equals,
    invariant,
    loss,
    published,
    published_parts,
    scan_score,
)
from metarep.errors import MetarepError
from metarep.networks.forward import forward
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import permute_units, scale_units

# From the published figures: seed 2813536937, parameters rounded to four digits, score 0.7928.
PUBLISHED = np.array([[0.4373, -0.4425, -0.7523, -0.4695, -0.0023, 1.6139, -0.7446, -1.1377, 1.3982]])
RANDOM = random_initialisations(500, seed=1)
X = np.random.default_rng(0).random((60, 2))
CORNERS = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], float)


def with_a_flat_unit(n=300):
    """Random networks (n, 9) of which the second unit is on over the whole square and the first one cuts it."""
    params = random_initialisations(20 * n, seed=2) * 2
    (weight, bias), out = MULTIPLIER.unpack(params)
    lowest = (CORNERS @ weight[:, 1].T).min(axis=0)
    params = MULTIPLIER.pack([(weight, np.stack([bias[:, 0], 0.3 - lowest], axis=1)), out])
    area = active_area(MULTIPLIER, params)[:, 0]
    return params[(area > 0.05) & (area < 0.95)][:n]


def swap_units(params):
    return permute_units(MULTIPLIER, params, 0, np.array([1, 0]))


def scale(params):
    return scale_units(MULTIPLIER, params, 0, np.exp(np.random.default_rng(3).standard_normal((len(params), 2))))


def swap_inputs(params):
    return params[:, [1, 0, 3, 2, 4, 5, 6, 7, 8]]


def flip_flat(params):
    """v·(w·x + b) + c = −v·(−w·x + B) + (c + v·b + v·B), B so large that the unit stays on."""
    (w, b), (v, c) = MULTIPLIER.unpack(params.copy())
    largest = (CORNERS @ w[:, 1].T).max(axis=0) + 0.1
    c[:, 0] += v[:, 0, 1] * (b[:, 1] + largest)
    w[:, 1], b[:, 1], v[:, 0, 1] = -w[:, 1], largest, -v[:, 0, 1]
    return MULTIPLIER.pack([(w, b), (v, c)])


def flip_bending(params):
    """v·relu(z) = v·z + v·relu(−z): the flat unit takes up v·z."""
    (w, b), (v, c) = MULTIPLIER.unpack(params.copy())
    line = v[:, 0, 0, None] * w[:, 0] + v[:, 0, 1, None] * w[:, 1]
    constant = c[:, 0] + v[:, 0, 0] * b[:, 0] + v[:, 0, 1] * b[:, 1]
    bias = 0.2 - (CORNERS @ line.T).min(axis=0)
    hidden = (np.stack([-w[:, 0], line], axis=1), np.stack([-b[:, 0], bias], axis=1))
    return MULTIPLIER.pack([hidden, (np.stack([v[:, 0, 0], np.ones(len(v))], axis=1)[:, None], (constant - bias)[:, None])])


def shift_constant(params):
    """A constant moves from the flat unit's bias into the output bias."""
    moved = params.copy()
    moved[:, 5] += 0.7
    moved[:, 8] -= 0.7 * moved[:, 7]
    return moved


def test_the_published_score_comes_back():
    assert published(PUBLISHED)[0] == pytest.approx(0.7928, abs=5e-5)
    assert scan_score(MULTIPLIER, PUBLISHED)[0] == published(PUBLISHED)[0]


def test_parts_of_the_hand_crafted_network_are_what_the_formula_says():
    (parts,) = published_parts(HANDCRAFTED[None])
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    assert parts[0] == pytest.approx(sigmoid(1))  # θ is 3π/4
    assert parts[2] == pytest.approx((sigmoid(0.5) + sigmoid(0.5**0.5)) / 2)
    assert parts[3] == pytest.approx(sigmoid(1))
    assert published(HANDCRAFTED) == pytest.approx(parts @ WEIGHTS / 9)
    assert len(PARTS) == len(parts)


def test_the_score_lies_between_zero_and_one_and_likes_the_hand_crafted_network():
    scores = published(RANDOM)
    assert 0 < scores.min() < scores.max() < 1
    assert published(HANDCRAFTED) > np.quantile(scores, 0.99)


@pytest.mark.parametrize("change", [swap_units, swap_inputs])
def test_orders_change_neither_score(change):
    for score in (published, invariant):
        np.testing.assert_allclose(score(change(RANDOM)), score(RANDOM), atol=1e-12)


@pytest.mark.parametrize("networks", [RANDOM, with_a_flat_unit()], ids=["random", "with a flat unit"])
def test_scale_changes_the_published_score_only(networks):
    np.testing.assert_allclose(invariant(scale(networks)), invariant(networks), atol=1e-9)
    assert (np.abs(published(scale(networks)) - published(networks)) > 1e-3).mean() > 0.9


@pytest.mark.parametrize("change", [flip_flat, flip_bending, shift_constant])
def test_what_keeps_the_function_changes_the_published_score_only(change):
    networks = with_a_flat_unit()
    assert len(networks) == 300
    np.testing.assert_allclose(forward(MULTIPLIER, change(networks), X), forward(MULTIPLIER, networks, X), atol=1e-9)
    np.testing.assert_allclose(invariant(change(networks)), invariant(networks), atol=1e-9)
    assert (np.abs(published(change(networks)) - published(networks)) > 1e-3).mean() > 0.9


def test_a_change_of_the_function_changes_the_invariant_score():
    networks = with_a_flat_unit()
    turned = networks * np.where(np.arange(9) == 6, -1, 1)  # a ridge becomes a valley
    assert (np.abs(invariant(turned) - invariant(networks)) > 1e-3).mean() > 0.9


def test_equal_networks_compute_the_same_on_the_square_in_one_scale():
    networks = np.concatenate([with_a_flat_unit(), RANDOM[(active_area(MULTIPLIER, RANDOM) > 0.02).all(axis=1)]])
    area = active_area(MULTIPLIER, networks)
    exact = ((area < 0.98) | (area == 1)).all(axis=1)  # nearly flat units are taken for flat ones
    same = equals(networks[exact])
    wanted = np.broadcast_to(forward(MULTIPLIER, networks[exact], X)[:, None], (len(same), 4, len(X), 1))
    np.testing.assert_allclose(forward(MULTIPLIER, same, X), wanted, atol=1e-9)
    norms = np.linalg.norm(MULTIPLIER.unpack(same)[0][0], axis=-1)
    np.testing.assert_allclose(norms[norms > 0], 1, atol=1e-12)


def test_an_affine_function_has_one_score_however_it_is_written():
    both_on = np.array([1.0, 0.5, 0.5, 1.0, 1.0, 1.0, 0.3, 0.2, -0.1])
    one_on = np.array([0.4, 0.35, -1.0, -1.0, 0.5, 0.0, 1.0, 5.0, -0.1])
    np.testing.assert_allclose(forward(MULTIPLIER, both_on, X), forward(MULTIPLIER, one_on, X), atol=1e-12)
    assert invariant(both_on[None]) == pytest.approx(invariant(one_on[None]))
    assert abs(published(both_on) - published(one_on)) > 1e-3


def test_the_loss_scan_is_the_error():
    zero = np.zeros((1, 9))
    assert loss(zero)[0] == pytest.approx(-np.log10(1 / 3), abs=0.02)  # the mean of y² for uniform y
    assert loss(PUBLISHED)[0] == pytest.approx(-np.log10(0.0014), abs=0.05)
    many = np.tile(PUBLISHED, (4001, 1))
    np.testing.assert_allclose(loss(many), loss(PUBLISHED)[0])


def test_every_score_is_one_number_a_network():
    for score in SCORES.values():
        assert score(RANDOM).shape == (500,)
        assert np.isfinite(score(np.r_[RANDOM, np.zeros((1, 9))])).all()


def test_another_architecture_is_refused():
    with pytest.raises(MetarepError, match="2-2-1"):
        scan_score(NetworkSpec.parse("2-3-1"), np.zeros((1, 13)))
