"""What each cluster of networks does that the others do not, and what the known labels leave unexplained.

Properties are facts and numbers about a network that know no order of its units. What sets a cluster apart is found on
training networks and measured on test networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata
from sklearn.tree import DecisionTreeClassifier

from metarep.analysis.agreement import contingency, wilson
from metarep.networks.modes import OCCURS, TOLERANCE, sign_patterns
from metarep.networks.symmetry import canonical_scale
from metarep.zoo.store import Zoo

MAX_FACTS = 3
"""A rule holds at most so many."""

N_SHUFFLES = 200


@dataclass(frozen=True)
class Property:
    """One value a network: `values` (N,) float64, 0 or 1 where it is a fact."""

    name: str
    values: np.ndarray
    is_fact: bool


def properties(zoo: Zoo) -> list[Property]:
    """The properties of N 2-2-1 networks. Areas are shares of the unit square, "off" and "on" as in the modes."""
    area = np.sort(zoo["active_area"].astype(float), axis=1)
    quadrant = zoo["quadrant_area"].astype(float)
    off, on = area < TOLERANCE, area > 1 - TOLERANCE
    numbers = {
        "active area of the unit that is on less": area[:, 0],
        "active area of the unit that is on more": area[:, 1],
        "share of the square where both units are on": quadrant[:, 3],
        "share of the square where both units are off": quadrant[:, 0],
        "log10 validation error": np.log10(np.maximum(zoo["valid_mse"].astype(float), 1e-12)),
        **norms(zoo),
    }
    facts = {
        "both units are off everywhere": off.all(axis=1),
        "exactly one unit is off everywhere": off.sum(axis=1) == 1,
        "both units are on everywhere": on.all(axis=1),
        "exactly one unit is on everywhere": on.sum(axis=1) == 1,
        "a unit bends the function inside the square": (~off & ~on).any(axis=1),
        "both units bend the function inside the square": (~off & ~on).all(axis=1),
        "somewhere both units are off": quadrant[:, 0] > OCCURS,
    }
    signs = sign_patterns(zoo.spec, zoo.params)
    words = {
        "--": "both output weights are negative",
        "-+": "the output weights differ in sign",
        "++": "both output weights are positive",
    }
    facts |= {words[sign]: signs == sign for sign in words}
    return [Property(name, values, False) for name, values in numbers.items()] + [
        Property(name, values.astype(float), True) for name, values in facts.items()
    ]


def norms(zoo: Zoo) -> dict[str, np.ndarray]:
    """The strength of each unit, |incoming| · |outgoing|, which no rescaling changes, and the output's bias."""
    (_, _), (outgoing, bias) = zoo.spec.unpack(canonical_scale(zoo.spec, zoo.params.astype(float)))
    strength = np.sort(np.abs(outgoing[:, 0]), axis=1)
    return {
        "strength of the weaker unit": strength[:, 0],
        "strength of the stronger unit": strength[:, 1],
        "output bias": bias[:, 0],
    }


def cliffs_delta(inside: np.ndarray, outside: np.ndarray) -> float:
    """P(inside > outside) − P(inside < outside), in [−1, 1]; for facts the difference of the shares (Cliff 1993)."""
    ranks = rankdata(np.concatenate([inside, outside]))
    n, m = len(inside), len(outside)
    return float(2 * (ranks[:n].sum() - n * (n + 1) / 2) / (n * m) - 1) if n and m else float("nan")


def description_rows(
    train: list[Property], train_clusters: np.ndarray, test: list[Property], clusters: np.ndarray
) -> list[dict]:
    """For each cluster every property, those that set it apart most on training networks first; figures of test networks.

    "inside" and "outside" are medians, and shares of facts; a fact's share has its Wilson interval.
    """
    rows = []
    for number in np.unique(train_clusters):
        fitted, member = train_clusters == number, clusters == number
        effects = [cliffs_delta(p.values[fitted], p.values[~fitted]) for p in train]
        for rank, index in enumerate(sorted(range(len(train)), key=lambda i: -abs(np.nan_to_num(effects[i]))), 1):
            own, others = test[index].values[member], test[index].values[~member]
            middle = np.mean if test[index].is_fact else np.median
            low, high = wilson(int(own.sum()), len(own)) if test[index].is_fact else _quartiles(own)
            rows.append(
                {
                    "cluster": int(number),
                    "rank": rank,
                    "property": test[index].name,
                    "is_fact": int(test[index].is_fact),
                    "effect_train": effects[index],
                    "effect": cliffs_delta(own, others),
                    "inside": float(middle(own)) if len(own) else float("nan"),
                    "inside_low": low,
                    "inside_high": high,
                    "outside": float(middle(others)) if len(others) else float("nan"),
                    "n": int(member.sum()),
                }
            )
    return rows


def _quartiles(values: np.ndarray) -> tuple[float, float]:
    return tuple(float(q) for q in np.quantile(values, [0.25, 0.75])) if len(values) else (float("nan"), float("nan"))


def rule_rows(train: list[Property], train_clusters: np.ndarray, test: list[Property], clusters: np.ndarray) -> list[dict]:
    """For each cluster the best conjunction of at most MAX_FACTS conditions, from a shallow tree on training networks, with
    its precision and recall on test networks and their Wilson intervals.
    """
    x_train, x_test = (np.stack([p.values for p in side], axis=1) for side in (train, test))
    rows = []
    for number in np.unique(train_clusters):
        member = train_clusters == number
        tree = DecisionTreeClassifier(max_depth=MAX_FACTS, class_weight="balanced", min_samples_leaf=10, random_state=0)
        tree.fit(x_train, member)
        leaves = tree.apply(x_train)
        found = np.array([(leaves == leaf)[member].sum() * member[leaves == leaf].mean() for leaf in np.unique(leaves)])
        leaf = np.unique(leaves)[found.argmax()]
        caught, truth = tree.apply(x_test) == leaf, clusters == number
        hits = int((caught & truth).sum())
        row = {"cluster": int(number), "rule": " and ".join(_conditions(tree, leaf, train)), "n": int(truth.sum())}
        for name, n in (("precision", int(caught.sum())), ("recall", int(truth.sum()))):
            low, high = wilson(hits, n)
            row |= {name: hits / n if n else float("nan"), f"{name}_low": low, f"{name}_high": high}
        rows.append(row)
    return rows


def _conditions(tree: DecisionTreeClassifier, leaf: int, train: list[Property]) -> list[str]:
    """The conditions on the way to a leaf in words, those on one number drawn together."""
    inner, node, bounds = tree.tree_, 0, {}
    while node != leaf:
        feature, threshold = int(inner.feature[node]), float(inner.threshold[node])
        below = _holds(inner, int(inner.children_left[node]), leaf)
        low, high = bounds.get(feature, (-np.inf, np.inf))
        bounds[feature] = (low, min(high, threshold)) if below else (max(low, threshold), high)
        node = int(inner.children_left[node] if below else inner.children_right[node])
    words = []
    for feature, (low, high) in bounds.items():
        name = train[feature].name
        if train[feature].is_fact:
            words.append(name if low > 0 else f"not: {name}")
        elif np.isfinite(low) and np.isfinite(high):
            words.append(f"{name} between {low:.2g} and {high:.2g}")
        else:
            words.append(f"{name} above {low:.2g}" if np.isfinite(low) else f"{name} at most {high:.2g}")
    return words or ["every network"]


def _holds(inner, node: int, leaf: int) -> bool:
    """Whether the leaf lies below the node."""
    if node == leaf:
        return True
    children = (int(inner.children_left[node]), int(inner.children_right[node]))
    return children[0] >= 0 and any(_holds(inner, child, leaf) for child in children)


def unexplained_rows(clusters: np.ndarray, labels: Mapping[str, np.ndarray], found: list[Property], *, seed: int) -> list[dict]:
    """What the known labels leave of the clusters, on N networks.

    The first row: the share of the clusters' entropy that is left where mode, quadrant code and sign pattern are all known,
    H(cluster | labels) / H(cluster), and the 5th percentile of the same when clusters are permuted among all networks. The
    others: for each number the share of its variance within cells of equal labels that the clusters explain (eta squared),
    its 95th percentile when the number is permuted within cells, and the p-value of that, corrected for their number (Holm).
    """
    rng = np.random.default_rng(seed)
    cell = np.unique(np.stack([values.astype(str) for values in labels.values()], axis=1), axis=0, return_inverse=True)[
        1
    ].reshape(-1)
    left = remaining_entropy(clusters, cell)
    null = [remaining_entropy(rng.permutation(clusters), cell) for _ in range(N_SHUFFLES)]
    rows = [{"property": "clusters", "share": left, "null": float(np.quantile(null, 0.05)), "p": float("nan")}]
    numbers = [p for p in found if not p.is_fact]
    for number in numbers:
        own = eta_squared(number.values, clusters, cell)
        nulls = np.array([eta_squared(_within(number.values, cell, rng), clusters, cell) for _ in range(N_SHUFFLES)])
        p = (1 + int((nulls >= own).sum())) / (1 + N_SHUFFLES)
        rows.append({"property": number.name, "share": own, "null": float(np.quantile(nulls, 0.95)), "p": p})
    ordered = sorted(rows[1:], key=lambda row: row["p"])
    worst = 0.0
    for place, row in enumerate(ordered):
        worst = max(worst, min(1.0, row["p"] * (len(ordered) - place)))
        row["p_holm"] = worst
    rows[0]["p_holm"] = float("nan")
    return rows[:1] + sorted(rows[1:], key=lambda row: -row["share"])


def remaining_entropy(clusters: np.ndarray, cell: np.ndarray) -> float:
    """H(cluster | cell) / H(cluster) of N networks; 0 where the cells say the cluster, and 0 for one cluster."""
    table = contingency(clusters, cell).astype(float)
    own, joint = _entropy(table.sum(axis=0)), _entropy(table.ravel())
    return max(0.0, (joint - _entropy(table.sum(axis=1))) / own) if own > 0 else 0.0


def _entropy(counts: np.ndarray) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum())


def eta_squared(values: np.ndarray, clusters: np.ndarray, cell: np.ndarray) -> float:
    """The share of the variance of values (N,) within cells (N,) that lies between clusters of a cell."""
    both = np.unique(np.stack([cell, np.unique(clusters, return_inverse=True)[1]], axis=1), axis=0, return_inverse=True)[1]
    total, within = (np.square(values - _means(values, groups.reshape(-1))).sum() for groups in (cell, both))
    return float(1 - within / total) if total > 0 else 0.0


def _means(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    return (np.bincount(groups, values) / np.maximum(np.bincount(groups), 1))[groups]


def _within(values: np.ndarray, cell: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """values permuted within cells."""
    shuffled = np.lexsort((rng.random(len(values)), cell))
    permuted = np.empty_like(values)
    permuted[np.argsort(cell, kind="stable")] = values[shuffled]
    return permuted


def describe(
    zoo: Zoo, train: np.ndarray, test: np.ndarray, assigned: np.ndarray, labels, *, seed: int
) -> dict[str, list[dict]]:
    """The rows of descriptions.csv, rules.csv and unexplained.csv for clusters `assigned` (N,) of all networks; `train` and
    `test` are row numbers, `labels` {name: (N,)} what is known already.
    """
    of_train, of_test = properties(zoo.select(train)), properties(zoo.select(test))
    sides = (of_train, assigned[train], of_test, assigned[test])
    known = {name: values[test] for name, values in labels.items()}
    return {
        "descriptions": description_rows(*sides),
        "rules": rule_rows(*sides),
        "unexplained": unexplained_rows(assigned[test], known, of_test, seed=seed),
    }
