"""A run on a zoo that a domain trains itself: from the settings to a report with a section on units."""

import pytest
from metarep_cli.app import app
from typer.testing import CliRunner

from metarep.errors import MetarepError
from metarep.pipeline import run
from metarep.run_settings import RunConfig
from metarep.settings import load_config
from metarep.tables import read_csv

ZOO = {"variant": "groups", "settings": {"n_networks": 12, "groups": ["S3"], "widths": [6], "n_steps": 60}}
TINY = {"d_model": 16, "n_layers": 1, "n_heads": 2, "n_steps": 2, "batch_size": 8, "warmup_steps": 0, "chunk": 2, "context": 9}
SMALL = {"clusterers": ["kmeans"], "ks": [2, 3], "umap": False, "n_bootstraps": 2, "n_probe_seeds": 1, "n_permutations": 10}


def test_units_are_compared_and_shown_where_they_have_labels(tmp_path):
    settings = {"zoo": ZOO, "pretrain": TINY, "embed": {"parts": ["network", "unit"]}, "embeddings": ["spread"]}
    without = ["clusters", "predictions", "audit", "masked_r2", "map"]
    out = run(load_config(RunConfig, **settings, units=SMALL | {"part": "unit"}, without=without), tmp_path / "run")
    assert {row["target"] for row in read_csv(out / "units" / "probes.csv")} >= {"irrep", "purity"}
    page = (out / "report" / "report.html").read_text()
    assert "The irrep of a unit" in page
    assert "Units removed" in page
    assert "Clusters of cloze spread" in page
    assert "cloze spread" in page


def test_settings_of_a_variant_are_its_own_and_checked_in_time():
    seeded = load_config(RunConfig, zoo=ZOO, seed=7)
    assert (seeded.zoo.own.n_networks, seeded.zoo.own.widths) == (12, (6,))
    for wrong in ({"variant": "nonsense"}, {"variant": "groups", "settings": {"n_runs": 3}}):
        with pytest.raises(MetarepError, match=r"variant|n_runs"):
            load_config(RunConfig, zoo=wrong)


def test_build_zoo_knows_the_variants_of_domains(tmp_path):
    runner = CliRunner()
    given = ["build-zoo", "--variant", "groups", "--n-networks", "3", "--out", str(tmp_path / "zoo"), "--quiet"]
    found = runner.invoke(app, [*given, "--set", "groups=[S3]", "--set", "widths=[4]", "--set", "n_steps=5"])
    assert found.exit_code == 0, found.output
    assert "group S3: 3" in found.output
    refused = runner.invoke(app, [*given, "--spec", "2-2-1"])
    assert refused.exit_code == 1
    assert "--spec does not go with --variant groups" in refused.output
