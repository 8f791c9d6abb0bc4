"""Which parts do the same thing: clusters, nearest parts, and whether shuffled parameters give as much."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.preprocessing import normalize

from metarep.evaluation.clusters import Silhouette, fit_kmeans, sweep
from metarep.parts.reading import PartVectors
from metarep.parts.settings import PartsConfig

LARGE = 20
BLOCK = 2048
"""Rows of the similarity matrix that are held at once."""


@dataclass(frozen=True)
class Alike:
    """Of M parts of a kind: cluster (M,), −1 where there are too few parts to cluster; nearest (M,) and its similarity (M,);
    p (M,), the share of parts of shuffled copies whose nearest is as near; k_curve and tests as rows of tables."""

    parts: PartVectors
    cluster: np.ndarray
    nearest: np.ndarray
    similarity: np.ndarray
    p: np.ndarray
    shuffled_similarity: np.ndarray
    k_curve: list[dict]
    tests: list[dict]


def find_alike(config: PartsConfig, parts: PartVectors) -> Alike:
    """Clusters parts by what the arrangement of parameters adds to them, and finds the part nearest to each."""
    own, copies = parts.added[0], parts.added[1:]
    nearest, similarity = nearest_parts(own)
    shuffled_similarity = np.stack([nearest_parts(copy)[1] for copy in copies])
    pooled = np.sort(shuffled_similarity.ravel())
    p = (1 + len(pooled) - np.searchsorted(pooled, similarity, side="left")) / (1 + len(pooled))
    tests = []
    if len(own) > 1:  # of one part alone none is the nearest
        null = shuffled_similarity.mean(axis=1)
        tests.append(null_row(parts.kind, "mean similarity of the nearest part", similarity.mean(), null))
    strength = [float(np.square(added).mean()) for added in parts.added]
    tests.append(null_row(parts.kind, "mean square of what the arrangement adds", strength[0], np.array(strength[1:])))
    if parts.kind == "unit" and (members := large_groups(parts)):
        shares = np.array([next_to_nearest(parts, added, members) for added in parts.added])
        tests.append(null_row(parts.kind, "share whose nearest in its group is saved next to it", shares[0], shares[1:]))
    ks = [k for k in config.ks if 3 * k <= len(own)]
    cluster, k_curve = np.full(len(own), -1), []
    if ks:
        cluster, k_curve, separation = cluster_parts(config, own, copies, ks)
        tests.append(null_row(parts.kind, *separation))
    return Alike(parts, cluster, nearest, similarity, p, shuffled_similarity, k_curve, tests)


def large_groups(parts: PartVectors) -> list[np.ndarray]:
    """The rows of each group of at least LARGE units."""
    groups = [np.flatnonzero(parts.groups == group) for group in dict.fromkeys(parts.groups)]
    return [rows for rows in groups if len(rows) >= LARGE]


def next_to_nearest(parts: PartVectors, added: np.ndarray, members: list[np.ndarray]) -> float:
    """The share of units of large groups whose nearest in the group is saved next to them; chance where order means nothing."""
    found = []
    for rows in members:
        number = parts.index[rows]
        found.append(np.abs(number - number[nearest_parts(added[rows])[0]]) == 1)
    return float(np.concatenate(found).mean())


def cluster_parts(config: PartsConfig, own: np.ndarray, copies: np.ndarray, ks: list[int]):
    """k-means at the k of the rule for k; the curve over k; and the silhouette beside that of shuffled copies at the same k."""
    rows = np.sort(np.random.default_rng(config.seed).permutation(len(own))[: config.max_fit_parts])
    found = sweep("kmeans", [own[rows]], ks, n_bootstraps=config.n_bootstraps, seed=config.seed)
    chosen, silhouette = next((row["k"], row["silhouette"]) for row in found.curve if row["chosen"])
    null = []
    for copy in copies:
        assigned = fit_kmeans(copy[rows], chosen, seed=config.seed).predict(copy[rows])
        null.append(Silhouette(copy[rows], seed=config.seed)(assigned))
    separation = (f"silhouette of {chosen} clusters", silhouette, np.array(null))
    return by_size(found.chosen[0].predict(own)), found.curve, separation


def by_size(cluster: np.ndarray) -> np.ndarray:
    """The same clusters, numbered from the largest on."""
    found, count = np.unique(cluster, return_counts=True)
    rank = np.argsort(np.argsort(-count, kind="stable"))
    return rank[np.searchsorted(found, cluster)]


def nearest_parts(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row of x (M, D) the other row with the largest cosine, (M,), and that cosine; −1 and 0 where there is none."""
    if len(x) < 2:
        return np.full(len(x), -1), np.zeros(len(x))
    unit = normalize(x).astype(np.float32)
    nearest, similarity = np.zeros(len(x), np.int64), np.zeros(len(x))
    for at in range(0, len(x), BLOCK):
        cosine = unit[at : at + BLOCK] @ unit.T
        rows = np.arange(len(cosine))
        cosine[rows, at + rows] = -np.inf
        nearest[at : at + BLOCK] = cosine.argmax(axis=1)
        similarity[at : at + BLOCK] = cosine.max(axis=1)
    return nearest, similarity


def null_row(kind: str, statistic: str, value: float, null: np.ndarray) -> dict:
    """A row: the network's value beside those of its shuffled copies, and the share of these that reach it (p, one-sided)."""
    null = null[np.isfinite(null)]
    p = (1 + int((null >= value).sum())) / (1 + len(null))
    low, high = (float(np.quantile(null, q)) if len(null) else None for q in (0.05, 0.95))
    return {"part": kind, "statistic": statistic, "value": float(value), "null_p05": low, "null_p95": high, "p": p}
