"""The whole way once, as small as it goes: from nothing to a report, then again without doing anything."""

import json
from pathlib import Path

import pytest

from metarep.artefact import open_artefact
from metarep.pipeline import run
from metarep.run_settings import RunConfig
from metarep.runner import artefacts_of
from metarep.settings import load_config
from metarep.tables import read_csv

SMOKE = Path(__file__).resolve().parents[1] / "configs" / "smoke.yaml"
CONFIG = load_config(RunConfig, SMOKE, ["report.dpi=40"])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a smoke run."""
    return run(CONFIG, tmp_path_factory.mktemp("smoke") / "run")


def test_every_stage_leaves_an_artefact_whose_hashes_hold(finished):
    kinds = [open_artefact(folder, check_hashes=True).kind for folder in artefacts_of(finished)]
    assert sorted(set(kinds)) == sorted(
        ["audit", "clusters", "embeddings", "map", "masked_r2", "model", "predictions", "report", "scan", "transfer", "zoo"]
    )
    assert kinds.count("zoo") == kinds.count("model") == 2
    assert kinds.count("embeddings") == 4
    timings = json.loads((finished / "timings.json").read_text())
    assert len(timings["seconds"]) == len(kinds)
    assert not list(finished.rglob("*.partial")) + list(finished.rglob("*.tmp"))


def test_tables_have_the_columns_that_the_design_promises(finished):
    promised = {
        "clusters/agreement.csv": "representation model kind untrained clusterer k label metric value low high null",
        "clusters/probes.csv": "representation model kind untrained target metric value low high null",
        "transfer/transfer.csv": "representation target metric value low high null",
        "scan/scan.csv": "positive negative n_positive n_negative auc",
        "masked_r2/masked_r2.csv": "masking ratio predictor group member metric value low high null n n_runs",
        "model/log.csv": "step train_loss valid_loss valid_r2 lr",
    }
    for name, columns in promised.items():
        assert set(columns.split()) <= set(read_csv(finished / name)[0]), name
    compared = {row["representation"] for row in read_csv(finished / "clusters/agreement.csv")}
    assert {"pooled", "activity", "seed1/activity", "both", "raw", "pca", "canonical", "oracle"} <= compared


def test_the_report_is_one_file_that_needs_no_network(finished):
    page = (finished / "report" / "report.html").read_text()
    assert "<html" in page
    for outside in ('src="http', "src='http", "@import", '<link rel="stylesheet"'):
        assert outside not in page


def test_a_second_run_keeps_every_stage(finished):
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in finished.rglob("manifest.json")}
    run(CONFIG, finished)
    assert {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in finished.rglob("manifest.json")} == before
