"""Hidden units as what is compared: a row a unit, with the run, the split and the labels that it has.

A unit is measured where its network is. Its labels and numbers are those that the domain of the zoo knows of units, and which
layer it is of. `within_rows` clusters each network's units alone, so that no basis need be shared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import StandardScaler

from metarep.errors import MetarepError
from metarep.evaluation.agreement import adjusted_rand, contingency
from metarep.evaluation.resampling import N_DRAWS, resamples, summary
from metarep.model.tokens import View, build_views
from metarep.zoos.columns import Contents
from metarep.zoos.domain import domain_of
from metarep.zoos.zoo import Zoo

KEYS = ("network_id", "units", "unit")
"""The columns that say which unit a row is: its network, the name of its symmetry group and its number in this, as saved."""

MIN_UNITS = 8
"""Networks of fewer labelled units are left out of what is clustered within networks."""

N_STARTS = 3


@dataclass(frozen=True)
class Units(Zoo):
    """M hidden units: columns as those of a zoo, and KEYS; `networks` are those that they are of, and the column `row` (M,)
    says which one.
    """

    networks: Zoo | None = None

    @property
    def kinds(self) -> list[tuple[int, str]]:
        """The architectures of the networks, by number, with the names of the groups that units are of."""
        return sorted(set(zip(self.networks.architecture[self["row"]].tolist(), self["units"], strict=True)))

    def alone(self) -> Units:
        """Without the networks: what other processes need."""
        return replace(self, networks=None)


def units_of(zoo: Zoo) -> Units:
    """The hidden units of all networks, network by network. Raises MetarepError where there are none."""
    shapes = [[(view.units.name, view.n_units) for view in hidden_views(zoo, at)] for at in range(len(zoo.architectures))]
    groups = [shapes[at] for at in zoo.architecture]
    if not any(groups):
        raise MetarepError("these networks have no hidden units that could be found", fix="compare networks, with part=network")
    counts = [sum(n for _, n in own) for own in groups]
    row = np.repeat(np.arange(len(zoo)), counts)
    layer = np.array([name for own in groups for name, n in own for _ in range(n)], dtype=object)
    number = np.concatenate([np.arange(n) for own in groups for _, n in own])
    within = np.concatenate([np.arange(n) for n in counts])
    columns = {name: zoo[name][row] for name in ("network_id", "run_id", "split", "snapshot_of", "finite")}
    columns |= {"units": layer, "unit": number, "row": row}
    domain = domain_of(zoo)
    labels = {} if domain is None else {name: make(zoo) for name, make in domain.unit_labels.items()}
    numbers = {} if domain is None else {name: make(zoo) for name, make in domain.unit_properties.items()}
    known = {name: values[row, within] for name, values in (labels | numbers).items()}
    return Units(columns | known, zoo.artefact, Contents(None, (*labels, "units"), tuple(numbers)), networks=zoo)


def hidden_views(zoo: Zoo, architecture: int) -> list[View]:
    """The views of the hidden units of an architecture, given by its number in the zoo, a token a value."""
    units = zoo.architectures[architecture], zoo.symmetries[architecture]
    return [view for view in build_views(*units, chunk=1, context=2**31) if view.is_hidden]


def within_rows(
    x: np.ndarray, network: np.ndarray, run: np.ndarray, label: np.ndarray, ks: Sequence[int], *, seed: int, n_permutations: int
) -> list[dict]:
    """One row (metric, value, low, high, null, n, n_runs) for vectors (M, D) of units of some networks (M,) and runs (M,), and
    a label (M,), "" for none: the adjusted Rand index of clusters of each network's units, averaged over networks. No row where
    no network has units of two labels. Intervals resample runs; the null permutes labels within each network.
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
    weights = resamples(N_DRAWS, len(found), seed=seed, groups=np.array(runs))
    draws = weights @ np.array(found) / weights.sum(axis=1)
    score = summary(draws, np.mean(nulls, axis=0), len(set(runs)))
    return [{"metric": "ari", **score, "n": len(found), "n_runs": len(set(runs))}]


def own_clusters(x: np.ndarray, ks: Sequence[int], *, seed: int) -> np.ndarray:
    """(n,): k-means of the vectors (n, D) of one network's units, standardised, at the k of the highest mean silhouette."""
    scaled = StandardScaler().fit_transform(x)
    fitted = [KMeans(k, n_init=N_STARTS, random_state=seed).fit_predict(scaled) for k in ks]
    scores = [silhouette_score(scaled, one) if 1 < len(set(one.tolist())) < len(x) else -1.0 for one in fitted]
    return fitted[int(np.argmax(scores))]
