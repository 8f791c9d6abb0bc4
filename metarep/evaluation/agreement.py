"""How well clusters agree with labels, with intervals and with what chance would give, from their contingency table."""

from __future__ import annotations

import numpy as np
from scipy.special import xlogy
from sklearn.metrics.cluster import expected_mutual_information

from metarep.evaluation.resampling import interval, n_groups, permuted_tables, resampled_cells

N_BOOTSTRAPS = 500
METRICS = ("ari", "ami", "homogeneity", "completeness")


def contingency(labels: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """(K, L) counts; rows are the clusters that occur, columns the labels that occur, both sorted."""
    row, column = codes(labels, clusters)
    shape = (row.max() + 1, column.max() + 1)
    return np.bincount(row * shape[1] + column, minlength=shape[0] * shape[1]).reshape(shape)


def codes(labels: np.ndarray, clusters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) and (N,): the row and the column of each network in their contingency table."""
    _, row = np.unique(clusters, return_inverse=True)
    _, column = np.unique(labels if labels.dtype.kind in "iu" else labels.astype(str), return_inverse=True)
    return row, column


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


def shared_information(tables: np.ndarray, chance: float) -> dict[str, np.ndarray]:
    """AMI, homogeneity and completeness (…,) of tables (…, K, L); `chance` is the mutual information in nats that independent
    clusters are expected to have (Vinh, Epps and Bailey 2010).
    """
    n = tables.sum(axis=(-1, -2), keepdims=True)
    both, clusters, labels = (
        -xlogy(share, share).reshape(*share.shape[:-2], -1).sum(axis=-1)
        for share in (tables / n, tables.sum(-1, keepdims=True) / n, tables.sum(-2, keepdims=True) / n)
    )
    shared, mean = clusters + labels - both, (clusters + labels) / 2

    def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
        return np.where(np.abs(whole) > 1e-12, part / np.where(np.abs(whole) > 1e-12, whole, 1.0), 1.0)

    found = {"ami": ratio(shared - chance, mean - chance)}
    return found | {"homogeneity": ratio(shared, labels), "completeness": ratio(shared, clusters)}


def agreement(
    labels: np.ndarray, clusters: np.ndarray, *, seed: int, n_permutations: int, groups: np.ndarray | None = None
) -> dict[str, dict[str, float]]:
    """For each of METRICS `value`, `low`, `high` and `null` of N networks: bootstrap intervals over runs, `groups` (N,) of the
    networks, and the 95th percentile when labels are permuted among networks. In resamples chance has the mutual information
    of the whole sample.
    """
    table, n = contingency(labels, clusters), len(labels)
    rows, columns, counts = resampled_cells(*codes(labels, clusters), N_BOOTSTRAPS, seed=seed, groups=groups)
    drawn = np.zeros((N_BOOTSTRAPS, *table.shape), dtype=np.int64)
    drawn[:, rows, columns] = counts[1:]
    permuted = permuted_tables(table, n_permutations, seed=seed)
    chance = float(expected_mutual_information(table, n))
    tables = np.concatenate([table[None], drawn, permuted])
    found = {"ari": adjusted_rand(tables)} | shared_information(tables, chance)
    if min(table.shape) < 2:
        found["ari"][1 + N_BOOTSTRAPS :] = 0.0
    rows, n_runs = {}, n_groups(n, groups)
    for metric in METRICS:
        low, high = interval(found[metric][1 : 1 + N_BOOTSTRAPS], n_runs)
        null = float(np.quantile(found[metric][1 + N_BOOTSTRAPS :], 0.95))
        rows[metric] = {"value": float(found[metric][0]), "low": low, "high": high, "null": null}
    return rows
