"""Experiments 1 and 2: rationals, deaths, and claims that fall when they are false."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from metarep.domains.multiplier.expected_error import expected_error
from metarep.networks.forward import forward
from metarep.networks.spec import NetworkSpec
from metarep.progress import Progress
from metarep.studies.e01 import run as e01
from metarep.studies.e02 import run as e02
from metarep.studies.settings import ExperimentConfig
from metarep.studies.study import Context


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    return Context(ExperimentConfig(n_initialisations=60), tmp_path_factory.mktemp("shared"), Progress())


def test_the_linear_optimum_is_exact_and_nothing_near_is_better():
    best, error = e01.linear_optimum()
    assert best == (Fraction(1, 2), Fraction(1, 2), Fraction(-1, 4))
    assert error == Fraction(1, 144)
    near = np.array(best, float) + 1e-3 * np.random.default_rng(0).standard_normal((200, 3))
    assert (expected_error(NetworkSpec((2, 1)), near, input_distribution="square") > 1 / 144).all()


def test_experiment_1_meets_the_published_numbers_and_would_not_meet_others(context):
    result = e01.run(context)
    assert [claim.name for claim in result.claims] == ["valid_mse", "weight", "bias"]
    assert all(claim.met for claim in result.claims)
    assert result.claims[0].best == pytest.approx(1 / 144)
    for claim, wrong in zip(result.claims, (0.0032, [0.6836, 0.6905], -0.4898), strict=True):
        assert not replace(claim, published=wrong).met
    assert "1/144" in result.sentences[0]
    assert set(result.figures) == {"output"}


def test_experiment_2_meets_the_published_numbers_and_counts_the_dead(context):
    result = e02.run(context)
    assert all(claim.met for claim in result.claims[:3])
    assert not replace(result.claims[0], published=0.0072).met
    assert result.claims[-1].value > 5 / 60
    assert "none came back to life" in result.sentences[-1]  # a dead network has no gradient
    assert "treats both inputs alike" in result.sentences[0]
    assert result.claims[0].best == pytest.approx(0.003288767769, abs=1e-11)


def test_dead_is_dead_on_a_fine_grid_and_alive_is_not():
    params = np.random.default_rng(1).standard_normal((300, 3))
    at = np.stack(np.meshgrid(np.linspace(0, 1, 41), np.linspace(0, 1, 41)), -1).reshape(-1, 2)
    np.testing.assert_array_equal(e02.is_dead(params), (forward(e02.SPEC, params, at)[:, :, 0] == 0).all(axis=1))


def test_nothing_found_beats_the_rectified_optimum():
    rng = np.random.default_rng(2)
    best, error, n_reached = e02.rectified_optimum(rng.uniform(0.1, 1, (20, 3)) * [1, 1, -0.5])
    others = best + np.concatenate([0.3 * rng.standard_normal((2000, 3)), 1e-3 * rng.standard_normal((200, 3))])
    assert (expected_error(e02.SPEC, others, input_distribution="square") > error).all()
    assert 0 < n_reached <= 20


def test_sentences_follow_the_numbers():
    assert "none died on the way" in e02.death_sentence(np.array([True, False]), np.array([True, False]))
    assert "1 died on the way, 1 came back" in e02.death_sentence(np.array([True, False]), np.array([False, True]))
