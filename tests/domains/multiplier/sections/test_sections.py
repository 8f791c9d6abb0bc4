"""Sections: planted blocks are found, whatever the order and the scale of units; mixed units and random networks are not."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score
from small_networks import model_for
from two_two_one import RATIO, easy_networks, known, networks_of

from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.domains.multiplier.sections.one_hidden import OneHidden, all_pairs, balanced, cut_windows, unit_ratios
from metarep.domains.multiplier.sections.sections import (
    Sections,
    affinities,
    connectivity,
    find_sections,
    fit_mode_probe,
    matching,
)
from metarep.errors import MetarepError
from metarep.model.settings import PretrainConfig
from metarep.model.transformer import untrained_like
from metarep.networks.forward import forward
from metarep.networks.spec import NetworkSpec
from metarep.studies.planted.run import mixed_units, plant


@pytest.fixture(scope="module")
def family():
    return known()


def agreement(planted, model):
    sections = find_sections(planted.network, model, RATIO)
    return adjusted_rand_score(planted.block, sections.labels)


def outputs(network, x):
    return np.maximum(x @ network.weight.T + network.bias, 0) @ network.readout.T + network.offset


def test_a_planted_network_computes_what_its_blocks_do():
    params = easy_networks(3, seed=5)
    planted = plant(params, rng=np.random.default_rng(1))
    alone = {round(float(value), 9) for value in forward(MULTIPLIER, params, np.zeros((1, 2)))[:, 0, 0]}
    assert {round(float(value), 9) for value in outputs(planted.network, np.zeros((1, 6)))[0]} == alone
    assert np.count_nonzero(planted.network.weight) == 12
    assert np.count_nonzero(planted.network.readout) == 6


def test_noise_lies_between_blocks_alone():
    params = easy_networks(4, seed=5)
    quiet, noisy = (plant(params, sigma=sigma, rng=np.random.default_rng(3)) for sigma in (0.0, 0.5))
    assert np.count_nonzero(noisy.network.weight) == noisy.network.weight.size
    assert sorted(np.abs(quiet.params).ravel()) == sorted(np.abs(noisy.params).ravel())


@pytest.mark.parametrize("k", [2, 4])
def test_all_blocks_are_found_without_noise(family, k):
    for seed in range(4):
        planted = plant(easy_networks(k, seed=10 + seed), rng=np.random.default_rng(seed))
        assert agreement(planted, family.model) >= 0.9


def test_mixed_units_and_random_networks_are_no_sections(family):
    rng = np.random.default_rng(0)
    together = plant(easy_networks(4, seed=1), rng=rng)
    apart = plant(mixed_units(easy_networks(4, seed=1), easy_networks(4, seed=2)), rng=rng)
    random = OneHidden(*(rng.standard_normal(shape) for shape in ((8, 8), (8,), (4, 8), (4,))))
    found = [find_sections(one, family.model, RATIO) for one in (together.network, apart.network, random)]
    assert len(found[0].units) == 4
    assert len(found[1].units) < 4
    assert len(found[2].units) <= 1
    assert (connectivity(apart.network).max()) > 0.5  # by wiring alone they are


def test_an_untrained_model_finds_next_to_nothing(family):
    planted = plant(easy_networks(4, seed=3), rng=np.random.default_rng(0))
    assert agreement(planted, untrained_like(family.model, seed=0)) < 0.5


def test_affinities_do_not_know_order_and_scale_of_units(family):
    network = plant(easy_networks(3, seed=4), sigma=0.3, rng=np.random.default_rng(0)).network
    order, scale = np.array([4, 0, 5, 2, 1, 3]), np.array([0.1, 3.0, 1.0, 7.0, 0.5, 2.0])
    other = OneHidden(
        network.weight[order] * scale[:, None],
        network.bias[order] * scale,
        network.readout[:, order] / scale,
        network.offset,
    )
    own, same = (affinities(one, family.model, RATIO).matrix() for one in (network, other))
    np.testing.assert_allclose(same, own[np.ix_(order, order)], atol=1e-3)
    changed = OneHidden(network.weight[order] * scale[:, None], network.bias, network.readout, network.offset)
    broken = affinities(changed, family.model, RATIO).matrix()
    assert not np.allclose(broken, own[np.ix_(order, order)], atol=1e-1)


def test_windows_are_balanced_and_hold_most_first():
    network = plant(easy_networks(3, seed=4), sigma=0.1, rng=np.random.default_rng(0)).network
    windows = cut_windows(network, all_pairs(6), RATIO, 5)
    np.testing.assert_allclose(unit_ratios(windows.params), RATIO)
    assert (np.bincount(windows.pair) == 5).all()
    assert (np.diff(windows.held)[np.diff(windows.pair) == 0] <= 0).all()
    x = np.random.default_rng(0).random((7, 2))
    params = easy_networks(5, seed=0)
    np.testing.assert_allclose(forward(MULTIPLIER, balanced(params, 3.0), x), forward(MULTIPLIER, params, x))
    assert cut_windows(network, np.zeros((0, 2), dtype=int), RATIO, 5).params.shape == (0, 9)


def test_matching_needs_no_number():
    pairs = all_pairs(4)
    weight = np.array([5.0, 6.0, -1.0, -1.0, 6.0, -2.0])  # 01 02 03 12 13 23
    assert matching(pairs, weight).tolist() == [[0, 2], [1, 3]]
    assert matching(pairs, -np.abs(weight)).tolist() == []
    none = np.zeros(0)
    assert Sections(np.array([[1, 3]]), none, none, none, none, n_units=4).labels.tolist() == [1, 0, 3, 0]


def test_modes_are_read_off_sections(family):
    half = len(family.params) // 2
    kind = np.where(family.params[:, -1] > np.median(family.params[:, -1]), "late", "early")
    probe = fit_mode_probe(family.model, family.params[:half], kind[:half], RATIO)
    assert (probe.modes(family.params[half:]) == kind[half:]).mean() > 0.8
    assert len(probe.modes(np.zeros((0, 9)))) == 0


def test_what_cannot_be_read_is_said():
    with pytest.raises(MetarepError, match="one hidden layer"):
        OneHidden.of(NetworkSpec.parse("2-2-2-1"), np.zeros(15))
    narrow = OneHidden(np.ones((2, 1)), np.ones(2), np.ones((1, 2)), np.ones(1))
    with pytest.raises(MetarepError, match="two inputs"):
        cut_windows(narrow, all_pairs(2), RATIO, 5)
    other_inputs, rng = NetworkSpec.parse("3-3-1"), np.random.default_rng(0)
    other = model_for(PretrainConfig(d_model=8, n_heads=2, n_layers=1), networks_of(other_inputs, rng.random((20, 16))))
    network = OneHidden.of(MULTIPLIER, easy_networks(1, seed=0)[0])
    with pytest.raises(MetarepError, match="2-2-1 networks"):
        affinities(network, other, RATIO)
