"""Hand-built scores: golden values, and which symmetries they know."""

import numpy as np
import pytest

from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.domains.multiplier.recipes import HANDCRAFTED
from metarep.domains.multiplier.scan import random_initialisations
from metarep.domains.multiplier.scores import SCORES, WEIGHTS, loss, published, published_parts, scan_score
from metarep.errors import MetarepError
from metarep.networks.forward import forward
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import permute_units, scale_units

# From the published figures: seed 2813536937, parameters rounded to four digits, score 0.7928.
PUBLISHED = np.array([[0.4373, -0.4425, -0.7523, -0.4695, -0.0023, 1.6139, -0.7446, -1.1377, 1.3982]])
RANDOM = random_initialisations(500, seed=1)
X = np.random.default_rng(0).random((60, 2))


def swap_units(params):
    return permute_units(MULTIPLIER, params, 0, np.array([1, 0]))


def scale(params):
    return scale_units(MULTIPLIER, params, 0, np.exp(np.random.default_rng(3).standard_normal((len(params), 2))))


def swap_inputs(params):
    return params[:, [1, 0, 3, 2, 4, 5, 6, 7, 8]]


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


def test_the_score_lies_between_zero_and_one_and_likes_the_hand_crafted_network():
    scores = published(RANDOM)
    assert 0 < scores.min() < scores.max() < 1
    assert published(HANDCRAFTED) > np.quantile(scores, 0.99)


@pytest.mark.parametrize("change", [swap_units, swap_inputs])
def test_orders_do_not_change_the_score(change):
    np.testing.assert_allclose(published(change(RANDOM)), published(RANDOM), atol=1e-12)


def test_scale_changes_the_score_and_not_the_function():
    scaled = scale(RANDOM)
    np.testing.assert_allclose(forward(MULTIPLIER, scaled, X), forward(MULTIPLIER, RANDOM, X), atol=1e-9)
    assert (np.abs(published(scaled) - published(RANDOM)) > 1e-3).mean() > 0.9


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
