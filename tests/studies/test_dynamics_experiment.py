"""The experiment on dynamics, at a tiny size: everything is there, and the words follow the numbers."""

import json

import pytest

from metarep.progress import Progress
from metarep.studies.dynamics import run as dynamics
from metarep.studies.settings import ExperimentConfig
from metarep.studies.study import Context
from metarep.tables import to_csv


@pytest.fixture(scope="module")
def result(context):
    """A run with 60 networks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dynamics, "MAX_TWINS", 50)
        patch.setattr(dynamics, "N_ROUNDS", 3)
        config = ExperimentConfig(n_snapshot_networks=60, n_snapshots=12, n_networks=150, n_bootstraps=20)
        yield dynamics.run(Context(config, context.shared, Progress()))


def test_claims_lie_in_their_intervals_and_nothing_was_published(result):
    assert result.claims[0].name == "initial mode is the final one"
    for claim in result.claims:
        assert claim.met is None
        assert claim.low <= claim.value <= claim.high


def test_everything_can_be_written(result):
    json.dumps(result.numbers, allow_nan=False)
    for rows in result.tables.values():
        to_csv(rows)
    assert set(result.shown) <= set(result.tables)
    assert set(result.figures) == {"flow"}
    assert all(any(character.isdigit() for character in text) for text in result.sentences)


def test_the_words_on_birth_follow_the_numbers():
    def birth_of(twin, accuracy):
        tree = {"value": accuracy, "low": accuracy - 0.02, "high": accuracy + 0.02, "null": 0.25}
        same = {"n": 1, "of": 2, "share": twin, "low": twin - 0.02, "high": twin + 0.02}
        return dynamics.birth_sentences(same, tree, {"value": 0.9, "low": 0.88, "high": 0.92})

    strong, weak = birth_of(0.98, 0.8), birth_of(0.4, 0.2)
    assert strong[0].startswith("The initialisation decides the mode:")
    assert weak[0].startswith("The data decide")
    assert ", above the" in strong[1]
    assert "not clearly above" in weak[1]
    assert "more of it is decided" in strong[1]
