"""The studies that pretrain models of their own, with tiny settings, from nothing to their pages."""

import io
import json
import subprocess
from contextlib import redirect_stdout
from types import SimpleNamespace

import numpy as np
import pytest

from metarep.studies.digits.run import without_quartiles
from metarep.studies.large import measure as large_measure
from metarep.studies.large.run import NETWORKS, growth
from metarep.studies.running import run_series
from metarep.studies.series import BEYOND
from metarep.studies.settings import BeyondConfig
from metarep.tables import read_csv

MODEL = {"chunk": 3, "context": 32, "d_model": 16, "n_layers": 1, "n_heads": 2, "max_windows": 300}
MODEL |= {"n_steps": 4, "eval_every": 2, "batch_size": 8}
CONFIG = BeyondConfig.model_validate(
    {
        "n_bootstraps": 20,
        "architectures": {
            "seen": ("2-2-1", "2-4-1"),
            "left_out": ("2-3-1",),
            "tasks": ("product", "sum"),
            "n_networks": 20,
            "n_training_steps": 20,
            "pretrain": MODEL,
        },
        "digits": {
            "zoo": {"n_runs": 42, "epochs": (1, 2), "designs": ("two-conv", "three-conv-norm")},
            "pretrain": MODEL,
            "predict": {"n_bootstraps": 20, "n_permutations": 2, "n_trees": 5},
        },
        "large": {"sizes": (10_000, 30_000)},
    }
)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """All three; of the processes that measure large networks only the first is one, since to start one takes the longest."""
    folder, start, started = tmp_path_factory.mktemp("beyond") / "beyond", subprocess.run, []

    def run(command, **options):
        started.append(command)
        if len(started) == 1:
            return start(command, **options)
        with redirect_stdout(io.StringIO()) as text:
            large_measure.main(*command[3:])
        return SimpleNamespace(stdout=text.getvalue())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "run", run)
        for name in ("architectures", "digits", "large"):
            run_series(CONFIG, name, folder, series=BEYOND)
    return folder


def test_architectures_have_every_metric_with_interval_and_null(out):
    rows = read_csv(out / "architectures" / "cells.csv")
    assert {row["metric"] for row in rows} == {"masked_r2", "task", "log_error"}
    assert {row["representation"] for row in rows} == {"others", "all", "untrained", "weight statistics"}
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows)


def test_digits_are_predicted_by_every_representation(out):
    rows = read_csv(out / "digits" / "predictions.csv")
    expected = {"layers", "pooled", "untrained", "weight_statistics", "mean and spread of weights", "layers + statistics"}
    assert {row["representation"] for row in rows} == expected
    assert {row["target"] for row in rows} == {"test_accuracy", "epoch", "gap"}


def test_large_measures_each_size(out):
    rows = read_csv(out / "large" / "sizes.csv")
    assert [row["kind"] for row in rows] == ["linear", "linear", "convolutions", "transformer"]
    assert all(row["n_params"] > 5000 for row in rows)
    assert all(0 < row["peak_gib"] < 8 for row in rows)


def test_the_page_has_a_section_each(out):
    page = (out / "report" / "report.html").read_text()
    assert all(f'id="{name}"' in page for name in ("architectures", "digits", "large"))
    sentences = json.loads((out / "architectures" / "result.json").read_text())["sentences"]
    assert "2-3-1" in sentences[0]


def test_growth_is_the_power():
    assert growth([{"n_params": n, "seconds": 3 * n**1.5} for n in (10, 100, 1000)]) == pytest.approx(1.5)


def test_without_quartiles_mean_and_spread_are_left():
    layer = lambda first: [first, first + 1, *[9.0] * 5]  # noqa: E731
    statistics = np.array([[1000.0, *layer(1.0), *layer(3.0)]])
    np.testing.assert_array_equal(without_quartiles(statistics), [[1.0, 2.0, 3.0, 4.0]])


@pytest.mark.parametrize("kind", NETWORKS)
def test_large_networks_are_about_as_large_as_asked_for(kind):
    assert sum(value.numel() for value in NETWORKS[kind](1_000_000).parameters()) == pytest.approx(1_000_000, rel=0.02)
