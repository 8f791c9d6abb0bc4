"""Question 1: its sentences turn with the numbers, its memory check finds a memory, and it runs end to end."""

import json

import numpy as np
import pytest

from metarep.studies.running import run_series
from metarep.studies.series import QUESTIONS
from metarep.studies.settings import QuestionConfig
from metarep.studies.size.leak import (
    AS_MANY,
    SEEN,
    UNSEEN,
    binned,
    canonical_units,
    leak_rows,
    memory_rows,
    rank_correlation,
)
from metarep.studies.size.text import leak, memory, needed, overfitting
from metarep.tables import read_csv
from metarep.zoos.zoo import Zoo

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


def zoo_of(params):
    n = len(params)
    return Zoo({"network_id": np.arange(n), "spec": np.full(n, "2-2-1", object), "params": params.astype(np.float32)})


def test_every_cell_is_measured_and_what_there_are_no_networks_for_is_said_to_be_left_out(answered):
    found = json.loads((answered / "result.json").read_text())
    rows = read_csv(answered / "sizes.csv")
    assert {(row["width"], row["train_networks"]) for row in rows} == {(w, n) for w in (16, 18) for n in (50, 150)}
    assert "5,000 left out" in found["sentences"][0]
    for row in rows:
        assert row["r2_held_out_low"] < row["r2_held_out_high"] <= 1
        assert -1 < row["ari_null"] < 1
        assert row["overfit"] == pytest.approx(row["last_valid_loss"] - row["best_valid_loss"], abs=1e-4)
    curves = read_csv(answered / "curves.csv")
    assert {row["step"] for row in curves} >= {20}
    assert len(read_csv(answered / "distances.csv")) == 6
    assert len(read_csv(answered / "memory.csv")) == 6
    assert {path.name for path in (answered / "figures").iterdir()} == {"sizes.png", "distances.png"}


def test_fewer_networks_than_any_size_still_give_an_answer():
    assert needed([0.5], [70]) == 70


def test_the_size_that_is_enough():
    assert needed([0.1, 0.5, 0.79, 0.8], [1, 2, 3, 4]) == 3
    assert needed([0.1, 0.5, 0.7, 0.8], [1, 2, 3, 4]) == 4
    assert needed([0.8, 0.8], [1, 2]) == 1


def test_a_leak_is_found_and_its_absence_too():
    rng = np.random.default_rng(0)
    train, fresh = zoo_of(rng.normal(size=(400, 9))), zoo_of(rng.normal(size=(200, 9)))
    units = canonical_units(train)
    rows, found = leak_rows(train, fresh, units, [100, 400], most=200, n_bootstraps=50, seed=0)
    assert "no leak is seen" in leak(rows)
    assert (found[400][0] <= found[100][0] + 1e-12).all()
    leaked = zoo_of(train.params[:200] * 1.0001)
    rows, _ = leak_rows(train, leaked, units, [400], most=200, n_bootstraps=50, seed=0)
    assert "as a leak would make them" in leak(rows)
    assert rows[0]["n_duplicates"] > 150
    assert rows[1]["n_duplicates"] == 0


def test_a_memory_is_found_where_errors_follow_what_was_seen_alone():
    rng = np.random.default_rng(0)
    seen, valid, test = (zoo_of(rng.normal(size=(300, 9))) for _ in range(3))
    units = canonical_units(seen)
    options = {"n_bootstraps": 100, "n_null": 100, "seed": 0}
    _, distance = memory_rows("m", np.ones(300), seen, valid, test, units, **options)
    rows, _ = memory_rows("m", distance**2, seen, valid, test, units, **options)
    by = {row["nearest_of"]: row for row in rows}
    assert by[SEEN]["rho"] == pytest.approx(1)
    assert by[AS_MANY]["difference"] == pytest.approx(by[AS_MANY]["rho"] - by[UNSEEN]["rho"])
    assert "it remembers" in memory(rows)
    rows, _ = memory_rows("m", rng.random(300), seen, valid, test, units, **options)
    assert "it remembers" not in memory(rows)
    assert abs(rows[0]["rho"]) < 2 * rows[0]["null"]


def test_rank_correlation_and_groups():
    x = np.arange(10.0)[None]
    assert rank_correlation(x, np.exp(x))[0] == pytest.approx(1)
    assert rank_correlation(x, -x)[0] == pytest.approx(-1)
    assert rank_correlation(x, np.ones((1, 10)))[0] == 0
    groups = binned(np.arange(80.0), np.arange(80.0))
    assert groups.shape == (8, 4)
    assert (np.diff(groups[:, 1]) > 0).all()


def test_overfitting_is_named_where_it_is():
    row = {"train_networks": 100, "overfit": 0.0, "best_step": 20}
    assert "none of the models" in overfitting({"m": [row]})
    text = overfitting({"m": [row | {"overfit": 0.5}], "small": [row]})
    assert "m with up to 100 networks" in text
    assert "not seen in small" in text
