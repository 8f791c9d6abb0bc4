"""Which function a network learned: told apart where it can be, at chance where nothing tells."""

import numpy as np
import pytest

from metarep.domains.functions.probe import function_rows, outputs_along, usable_counts, with_interval
from metarep.errors import MetarepError
from metarep.networks.spec import NetworkSpec


def labelled(n_functions, n_each, rng):
    function = np.repeat([f"fourier-{i:03d}" for i in range(n_functions)], n_each).astype(object)
    split = np.where(rng.random(len(function)) < 0.7, "train", "test").astype(object)
    return function, split


def test_separable_functions_are_told_apart_and_permuted_predictions_are_not():
    rng = np.random.default_rng(0)
    function, split = labelled(6, 60, rng)
    centres = rng.normal(size=(6, 8))
    x = centres[np.unique(function, return_inverse=True)[1]] + 0.05 * rng.normal(size=(360, 8))
    rows = list(function_rows(x, function, split, [3, 6], seed=0))
    assert [(row["n_functions"], row["probe"].split("_")[0]) for row in rows] == [
        (3, "linear"),
        (3, "nearest"),
        (6, "linear"),
        (6, "nearest"),
    ]
    for row in rows:
        assert row["value"] == 1
        assert 0.9 < row["low"] < row["high"] == 1
        assert 1 / row["n_functions"] < row["null"] < 1.5 / row["n_functions"]
        assert row["n_test"] == ((split == "test") & (function < f"fourier-{row['n_functions']:03d}")).sum()


def test_noise_scores_chance():
    rng = np.random.default_rng(1)
    function, split = labelled(4, 200, rng)
    for row in function_rows(rng.normal(size=(800, 5)), function, split, [4], seed=0):
        assert row["value"] == pytest.approx(0.25, abs=0.08)
        assert row["low"] < 0.25 + 0.05
        assert row["high"] > 0.25 - 0.05
        assert row["null"] == pytest.approx(0.25 + 1.645 * (0.25 * 0.75 / row["n_test"]) ** 0.5, abs=0.03)


def test_predictions_that_are_always_the_same_are_no_better_than_permuted():
    truth = np.repeat(["a", "b"], 50)
    score = with_interval(truth, np.full(100, "a"), seed=0)
    assert score["value"] == score["null"] == score["low"] == score["high"] == 0.5


def test_an_interval_has_a_width_where_all_predictions_are_right_or_wrong_and_follows_them_elsewhere():
    truth = np.repeat(["a", "b"], 50)
    right, wrong = (with_interval(truth, predicted, seed=0) for predicted in (truth, truth[::-1]))
    assert 0.95 < right["low"] < right["value"] == right["high"] == 1
    assert 0 == wrong["low"] == wrong["value"] < wrong["high"] < 0.05
    some = with_interval(truth, np.where(np.arange(100) % 50 < 10, "b", truth), seed=0)
    assert some["low"] < some["value"] == 0.9 < some["high"] < 1


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


def test_a_split_with_too_few_networks_is_an_error():
    with pytest.raises(MetarepError, match="too few"):
        list(function_rows(np.zeros((4, 1)), np.array(["a", "b"] * 2, object), np.array(["train"] * 4, object), [2], seed=0))
