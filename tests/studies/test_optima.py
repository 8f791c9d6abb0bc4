"""The optima: one run on a small zoo, and sentences that turn with the numbers."""

import json
from dataclasses import replace

import numpy as np
import pytest

from metarep.domains.multiplier.modes import MODES
from metarep.domains.multiplier.optima import BestOfModes
from metarep.studies.optima import run as optima_run
from metarep.studies.optima import text as optima_text


@pytest.fixture(scope="module")
def result(context):
    return optima_run.run(context)


def test_a_small_search_has_all_its_parts(result):
    assert result.claims[0].name == "lowest local minimum of mode 3"
    assert len(result.claims) == 1 + len(MODES)
    assert sum(row["n"] for row in result.tables["minima"]) == result.numbers["n_converged"] <= 10
    assert [row["start"] for row in result.tables["descents"]] == list(MODES)
    assert all(row["expected_error"] >= row["descends_to"] for row in result.tables["in_the_notes"])
    json.dumps([result.numbers, result.tables], allow_nan=False, default=str)


def test_the_published_networks_come_back_in_the_table(result):
    for row in result.tables["in_the_notes"]:
        assert round(row["valid_mse"], 4) == row["published_mse"]
        assert row["expected_error"] == pytest.approx(row["valid_mse"], rel=0.1)


def some_best(error, held=(), inside=None) -> BestOfModes:
    error = np.array(error)
    held = np.isin(MODES, held)
    return BestOfModes(
        MODES,
        error,
        np.zeros((5, 9)),
        held,
        np.zeros(5, bool),
        np.where(held, "4", ""),
        error if inside is None else np.array(inside),
        np.zeros((5, 9)),
    )


def test_the_best_mode_is_named_from_the_numbers():
    unnamed = optima_text.best_sentence(some_best([0.08, 0.003, 0.003, 0.002, 0.001]))
    for part in ("in mode 4", "do not name", "mode 3, 2.00 times"):
        assert part in unnamed
    named = optima_text.best_sentence(some_best([0.08, 0.003, 0.003, 0.001, 0.0015]))
    for part in ("in mode 3", "one that the notes name", "0.001500, in mode 4, 1.50 times"):
        assert part in named


def test_a_claim_that_mode_3_is_as_good_as_published_can_fail(result):
    assert not replace(result.claims[0], value=0.0012).met
    assert replace(result.claims[0], value=0.00136).met
