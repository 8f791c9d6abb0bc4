"""The parts of trained networks, ablated: what each grouping of hidden units says, beside random groups of the same sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
from metarep.studies.masked import columns


def contributions(network: OneHidden, x: np.ndarray) -> np.ndarray:
    """(H, S, O): what each hidden unit adds to each output on inputs x (S, I), less its mean over them."""
    hidden = np.maximum(x @ network.weight.T + network.bias, 0)
    hidden = hidden - hidden.mean(axis=0)
    return hidden.T[:, :, None] * network.readout.T[:, None, :]


def residuals(network: OneHidden, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(S, O): output less target y (S, O)."""
    return np.maximum(x @ network.weight.T + network.bias, 0) @ network.readout.T + network.offset - y


def rises(parts: np.ndarray, errors: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(G, O): the rise of the mean squared error of each output where groups (G, H), True in the group, give their means.

    parts (H, S, O) as of `contributions`, errors (S, O) as of `residuals`.
    """
    taken = np.tensordot(groups.astype(np.float64), parts, axes=1)
    return np.square(errors - taken).mean(axis=1) - np.square(errors).mean(axis=0)


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


LEVEL = 0.95
"""A group's rise counts as more than chance above this quantile of random groups, as less below its complement."""

N_STABILITY = 5
"""Resamples of units for the rule for k."""

MAX_UNITS = 2000
"""Units that clusters are fitted on."""


@dataclass(frozen=True)
class Ablated:
    """A network with what its units add on inputs, and its errors: parts (H, S, O), errors (S, O)."""

    network: OneHidden
    parts: np.ndarray
    errors: np.ndarray

    @classmethod
    def on(cls, network: OneHidden, x: np.ndarray, y: np.ndarray) -> Ablated:
        """On inputs x (S, I) with targets y (S, O)."""
        return cls(network, contributions(network, x), residuals(network, x, y))

    def rises(self, groups: np.ndarray) -> np.ndarray:
        """(G, O): see `ablation.rises`."""
        return rises(self.parts, self.errors, groups)


def groupings(network: OneHidden, models: dict[str, ClozeModel], ratio: float) -> dict[tuple[str, str], np.ndarray]:
    """Labels (H,) by (method, grouping): pairs by matching, communities of any size; by models and by connectivity."""
    pairs, n = all_pairs(network.n_units), network.n_units
    connected = connectivity(network)
    found = {("connectivity", "pairs"): matching(pairs, connected)}
    labels = {("connectivity", "communities"): communities(pairs, np.maximum(connected, 0), n)}
    for name, model in models.items():
        affinity = affinities(network, model, ratio).affinity
        found[name, "pairs"] = matching(pairs, affinity)
        labels[name, "communities"] = communities(pairs, likelihood(affinity), n)
    return labels | {key: section_labels(units, n) for key, units in found.items()}


def selectivity_rows(
    networks: list[Ablated], labels: list[dict[tuple[str, str], np.ndarray]], *, n_random: int, n_bootstraps: int, seed: int
) -> list[dict[str, Any]]:
    """A row for each grouping: selectivity of its groups of two units and more, beside random groups of the same sizes.

    Means over the networks that have such a group, with bootstrap intervals; `lead` is the difference.
    """
    rows = []
    for method, kind in labels[0]:
        own = []
        for number, (network, found) in enumerate(zip(networks, labels, strict=True)):
            groups = membership(found[method, kind], least=2)
            if len(groups):
                rng = np.random.default_rng([seed, number])
                random = [selectivity(network.rises(one)) for one in shuffled(groups, n_random, rng)]
                own.append((selectivity(network.rises(groups)), np.mean(random), len(groups), groups.sum()))
        rows.append(selectivity_row(method, kind, np.array(own).reshape(-1, 4), len(networks), n_bootstraps, seed))
    return rows


def selectivity_row(method: str, kind: str, own: np.ndarray, n: int, n_bootstraps: int, seed: int) -> dict[str, Any]:
    """One row from metrics (N, 4) of networks that have groups: selectivity, that of random groups, groups, units in them."""
    row: dict[str, Any] = {"method": method, "grouping": kind, "n_networks": n, "with_groups": len(own)}
    row |= {name: float(own[:, at].sum() / n) for at, name in ((2, "groups"), (3, "units"))}
    usable = own[np.isfinite(own[:, :2]).all(axis=1)]
    weights = resamples(n_bootstraps, max(len(usable), 1), seed=seed)
    for at, name in enumerate(("selectivity", "random", "lead")):
        values = usable[:, 0] - usable[:, 1] if name == "lead" else usable[:, at]
        draws = weights @ values / weights.sum(axis=1) if len(usable) else np.full(n_bootstraps + 1, np.nan)
        row |= columns(name, draws)
    return row


@dataclass(frozen=True)
class UnitClusters:
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


def cluster_rows(
    networks: list[Ablated], labels: np.ndarray, off: np.ndarray, *, n_random: int, n_bootstraps: int, seed: int
) -> list[dict[str, Any]]:
    """A row for each cluster of units, labels (N, H): what its ablation costs, beside as many random units of the network.

    off (N, H) is the share of inputs at which a unit is off, measured. `rise` and `random` are mean rises of the error;
    `more` and `less` the shares of networks in which the rise lies above and below LEVEL of the random ones. Networks of whose
    units all or none are in the cluster do not count.
    """
    rows = []
    for cluster in np.unique(labels):
        own = []
        for number, network in enumerate(networks):
            group = labels[number] == cluster
            if 0 < group.sum() < len(group):
                rng = np.random.default_rng([seed, number])
                rise = network.rises(group[None])[0, 0]
                random = network.rises(shuffled(group[None], n_random, rng)[:, 0])[:, 0]
                more, less = (random < rise).mean() >= LEVEL, (random > rise).mean() >= LEVEL
                own.append((rise, random.mean(), more, less, group.sum(), off[number][group].mean()))
        rows.append(cluster_row(int(cluster), np.array(own, dtype=float).reshape(-1, 6), n_bootstraps, seed))
    return rows


def cluster_row(cluster: int, own: np.ndarray, n_bootstraps: int, seed: int) -> dict[str, Any]:
    """One row from figures (N, 6): rise, random, more, less, units, off."""
    row: dict[str, Any] = {"cluster": cluster, "n_networks": len(own)}
    weights = resamples(n_bootstraps, max(len(own), 1), seed=seed)
    draws = {name: np.full(n_bootstraps + 1, np.nan) for name in ("units", "off", "rise", "random", "ratio", "more", "less")}
    if len(own):
        means = weights @ own / weights.sum(axis=1, keepdims=True)
        draws = dict(zip(("rise", "random", "more", "less", "units", "off"), means.T, strict=True))
        draws["ratio"] = draws["rise"] / np.maximum(draws["random"], 1e-12)
    row |= {name: columns(name, draws[name])[name] for name in ("units", "off")}
    for name in ("rise", "random", "ratio", "more", "less"):
        row |= columns(name, draws[name])
    return row


def off_shares(network: OneHidden, x: np.ndarray) -> np.ndarray:
    """(H,): the share of inputs x (S, I) at which each unit is off."""
    return (x @ network.weight.T + network.bias <= 0).mean(axis=0)
