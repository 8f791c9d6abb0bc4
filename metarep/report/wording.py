"""Figures in words: numbers, intervals, comparisons, names. What the sentences of the summary are made of."""

from __future__ import annotations

import math
from collections.abc import Mapping

LEVEL = 0.02
"""Probes and R² that differ by less count as level."""


UNSEEN_SEEDS = "unseen_seeds"


def target_title(target: str) -> str:
    """A target of transfer as it stands in figures and sentences."""
    return {UNSEEN_SEEDS: "unseen seeds", "random_initialisations": "random starts"}.get(target, f"{target} networks")


def clusterer_title(clusterer: str) -> str:
    """A clusterer's name as people write it."""
    names = {"kmeans": "k-means", "gmm": "Gaussian mixture", "hdbscan": "HDBSCAN"}
    return clusterer.replace("umap+", "UMAP + ").replace(clusterer.split("+")[-1], names.get(clusterer.split("+")[-1], ""))


def compare(a: Mapping, b: Mapping) -> int:
    """1 where a's interval lies above b's, −1 where below, 0 where they overlap."""
    return int(a["ari_low"] > b["ari_high"]) - int(a["ari_high"] < b["ari_low"])


def relation(a: Mapping, b: Mapping) -> str:
    """The comparison in words."""
    return {1: "clearly above", 0: "not clearly different from", -1: "clearly below"}[compare(a, b)]


def sign(difference: float) -> int:
    """1, 0 or −1; less than LEVEL counts as 0."""
    return 0 if abs(difference) < LEVEL else int(math.copysign(1, difference))


def num(value: float, digits: int = 2) -> str:
    """A figure with a true minus sign."""
    return "n/a" if math.isnan(value) else f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def times(factor: float) -> str:
    """How many times as much, to two digits."""
    return f"{factor:,.0f} times" if factor >= 10 else f"{factor:.1f} times"


def ari(row: Mapping) -> str:
    """An ARI with its 95 % interval."""
    return f"{num(row['ari'])} [{num(row['ari_low'])}, {num(row['ari_high'])}]"


def auc(row: Mapping) -> str:
    """An AUC with its 95 % interval."""
    return f"{num(row['auc'])} [{num(row['auc_low'])}, {num(row['auc_high'])}]"


def share(row: Mapping) -> str:
    """A mode's share with its 95 % interval."""
    return f"{row['share']:.1%} [{row['low']:.1%}, {row['high']:.1%}]"


def listed(parts: list[str]) -> str:
    """Texts as an enumeration."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
