"""Intervals and nulls of probes: against slow bootstraps and shuffles, and what must be chance."""

import numpy as np
import pytest
from sklearn.metrics import r2_score

from metarep.evaluation.folds import Fold
from metarep.evaluation.probes import probe_rows
from metarep.evaluation.resampling import (
    accuracy,
    balanced_accuracy,
    class_metric,
    mean_recall,
    permuted_r2,
    r2_draws,
    r2_metric,
    resamples,
)

CLASSES = np.array(["a", "b", "c"], dtype=object)


def answers(n=400, right=0.8, seed=0):
    """True classes, of which one is rare, and answers that are right so often."""
    rng = np.random.default_rng(seed)
    truth = CLASSES[rng.choice(3, n, p=[0.6, 0.3, 0.1])]
    return truth, np.where(rng.random(n) < right, truth, CLASSES[rng.integers(0, 3, n)]).astype(str)


def test_mean_recall_is_balanced_accuracy():
    truth, predicted = answers()
    table = np.array([[((truth == a) & (predicted == b)).sum() for b in CLASSES] for a in CLASSES])
    assert mean_recall(table) == pytest.approx(balanced_accuracy(truth, predicted))
    assert mean_recall(np.array([[3, 1], [0, 0]])) == pytest.approx(0.75)  # a class that does not occur counts for nothing


def test_the_spread_of_classes_is_that_of_resampled_and_shuffled_answers():
    truth, predicted = answers()
    found, rng = class_metric(truth, predicted, seed=0, n_draws=2000), np.random.default_rng(1)
    slow = [balanced_accuracy(truth[rows], predicted[rows]) for rows in (rng.integers(0, 400, 400) for _ in range(2000))]
    permuted = [balanced_accuracy(truth, rng.permutation(predicted)) for _ in range(2000)]
    assert found["low"] == pytest.approx(np.quantile(slow, 0.025), abs=0.01)
    assert found["high"] == pytest.approx(np.quantile(slow, 0.975), abs=0.01)
    assert found["null"] == pytest.approx(np.quantile(permuted, 0.95), abs=0.01)


def test_the_interval_of_several_probes_is_that_of_their_mean():
    truth, good = answers(right=0.9)
    bad = answers(right=0.2)[1]
    found, rng = class_metric(truth, np.column_stack([good, bad]), seed=0, n_draws=2000), np.random.default_rng(1)
    drawn = (rng.integers(0, 400, 400) for _ in range(2000))
    slow = [np.mean([balanced_accuracy(truth[rows], one[rows]) for one in (good, bad)]) for rows in drawn]
    assert [found["low"], found["high"]] == pytest.approx(np.quantile(slow, [0.025, 0.975]), abs=0.01)
    assert found["high"] < class_metric(truth, good, seed=0)["low"]
    numbers = rng.normal(size=500)
    columns = np.column_stack([numbers, numbers + rng.normal(size=500)])
    found = r2_metric(numbers, *columns.T, seed=0)
    assert found["value"] == pytest.approx((1 + r2_score(numbers, columns[:, 1])) / 2)
    assert found["low"] < found["value"] < found["high"] < 1


def test_r2_of_resamples_and_permutations_is_scikit_learns():
    rng = np.random.default_rng(0)
    truth = 100 + rng.normal(size=(80, 3))
    predicted = truth + 0.5 * rng.normal(size=(80, 3))
    weights = resamples(5, 80, seed=0)
    rows = [np.repeat(np.arange(80), drawn.astype(int)) for drawn in weights]
    slow = [r2_score(truth[some].ravel(), predicted[some].ravel()) for some in rows]
    np.testing.assert_allclose(r2_draws(truth, predicted, weights), slow)
    order = np.random.default_rng(3).permutation(80)
    assert permuted_r2(truth, predicted, seed=3, n_draws=1)[0] == pytest.approx(
        r2_score(truth.ravel(), predicted[order].ravel())
    )
    assert np.isnan(r2_draws(np.ones(9), np.zeros(9), np.ones((1, 9)))).all()


def test_whole_runs_are_drawn():
    runs = np.arange(60) // 3
    drawn = resamples(50, 60, seed=0, groups=runs).reshape(51, 20, 3)
    assert (drawn == drawn[:, :, :1]).all()
    assert (drawn[0] == 1).all()
    assert (drawn.sum(axis=(1, 2)) == 60).all()


def test_the_spread_of_numbers_holds_the_figure_and_its_null_is_below_nothing():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=500)
    predicted = truth + 0.5 * rng.normal(size=500)
    found = r2_metric(truth, predicted, seed=0)
    assert found["value"] == pytest.approx(r2_score(truth, predicted))
    assert found["low"] < found["value"] < found["high"]
    assert found["high"] - found["low"] < 0.15
    assert found["null"] < 0


def test_the_share_of_right_answers_has_a_spread_of_its_own():
    truth, predicted = answers()
    found, rng = class_metric(truth, predicted, seed=0, n_draws=2000, score=accuracy), np.random.default_rng(1)
    permuted = [(truth == rng.permutation(predicted)).mean() for _ in range(2000)]
    assert found["low"] < (truth == predicted).mean() < found["high"]
    assert found["null"] == pytest.approx(np.quantile(permuted, 0.95), abs=0.01)


@pytest.mark.parametrize("score", [mean_recall, accuracy])
@pytest.mark.parametrize("only", ["a", "b"])
def test_where_all_are_of_one_class_other_networks_answers_are_as_right(only, score):
    truth, predicted = np.full(50, only, dtype=object), np.array(["a", "b"]).repeat([40, 10])
    found = class_metric(truth, predicted, seed=0, score=score)
    assert found["null"] == {"a": 0.8, "b": 0.2}[only]
    assert found["low"] < found["null"] < found["high"]
    right = class_metric(truth, truth.astype(str), seed=0, score=score)
    assert right == {"value": 1, "low": 1, "high": 1, "null": 1}


def test_answers_that_know_nothing_lie_at_the_null_and_right_ones_above():
    """Of 40 labels without a cause few lie above the null; of labels that the rows hold every one does."""
    rng = np.random.default_rng(0)
    above = []
    for number in range(40):
        truth, predicted = (CLASSES[rng.integers(0, 3, 150)] for _ in range(2))
        above.append(balanced_accuracy(truth, predicted.astype(str)) > class_metric(truth, predicted, seed=number)["null"])
    assert np.mean(above) <= 0.15
    x = rng.normal(size=(300, 3))
    labels = CLASSES[x.argmax(axis=1)]
    fold = Fold(np.arange(200), np.arange(200, 300), np.arange(200))
    for row in probe_rows([x], [fold], [("label", labels)], np.arange(300).astype(str), n_seeds=2, seed=0):
        assert row["null"] < row["low"] <= row["value"] <= row["high"]
