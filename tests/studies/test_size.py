"""Question 1: its sentences turn with the numbers, and it runs end to end."""

import json

import pytest

from metarep.studies.running import run_series
from metarep.studies.series import QUESTIONS
from metarep.studies.settings import QuestionConfig
from metarep.studies.size.run import IMPUTER, against_imputer, needed, overfitting
from metarep.tables import read_csv

TINY = QuestionConfig(
    n_networks=300,
    n_bootstraps=20,
    pretrain={"behaviour_weight": 1.0, "d_model": 16, "n_layers": 1, "n_components": 2, "batch_size": 32, "warmup_steps": 2},
    size={"train_networks": (50, 150, 5000), "model_sizes": ((16, 1), (18, 1)), "n_steps": 20, "max_test_networks": 40},
)


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    out = tmp_path_factory.mktemp("size")
    run_series(TINY, "1", out, series=QUESTIONS)
    return out / "size"


def test_every_cell_is_measured_where_there_are_networks_for_it(answered):
    found = json.loads((answered / "result.json").read_text())
    rows = read_csv(answered / "sizes.csv")
    models = [row for row in rows if row["model"] != IMPUTER]
    assert {(row["model"], row["train_networks"]) for row in rows} == {
        (model, n) for model in ("width 16 × 1", "width 18 × 1", IMPUTER) for n in (50, 150)
    }
    for row in rows:
        assert row["r2_held_out_low"] < row["r2_held_out_high"] <= 1
    for row in models:
        assert -1 < row["ari_null"] < 1
        assert row["overfit"] >= 0
    assert found["claims"][1]["value"] == pytest.approx(models[-1]["r2_held_out"], abs=1e-4)
    assert {path.name for path in (answered / "figures").iterdir()} == {"sizes.png"}


def test_the_size_that_is_enough():
    assert needed([0.1, 0.5, 0.79, 0.8], [1, 2, 3, 4]) == 3
    assert needed([0.1, 0.5, 0.7, 0.8], [1, 2, 3, 4]) == 4
    assert needed([0.8, 0.8], [1, 2]) == 1
    assert needed([0.5], [70]) == 70


@pytest.mark.parametrize(("value", "words"), [(0.8, "clearly above"), (0.51, "not clearly"), (0.1, "clearly below")])
def test_the_model_is_held_against_the_imputer(value, words):
    rows = [
        {"model": model, "train_networks": 50, "r2_held_out": r2, "r2_held_out_low": r2 - 0.05, "r2_held_out_high": r2 + 0.05}
        for model, r2 in (("m", value), (IMPUTER, 0.5))
    ]
    assert words in against_imputer(rows, [50])


def test_overfitting_is_named_where_it_is():
    row = {"train_networks": 100, "overfit": 0.0}
    assert "none of the models" in overfitting({"m": [row]})
    text = overfitting({"m": [row | {"overfit": 0.5}], "small": [row]})
    assert "m with up to 100 networks" in text
    assert "small" not in text
