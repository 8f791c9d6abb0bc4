"""Numbers, intervals and comparisons in words: what the sentences of a report are made of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

LEVEL = 0.02
"""R² that differ by less count as level."""


class Score(NamedTuple):
    """A value of some metric, its 95 % interval, what chance gives in 95 of 100 draws at most, and the number of clusters."""

    value: float
    low: float = math.nan
    high: float = math.nan
    null: float = math.nan
    k: int | None = None


class Finding(NamedTuple):
    """A topic and the sentences that the tables allow on it."""

    topic: str
    text: str


def compare(a: Score, b: Score) -> int:
    """1 where a's interval lies above b's, −1 where below, 0 where they overlap."""
    return int(a.low > b.high) - int(a.high < b.low)


def relation(a: Score, b: Score) -> str:
    """The comparison in words."""
    return {1: "clearly above", 0: "not clearly different from", -1: "clearly below"}[compare(a, b)]


def num(value: float, digits: int = 2) -> str:
    """A number with a true minus sign."""
    return "n/a" if math.isnan(value) else f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def spoken(score: Score, digits: int = 2) -> str:
    """A score with its interval, if it has one."""
    ends = "" if math.isnan(score.low) else f" [{num(score.low, digits)}, {num(score.high, digits)}]"
    return num(score.value, digits) + ends


def percent(value: float, low: float, high: float, digits: int = 0) -> str:
    """A share with its interval."""
    return f"{value:.{digits}%} [{low:.{digits}%}, {high:.{digits}%}]".replace("-", "−")


def three_digits(value: float) -> str:
    """Three significant digits with a true minus sign; what rounding leaves of zero is 0."""
    return "0" if abs(value) < 1e-9 else f"{value:.3g}".replace("-", "−")


def cell(value: Any) -> str:
    """A table's cell: numbers with four significant digits, lists with commas, "–" for none."""
    if value is None or value == "":
        return "–"
    if isinstance(value, list):
        return ", ".join(map(cell, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}".replace("-", "−")
    return f"{value:,}" if isinstance(value, int) else str(value)


def times(factor: float) -> str:
    """How many times as much, to two digits."""
    return f"{factor:,.0f} times" if factor >= 10 else f"{factor:.1f} times"


def score_of(row: Mapping, metric: str = "value") -> Score:
    """A metric of a table's row, its interval and null from `metric`_low, … or else from low, …; NaN for what it lacks."""
    head = f"{metric}_" if f"{metric}_low" in row else ""
    found = (row[metric], row.get(f"{head}low"), row.get(f"{head}high"), row.get(f"{head}null"))
    return Score(*(math.nan if value in (None, "") else float(value) for value in found), row.get("k"))


def auc(row: Mapping) -> str:
    """An AUC with its 95 % interval."""
    return spoken(score_of(row, "auc"))


def listed(parts: Sequence[str]) -> str:
    """Texts as an enumeration."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def capital(text: str) -> str:
    """The text with a capital at its head."""
    return text[:1].upper() + text[1:]


def plain(name: str) -> str:
    """A column's name as words."""
    return name.replace("_", " ")


def arm_title(arm: tuple[str, str]) -> str:
    """A way of clustering, (clusterer, space), as people write it."""
    clusterer, space = arm
    name = {"kmeans": "k-means", "gmm": "Gaussian mixture", "hdbscan": "HDBSCAN"}.get(clusterer, clusterer)
    return f"UMAP + {name}" if space == "umap" else name


def target_title(target: str) -> str:
    """A target of transfer as figures and sentences call it."""
    return {"unseen_seeds": "unseen seeds", "random_initialisations": "random starts"}.get(target, f"{target} networks")
