"""The parts of trained networks, ablated: what each grouping of hidden units says, beside random groups of the same sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from metarep.domains.multiplier.sections.one_hidden import OneHidden, all_pairs
from metarep.domains.multiplier.sections.sections import (
    affinities,
    communities,
    connectivity,
    likelihood,
    matching,
    section_labels,
)
from metarep.evaluation.clusters import sweep
from metarep.evaluation.resampling import resamples
from metarep.model.transformer import ClozeModel
from metarep.studies.rows import columns, number

LEVEL = 0.95
"""A group's rise counts as more than chance above this quantile of random groups, as less below its complement."""

N_STABILITY = 5
"""Resamples of units for the rule for k."""

MAX_UNITS = 2000
"""Units that clusters are fitted on."""


class Ablated(NamedTuple):
    """A network with what each hidden unit adds to each output on inputs, less its mean over them (H, S, O); its errors
    (S, O); and the share of inputs at which each unit is off (H,).
    """

    network: OneHidden
    parts: np.ndarray
    errors: np.ndarray
    off: np.ndarray

    @classmethod
    def on(cls, network: OneHidden, x: np.ndarray, y: np.ndarray) -> Ablated:
        """On inputs x (S, I) with targets y (S, O)."""
        active = x @ network.weight.T + network.bias
        hidden = np.maximum(active, 0)
        parts = (hidden - hidden.mean(axis=0)).T[:, :, None] * network.readout.T[:, None, :]
        return cls(network, parts, hidden @ network.readout.T + network.offset - y, (active <= 0).mean(axis=0))

    def rises(self, groups: np.ndarray) -> np.ndarray:
        """(G, O): the rise of the mean squared error of each output where groups (G, H), True within, give their means."""
        taken = np.tensordot(groups.astype(np.float64), self.parts, axes=1)
        return np.square(self.errors - taken).mean(axis=1) - np.square(self.errors).mean(axis=0)


def selectivity(rise: np.ndarray) -> float:
    """Of all rises (G, 2), those of the output that a group matters most for less the others, as a share: 1 is one output each.

    Groups count by how much they matter at all; falls count as 0. NaN where nothing rises.
    """
    rise = np.maximum(rise, 0)
    total = rise.sum()
    return float(np.abs(rise[:, 0] - rise[:, 1]).sum() / total) if total > 0 else float("nan")


def membership(labels: np.ndarray, least: int = 1) -> np.ndarray:
    """(G, H) bool: the groups of labels (H,) that have at least so many members."""
    numbers, counts = np.unique(labels, return_counts=True)
    return labels[None, :] == numbers[counts >= least][:, None]


def shuffled(groups: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """(n, G, H): groups (G, H) with the units in a random order, the same for all of them: the sizes stay."""
    orders = rng.random((n, groups.shape[1])).argsort(axis=1)
    return groups[:, orders].transpose(1, 0, 2)


def groupings(network: OneHidden, models: Mapping[str, ClozeModel], ratio: float) -> dict[tuple[str, str], np.ndarray]:
    """Labels (H,) by (method, grouping): pairs by matching, communities of any size; by models and by connectivity."""
    every, n, found = all_pairs(network.n_units), network.n_units, {}
    affinity = {"connectivity": connectivity(network)}
    affinity |= {name: affinities(network, model, ratio).affinity for name, model in models.items()}
    for name, values in affinity.items():
        weights = np.maximum(values, 0) if name == "connectivity" else likelihood(values)
        found[name, "communities"] = communities(every, weights, n)
    return found | {(name, "pairs"): section_labels(matching(every, values), n) for name, values in affinity.items()}


def means(own: list[tuple] | np.ndarray, n_metrics: int, *, n_bootstraps: int, seed: int) -> np.ndarray:
    """(B, M): the means of metrics (N, M) over networks in each resample of these; NaN where there is no network."""
    own = np.asarray(own, dtype=float).reshape(-1, n_metrics)
    weights = resamples(n_bootstraps, max(len(own), 1), seed=seed)
    return weights @ own / weights.sum(axis=1, keepdims=True) if len(own) else np.full((len(weights), n_metrics), np.nan)


def selectivity_rows(
    networks: list[Ablated], labels: list[dict[tuple[str, str], np.ndarray]], *, n_random: int, **draws: int
) -> list[dict[str, Any]]:
    """A row for each grouping: selectivity of its groups of two units and more, beside random groups of the same sizes.

    Means over the networks that have such a group, with bootstrap intervals; `lead` is the difference.
    """
    rows = []
    for method, kind in labels[0]:
        own = []
        for place, (network, found) in enumerate(zip(networks, labels, strict=True)):
            groups = membership(found[method, kind], least=2)
            if len(groups):
                random = shuffled(groups, n_random, np.random.default_rng([draws["seed"], place]))
                chance = np.mean([selectivity(network.rises(one)) for one in random])
                own.append((selectivity(network.rises(groups)), chance, len(groups), groups.sum()))
        rows.append(selectivity_row(method, kind, own, len(networks), **draws))
    return rows


def selectivity_row(method: str, kind: str, own: list[tuple], n: int, **draws: int) -> dict[str, Any]:
    """One row from metrics (N, 4) of networks that have groups: selectivity, that of random groups, groups, units in them."""
    found = np.array(own, dtype=float).reshape(-1, 4)
    row = {"method": method, "grouping": kind, "n_networks": n, "with_groups": len(found)}
    row |= {name: float(found[:, at].sum() / n) for at, name in ((2, "groups"), (3, "units"))}
    usable = [(one, chance, one - chance) for one, chance in found[:, :2] if np.isfinite([one, chance]).all()]
    for name, values in zip(("selectivity", "random", "lead"), means(usable, 3, **draws).T, strict=True):
        row |= columns(name, values)
    return row


class UnitClusters(NamedTuple):
    """Clusters of units by what a model predicts of them: k, labels of units (N, U), and the rule's metrics by k."""

    k: int
    labels: np.ndarray
    curve: list[dict[str, Any]]


def cluster_units(train: np.ndarray, test: np.ndarray, ks: tuple[int, ...], *, seed: int) -> UnitClusters:
    """k-means of off-probabilities (N, U, S), fitted on those of training networks; k by the rule of `evaluation.clusters`."""
    rows = train.reshape(-1, train.shape[2])
    rows = rows[np.random.default_rng(seed).permutation(len(rows))[:MAX_UNITS]]
    found = sweep("kmeans", rows, ks, n_bootstraps=N_STABILITY, seed=seed)
    labels = found.chosen.predict(test.reshape(-1, test.shape[2])).reshape(test.shape[:2])
    return UnitClusters(found.chosen.n_clusters, labels, found.curve)


def cluster_rows(networks: list[Ablated], labels: np.ndarray, *, n_random: int, **draws: int) -> list[dict[str, Any]]:
    """A row for each cluster of units, labels (N, H): what its ablation costs, beside as many random units of the network.

    `rise` and `random` are mean rises of the error; `more` and `less` the shares of networks in which the rise lies above and
    below LEVEL of the random ones. Networks of whose units all or none are in the cluster do not count.
    """
    rows = []
    for cluster in np.unique(labels):
        own = []
        for place, (network, group) in enumerate(zip(networks, labels == cluster, strict=True)):
            if 0 < group.sum() < len(group):
                rng = np.random.default_rng([draws["seed"], place])
                rise = network.rises(group[None])[0, 0]
                random = network.rises(shuffled(group[None], n_random, rng)[:, 0])[:, 0]
                more, less = (random < rise).mean() >= LEVEL, (random > rise).mean() >= LEVEL
                own.append((group.sum(), network.off[group].mean(), rise, random.mean(), more, less))
        units, off, rise, random, more, less = means(own, 6, **draws).T
        row = {"cluster": int(cluster), "n_networks": len(own), "units": number(units[0]), "off": number(off[0])}
        row |= columns("rise", rise) | columns("random", random) | columns("ratio", rise / np.maximum(random, 1e-12))
        rows.append(row | columns("more", more) | columns("less", less))
    return rows
