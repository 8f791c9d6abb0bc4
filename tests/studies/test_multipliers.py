"""Experiments 3, 4 and 9: claims that break when the network is another, and pictures of what the figures say."""

import math

import numpy as np
import pytest

from metarep.domains.multiplier.figures.folding import LEVELS, factors, iso_curve, rotation
from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.progress import Progress
from metarep.studies.e03 import run as e03_run
from metarep.studies.e04 import run as e04_run
from metarep.studies.e09 import run as e09_run
from metarep.studies.multipliers import multipliers
from metarep.studies.published import NETWORKS, SEED
from metarep.studies.settings import ExperimentConfig
from metarep.studies.study import Context


@pytest.mark.parametrize("seed", range(8))
def test_rotation_scale_rotation_multiplies_to_the_weight(seed):
    weight = np.random.default_rng(seed).standard_normal((2, 2))
    found = factors(weight)
    left, scale, right = found.matrices
    np.testing.assert_allclose(left @ scale @ right, weight, atol=1e-12)
    assert found.scale[0] >= abs(found.scale[1])
    assert np.sign(found.scale[1]) == np.sign(np.linalg.det(weight))


def test_a_rotation_is_found_again_and_a_reflection_has_a_negative_scale():
    found = factors(rotation(2.0))
    assert found.scale == pytest.approx((1, 1))
    assert math.remainder(found.left + found.right - 2.0, 2 * math.pi) == pytest.approx(0, abs=1e-9)
    assert factors(np.diag([1.0, -1.0])).scale[1] == pytest.approx(-1)


@pytest.mark.parametrize("level", LEVELS)
def test_an_iso_curve_has_one_product_and_lies_in_the_square(level):
    curve = iso_curve(level)
    np.testing.assert_allclose(curve.prod(axis=1), level, atol=1e-12)
    assert curve.min() >= 0
    assert curve.max() <= 1 + 1e-12
    assert len(curve) == len(iso_curve(0.5))


def test_the_published_network_comes_back(context):
    result = e04_run.run(context)
    assert [claim.met for claim in result.claims] == [True] * 4
    assert "to the four digits printed" in result.sentences[0]
    assert 0.00135 < result.claims[0].best < 0.00136  # of mode 3, as `metarep experiment optima` finds from other starts


def test_the_control_another_seed_does_not(context, monkeypatch):
    monkeypatch.setattr(e04_run, "SEED", SEED + 1)
    monkeypatch.setitem(NETWORKS, SEED + 1, NETWORKS[SEED])
    other = Context(ExperimentConfig(seed=5), context.shared / "other", Progress())
    result = e04_run.run(other)
    assert not result.claims[1].met
    assert "only roughly" in result.sentences[0]


def test_published_error_of_experiment_3_is_held_against_the_spread(context):
    result = e03_run.run(context)
    claim = result.claims[0]
    assert claim.met == (claim.low <= 0.0039 <= claim.high)
    assert f"{claim.value:.4f}" in result.sentences[0]
    assert set(result.figures) == {"stages", "iso_curves", "rotation_scale_rotation"}


def test_shares_add_up_and_every_group_has_a_typical_network_of_its_own(context):
    zoo = multipliers(context)
    for column in ("mode", "quadrant_code"):
        rows = e09_run.group_rows(zoo, column)
        assert sum(row["n"] for row in rows) == len(zoo)
        assert sum(row["share"] for row in rows) == pytest.approx(1)
        for row in rows:
            assert row["low"] <= row["share"] <= row["high"]
            assert zoo[column][list(zoo["network_id"]).index(row["typical"])] == row["group"]
    crossed = e09_run.crossed(zoo)
    assert sum(count for row in crossed for key, count in row.items() if key != "quadrant_code") == len(zoo)


def test_networks_that_no_published_mode_describes_are_counted_not_hidden(context):
    zoo = multipliers(context)
    result = e09_run.run(context)
    unnamed = int((zoo["mode"] == "4").sum())
    assert result.numbers["share_unnamed"] == pytest.approx(unnamed / len(zoo))
    assert ("unnamed" in result.figures) == (unnamed > 0)
    assert [claim.met for claim in result.claims[1:]] == [True, True]
    nobody = zoo.select(np.zeros(len(zoo), bool))
    assert "Every one of" in e09_run.describe_unnamed(zoo, nobody, result.tables["modes"])
    assert zoo.spec == MULTIPLIER
