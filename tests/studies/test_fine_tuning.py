"""Experiment 5: the published child, pairs that stay pairs, and sentences that turn with the numbers."""

import json

import numpy as np
import pytest

from metarep.domains.multiplier.expected_error import expected_error
from metarep.domains.multiplier.modes import MULTIPLIER, label_modes
from metarep.domains.multiplier.skew import skew
from metarep.evaluation.resampling import resamples
from metarep.progress import Progress
from metarep.studies.e05 import run as e05
from metarep.studies.settings import ExperimentConfig
from metarep.studies.study import Context


@pytest.fixture(scope="module")
def result(context):
    return e05.run(context)


def test_the_published_error_comes_back_and_all_is_plain_data(result):
    assert result.claims[0].met
    assert "comes back" in result.sentences[0]
    assert result.tables["changes"][0]["n"] == 10
    json.dumps([result.numbers, result.tables], allow_nan=False)
    assert set(result.figures) == {"pairs"}


def test_every_child_stands_beside_its_own_parent(context):
    pairs = e05.mode_3_pairs(context)
    assert set(label_modes(MULTIPLIER, pairs.parent).mode) == {"3"}
    near = np.abs(pairs.child - pairs.parent).max(axis=1)
    far = np.abs(pairs.child - np.roll(pairs.parent, 1, axis=0)).max(axis=1)
    assert near.max() <= 4000 * 1e-4 * 1.5
    assert (near < far).all()
    on_square = [expected_error(MULTIPLIER, params, input_distribution="square") for params in (pairs.parent, pairs.child)]
    assert (on_square[1] < on_square[0]).all()


def test_parts_add_up_to_the_whole_square(result, context):
    rows = {row["quantity"]: row for row in result.tables["changes"]}
    pairs = e05.mode_3_pairs(context)
    for who, params in (("parent", pairs.parent), ("child", pairs.child)):
        whole = expected_error(MULTIPLIER, params, input_distribution="square").mean()
        assert rows[e05.BELOW][who] + rows[e05.ABOVE][who] == pytest.approx(whole, rel=5e-3)


def test_fewer_parents_than_asked_for_are_not_used_twice(context):
    config = ExperimentConfig(n_networks=150, n_parents=150)
    pairs = e05.mode_3_pairs(Context(config, context.shared, Progress()))
    assert len(np.unique(pairs.parent, axis=0)) == len(pairs.parent) < 150


@pytest.mark.parametrize(("change", "word"), [(-0.3, "falls"), (0.3, "rises"), (0.0, "does not clearly change")])
def test_the_verdict_on_the_skew_follows_its_interval(change, word):
    rng = np.random.default_rng(1)
    parent = rng.uniform(0.5, 1, 100)
    row = e05.change_row(e05.SKEW, parent, parent + change + 0.05 * rng.standard_normal(100), resamples(200, 100, seed=0))
    assert row["change_low"] <= row["change"] <= row["change_high"]
    assert e05.change_words(row).startswith(word)


def test_intervals_are_paired():
    parent = 10 * np.random.default_rng(3).standard_normal(100)
    row = e05.change_row("any", parent, parent - 0.1, resamples(200, 100, seed=0))
    assert row["change_high"] - row["change_low"] < 1e-9 < row["parent_high"] - row["parent_low"]


def test_the_skew_of_the_table_is_that_of_the_networks(result, context):
    pairs = e05.mode_3_pairs(context)
    row = result.tables["changes"][0]
    assert row["parent"] == pytest.approx(skew(pairs.parent).mean())
    assert row["change"] == pytest.approx((skew(pairs.child) - skew(pairs.parent)).mean())
