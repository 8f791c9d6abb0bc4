"""Which vectors are nearest: exactly, or approximately where very many are set against each other."""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import NearestNeighbors

MAX_EXACT = 60_000
"""Of more vectors the nearest to each are searched approximately (Dong, Charikar and Li, 2011, as in pynndescent). Queries are
few: to set them against all vectors costs less than an index of these.
"""


def nearest(vectors: np.ndarray, k: int, queries: np.ndarray | None = None, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Euclidean distances and rows (M, k) of the nearest of vectors (N, V), the nearest first.

    `queries` (M, V) are by default the vectors themselves, each of which is then near to itself.
    """
    k = min(k, len(vectors))
    if queries is not None or len(vectors) <= MAX_EXACT:
        return NearestNeighbors(n_neighbors=k).fit(vectors).kneighbors(vectors if queries is None else queries)
    from pynndescent import NNDescent

    found = NNDescent(vectors.astype(np.float32), n_neighbors=max(15, k + 1), random_state=seed, n_jobs=1)
    rows, distances = found.neighbor_graph
    return distances[:, :k], rows[:, :k]
