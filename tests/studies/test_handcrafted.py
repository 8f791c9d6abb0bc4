"""Experiments 6, 7 and 8: the hand-crafted network, what its choices cost, what training moves, where other biases lead."""

import json
from dataclasses import replace

import numpy as np
import pytest

from metarep.domains.multiplier.expected_error import expected_error
from metarep.domains.multiplier.minimise import distinct_minima
from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.domains.multiplier.recipes import HANDCRAFTED
from metarep.networks.symmetry import permute_units
from metarep.studies.e06 import run as e06
from metarep.studies.e07 import run as e07
from metarep.studies.e08 import run as e08
from metarep.studies.published import SEED


@pytest.fixture(scope="module")
def six(context):
    return e06.run(context)


@pytest.fixture(scope="module")
def seven(context):
    return e07.run(context)


@pytest.fixture(scope="module")
def eight(context):
    return e08.run(context)


def test_published_errors_come_back(six, seven, eight):
    for result in (six, seven, eight):
        assert result.claims[0].met, result.claims[0]
        json.dumps([result.numbers, result.tables], allow_nan=False)
        assert all(any(c.isdigit() for c in sentence) for sentence in result.sentences)


def test_the_published_error_is_that_of_the_validation_samples_and_not_of_the_training_samples(six):
    errors = e06.sample_errors()
    claims = [replace(six.claims[0], value=errors[name]) for name in ("validation", "training")]
    assert [claim.met for claim in claims] == [True, False]


def test_the_output_weight_costs_most_and_all_four_together_save_more(six):
    rows = six.tables["choices"]
    assert rows[0]["choice"] == six.claims[2].value == "output weight"
    assert [row["saved"] for row in rows[:4]] == sorted((row["saved"] for row in rows[:4]), reverse=True)
    assert rows[4]["choice"] == e06.ALL
    assert rows[4]["error"] < min(row["error"] for row in rows[:4])
    assert max(row["largest_gradient"] for row in rows) < 1e-7


def test_the_sentence_on_costs_turns_with_the_descents():
    errors = dict.fromkeys(e06.CHOICES, 0.03) | {"output bias": 0.01, e06.ALL: 0.0}
    sentence = e06.cost_sentence(errors, ["output bias", *[n for n in e06.CHOICES if n != "output bias"]], 0.04)
    assert sentence.startswith("The output bias costs most")
    assert "75% of what all four" in sentence


def test_changes_are_those_of_the_network_and_shares_add_up(seven, context):
    rows = seven.tables["parameters"]
    np.testing.assert_allclose([row["before"] for row in rows], HANDCRAFTED, atol=1e-6)
    assert sum(row["share_of_squared_distance"] for row in rows) == pytest.approx(1)
    after = np.array([row["before"] + row["change"] for row in rows])
    assert expected_error(MULTIPLIER, after[None])[0] == pytest.approx(seven.claims[1].value)
    assert all(row["others_low"] <= row["others"] <= row["others_high"] for row in rows)


def test_sentences_turn_with_what_moved(seven):
    rows = [row | {"share_of_squared_distance": 0.0} for row in seven.tables["parameters"]]
    rows[8] |= {"share_of_squared_distance": 1.0, "change": -0.3}
    assert "Furthest move b2 by −0.300" in e07.moved_sentence(rows)
    stopped = e07.error_sentence(replace(seven.claims[0], value=0.02), np.array([0.04, 0.02]), 0.001)
    assert "stopped on the way" in stopped
    assert "does not come back" in stopped
    assert "has arrived" in e07.error_sentence(seven.claims[0], np.array([0.04, 0.02]), 0.02)


def test_cells_of_the_grid_differ_by_their_bias_alone(eight):
    again = e08.explore(np.array([[0.5, 1.0]]))
    np.testing.assert_array_equal(np.delete(again.trained.init_params[0], [4, 5]), np.delete(HANDCRAFTED, [4, 5]).astype("f4"))
    assert str(SEED) in eight.sentences[0]
    assert len(e08.bias_grid(5)) == 25


def test_the_control_another_start_does_not_end_at_the_published_error(eight):
    grid = e08.explore(np.array([[0.0, 2**0.5], [-0.0023, 1.6139]]))
    claims = [replace(eight.claims[0], value=float(error)) for error in grid.trained.valid_mse]
    assert [claim.met for claim in claims] == [False, True]


def test_minima_are_minima_and_share_the_grid(eight):
    rows = eight.tables["minima"]
    assert eight.claims[1].value == len(rows)
    errors = [row["expected_error"] for row in rows]
    assert errors == sorted(errors)
    assert sum(row["n_cells"] for row in rows) <= 25
    assert max(row["largest_gradient"] for row in rows) < 1e-8
    assert min(row["least_curvature"] for row in rows) > -1e-6
    assert errors[-1] == pytest.approx(1 / 12)  # both units off: the variance of a uniform y


def test_a_bias_without_any_input_stands_still_and_others_move():
    grid = e08.explore(np.array([[-2.0, -2.0], [0.0, 1.5]]))
    assert grid.moved[0] == 0
    assert grid.moved[1] > 0.05
    assert "50% stand still" in e08.grid_sentence(grid, grid)
    assert grid.member[0] != grid.member[1]


def test_minima_are_numbered_from_the_lowest_whatever_the_order_of_units():
    grid = e08.explore(np.array([[-2.0, -2.0], [0.0, 1.5], [0.1, 1.6]]))
    assert list(grid.member) == [1, 0, 0]
    swapped = permute_units(MULTIPLIER, grid.minimum.params, 0, np.array([1, 0]))
    members = distinct_minima(np.concatenate([grid.minimum.params, swapped]), np.tile(grid.minimum.error, 2))
    assert list(members) == [1, 0, 0, 1, 0, 0]
