"""Which units of one network belong together: each network's units are clustered alone, so that no basis need be shared.

k-means on the units of a network, standardised by that network; k is the one with the highest mean silhouette. The adjusted
Rand index with a label is averaged over networks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import StandardScaler

from metarep.evaluation.agreement import adjusted_rand, contingency
from metarep.evaluation.resampling import resamples, summary

MIN_UNITS = 8
"""Networks of fewer labelled units are left out."""

N_STARTS = 3


def within_rows(
    x: np.ndarray, network: np.ndarray, run: np.ndarray, label: np.ndarray, ks: Sequence[int], *, seed: int, n_permutations: int
) -> list[dict]:
    """One row (metric, value, low, high, null, n, n_runs) for vectors (M, D) of units of some networks (M,) and runs (M,), and
    a label (M,), "" for none; no row where no network has units of two labels.

    Intervals resample runs; the null permutes labels within each network.
    """
    rng, found, runs, nulls = np.random.default_rng(seed), [], [], []
    for name in np.unique(network[label != ""]):
        own = np.flatnonzero((network == name) & (label != ""))
        if len(own) < MIN_UNITS or len(set(label[own].tolist())) < 2:
            continue
        clusters = own_clusters(x[own], [k for k in ks if k < len(own) / 2], seed=seed)
        found.append(float(adjusted_rand(contingency(label[own], clusters))))
        permuted = (adjusted_rand(contingency(rng.permutation(label[own]), clusters)) for _ in range(n_permutations))
        nulls.append([float(one) for one in permuted])
        runs.append(run[own[0]])
    if not found:
        return []
    weights = resamples(200, len(found), seed=seed, groups=np.array(runs))
    draws = weights @ np.array(found) / weights.sum(axis=1)
    score = summary(draws, np.mean(nulls, axis=0), len(set(runs)))
    return [{"metric": "ari", **score, "n": len(found), "n_runs": len(set(runs))}]


def own_clusters(x: np.ndarray, ks: Sequence[int], *, seed: int) -> np.ndarray:
    """(n,): the clusters of vectors (n, D) at the k whose mean silhouette is highest."""
    scaled = StandardScaler().fit_transform(x)
    fitted = [KMeans(k, n_init=N_STARTS, random_state=seed).fit_predict(scaled) for k in ks]
    scores = [silhouette_score(scaled, one) if 1 < len(set(one.tolist())) < len(x) else -1.0 for one in fitted]
    return fitted[int(np.argmax(scores))]
