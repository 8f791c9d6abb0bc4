"""The words on removed units: every number from its table, and none where there is nothing to say."""

import math
from types import SimpleNamespace

import pytest

from metarep.report.blocks import Table
from metarep.report.units_section import CLUSTERS, section
from metarep.tables import read_csv, to_csv, where

KEY = {"representation": "function", "model": "main", "kind": "function", "untrained": 0}
OTHER = KEY | {"representation": "unit_statistics", "model": "", "kind": "baseline"}
LABEL = KEY | {"representation": "label irrep", "model": "", "kind": ""}


def alike(value, low, high, between=0.25):
    return {"value": value, "low": low, "high": high, "null": 0.31, "between": between, "n_clusters": 5}


def counts(cluster, n_removed):
    share = {"share": 0.4, "low": 0.3, "high": 0.5, "n_networks": 7, "of_networks": 9, "n_removed": n_removed}
    effect = {"effect_low": 0.1, "effect": 0.2, "effect_high": 0.3, "does_nothing": 0.125}
    return {"cluster": cluster} | share | (effect if n_removed else dict.fromkeys(effect, math.nan))


@pytest.fixture
def results(tmp_path):
    tables = {
        "units/representations": [KEY | {"origin": "embedding"}, OTHER | {"origin": "baseline"}],
        "units/agreement": [],
        "unit_effects/alike": [
            OTHER | alike(0.45, 0.4, 0.5),
            KEY | alike(0.7, 0.6, 0.8, math.nan),
            LABEL | alike(0.9, 0.8, 1.0, math.nan),
        ],
        "unit_effects/clusters": [OTHER | counts(0, 4), KEY | counts(1, 3), KEY | counts(2, 0)],
        "units/contingency": [
            KEY | {"cluster": 1, "label": "irrep", "value": "sign", "n": 3},
            KEY | {"cluster": 1, "label": "irrep", "value": "standard", "n": 1},
            KEY | {"cluster": 2, "label": "irrep", "value": "trivial", "n": 5},
            OTHER | {"cluster": 1, "label": "irrep", "value": "trivial", "n": 50},
        ],
    }
    for name, rows in tables.items():
        if rows:
            (tmp_path / "table.csv").write_text(to_csv(rows))
            tables[name] = read_csv(tmp_path / "table.csv")
    own = SimpleNamespace(objectives={}, has=lambda stage: True, table=lambda name: tables.get(name, []), tables=tables)
    own.rows = lambda name, **columns: where(own.table(name), **columns)
    return own


def test_the_sentence_sets_the_best_embedding_beside_the_best_baseline_and_labels(results):
    (finding,) = section(results).findings
    assert "by 0.70 [0.60, 0.80], clearly above unit statistics with 0.45 [0.40, 0.50]" in finding.text
    assert "give 0.31, the label irrep as clusters 0.90." in finding.text


def test_tables_show_the_clusters_of_the_first_embedding_alone(results):
    first, second = (block for block in section(results).blocks if isinstance(block, Table))
    assert [row[2] for row in first.rows] == ["n/a", "n/a", "0.25"]
    assert [row[0] for row in first.rows] == ["the label irrep", "cloze function", "unit statistics"]
    assert second.columns == CLUSTERS
    assert second.rows == [
        ["1", "40% [30%, 50%]", "7 of 9", "0.20 (0.10 to 0.30)", "12%", "irrep sign (75%)"],
        ["2", "40% [30%, 50%]", "7 of 9", "n/a", "n/a", "irrep trivial (100%)"],
    ]


def test_nothing_is_said_of_embeddings_without_baselines(results):
    results.tables["unit_effects/alike"] = where(results.table("unit_effects/alike"), representation="function")
    assert section(results).findings == []
