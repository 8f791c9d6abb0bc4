"""Experiments 6, 7 and 8: the hand-crafted network, what its choices cost, what training moves, where other biases lead."""

import json
from dataclasses import replace

import numpy as np
import pytest

from metarep.domains.multiplier.expected_error import expected_error
from metarep.domains.multiplier.freed import Descent, Freed
from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.domains.multiplier.optima import distinct_minima
from metarep.domains.multiplier.recipes import HANDCRAFTED
from metarep.networks.symmetry import permute_units
from metarep.studies.e06 import run as e06_run
from metarep.studies.e07 import run as e07_run
from metarep.studies.e08 import run as e08_run
from metarep.studies.published import SEED


@pytest.fixture(scope="module")
def six(context):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(e06_run, "N_RANDOM", 1)
        return e06_run.run(context)


@pytest.fixture(scope="module")
def seven(context):
    return e07_run.run(context)


@pytest.fixture(scope="module")
def eight(context):
    return e08_run.run(context)


def test_published_errors_come_back(six, seven, eight):
    for result in (six, seven, eight):
        assert result.claims[0].met, result.claims[0]
        json.dumps([result.numbers, result.tables], allow_nan=False)
        assert all(any(c.isdigit() for c in sentence) for sentence in result.sentences)


def test_the_published_error_of_the_hand_crafted_network_is_that_of_its_validation_samples(six):
    same = [row["data"] for row in six.tables["data"] if row["prints_as_published"]]
    assert same == [e06_run.VALID]
    assert "only on" in six.sentences[0]
    assert "on none of" in e06_run.where_sentence([{**row, "prints_as_published": False} for row in six.tables["data"]], 0.0397)


def test_the_output_weight_costs_most_and_nothing_where_the_hidden_layer_may_take_its_scale(six):
    rows = six.tables["choices"]
    assert rows[0]["choice"] == six.claims[2].value == "output weight"
    assert [row["saves_alone"] for row in rows] == sorted((row["saves_alone"] for row in rows), reverse=True)
    assert rows[0]["costs_when_it_alone_stays"] == pytest.approx(0, abs=1e-8)
    assert sum(row["average_saving"] for row in rows) == pytest.approx(
        six.claims[1].value - six.tables["ablation"][-1]["expected_error"]
    )
    assert len(six.tables["ablation"]) == 16


def ablation(left: dict[tuple[str, ...], float]) -> e06_run.Ablation:
    """An ablation with the errors given; the others are the least of their parts."""
    freed = {}
    for bits in range(1, 16):
        names = tuple(name for i, name in enumerate(e06_run.GROUPS) if bits >> i & 1)
        error = min(value for part, value in left.items() if set(part) <= set(names))
        freed[names] = Freed(*2 * (Descent(HANDCRAFTED, error, 0.0),), n_starts=2)
    return e06_run.Ablation(0.04, freed)


def test_sentences_turn_with_the_ablation():
    alone = {(name,): 0.03 for name in e06_run.GROUPS}
    found = ablation({**alone, ("output bias",): 0.01})
    assert found.order[0] == "output bias"
    assert e06_run.cost_sentence(found).startswith("The output bias costs most")
    assert "None of the further starts led lower" in e06_run.descents_sentence(found)
    everything = tuple(e06_run.GROUPS)
    stuck = found.freed[everything].near._replace(gradient_norm=1.0)
    lower = found.freed[everything].best._replace(error=0.001)
    found.freed[everything] = Freed(stuck, lower, 2)
    sentence = e06_run.descents_sentence(found)
    assert sentence.startswith("Not all")
    assert "led lower for 1 of the sets" in sentence


def test_every_parameter_of_the_published_run_before_and_after(seven):
    rows = seven.tables["parameters"]
    assert [row["before"] for row in rows] == pytest.approx(HANDCRAFTED.tolist(), abs=1e-6)
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    for i, row in enumerate(rows):
        assert row["change"] == pytest.approx(row["after"] - row["before"])
        back = np.array([r["after"] for r in rows])
        back[i] = row["before"]
        assert row["error_if_put_back"] == pytest.approx(expected_error(MULTIPLIER, back[None])[0])
    assert sum(row["share"] for row in seven.tables["groups"]) == pytest.approx(1)
    assert {row["family"] for row in seven.tables["families"]} == {e07_run.OTHER_DATA, e07_run.JITTERED}


def test_sentences_turn_with_what_moved():
    after = HANDCRAFTED.copy()
    after[8] -= 0.3
    moved = e07_run.Moved(HANDCRAFTED, after, 0.02, 0.04, 0.02)
    assert "furthest b2 by −0.300" in e07_run.moved_sentence(moved)
    assert moved.share[8] == 1
    assert "stopped on the way" in e07_run.error_sentence(moved, 0.0024, False, 0.001)
    assert "has arrived" in e07_run.error_sentence(moved, 0.0024, False, 0.02)
    assert "a lower place" in e07_run.error_sentence(moved, 0.0024, False, 0.03)
    assert "does not come back" in e07_run.error_sentence(moved, 0.0024, False, 0.03)


def test_cells_of_the_grid_differ_by_their_bias_alone(eight, context):
    cells = eight.tables["grid"]
    assert len(cells) == 25
    again = e08_run.explore(np.array([[cells[7]["start_bias_1"], cells[7]["start_bias_2"]]]))
    assert again.trained.valid_mse[0] == pytest.approx(cells[7]["valid_mse"])
    np.testing.assert_array_equal(np.delete(again.trained.init_params[0], [4, 5]), np.delete(HANDCRAFTED, [4, 5]).astype("f4"))
    assert str(SEED) in eight.sentences[0]


def test_the_control_another_start_does_not_end_at_the_published_error(eight):
    grid = e08_run.explore(np.array([[0.0, 2**0.5], [-0.0023, 1.6139]]))
    claims = [replace(eight.claims[0], value=float(error)) for error in grid.trained.valid_mse]
    assert [claim.met for claim in claims] == [False, True]


def test_minima_are_minima_and_share_the_grid(eight):
    rows = eight.tables["minima"]
    assert eight.claims[1].value == len(rows)
    errors = [row["expected_error"] for row in rows]
    assert errors == sorted(errors)
    assert sum(row["share"] for row in rows) == pytest.approx(eight.numbers["share_converged"])
    assert max(row["largest_gradient"] for row in rows) < 1e-8
    assert min(row["least_curvature"] for row in rows) > -1e-6
    assert errors[-1] == pytest.approx(1 / 12)  # both units off: the variance of a uniform y
    assert rows[-1]["units_that_serve"] == 0


def test_a_bias_without_any_input_stands_still_and_others_move():
    grid = e08_run.explore(np.array([[-2.0, -2.0], [0.0, 1.5]]))
    assert grid.moved[0] == 0
    assert grid.moved[1] > 0.05
    assert list(e08_run.serving_units(e08_run.with_bias(grid.start))) == [0, 2]
    assert "50% of them stand still" in e08_run.moved_sentence(grid)
    assert grid.member[0] != grid.member[1]


def test_minima_are_numbered_from_the_lowest_whatever_the_order_of_units():
    grid = e08_run.explore(np.array([[-2.0, -2.0], [0.0, 1.5], [0.1, 1.6]]))
    assert list(grid.member) == [1, 0, 0]
    swapped = permute_units(MULTIPLIER, grid.minimum.params, 0, np.array([1, 0]))
    members = distinct_minima(np.concatenate([grid.minimum.params, swapped]), np.tile(grid.minimum.error, 2))
    assert list(members) == [1, 0, 0, 1, 0, 0]
