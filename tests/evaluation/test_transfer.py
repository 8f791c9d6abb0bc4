"""Rows of transfer: every figure lies in its interval, and its null is what predictions for other networks reach."""

import numpy as np
import pytest
import torch

from metarep.cloze.model import ClozeModel
from metarep.evaluation.probes import MSE_TARGET
from metarep.evaluation.settings import TransferConfig
from metarep.evaluation.transfer import Target, masked_rows, reader_rows, row_of, summary

RNG = np.random.default_rng(0)
N = 500
MODE = np.array(["1", "2", "3", "4"], dtype=object)[RNG.choice(4, N, p=[0.4, 0.3, 0.2, 0.1])]
ERROR = RNG.standard_normal(N)
TARGET = Target("e03", RNG.standard_normal((N, 9)).astype(np.float32), MODE, ERROR)


def rows_of(mode, error):
    readers = {"linear": lambda x: mode, "nearest_neighbours": lambda x: mode, MSE_TARGET: lambda x: error}
    readers["clusters"] = lambda x: np.unique(mode, return_inverse=True)[1]
    rows = reader_rows(readers, TARGET.params, TARGET, TransferConfig())
    return {row["metric"]: row for row in rows}


def test_right_predictions_lie_above_a_null_that_is_chance():
    rows = rows_of(MODE.astype(str), ERROR)
    chance = {"linear_balanced_accuracy": 0.25, "linear_accuracy": 0.3, "clusters_ari": 0.0, f"{MSE_TARGET}_r2": -1.0}
    for metric, value in chance.items():
        assert rows[metric]["value"] == pytest.approx(1)
        assert value < rows[metric]["null_p95"] < value + 0.15
        assert (rows[metric]["target"], rows[metric]["n"]) == ("e03", N)


def test_the_null_is_the_95th_percentile_and_not_the_mean():
    guess = RNG.permutation(MODE).astype(str)
    rows = rows_of(guess, RNG.standard_normal(N))
    dealt = [float((RNG.permutation(guess) == MODE).mean()) for _ in range(2000)]
    assert rows["linear_accuracy"]["null_p95"] == pytest.approx(np.quantile(dealt, 0.95), abs=0.006)
    assert rows["linear_accuracy"]["null_p95"] > np.mean(dealt) + 0.02
    for row in rows.values():
        assert row["low"] <= row["value"] + 0.02 <= row["high"] + 0.05  # the ARI of a resample is a little higher


def test_a_model_that_knows_nothing_predicts_other_networks_as_well():
    torch.manual_seed(0)
    model = ClozeModel("2-2-1", d_model=16, n_layers=1, n_heads=2, n_components=2).eval()

    def imputer(values, mask):
        return np.zeros_like(values)

    rows = dict(masked_rows(model, imputer, TARGET, 0))
    assert set(rows) == {"cloze", "linear_gaussian"}
    assert rows == dict(masked_rows(model, imputer, TARGET, 0))
    for row in rows.values():
        assert row["low"] <= row["value"] <= row["high"]
        assert row["null_p95"] == pytest.approx(row["value"], abs=0.1)
    assert rows["linear_gaussian"]["value"] == pytest.approx(0, abs=0.01)


def test_a_figure_that_is_not_defined_is_left_out_of_the_metrics():
    """Of networks that are all alike there is no R² to tell; nothing that is no JSON is handed on."""
    target = Target("e06", np.zeros((4, 9)), np.full(4, "3", dtype=object), None)
    figures = dict.fromkeys(("value", "low", "high", "null_p95"), 0.5)
    rows = [row_of(target, "linear_accuracy", figures), row_of(target, "masked_r2", figures | {"value": np.nan})]
    found = summary([{"representation": "cloze"} | row for row in rows], [target], TransferConfig())
    assert found["targets"] == {"e06": {"cloze": {"linear_accuracy": figures}}}
    assert found["modes"] == {"e06": {"3": 4}}
