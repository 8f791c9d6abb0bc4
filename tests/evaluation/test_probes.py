"""The features that linear probes see."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from metarep.evaluation.probes import Whitening, fit_probe, linear_classifier


def test_whitened_features_are_uncorrelated_and_of_one_scale():
    rng = np.random.default_rng(0)
    mixed = (rng.normal(size=(5000, 8)) + 4 * rng.normal(size=(5000, 1))) * 10.0 ** np.arange(-4, 4)
    assert abs(np.corrcoef(mixed.T) - np.eye(8)).max() > 0.9
    found = Whitening().fit(mixed).transform(mixed)
    covariance = found.T @ found / len(found)
    assert abs(covariance - np.diag(np.diag(covariance))).max() < 0.01
    assert covariance.diagonal().min() > 0.95 * covariance.diagonal().max() > 0.9


def test_of_few_rows_small_components_stay_small():
    """Whitened in full, any rows fewer than columns are equally far from each other, and nothing can be told."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 1050)
    x = 0.2 * rng.normal(size=(1050, 200)) + np.outer(2.0 * y - 1, rng.choice([-1.0, 1.0], 200)) * 0.2
    fitted = Whitening().fit(x[:50])
    assert np.var(fitted.transform(x[:50])[:, 0]) > 2 * np.var(fitted.transform(x[:50])[:, 20])
    predicted = fit_probe(linear_classifier, x[:50], y[:50].astype(str))(x[50:])
    assert accuracy_score(y[50:].astype(str), predicted) > 0.95


@pytest.mark.parametrize("rows", [np.ones((20, 3)), np.repeat(np.arange(20.0)[:, None], 3, axis=1)])
def test_features_that_do_not_vary_or_are_copies(rows):
    found = Whitening().fit(rows).transform(rows)
    assert np.isfinite(found).all()
    assert len(found) == 20
