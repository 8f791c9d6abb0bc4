"""Which function a network learned: told apart where it can be, at chance where labels mean nothing."""

import numpy as np
import pytest

from metarep.analysis.function_probe import FunctionsConfig, function_rows, functions, outputs_along, usable_counts
from metarep.artefact import open_artefact
from metarep.config import FamilyConfig, ZooConfig
from metarep.errors import MetarepError
from metarep.networks.spec import NetworkSpec
from metarep.tables import read_csv
from metarep.zoo.build import build_zoo


def labelled(n_functions, n_each, rng):
    function = np.repeat([f"fourier-{i:03d}" for i in range(n_functions)], n_each).astype(object)
    split = np.where(rng.random(len(function)) < 0.7, "train", "test").astype(object)
    return function, split


def test_separable_functions_are_told_apart_and_shuffled_labels_are_not():
    rng = np.random.default_rng(0)
    function, split = labelled(6, 60, rng)
    centres = rng.normal(size=(6, 8))
    x = centres[np.unique(function, return_inverse=True)[1]] + 0.05 * rng.normal(size=(360, 8))
    rows = list(function_rows(x, function, split, [3, 6], seed=0))
    assert [(row["n_functions"], row["metric"].split("_")[0]) for row in rows] == [
        (3, "linear"),
        (3, "nearest"),
        (6, "linear"),
        (6, "nearest"),
    ]
    for row in rows:
        assert row["value"] == 1
        assert 0.9 < row["low"] < row["high"] == 1
        assert row["null"] < 2.2 / row["n_functions"]
        assert row["n_test"] == ((split == "test") & (function < f"fourier-{row['n_functions']:03d}")).sum()


def test_noise_scores_chance():
    rng = np.random.default_rng(1)
    function, split = labelled(4, 200, rng)
    for row in function_rows(rng.normal(size=(800, 5)), function, split, [4], seed=0):
        assert row["value"] == pytest.approx(0.25, abs=0.08)
        assert row["low"] < 0.25 + 0.05
        assert row["high"] > 0.25 - 0.05


def test_outputs_are_those_of_the_network():
    spec = NetworkSpec.parse("1-2-1")
    params = np.array([[1.0, -1.0, 0.0, 0.0, 1.0, 1.0, 0.5]])  # |x| + 1/2
    np.testing.assert_allclose(outputs_along(spec, params, -1, 1, 5)[0], [1.5, 1, 0.5, 1, 1.5])
    with pytest.raises(MetarepError, match="function of one number"):
        outputs_along(NetworkSpec.parse("2-2-1"), np.zeros((1, 9)), -1, 1, 5)


def test_counts_are_those_that_the_zoo_has():
    assert usable_counts((5, 10, 25, 50), 12) == [5, 10, 12]
    with pytest.raises(MetarepError, match="two functions"):
        usable_counts((5,), 1)


def test_the_stage_writes_a_row_for_each_representation_count_and_probe(tmp_path):
    family = FamilyConfig(variant="fourier", n_networks=120, n_functions=3, n_steps=600)
    zoo = build_zoo(ZooConfig(families=[family]), tmp_path / "zoo")
    path = functions(FunctionsConfig(counts=(2, 3)), zoo, tmp_path / "out")
    rows = read_csv(path / "functions.csv")
    assert len(rows) == 4 * 2 * 2
    assert open_artefact(path).kind == "functions"
    best = [row for row in rows if row["representation"] == "outputs"]
    assert all(float(row["value"]) > 0.8 > row["null"] for row in best)
    with pytest.raises(MetarepError, match="too few"):
        list(function_rows(np.zeros((4, 1)), np.array(["a", "b"] * 2, object), np.array(["train"] * 4, object), [2], seed=0))
