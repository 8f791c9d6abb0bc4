"""The experiment on dynamics, at a tiny size: everything is there, and the words follow the numbers."""

import json

import numpy as np
import pytest

from metarep.domains.multiplier import birth
from metarep.progress import Progress
from metarep.studies import multipliers
from metarep.studies.dynamics import figures as dynamics_figures
from metarep.studies.dynamics import retrained as dynamics_retrained
from metarep.studies.dynamics import run as dynamics_run
from metarep.studies.dynamics import text as dynamics_text
from metarep.studies.settings import ExperimentConfig
from metarep.studies.study import Context
from metarep.tables import to_csv


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """A run with 60 networks, in which "long" is hardly longer."""
    patch = pytest.MonkeyPatch()
    for module in (dynamics_retrained, dynamics_text, dynamics_figures):
        patch.setattr(module, "LONG", dynamics_retrained.RECIPE.n_steps + 400)
    patch.setattr(dynamics_retrained, "N_NULLS", 1)
    patch.setattr(dynamics_retrained, "MAX_TWINS", 50)
    patch.setattr(birth, "N_ROUNDS", 3)
    patch.setattr(multipliers, "SMALL_MODEL", multipliers.SMALL_MODEL.model_copy(update={"n_steps": 10, "d_model": 16}))
    config = ExperimentConfig(n_snapshot_networks=60, n_snapshots=12, n_networks=150, n_bootstraps=20)
    yield dynamics_run.run(Context(config, tmp_path_factory.mktemp("shared"), Progress()))
    patch.undo()


def test_claims_lie_in_their_intervals_and_nothing_was_published(result):
    assert result.claims[0].name == "initial mode is the final one"
    for claim in result.claims:
        assert claim.published is None
        assert claim.met is None
        assert claim.low <= claim.value <= claim.high


def test_everything_can_be_written(result):
    json.dumps(result.numbers, allow_nan=False)
    for rows in result.tables.values():
        to_csv(rows)
    assert set(result.shown) <= set(result.tables)
    assert {"flow", "transitions", "aligned", "settings", "runs", "birth", "along"} <= set(result.figures)
    assert all(any(character.isdigit() for character in text) for text in result.sentences)


def pairs_of(before, after):
    return {dynamics_retrained.RECIPE.lr: (np.array(before, object), np.array(after, object))}


def test_a_stage_is_called_one_only_where_most_leave_it():
    passing = dynamics_text.settings_sentences(pairs_of(["2.5"] * 40 + ["3"] * 40, ["3"] * 80))
    assert "A stage on the way" in passing[1]
    assert "mode 2.5" in passing[1]
    assert "40 of them for mode 3" in passing[2]
    still = dynamics_text.settings_sentences(pairs_of(["2.5"] * 40 + ["3"] * 40, ["2.5"] * 40 + ["3"] * 40))
    assert "none is shown to be merely a stage" in still[1]
    assert "0.0%" in still[2]


def test_a_bare_majority_among_several_looks_is_no_stage():
    row = {"n": 67, "of": 112}
    assert dynamics_text.is_left(row, 1)
    assert not dynamics_text.is_left(row, 15)
    assert dynamics_text.is_left({"n": 100, "of": 112}, 15)


def birth_of(twin, accuracy):
    row = {"quantities": "all", "predictor": "boosted trees", "null_mean": 0.2, "null_max": 0.25, "entropy_bits": 2.0}
    for name, value in (("balanced_accuracy", accuracy), ("bits", 1.0)):
        row |= {name: value, f"{name}_low": value - 0.02, f"{name}_high": value + 0.02}
    share = {"mode": "all", "n": 1, "of": 2, "share": twin, "low": twin - 0.02, "high": twin + 0.02}
    most = [{"quantity": q, "bits": 0.1, "low": 0.0, "high": 0.2} for q in "abc"]
    return dynamics_retrained.Birth(
        [row, row | {"quantities": "mode"}], most, [share], {"value": 0.9, "low": 0.88, "high": 0.92, "n": 9}
    )


def test_the_words_on_birth_follow_the_numbers():
    strong, weak = (dynamics_text.birth_sentences(birth_of(*numbers)) for numbers in ((0.98, 0.8), (0.4, 0.2)))
    assert strong[0].startswith("The initialisation decides the mode:")
    assert weak[0].startswith("The data decide")
    assert ", above the" in strong[1]
    assert "not clearly above" in weak[1]
    assert "more of it is decided" in strong[1]
