"""Experiment 5: the published child, pairs that stay pairs, and sentences that turn with the numbers."""

import json

import numpy as np
import pytest

from metarep.domains.multiplier.expected_error import expected_error
from metarep.domains.multiplier.modes import MULTIPLIER, label_modes
from metarep.domains.multiplier.skew import skew
from metarep.progress import Progress
from metarep.studies.e05 import run as e05_run
from metarep.studies.settings import ExperimentConfig
from metarep.studies.study import Context


@pytest.fixture(scope="module")
def result(context):
    return e05_run.run(context)


def test_the_published_error_comes_back_and_all_is_plain_data(result):
    assert result.claims[0].met
    assert "comes back" in result.sentences[0]
    assert result.numbers["n_parents"] == 10
    json.dumps([result.numbers, result.tables], allow_nan=False)
    assert set(result.figures) == {"skew", "error", "pre_activations", "stages"}


def test_every_child_stands_beside_its_own_parent(context):
    pairs = e05_run.mode_3_pairs(context)
    assert set(label_modes(MULTIPLIER, pairs.parent).mode) == {"3"}
    near = np.abs(pairs.child - pairs.parent).max(axis=1)
    far = np.abs(pairs.child - np.roll(pairs.parent, 1, axis=0)).max(axis=1)
    assert near.max() <= 4000 * 1e-4 * 1.5
    assert (near < far).all()
    on_square = [expected_error(MULTIPLIER, params, input_distribution="square") for params in (pairs.parent, pairs.child)]
    assert (on_square[1] < on_square[0]).all()


def test_parts_add_up_to_the_whole_square(result):
    below, above, whole = result.tables["error_by_product"]
    on_square = result.tables["error_by_input_distribution"][1]
    for who in ("parent", "child", "change"):
        assert below[who] + above[who] == pytest.approx(whole[who])
        assert whole[who] == pytest.approx(on_square[who], rel=1e-3)


def test_fewer_parents_than_asked_for_are_not_used_twice(context):
    config = ExperimentConfig(n_networks=150, n_parents=150)
    pairs = e05_run.mode_3_pairs(Context(config, context.shared, Progress()))
    assert len(np.unique(pairs.parent, axis=0)) == len(pairs.parent) < 150
    assert "fewer than the 150" in e05_run.mode_sentence(pairs, 150)


def draws(n: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, n, (200, n))


@pytest.mark.parametrize(("change", "word"), [(-0.3, "falls"), (0.3, "rises"), (0.0, "does not clearly change")])
def test_the_verdict_on_the_skew_follows_its_interval(change, word):
    rng = np.random.default_rng(1)
    parent = rng.uniform(0.5, 1, 100)
    row = e05_run.skew_row("skew", parent, parent + change + 0.05 * rng.standard_normal(100), draws(100))
    assert row["low"] <= row["change"] <= row["high"]
    assert f") {word}:" in e05_run.skew_sentence(row)


@pytest.mark.parametrize(("below", "above", "to"), [(-0.5, 0.2, "above"), (0.3, -0.2, "below")])
def test_the_sentence_says_where_the_error_goes(below, above, to):
    noise = 0.01 * np.random.default_rng(2).standard_normal(50)
    parents = [1 + noise, 0.5 + noise]
    parts = [(p, p + change) for p, change in zip(parents, (below, above), strict=True)]
    parts.append((parts[0][0] + parts[1][0], parts[0][1] + parts[1][1]))
    names = (*e05_run.PARTS, "whole square")
    rows = [e05_run.change_row("part", name, *pair, draws(50)) for name, pair in zip(names, parts, strict=True)]
    sentence = e05_run.where_sentence(rows)
    assert f"moves to {to} 1/2" in sentence
    assert sentence.count("falls") == sentence.count("rises") == 1


def test_intervals_are_paired():
    rng = np.random.default_rng(3)
    parent = 10 * rng.standard_normal(100)
    row = e05_run.change_row("part", "any", parent, parent - 0.1, draws(100))
    assert row["high"] - row["low"] < 1e-9 < row["parent_high"] - row["parent_low"]


def test_the_skew_of_the_table_is_that_of_the_networks(result, context):
    pairs = e05_run.mode_3_pairs(context)
    row = result.tables["skew"][0]
    assert row["parent"] == pytest.approx(np.median(skew(pairs.parent)))
    assert row["change"] == pytest.approx(np.median(skew(pairs.child) - skew(pairs.parent)))
