"""Transfer: rows lie in their intervals, nulls are what permuted predictions reach, and only what two zoos share is asked."""

from dataclasses import replace

import numpy as np
import pytest

from metarep.domains.multiplier.domain import DOMAIN
from metarep.evaluation.arena import Arena
from metarep.evaluation.folds import Fold
from metarep.evaluation.settings import MaskedR2Config, TransferConfig
from metarep.evaluation.transfer import fit, found_rows, masked_rows, summary, untrained_networks
from metarep.model.pretraining import prepare
from metarep.model.settings import PretrainConfig
from metarep.networks.spec import NetworkSpec
from metarep.progress import Progress
from metarep.zoos.columns import Contents
from metarep.zoos.zoo import Zoo

RNG = np.random.default_rng(0)
N = 500
MODE = np.array(["1", "2", "3", "4"], dtype=object)[RNG.choice(4, N, p=[0.4, 0.3, 0.2, 0.1])]
ERROR = RNG.standard_normal(N)


def zoo_of(params, start):
    n = len(params)
    names = np.array([f"n{i}" for i in range(n)], dtype=object)
    columns = {
        "network_id": names,
        "run_id": names,
        "split": np.array(["train", "test", "valid"], dtype=object)[np.arange(n) % 3],
    }
    columns |= {"snapshot_of": np.full(n, "", dtype=object), "finite": np.ones(n, dtype=bool)}
    columns |= {"spec": np.full(n, "2-2-1", dtype=object), "params": params, "init_params": start, "log_error": ERROR[:n]}
    known = DOMAIN.columns_of(NetworkSpec.parse("2-2-1"), params)
    return Zoo(columns | known, contents=Contents("multiplier", tuple(DOMAIN.labels), ("log_error",)))


ZOO = zoo_of(*RNG.standard_normal((2, 120, 9)).astype(np.float32))
RUNS = Zoo({"network_id": np.arange(N).astype(str), "run_id": np.arange(N).astype(str)})
TARGET = Arena(RUNS, (), {"mode": MODE}, {"log_error": ERROR})


def rows_of(mode, error):
    found = {
        ("mode", "linear", "balanced_accuracy"): mode,
        ("log_error", "linear", "r2"): error,
        ("unknown", "linear", "balanced_accuracy"): mode,
    }
    found["mode", "clusters", "ari"] = np.unique(mode, return_inverse=True)[1]
    rows = list(found_rows(found, TARGET, TransferConfig()))
    assert {row["label"] for row in rows} == {"mode", "log_error"}
    return {(row["label"], row["probe"], row["metric"]): row for row in rows}


def test_right_predictions_lie_above_a_null_that_is_chance():
    rows = rows_of(MODE.astype(str), ERROR)
    chance = {("mode", "linear", "balanced_accuracy"): 0.25, ("mode", "linear", "accuracy"): 0.3}
    chance |= {("mode", "clusters", "ari"): 0.0, ("log_error", "linear", "r2"): -1.0}
    for key, value in chance.items():
        assert rows[key]["value"] == pytest.approx(1)
        assert value < rows[key]["null"] < value + 0.2
        assert rows[key]["n"] == N


def test_the_null_is_the_95th_percentile_and_not_the_mean():
    guess = RNG.permutation(MODE).astype(str)
    rows = rows_of(guess, RNG.standard_normal(N))
    permuted = [float((RNG.permutation(guess) == MODE).mean()) for _ in range(2000)]
    null = rows["mode", "linear", "accuracy"]["null"]
    assert null == pytest.approx(np.quantile(permuted, 0.95), abs=0.006)
    assert null > np.mean(permuted) + 0.02
    for row in rows.values():
        assert row["low"] <= row["value"] + 0.02 <= row["high"] + 0.05  # the ARI of a resample is a little higher


def test_what_is_fitted_on_the_source_is_found_in_the_target():
    x = np.eye(4)[np.unique(MODE, return_inverse=True)[1]] * 4 + 0.1 * RNG.standard_normal((N, 4))
    rows = np.arange(N)
    source = replace(TARGET, folds=(Fold(rows, rows, rows),))
    carried = {key: predict(x) for key, predict in fit(x, source, rows, TransferConfig(k=4)).items()}
    found = {(r["label"], r["probe"], r["metric"]): r["value"] for r in found_rows(carried, TARGET, TransferConfig())}
    assert found["mode", "nearest_neighbours", "balanced_accuracy"] > 0.99
    assert found["mode", "clusters", "ari"] > 0.99


def test_networks_without_a_label_are_not_asked_about_it():
    unlabelled = replace(TARGET, labels={"mode": np.where(np.arange(N) < 100, MODE, "")})
    found = {("mode", "linear", "balanced_accuracy"): MODE.astype(str)}
    rows = list(found_rows(found, unlabelled, TransferConfig()))
    assert {row["n"] for row in rows} == {100}


def test_a_model_that_knows_nothing_predicts_other_networks_as_well():
    small = {"d_model": 8, "n_layers": 1, "n_heads": 2, "n_components": 2}
    model = prepare(PretrainConfig(**small), [ZOO], progress=Progress()).model.eval()
    rows = list(masked_rows(model, ZOO.where(split="train"), ZOO.where(split="test"), MaskedR2Config()))
    assert [row["predictor"] for row in rows] == ["cloze", "linear_gaussian"]
    for row in rows:
        assert row["low"] <= row["value"] <= row["high"]
    assert rows[0]["null"] == pytest.approx(rows[0]["value"], abs=0.1)


def test_the_control_has_the_labels_of_where_training_started():
    start = untrained_networks(ZOO)
    np.testing.assert_array_equal(start.params, ZOO.init_params)
    again = DOMAIN.columns_of(ZOO.spec, ZOO.init_params)
    np.testing.assert_array_equal(start["mode"], again["mode"])
    assert (start["mode"] != ZOO["mode"]).any()


def test_the_metrics_count_the_first_label():
    found = summary({"e03": TARGET, "other": replace(TARGET, labels={})}, "mode", TransferConfig())
    assert found["targets"] == {"e03": {mode: int((mode == MODE).sum()) for mode in "1234"}, "other": {}}
