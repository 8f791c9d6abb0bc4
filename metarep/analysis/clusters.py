"""Clusterers that are fitted on training networks and then assign any network; and how k is chosen.

Nothing here sees a label. The rule for k: the largest k whose clustering is reproducible, that is
whose bootstrap stability (mean ARI between the clusterings of two resamples of the training
networks) is at least 0.9; if none is, the k of the highest stability.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

STABLE = 0.9
RULE = (
    f"the largest k whose bootstrap stability on training networks is at least {STABLE}; "
    "if none is, the k of the highest stability"
)
NOISE = -1
GMM_MAX_DIMENSIONS = 12
UMAP_PREFIX = "umap+"
UMAP_MAX_ROWS = 4000
"""UMAP places new points among exact distances only below 4,096 rows; further rows are not fitted on."""

Assign = Callable[[np.ndarray], np.ndarray]
"""Rows (M, D) -> cluster numbers (M,)."""


@dataclass(frozen=True)
class Clustering:
    """A fitted clusterer: `predict` maps (N, D) to cluster numbers (N,), `centres` is (K, D) in input units or None."""

    predict: Assign
    n_clusters: int
    centres: np.ndarray | None = None


def fit_clusterer(name: str, x: np.ndarray, k: int, *, seed: int) -> Clustering:
    """Fits "kmeans", "gmm" or "hdbscan" on training rows x (N, D), standardised inside.

    A name such as "umap+kmeans" says where the rows come from, and is the same clusterer.
    """
    fits = {"kmeans": fit_kmeans, "gmm": fit_gmm, "hdbscan": fit_hdbscan}
    return fits[name.removeprefix(UMAP_PREFIX)](x, k, seed=seed)


def fit_kmeans(x: np.ndarray, k: int, *, seed: int) -> Clustering:
    """k-means with three starts."""
    scaler = StandardScaler().fit(x)
    model = KMeans(k, n_init=3, random_state=seed).fit(scaler.transform(x))
    centres = scaler.inverse_transform(model.cluster_centers_)
    return Clustering(lambda y: model.predict(scaler.transform(y)), k, centres)


def fit_gmm(x: np.ndarray, k: int, *, seed: int) -> Clustering:
    """A Gaussian mixture with full covariances, on at most 12 principal components."""
    scaler = StandardScaler().fit(x)
    scaled = scaler.transform(x)
    pca = PCA(min(GMM_MAX_DIMENSIONS, *x.shape), svd_solver="full").fit(scaled)
    model = GaussianMixture(k, reg_covar=1e-3, max_iter=60, tol=1e-2, random_state=seed).fit(pca.transform(scaled))
    return Clustering(lambda y: model.predict(pca.transform(scaler.transform(y))), k)


def fit_hdbscan(x: np.ndarray, k: int, *, seed: int) -> Clustering:
    """HDBSCAN finds its own number of clusters; k only says that none may be smaller than N / (10 k).

    It has no rule for new points: they take the cluster of the nearest training point, noise (−1) included.
    `seed` changes nothing.
    """
    del seed
    scaler = StandardScaler().fit(x)
    scaled = scaler.transform(x)
    found = HDBSCAN(min_cluster_size=max(5, len(x) // (10 * k)), copy=True).fit_predict(scaled)
    nearest = KNeighborsClassifier(1).fit(scaled, found)
    n_clusters = len(set(found.tolist()) - {NOISE})
    return Clustering(lambda y: nearest.predict(scaler.transform(y)), n_clusters)


def fit_umap(x: np.ndarray, *, n_neighbors: int, seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """UMAP fitted on training rows x (N, D), standardised inside; returns a function (M, D) -> (M, 2).

    The same seed gives the same picture: a fixed seed makes UMAP run on one thread, on purpose, and it starts
    from the first two principal components, since its own spectral start differs from process to process where
    many rows are alike. It is handed exact distances, since compiling its approximate search takes longer
    than these sizes need, and by sums that do not depend on how rows lie in memory.
    """
    import umap

    x = x[np.sort(np.random.default_rng(seed).permutation(len(x))[:UMAP_MAX_ROWS])]  # rows may stand family by family
    scaler = StandardScaler().fit(x)
    scaled = scaler.transform(x)
    model = umap.UMAP(
        n_neighbors=min(n_neighbors, len(x) - 1),
        metric="precomputed",
        init=umap_start(scaled),
        random_state=seed,
        n_jobs=1,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="using precomputed metric")  # no inverse transform: not wanted
        model.fit(cdist(scaled, scaled).astype(np.float32))

    def place(y: np.ndarray) -> np.ndarray:
        distances = cdist(scaler.transform(y), scaled).astype(np.float32)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Transforming new data with precomputed metric")  # as meant
            return np.asarray(model.transform(distances), dtype=np.float64)

    return place


def umap_start(scaled: np.ndarray) -> np.ndarray:
    """(N, 2) float32: the first two principal components of rows (N, D), the largest value 10, rounded so that no
    difference of the last bit is left. A single column is its own first component.
    """
    wide = np.pad(scaled, [(0, 0), (0, max(0, 2 - scaled.shape[1]))])
    start = PCA(2, svd_solver="full").fit_transform(wide)
    return (10 * start / np.abs(start).max()).round(3).astype(np.float32)


def bootstrap_stability(name: str, x: np.ndarray, k: int, *, n_bootstraps: int, seed: int) -> float:
    """The mean ARI between the clusterings of pairs of resamples of x (N, D), compared on all of x.

    A pair in which a clustering is one lump (HDBSCAN may call everything noise) counts 0: it says nothing, over and over.
    """
    rng = np.random.default_rng([seed, k])
    assigned = []
    for number in range(max(2, n_bootstraps)):
        rows = rng.integers(0, len(x), len(x))
        assigned.append(fit_clusterer(name, x[rows], k, seed=seed + number).predict(x))
    lump = [len(np.unique(one)) < 2 for one in assigned]
    pairs = [(i, j) for i in range(len(assigned)) for j in range(i)]
    agree = [0.0 if lump[i] or lump[j] else adjusted_rand_score(assigned[i], assigned[j]) for i, j in pairs]
    return float(np.mean(agree))


def choose_k(stability: dict[int, float]) -> int:
    """The k that the rule at the head of this file picks from the stability of each."""
    stable = [k for k, value in stability.items() if value >= STABLE]
    return max(stable) if stable else max(stability, key=lambda k: (stability[k], -k))
