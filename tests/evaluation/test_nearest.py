"""Nearest vectors: the approximate search finds nearly all that the exact one finds."""

import os

import numpy as np
import pytest

from metarep.evaluation import nearest as module
from metarep.evaluation.nearest import nearest

K = 8


@pytest.fixture(scope="module")
def vectors():
    """In islands, as embeddings are."""
    rng = np.random.default_rng(0)
    return 3 * rng.normal(size=(10, 16))[rng.integers(0, 10, 1500)] + rng.normal(size=(1500, 16))


@pytest.mark.skipif("METAREP_SLOW" not in os.environ, reason="takes a minute: set METAREP_SLOW=1")
def test_the_approximate_search_agrees_with_the_exact_one_on_nearly_all(vectors, monkeypatch):
    exact, rows = nearest(vectors, K)
    monkeypatch.setattr(module, "MAX_EXACT", 0)
    approximate, others = nearest(vectors, K)
    same = [len(set(a) & set(b)) / K for a, b in zip(rows.tolist(), others.tolist(), strict=True)]
    assert np.mean(same) > 0.98
    assert np.mean(np.isclose(exact, approximate, rtol=1e-3, atol=1e-3)) > 0.98
    assert (np.diff(approximate, axis=1) >= 0).all()


def test_queries_are_set_against_all_vectors_however_many(vectors, monkeypatch):
    monkeypatch.setattr(module, "MAX_EXACT", 0)
    queries = vectors[:5] + 0.1
    distances, rows = nearest(vectors, K, queries)
    apart = np.linalg.norm(vectors - queries[:, None], axis=2)
    np.testing.assert_allclose(distances, np.sort(apart, axis=1)[:, :K])
    np.testing.assert_array_equal(rows, np.argsort(apart, axis=1)[:, :K])


def test_no_more_are_found_than_there_are(vectors):
    distances, rows = nearest(vectors[:3], K)
    assert distances.shape == rows.shape == (3, 3)
    assert rows[:, 0].tolist() == [0, 1, 2]
