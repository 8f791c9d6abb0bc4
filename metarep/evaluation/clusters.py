"""Clusterers that are fitted on training networks and then assign any network; and how k is chosen.

Nothing here sees a label. A k is admitted where every cluster is recovered in bootstrap resamples of the training networks:
its mean Jaccard similarity to the nearest cluster is at least 0.85 ("highly stable": Hennig, "Cluster-wise assessment of
cluster stability", 2007). Among those the k with the highest mean silhouette is taken (Rousseeuw, "Silhouettes", 1987), since
stability alone cannot say where to stop (Ben-David, von Luxburg and Pál, "A sober look at clustering stability", 2006).
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from scipy.spatial.distance import cdist, pdist, squareform
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import silhouette_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from metarep.evaluation.agreement import adjusted_rand, contingency
from metarep.evaluation.mixture import fit_mixture

STABLE = 0.85
RULE = (
    "among the k at which every cluster is recovered in bootstrap resamples of the training networks (least mean Jaccard "
    f"similarity at least {STABLE}), the one with the highest mean silhouette; if there is none, the k that is recovered best"
)
STARTS = 3
"""Of a clusterer that climbs to a local optimum. With one the same rows give a Gaussian mixture other clusters each time."""

WIDE = 32
"""Rows of so many columns are clustered in float32, in half the time."""

NOISE = -1
SILHOUETTE_SAMPLE = 1500
GMM_MAX_DIMENSIONS = 12
HDBSCAN_K = 8
"""HDBSCAN takes no k; its smallest cluster is a tenth of what eight equal ones would hold."""
UMAP_MAX_ROWS = 4000
"""UMAP places new points among exact distances only below 4,096 rows; further rows are not fitted on."""
UMAP_EPOCHS = 200
"""UMAP's own number for many rows: with its 500 for few rows neighbourhoods are kept as well, in twice the time."""

Assign = Callable[[np.ndarray], np.ndarray]
"""Rows (M, D) -> cluster numbers (M,)."""


@dataclass(frozen=True)
class Clustering:
    """A fitted clusterer: `predict` maps (N, D) to cluster numbers (N,), `centres` is (K, D) in input units or None."""

    predict: Assign
    n_clusters: int
    centres: np.ndarray | None = None


def fit_kmeans(x: np.ndarray, k: int, *, seed: int) -> Clustering:
    """k-means, the best of STARTS starts."""
    dtype = np.float32 if x.shape[1] >= WIDE else np.float64
    scaler = StandardScaler().fit(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer places than clusters: the rule for k sees the missing ones
        model = KMeans(k, n_init=STARTS, random_state=seed).fit(scaler.transform(x).astype(dtype))
    centres = scaler.inverse_transform(model.cluster_centers_.astype(np.float64))
    return Clustering(lambda y: model.predict(scaler.transform(y).astype(dtype)), k, centres)


def fit_gmm(x: np.ndarray, k: int, *, seed: int) -> Clustering:
    """A Gaussian mixture with full covariances, on at most 12 principal components, the best of STARTS starts."""
    scaler = StandardScaler().fit(x)
    scaled = scaler.transform(x)
    solver = "full" if x.shape[1] > len(x) else "covariance_eigh"  # the covariances of wide rows take the cube of their width
    pca = PCA(min(GMM_MAX_DIMENSIONS, x.shape[1], max(1, len(x) // 4)), svd_solver=solver).fit(scaled)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture = fit_mixture(pca.transform(scaled), k, n_starts=STARTS, seed=seed)
    return Clustering(lambda y: mixture.predict(pca.transform(scaler.transform(y))), k)


def fit_hdbscan(x: np.ndarray, k: int, *, seed: int) -> Clustering:
    """HDBSCAN finds its own number of clusters; k only says that none may be smaller than N / (10 k).

    New points take the cluster of the nearest training point, noise (−1) included. `seed` changes nothing.
    """
    scaler = StandardScaler().fit(x)
    scaled = scaler.transform(x)
    found = HDBSCAN(min_cluster_size=max(5, len(x) // (10 * k)), copy=True).fit_predict(scaled)
    nearest = KNeighborsClassifier(1).fit(scaled, found)
    n_clusters = len(set(found.tolist()) - {NOISE})
    return Clustering(lambda y: nearest.predict(scaler.transform(y)), n_clusters)


CLUSTERERS: dict[str, Callable[..., Clustering]] = {"kmeans": fit_kmeans, "gmm": fit_gmm, "hdbscan": fit_hdbscan}
"""Each (rows (N, D), k, seed=…) -> a clustering; rows are standardised inside."""


@dataclass(frozen=True)
class Sweep:
    """One clusterer at every k: its clusterings, a list with one a fold for each k; and a row of the curve for each k, of
    several folds the means: k, the number of clusters found, stability, least_jaccard, silhouette and chosen, 1 for the k that
    the rule picks.
    """

    clusterings: list[list[Clustering]]
    curve: list[dict]

    @property
    def chosen(self) -> list[Clustering]:
        """The clusterings at the k of the rule, one a fold."""
        return next(one for one, row in zip(self.clusterings, self.curve, strict=True) if row["chosen"])


def sweep(clusterer: str, xs: Sequence[np.ndarray], ks: Sequence[int], *, n_bootstraps: int, seed: int) -> Sweep:
    """Fits a clusterer on the rows (N, D) of each fold at every k and chooses one k by the rule at the head of this file."""
    ks = (HDBSCAN_K,) if clusterer == "hdbscan" else ks
    fits, silhouettes, curve = [], [Silhouette(x, seed=seed) for x in xs], []
    for k in ks:
        fits.append([CLUSTERERS[clusterer](x, k, seed=seed) for x in xs])
        rows = []
        for x, fit, silhouette in zip(xs, fits[-1], silhouettes, strict=True):
            whole = fit.predict(x)
            stability = bootstrap_stability(clusterer, x, k, whole, n_bootstraps=n_bootstraps, seed=seed)
            rows.append([fit.n_clusters, *stability, silhouette(whole)])
        n_clusters, *metrics = np.mean(rows, axis=0).tolist()
        curve.append({"k": round(n_clusters), **dict(zip(("stability", "least_jaccard", "silhouette"), metrics, strict=True))})
    k = choose_k(*({k: row[name] for k, row in zip(ks, curve, strict=True)} for name in ("least_jaccard", "silhouette")))
    return Sweep(fits, [row | {"chosen": int(own == k)} for own, row in zip(ks, curve, strict=True)])


def import_umap() -> ModuleType:
    """UMAP, told to keep on disk what it compiles, which takes longer than a map does."""
    import umap
    from numba.core.dispatcher import Dispatcher

    modules = (umap.umap_, umap.utils, umap.layouts)
    with contextlib.suppress(RuntimeError):  # no folder can be written to
        for function in (one for module in modules for one in vars(module).values() if isinstance(one, Dispatcher)):
            function.enable_caching()
    return umap


def fit_umap(x: np.ndarray, *, n_neighbors: int, seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """UMAP fitted on training rows x (N, D), standardised inside; returns a function (M, D) -> (M, 2).

    The same seed gives the same map: one thread, exact distances, and a start that is the same in every process.
    """
    umap = import_umap()
    x = x[np.sort(np.random.default_rng(seed).permutation(len(x))[:UMAP_MAX_ROWS])]  # rows may stand family by family
    scaler = StandardScaler().fit(x)
    scaled = scaler.transform(x)
    exact = {"metric": "precomputed", "init": umap_start(scaled), "n_epochs": UMAP_EPOCHS, "random_state": seed, "n_jobs": 1}
    model = umap.UMAP(n_neighbors=min(n_neighbors, len(x) - 1), **exact)
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
    difference of the last bit is left. A single column is its own first component; where all rows are alike it is 0.
    """
    wide = np.pad(scaled, [(0, 0), (0, max(0, 2 - scaled.shape[1]))])
    start = PCA(2, svd_solver="full").fit_transform(wide)
    return (10 * start / (np.abs(start).max() or 1.0)).round(3).astype(np.float32)


def bootstrap_stability(
    clusterer: str, x: np.ndarray, k: int, whole: np.ndarray, *, n_bootstraps: int, seed: int
) -> tuple[float, float]:
    """Of clusterings of resamples of x (N, D), on all of x: the mean ARI of pairs, and the mean Jaccard similarity of that
    cluster of x itself, `whole` (N,), which is recovered worst.

    A pair in which a clustering is one lump (HDBSCAN may call everything noise) counts 0: it says nothing, over and over.
    """
    rng = np.random.default_rng([seed, k])
    resampled = []
    for number in range(max(2, n_bootstraps)):
        rows = rng.integers(0, len(x), len(x))
        resampled.append(CLUSTERERS[clusterer](x[rows], k, seed=seed + number).predict(x))
    lump = [len(np.unique(one)) < 2 for one in resampled]
    pairs = [(i, j) for i in range(len(resampled)) for j in range(i)]
    agree = [0.0 if lump[i] or lump[j] else float(adjusted_rand(contingency(resampled[i], resampled[j]))) for i, j in pairs]
    recovered = np.mean([best_jaccard(whole, one) for one in resampled], axis=0)
    missing = len(np.unique(whole)) < k and clusterer != "hdbscan"  # a cluster without a network is not recovered
    return float(np.mean(agree)), 0.0 if missing else float(recovered.min())


def best_jaccard(clusters: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(K,): for each cluster that occurs in clusters (N,), its Jaccard similarity with the nearest one of others (N,)."""
    both = contingency(others, clusters).astype(float)
    union = both.sum(axis=1, keepdims=True) + both.sum(axis=0, keepdims=True) - both
    return (both / union).max(axis=1)


class Silhouette:
    """The mean silhouette of clusters of x (N, D) on a sample of its rows, standardised as clusterers do."""

    def __init__(self, x: np.ndarray, *, seed: int):
        self.rows = np.random.default_rng(seed).permutation(len(x))[:SILHOUETTE_SAMPLE]
        self.distances = squareform(pdist(StandardScaler().fit(x).transform(x[self.rows])))

    def __call__(self, clusters: np.ndarray) -> float:
        """Of clusters (N,); NaN where the sample has fewer than two of them, or each row its own."""
        own = clusters[self.rows]
        if not 1 < len(np.unique(own)) < len(own):
            return float("nan")
        return float(silhouette_score(self.distances, own, metric="precomputed"))


def choose_k(least_jaccard: Mapping[int, float], silhouettes: Mapping[int, float]) -> int:
    """The k that the rule at the head of this file picks; the smaller one of two that are alike."""
    stable = [k for k, value in least_jaccard.items() if value >= STABLE]
    if stable:
        return max(stable, key=lambda k: (np.nan_to_num(silhouettes[k], nan=-1.0), -k))
    return max(least_jaccard, key=lambda k: (least_jaccard[k], -k))
