"""Which vectors are nearest: exactly, or approximately where there are too many to compare."""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import NearestNeighbors

MAX_DISTANCES = 60_000**2
"""Of more distances between queries and vectors, neighbours are searched approximately (Dong, Charikar and Li, 2011, as in
pynndescent): beyond 60,000 vectors that are set against each other, or 3.6 billion that are set against one.
"""


def nearest(vectors: np.ndarray, k: int, queries: np.ndarray | None = None, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Euclidean distances and rows (M, k) of the nearest of vectors (N, V), the nearest first.

    `queries` (M, V) are by default the vectors themselves, each of which is then near to itself.
    """
    asked = vectors if queries is None else queries
    k = min(k, len(vectors))
    if len(vectors) * len(asked) <= MAX_DISTANCES:
        return NearestNeighbors(n_neighbors=k).fit(vectors).kneighbors(asked)
    from pynndescent import NNDescent

    index = NNDescent(vectors.astype(np.float32), n_neighbors=max(15, k + 1), random_state=seed, n_jobs=1)
    rows, distances = index.neighbor_graph if queries is None else index.query(queries.astype(np.float32), k=k, epsilon=0.3)
    return distances[:, :k], rows[:, :k]
