"""How well clusters agree with labels, with an interval and with what chance would give.

Everything follows from the contingency table of clusters and labels: resampling networks is a
multinomial draw of its cells, permuting labels a random table with its margins (Patefield 1981).
"""

from __future__ import annotations

import numpy as np
from scipy.stats import binomtest, random_table
from sklearn.metrics import adjusted_mutual_info_score, homogeneity_completeness_v_measure, normalized_mutual_info_score

N_BOOTSTRAPS = 500


def contingency(labels: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """(K, L) counts; rows are the clusters that occur, columns the labels that occur, both sorted."""
    _, row = np.unique(clusters, return_inverse=True)
    _, column = np.unique(labels.astype(str), return_inverse=True)
    table = np.zeros((row.max() + 1, column.max() + 1), dtype=np.int64)
    np.add.at(table, (row, column), 1)
    return table


def adjusted_rand(tables: np.ndarray) -> np.ndarray:
    """The adjusted Rand index (…,) of contingency tables (…, K, L) (Hubert and Arabie 1985)."""
    tables = tables.astype(np.float64)

    def pairs(counts: np.ndarray) -> np.ndarray:
        return 0.5 * counts * (counts - 1)

    both = pairs(tables).sum(axis=(-1, -2))
    rows, columns = pairs(tables.sum(-1)).sum(-1), pairs(tables.sum(-2)).sum(-1)
    expected = rows * columns / pairs(tables.sum(axis=(-1, -2)))
    most = 0.5 * (rows + columns)
    return np.where(most == expected, 1.0, (both - expected) / np.where(most == expected, 1.0, most - expected))


def ari_interval(table: np.ndarray, *, seed: int, n_bootstraps: int = N_BOOTSTRAPS) -> tuple[float, float]:
    """The 95 % bootstrap interval of the ARI over networks."""
    n = int(table.sum())
    draws = np.random.default_rng(seed).multinomial(n, table.ravel() / n, size=n_bootstraps)
    low, high = np.quantile(adjusted_rand(draws.reshape(-1, *table.shape)), [0.025, 0.975])
    return float(low), float(high)


def null_ari(table: np.ndarray, *, seed: int, n_permutations: int) -> np.ndarray:
    """The ARI (n_permutations,) when labels are permuted among networks."""
    if min(table.shape) < 2:
        return np.zeros(n_permutations)
    tables = random_table(table.sum(1), table.sum(0), seed=seed).rvs(n_permutations)
    return adjusted_rand(tables)


def agreement(labels: np.ndarray, clusters: np.ndarray, *, seed: int, n_permutations: int) -> dict[str, float]:
    """The figures of a row of agreement.csv for N networks: indices, the interval of the ARI, its null's 95th percentile."""
    labels = labels.astype(str)
    table = contingency(labels, clusters)
    low, high = ari_interval(table, seed=seed)
    homogeneity, completeness, _ = homogeneity_completeness_v_measure(labels, clusters)
    return {
        "ari": float(adjusted_rand(table)),
        "ami": float(adjusted_mutual_info_score(labels, clusters)),
        "nmi": float(normalized_mutual_info_score(labels, clusters)),
        "homogeneity": float(homogeneity),
        "completeness": float(completeness),
        "ari_low": low,
        "ari_high": high,
        "null_ari_p95": float(np.quantile(null_ari(table, seed=seed, n_permutations=n_permutations), 0.95)),
        "n": len(labels),
    }


def wilson(count: int, n: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a share (Wilson 1927); (0, 1) where there is nothing to count."""
    if n == 0:
        return 0.0, 1.0
    interval = binomtest(int(count), int(n)).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)
