"""Experiments 3, 4 and 9: claims that break when the network is another, and pictures of what the figures say."""

import math

import numpy as np
import pytest

from metarep.progress import Progress
from metarep.studies.e03 import run as e03
from metarep.studies.e04 import run as e04
from metarep.studies.e09 import run as e09
from metarep.studies.multipliers import multipliers
from metarep.studies.published import NETWORKS, SEED
from metarep.studies.settings import ExperimentConfig
from metarep.studies.study import Context


def rotation(degrees):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s], [s, c]])


@pytest.mark.parametrize("seed", range(8))
def test_rotation_scale_rotation_multiplies_to_the_weight(seed):
    weight = np.random.default_rng(seed).standard_normal((2, 2))
    left, scale, right = e03.factors(weight)
    np.testing.assert_allclose(rotation(left) @ np.diag(scale) @ rotation(right), weight, atol=1e-12)
    assert scale[0] >= abs(scale[1])
    assert np.sign(scale[1]) == np.sign(np.linalg.det(weight))


def test_a_rotation_is_found_again_and_a_reflection_has_a_negative_scale():
    left, scale, right = e03.factors(rotation(115))
    assert scale == pytest.approx((1, 1))
    assert math.remainder(left + right - 115, 360) == pytest.approx(0, abs=1e-9)
    assert e03.factors(np.diag([1.0, -1.0]))[1][1] == pytest.approx(-1)


def test_the_published_network_comes_back(context):
    result = e04.run(context)
    assert [claim.met for claim in result.claims] == [True] * 4
    assert "to the four digits printed" in result.sentences[0]
    assert 0.00135 < result.claims[0].best < 0.00136  # of mode 3, as `metarep experiment optima` finds from other starts


def test_the_control_another_seed_does_not(context, monkeypatch):
    monkeypatch.setattr(e04, "SEED", SEED + 1)
    monkeypatch.setitem(NETWORKS, SEED + 1, NETWORKS[SEED])
    other = Context(ExperimentConfig(seed=5), context.shared / "other", Progress())
    result = e04.run(other)
    assert not result.claims[1].met
    assert "only roughly" in result.sentences[0]


def test_published_error_of_experiment_3_is_held_against_the_spread(context):
    result = e03.run(context)
    claim = result.claims[0]
    assert claim.met == (claim.low <= 0.0039 <= claim.high)
    assert f"{claim.value:.4f}" in result.sentences[0]
    assert set(result.figures) == {"stages"}


def test_shares_add_up_and_every_mode_has_a_typical_network_of_its_own(context):
    zoo = multipliers(context)
    rows = e09.mode_rows(zoo)
    assert sum(row["n"] for row in rows) == len(zoo)
    for row in rows:
        assert row["low"] <= row["share"] <= row["high"]
        assert zoo["mode"][list(zoo["network_id"]).index(row["typical"])] == row["mode"]


def test_modes_that_the_notes_do_not_name_are_named_here(context):
    result = e09.run(context)
    assert [claim.met for claim in result.claims[1:]] == [True, True]
    zoo = multipliers(context)
    here = e09.mode_rows(zoo)
    named = [row for row in here if row["mode"] != "4"]
    assert "All" in e09.sentences(zoo, len(zoo), named)[-1]
    assert "mode 4 (median" in e09.sentences(zoo, len(zoo), [*named, named[0] | {"mode": "4"}])[-1]
