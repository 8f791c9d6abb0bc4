"""The optima: one run on a small zoo, and sentences that turn with the numbers."""

import json
from dataclasses import replace

import numpy as np
import pytest

from metarep.domains.multiplier.minimise import Minimum
from metarep.domains.multiplier.modes import MODES
from metarep.studies.optima import run as optima


@pytest.fixture(scope="module")
def result(context):
    return optima.run(context)


def test_a_small_search_has_all_its_parts(result):
    assert result.claims[0].name == "lowest local minimum of mode 3"
    rows = result.tables["modes"]
    assert [row["mode"] for row in rows] == list(MODES)
    assert all(sum(row[f"ends in {mode}"] for mode in MODES) == row["n_starts"] <= 2 for row in rows)
    known = [row["lowest_local_minimum"] for row in rows if row["lowest_local_minimum"] is not None]
    assert min(known) == result.claims[1].value
    assert all(row["expected_error"] >= row["descends_to"] for row in result.tables["in_the_notes"])
    json.dumps([result.numbers, result.tables], allow_nan=False, default=str)


def test_the_published_networks_come_back_in_the_table(result):
    for row in result.tables["in_the_notes"]:
        assert round(row["valid_mse"], 4) == row["published_mse"]
        assert row["expected_error"] == pytest.approx(row["valid_mse"], rel=0.1)


def test_only_what_has_converged_is_a_minimum():
    error, done = np.array([0.1, 0.2, 0.05]), np.array([True, True, False])
    found = Minimum(np.zeros((3, 9)), error, error, error, done)
    assert optima.lowest_of_modes(found, np.array(["3", "3", "4"], dtype=object)) == {"3": 0}


def test_the_best_mode_is_named_from_the_numbers():
    def rows(*errors):
        return [{"mode": mode, "lowest_local_minimum": error} for mode, error in zip(MODES, errors, strict=True)]

    unnamed = optima.best_sentence(rows(0.08, 0.003, None, 0.002, 0.001))
    for part in ("in mode 4", "do not name", "mode 3, 2.00 times"):
        assert part in unnamed
    assert "in mode 3" in optima.best_sentence(rows(0.08, 0.003, None, 0.001, 0.0015))
    assert "in any mode" in optima.best_sentence(rows(None, None, None, None, 0.001))


def test_a_claim_that_mode_3_is_as_good_as_published_can_fail(result):
    assert not replace(result.claims[0], value=0.0012).met
    assert replace(result.claims[0], value=0.00136).met
