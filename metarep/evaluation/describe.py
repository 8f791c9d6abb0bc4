"""What each cluster of networks does that the others do not: properties that set it apart, and a short rule for it.

Both are found on training networks and measured on test networks. A property sets a cluster apart by Cliff's delta of its
networks against all others (for a fact the difference of shares). A rule is a conjunction of at most three conditions, found by
a beam search for the largest F1 (Duivesteijn, Feelders and Knobbe, "Exceptional model mining", 2016).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from metarep.evaluation.resampling import wilson
from metarep.evaluation.unexplained import Side, unexplained_rows
from metarep.zoos.domain import Property, domain_of
from metarep.zoos.readings import varies
from metarep.zoos.zoo import Zoo

LEAST_NETWORKS = 5
"""Of fewer training or test networks no cluster is described."""

MAX_CONDITIONS, BEAM = 3, 8
WORTH = 0.02
"""A rule takes another condition only for at least so much more F1."""

N_CUTS = 12
"""A number is cut at so many quantiles of the cluster and of all networks, rounded to two digits."""

LEAST_EFFECT, MOST_ALIKE = 0.3, 0.7
"""A property is said of a cluster if its effect is at least this, and its rank correlation with what is said is less."""

N_SAID = 3
EASE = 0.05
"""Facts are easier to say than numbers: they go before a number whose effect is larger by less."""

Z = 1.959964
"""The 97.5th percentile of the normal distribution."""


def describe(
    zoo: Zoo, train: np.ndarray, test: np.ndarray, assigned: np.ndarray, labels: Mapping[str, np.ndarray], *, seed: int
) -> dict[str, list[dict]]:
    """The rows of descriptions.csv, rules.csv and unexplained.csv for clusters `assigned` (N,) of all networks of a zoo.

    `train` and `test` are row numbers, `labels` {name: (N,)} what is known already, in the order in which it is looked at.
    Described are the networks that have every label which at least half of them have; the other labels are left aside.
    No rows for a zoo of whose networks nothing can be said.
    """
    labels = {name: values for name, values in labels.items() if 2 * np.count_nonzero(values != "") >= len(zoo)}
    labelled = np.all([values != "" for values in labels.values()], axis=0) if labels else np.ones(len(zoo), dtype=bool)
    train, test = train[labelled[train]], test[labelled[test]]
    rows = np.concatenate([train, test])
    if min(len(train), len(test)) < LEAST_NETWORKS:
        return {}
    found = properties_of(zoo.select(rows), {name: values[rows] for name, values in labels.items()})
    if not found:
        return {}
    every = Side(found, assigned[rows], {name: values[rows].astype(str) for name, values in labels.items()})
    fitted = np.arange(len(rows)) < len(train)
    sides = every.select(fitted), every.select(~fitted)
    found = {"descriptions": description_rows(*sides), "rules": rule_rows(*sides)}
    return found | {"unexplained": unexplained_rows(*sides, seed=seed)}


def properties_of(zoo: Zoo, labels: Mapping[str, np.ndarray]) -> list[Property]:
    """What the zoo's domain can say of its networks, else its labels and those numbers that every network has."""
    domain = domain_of(zoo)
    if domain is not None and domain.describe is not None and (found := list(domain.describe(zoo))):
        return found
    facts = [
        Property(f"{name} is {value}", (values == value).astype(np.float64), "labels", f"{name} is not {value}")
        for name, values in ((label.replace("_", " "), values) for label, values in labels.items())
        for value in sorted(set(values) - {""})
    ]
    numbers = {name: zoo.number(name) for name in zoo.properties if name not in labels}
    return facts + [
        Property(name.replace("_", " "), values, "properties")
        for name, values in numbers.items()
        if np.isfinite(values).all() and varies(values)
    ]


def cliffs_delta(inside: np.ndarray, outside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """P(inside > outside) − P(inside < outside), (P,) in [−1, 1], of columns (n, P) and (m, P), and its standard error.

    NaN where a side is empty. Twice the AUC less one; the error is that of DeLong, DeLong and Clarke-Pearson (1988).
    """
    n, m = len(inside), len(outside)
    if not n or not m:
        return np.full((2, inside.shape[1]), np.nan)
    ranks = rankdata(np.concatenate([inside, outside]), axis=0)
    below = (ranks[:n] - rankdata(inside, axis=0)) / m  # the share of the outside below each, ties half
    above = 1 - (ranks[n:] - rankdata(outside, axis=0)) / n
    error = 2 * np.sqrt(below.var(axis=0) / n + above.var(axis=0) / m)
    return 2 * below.mean(axis=0) - 1, error


def description_rows(train: Side, test: Side) -> list[dict]:
    """For each cluster every property, those that set it apart most on training networks first; the values of test networks.

    inside, outside: medians of numbers, shares of facts; inside_low, inside_high: quartiles of numbers, the Wilson interval of
    shares. said: its place among the few worth saying, those that say what no earlier one says; 0 for the others.
    """
    x_train, x_test = train.table, test.table
    with np.errstate(invalid="ignore", divide="ignore"):  # of a column that is the same everywhere
        alike = np.abs(np.nan_to_num(np.atleast_2d(np.corrcoef(rankdata(x_train, axis=0), rowvar=False))))
    rows = []
    facts = np.array([p.is_fact for p in train.found])
    for number in np.unique(train.clusters):
        fitted, member = train.clusters == number, test.clusters == number
        found, _ = cliffs_delta(x_train[fitted], x_train[~fitted])
        effect, error = cliffs_delta(x_test[member], x_test[~member])
        order = np.argsort(-np.abs(np.nan_to_num(found)), kind="stable")
        said = _worth_saying(found, alike, facts)
        for rank, i in enumerate(order, 1):
            low, high = np.clip([effect[i] - Z * error[i], effect[i] + Z * error[i]], -1, 1)
            one = test.found[i]
            row = {"cluster": int(number), "rank": rank, "property": one.name, "family": one.family}
            row |= {"is_fact": int(one.is_fact), "said": said.get(int(i), 0), "effect_train": float(found[i])}
            row |= {"effect": float(effect[i]), "effect_low": float(low), "effect_high": float(high)}
            rows.append(row | _levels(one, member) | {"n": int(member.sum())})
    return rows


def _levels(one: Property, member: np.ndarray) -> dict[str, float]:
    """The columns inside, inside_low, inside_high and outside; NaN where there is nothing to take them of."""
    own, others = one.values[member], one.values[~member]
    middle = np.mean if one.is_fact else np.median
    if not len(own):
        low = high = float("nan")
    else:
        low, high = wilson(int(own.sum()), len(own)) if one.is_fact else np.quantile(own, [0.25, 0.75])
    inside, outside = (float(middle(side)) if len(side) else float("nan") for side in (own, others))
    return {"inside": inside, "inside_low": float(low), "inside_high": float(high), "outside": outside}


def _worth_saying(effects: np.ndarray, alike: np.ndarray, facts: np.ndarray) -> dict[int, int]:
    """{property: its place in the sentence, from 1}: the few largest effects (P,) that are not said by an earlier one."""
    size = np.nan_to_num(np.abs(effects))
    said: list[int] = []
    for i in np.argsort(-(size + EASE * facts), kind="stable"):
        if len(said) < N_SAID and size[i] >= LEAST_EFFECT and (not said or alike[i, said].max() < MOST_ALIKE):
            said.append(int(i))
    return {i: place for place, i in enumerate(said, 1)}


@dataclass(frozen=True)
class Condition:
    """Holds where a property is above `cut`, or else where it is at most that."""

    index: int
    above: bool
    cut: float

    def holds(self, x: np.ndarray) -> np.ndarray:
        """(N,) bool of properties x (N, P)."""
        return (x[:, self.index] > self.cut) == self.above


def rule_rows(train: Side, test: Side) -> list[dict]:
    """For each cluster its rule, f1_train, by which it was chosen, and precision and recall on test networks (Wilson)."""
    x_train, x_test = train.table, test.table
    rows = []
    for number in np.unique(train.clusters):
        conditions, f1 = best_rule(x_train, train.clusters == number, [p.is_fact for p in train.found])
        truth, caught = test.clusters == number, np.ones(len(x_test), dtype=bool)
        for condition in conditions:
            caught &= condition.holds(x_test)
        row = {"cluster": int(number), "rule": " and ".join(rule_words(conditions, train.found)), "n": int(truth.sum())}
        row |= {"n_caught": int(caught.sum()), "share": float(truth.mean()), "f1_train": f1}
        hits = int((caught & truth).sum())
        for name, n in (("precision", int(caught.sum())), ("recall", int(truth.sum()))):
            low, high = wilson(hits, n)
            row |= {name: hits / n if n else float("nan"), f"{name}_low": low, f"{name}_high": high}
        rows.append(row)
    return rows


def best_rule(x: np.ndarray, member: np.ndarray, is_fact: Sequence[bool]) -> tuple[list[Condition], float]:
    """The conjunction of at most MAX_CONDITIONS conditions on properties x (N, P) with the best F1 for `member` (N,) bool.

    Grown one condition at a time, the BEAM best kept; a longer one has to be better by WORTH.
    """
    choices = possible_conditions(x, member, is_fact)
    holds = np.stack([c.holds(x) for c in choices], axis=1).astype(np.float32)  # sums of 0 and 1, exact in float32
    beams: list[tuple[float, list[int]]] = [(0.0, [])]
    best = beams[0]
    for _ in range(MAX_CONDITIONS):
        kept = np.stack([holds[:, chosen].all(axis=1) for _, chosen in beams]).astype(np.float32)
        f1 = 2 * ((kept * member) @ holds) / (kept @ holds + member.sum())
        grown: dict[tuple[int, ...], float] = {}
        for (_, chosen), row in zip(beams, f1, strict=True):
            grown |= {tuple(sorted({*chosen, int(i)})): float(row[i]) for i in np.argsort(-row, kind="stable")[: 2 * BEAM]}
        ranked = sorted(grown, key=lambda chosen: (-grown[chosen], chosen))
        beams = [(grown[chosen], list(chosen)) for chosen in ranked[:BEAM]]
        if beams[0][0] < best[0] + WORTH:
            break
        best = beams[0]
    return [choices[i] for i in best[1]], best[0]


def possible_conditions(x: np.ndarray, member: np.ndarray, is_fact: Sequence[bool]) -> list[Condition]:
    """Every condition that some network meets and another does not: facts and their opposites, numbers above and below cuts."""
    found = []
    levels = np.linspace(0.01, 0.99, N_CUTS)
    for index, fact in enumerate(is_fact):
        values = x[:, index]
        quantiles = np.quantile(values, levels), np.quantile(values[member], levels)
        cuts = [0.5] if fact else sorted({float(f"{cut:.2g}") for cut in np.concatenate(quantiles)})
        splits = [cut for cut in cuts if values.min() <= cut < values.max()]
        found += [Condition(index, above, cut) for cut in splits for above in (True, False)]
    return found


def rule_words(conditions: Sequence[Condition], found: Sequence[Property]) -> list[str]:
    """The conditions in words, those on one number drawn together."""
    words = []
    for index in dict.fromkeys(c.index for c in conditions):
        one, own = found[index], [c for c in conditions if c.index == index]
        low = max((c.cut for c in own if c.above), default=None)
        high = min((c.cut for c in own if not c.above), default=None)
        if one.is_fact:
            words.append(one.name if low is not None else one.opposite)
        elif low is None:
            words.append(f"the {one.name} is at most {high:g}")
        else:
            words.append(f"the {one.name} is above {low:g}" + ("" if high is None else f" and at most {high:g}"))
    return words or ["every network"]
