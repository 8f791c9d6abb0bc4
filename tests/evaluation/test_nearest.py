"""Nearest vectors: the approximate search finds nearly all that the exact one finds."""

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


@pytest.mark.parametrize("asked", ["all", "some"])
def test_the_approximate_search_agrees_with_the_exact_one_on_nearly_all(vectors, asked, monkeypatch):
    queries = None if asked == "all" else vectors[:50] + 0.1
    exact, rows = nearest(vectors, K, queries)
    monkeypatch.setattr(module, "MAX_DISTANCES", 0)
    approximate, others = nearest(vectors, K, queries)
    same = [len(set(a) & set(b)) / K for a, b in zip(rows.tolist(), others.tolist(), strict=True)]
    assert np.mean(same) > 0.98
    assert np.mean(np.isclose(exact, approximate, rtol=1e-3, atol=1e-3)) > 0.98
    assert (np.diff(approximate, axis=1) >= 0).all()


def test_no_more_are_found_than_there_are(vectors):
    distances, rows = nearest(vectors[:3], K)
    assert distances.shape == rows.shape == (3, 3)
    assert rows[:, 0].tolist() == [0, 1, 2]
