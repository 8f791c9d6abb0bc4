"""AUC and its interval against scikit-learn and against a plain bootstrap."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from metarep.evaluation.roc import FPR_GRID, auc, auc_row, on_grid

RNG = np.random.default_rng(0)


def classes(n_positive=300, n_negative=900, *, apart=0.8, ties=False):
    positive, negative = RNG.normal(apart, 1, n_positive), RNG.normal(0, 1, n_negative)
    return (positive.round(1), negative.round(1)) if ties else (positive, negative)


def joined(positive, negative):
    return np.r_[np.ones(len(positive)), np.zeros(len(negative))], np.r_[positive, negative]


@pytest.mark.parametrize("ties", [False, True])
def test_the_area_is_scikit_learns(ties):
    positive, negative = classes(ties=ties)
    labels, scores = joined(positive, negative)
    assert auc(positive, negative) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_analytic_values():
    assert auc(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 1.0
    assert auc(np.array([0.0]), np.array([1.0])) == 0.0
    assert auc(np.ones(3), np.ones(5)) == 0.5
    assert auc(np.array([1.0]), np.array([0.0, 1.0, 2.0, 3.0])) == pytest.approx(1.5 / 4)


def test_the_interval_is_that_of_a_plain_bootstrap():
    positive, negative = classes(200, 400)
    draws = [auc(RNG.choice(positive, 200), RNG.choice(negative, 400)) for _ in range(1500)]
    found = auc_row("auc", positive, negative, 1500, seed=1)
    assert found["auc"] == pytest.approx(auc(positive, negative))
    np.testing.assert_allclose([found["auc_low"], found["auc_high"]], np.quantile(draws, [0.025, 0.975]), atol=0.006)


def test_null_scores_cover_chance_as_often_as_they_should():
    covered = 0
    for seed in range(200):
        scores = np.random.default_rng(seed).standard_normal(160)
        found = auc_row("auc", scores[:60], scores[60:], 200, seed=seed)
        covered += found["auc_low"] < 0.5 < found["auc_high"]
    assert 0.88 < covered / 200 <= 1.0


def test_draws_are_averaged_and_widen_the_interval():
    positive, negative = classes(2000, 2000)
    one = auc_row("auc", positive, negative, 400, seed=0)
    shifted = np.stack([positive, positive - 1.5])
    both = auc_row("auc", shifted, np.stack([negative, negative]), 400, seed=0)
    assert both["auc"] == pytest.approx((auc(positive, negative) + auc(positive - 1.5, negative)) / 2)
    assert both["auc_high"] - both["auc_low"] > 5 * (one["auc_high"] - one["auc_low"])


def test_the_curve_on_the_grid_is_the_curve():
    positive, negative = classes(ties=True)
    curve = on_grid(positive, negative)
    assert curve[0] <= curve[-1] == 1.0
    assert (np.diff(curve) >= 0).all()
    assert np.trapezoid(curve, FPR_GRID) == pytest.approx(auc(positive, negative), abs=2e-3)
    np.testing.assert_allclose(on_grid(negative, negative), FPR_GRID, atol=1e-9)
