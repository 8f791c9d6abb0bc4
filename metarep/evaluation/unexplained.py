"""What the known labels leave of the clusters, whether that is structure, and what explains it best.

A share is one of information: I(cluster; z | given) / H(cluster | given), with I less what chance gives (Vinh, Epps and Bailey
2010), so that 0 is chance and 1 is everything. For chance clusters are permuted among networks that are alike in what is
given. Numbers are cut into fifths. What explains most is chosen on training networks; every value is of test networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy
from scipy.stats import rankdata
from sklearn.ensemble import ExtraTreesClassifier

from metarep.evaluation.resampling import VANISHING
from metarep.zoos.domain import Property

N_SHUFFLES = 200
N_BINS = 5
N_STEPS = 4
"""So many properties are at most added to the labels, one after the other."""

LEAST_GAIN, LEVEL = 0.02, 0.05
"""A step is taken while it explains at least this share of the rest on training networks, at this level of significance."""

MIN_NETWORKS = 100
"""A value of the main label with fewer test networks is not looked into by itself."""

SCOPE_ALL = "all"
LABELS, STEP, PROPERTY, EVERYTHING = "labels", "step", "property", "everything"
"""The kinds of rows."""

FLOOR = 1e-3
"""No cluster is held for less probable than this by the forest."""


@dataclass(frozen=True)
class Side:
    """Networks of one split, fitted on or measured on: properties, clusters (N,) and the known labels {name: (N,) text}."""

    found: list[Property]
    clusters: np.ndarray
    labels: dict[str, np.ndarray]

    @property
    def table(self) -> np.ndarray:
        """(N, P): the values of the properties, a column each."""
        return np.stack([p.values for p in self.found], axis=1)

    def select(self, rows: np.ndarray) -> Side:
        """The same of some networks."""
        labels = {name: values[rows] for name, values in self.labels.items()}
        return Side([p.select(rows) for p in self.found], self.clusters[rows], labels)


Shares = tuple[np.ndarray, np.ndarray, np.ndarray]
"""What each of P things says of the clusters: share (P,), the null's 95th percentile (P,) and p (P,), the chance that the best
of all P would stand out as far (Westfall and Young 1993, single step)."""


def unexplained_rows(train: Side, test: Side, *, seed: int) -> list[dict]:
    """The rows of unexplained.csv, of four kinds.

    labels: the first label, the first two, … together: their share of the clusters' information. step: a property added to
    all labels and the earlier steps, its share of what those left. everything: what a forest of all properties knows of the
    clusters of unseen networks, 1 − cross-entropy / H, with its bootstrap interval. property: each by itself, its share of
    what all labels left; among all networks and within each value of the first label, where the labels are the others.
    bits is H(cluster) in the scope.
    """
    rng = np.random.default_rng(seed)
    rows = [*label_rows(test, SCOPE_ALL, rng), *step_rows(train, test, rng), everything_row(train, test, rng)]
    rows += property_rows(test, SCOPE_ALL, rng)
    main = next(iter(test.labels), None)
    for value in np.unique(test.labels[main]) if main else ():
        own = test.select(test.labels[main] == value)
        own.labels.pop(main)
        if len(own.clusters) >= MIN_NETWORKS and len(np.unique(own.clusters)) > 1:
            scope = f"{main} {value}"
            rows += label_rows(own, scope, rng)[-1:] + property_rows(own, scope, rng)
    return rows


def label_rows(side: Side, scope: str, rng: np.random.Generator) -> list[dict]:
    """The share of the clusters' information that the first label tells, the first two together, and so on."""
    rows, names = [], list(side.labels)
    nothing = np.zeros(len(side.clusters), dtype=int)
    for count in range(1, len(names) + 1):
        known = {name: side.labels[name] for name in names[:count]}
        found = shares(cells(known, len(nothing))[:, None], side.clusters, nothing, rng)
        rows += _rows(LABELS, scope, [(" + ".join(known), "")], found, side.clusters)
    return rows


def step_rows(train: Side, test: Side, rng: np.random.Generator) -> list[dict]:
    """Properties added to the labels one after the other, each the one that tells most of the rest on training networks."""
    given, here = (cells(side.labels, len(side.clusters)) for side in (train, test))
    rows: list[dict] = []
    left = list(range(len(test.found)))
    for _ in range(min(N_STEPS, len(left))):
        bins = binned([train.found[i] for i in left], given)
        share, _, p = shares(bins, train.clusters, given, rng)
        best = int(np.argmax(share))
        if share[best] < LEAST_GAIN or p[best] >= LEVEL:
            break
        one = test.found[left.pop(best)]
        own = binned([one], here)
        rows += _rows(STEP, SCOPE_ALL, [(one.name, one.family)], shares(own, test.clusters, here, rng), test.clusters)
        given, here = _joint(given, bins[:, best]), _joint(here, own[:, 0])
    return rows


def property_rows(side: Side, scope: str, rng: np.random.Generator) -> list[dict]:
    """What each property by itself says of the clusters among networks of equal labels, the most telling first."""
    cell = cells(side.labels, len(side.clusters))
    found = shares(binned(side.found, cell), side.clusters, cell, rng)
    rows = _rows(PROPERTY, scope, [(p.name, p.family) for p in side.found], found, side.clusters)
    return sorted(rows, key=lambda row: -row["share"])


def _rows(what: str, scope: str, names: Sequence[tuple[str, str]], found: Shares, clusters: np.ndarray) -> list[dict]:
    bits = entropy(np.unique(clusters, return_inverse=True)[1]) / np.log(2)
    columns = zip(names, *found, strict=True)
    return [
        {"what": what, "scope": scope, "property": name, "family": family, "share": float(share)}
        | {"low": float("nan"), "high": float("nan"), "null": float(null), "p": float(p)}
        | {"n": len(clusters), "n_clusters": len(np.unique(clusters)), "bits": bits}
        for (name, family), share, null, p in columns
    ]


def everything_row(train: Side, test: Side, rng: np.random.Generator) -> dict:
    """What a forest on all properties of training networks knows of test networks; null 0, interval of 500 resamples."""
    clusters = test.clusters
    forest = ExtraTreesClassifier(100, min_samples_leaf=2, max_features=0.5, random_state=int(rng.integers(2**31)))
    forest.fit(train.table, train.clusters)
    probable = np.full((len(clusters), max(int(clusters.max()), int(train.clusters.max())) + 1), FLOOR)
    probable[:, forest.classes_] = np.maximum(forest.predict_proba(test.table), FLOOR)
    probable /= probable.sum(axis=1, keepdims=True)
    loss = -np.log(probable[np.arange(len(clusters)), clusters])
    own = entropy(np.unique(clusters, return_inverse=True)[1])
    draws = loss[rng.integers(0, len(loss), (500, len(loss)))].mean(axis=1)
    share, low, high = (1 - value / own if own > 0 else 0.0 for value in (loss.mean(), *np.quantile(draws, [0.975, 0.025])))
    found = ([share], [0.0], [np.nan])
    return _rows(EVERYTHING, SCOPE_ALL, [("every property", "")], found, clusters)[0] | {"low": low, "high": high}


def shares(bins: np.ndarray, clusters: np.ndarray, cell: np.ndarray, rng: np.random.Generator) -> Shares:
    """What each column of bins (N, P) says of clusters (N,) where the cell (N,) is known; see the head of the file."""
    clusters = np.unique(clusters, return_inverse=True)[1]
    groups = np.stack([_joint(cell, column) for column in bins.T])
    rest = entropy(_joint(cell, clusters)) - entropy(cell)  # H(cluster | cell), the same however clusters are shuffled
    apart = np.array([entropy(group) for group in groups]) + rest
    n, n_clusters = len(clusters), int(clusters.max()) + 1
    first = np.append(0, np.cumsum(groups.max(axis=1) + 1))  # all columns are counted at once, each in numbers of its own
    numbers, first = (groups + first[:-1, None]) * n_clusters, first * n_clusters
    terms = xlogy(np.arange(n + 1), np.arange(n + 1))

    def information(own: np.ndarray) -> np.ndarray:
        """I(cluster; bin | cell) = H(bin, cell) + H(cluster | cell) − H(bin, cluster, cell)."""
        counts = np.bincount((numbers + own).ravel(), minlength=first[-1])
        together = np.log(n) - np.add.reduceat(terms[counts], first[:-1]) / n
        return np.maximum(apart - together, 0.0)

    own = information(clusters)
    null = np.stack([information(clusters[within(cell, rng)]) for _ in range(N_SHUFFLES)])
    mean, spread = null.mean(axis=0), np.maximum(null.std(axis=0), 1e-12)
    most = ((null - mean) / spread).max(axis=1)
    p = (1 + (most[:, None] >= (own - mean) / spread).sum(axis=0)) / (1 + N_SHUFFLES)
    left = rest - mean  # what can be known beyond chance
    scale = np.where(left > max(VANISHING * rest, 1e-9), 1 / np.maximum(left, 1e-9), 0.0)
    return scale * (own - mean), scale * (np.quantile(null, 0.95, axis=0) - mean), p


def entropy(numbers: np.ndarray) -> float:
    """The entropy in nats of the shares in which numbers (N,) from 0 occur."""
    counts = np.bincount(numbers)
    return float(np.log(len(numbers)) - xlogy(counts, counts).sum() / len(numbers))


def cells(labels: Mapping[str, np.ndarray], n: int) -> np.ndarray:
    """(N,) numbers, the same for networks that agree in every label; 0 for all where there is none."""
    cell = np.zeros(n, dtype=int)
    for values in labels.values():
        cell = _joint(cell, np.unique(values, return_inverse=True)[1])
    return cell


def binned(found: Sequence[Property], cell: np.ndarray) -> np.ndarray:
    """(N, P) numbers from 0: facts as they are, numbers in N_BINS parts of equal size among the networks of a cell."""
    bins = np.zeros((len(cell), len(found)), dtype=int)
    x = np.stack([p.values for p in found], axis=1)
    for number in np.unique(cell):
        own = np.flatnonzero(cell == number)
        bins[own] = (N_BINS * (rankdata(x[own], axis=0) - 0.5) / len(own)).astype(int)
    facts = [i for i, p in enumerate(found) if p.is_fact]
    bins[:, facts] = x[:, facts].astype(int)
    return bins


def within(cell: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N,) row numbers, shuffled among the rows of each cell."""
    order = np.empty(len(cell), dtype=int)
    order[np.argsort(cell, kind="stable")] = np.lexsort((rng.random(len(cell)), cell))
    return order


def _joint(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Numbers from 0 of the pairs of two numbers (N,) that occur."""
    return np.unique(one * (int(other.max(initial=0)) + 1) + other, return_inverse=True)[1]
