"""Rows of tidy tables: how to find them, their columns of a value with its interval, and what sentences say of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from metarep.evaluation.resampling import interval
from metarep.report import wording
from metarep.report.wording import listed, percent, score_of
from metarep.tables import where

Row = Mapping[str, Any]
Rows = Sequence[Row]


def by(rows: Rows, *names: str, **columns: Any) -> dict[Any, Row]:
    """The rows with these values in these columns, by what they have in the columns `names`: a value, or a tuple of several."""
    key = (lambda row: row[names[0]]) if len(names) == 1 else (lambda row: tuple(row[name] for name in names))
    return {key(row): row for row in where(rows, **columns)}


def values(rows: Rows, name: str) -> list[Any]:
    """What occurs in a column, in the order in which it does."""
    return list(dict.fromkeys(row[name] for row in rows))


def number(value: float) -> float | None:
    """A plain float, or None for what is not finite."""
    return float(value) if math.isfinite(value) else None


def columns(name: str, draws: np.ndarray) -> dict[str, float | None]:
    """Three columns of a table from draws (B,) whose first one is the sample itself: value, low, high."""
    low, high = interval(draws[1:])
    return {name: number(draws[0]), f"{name}_low": number(low), f"{name}_high": number(high)}


def spoken(row: Row, name: str = "value", digits: int = 2) -> str:
    """A metric of a row with its 95 % interval, such as "0.85 [0.83, 0.87]"; "n/a" where there is none."""
    return wording.spoken(score_of(row, name), digits)


def share(row: Row, digits: int = 1) -> str:
    """A share with its 95 % interval, in percent."""
    return percent(row["share"], row["low"], row["high"], digits)


def relation(one: Row, other: Row, name: str = "value") -> str:
    """How the interval of one row's metric lies to another's: "clearly" is said of intervals that do not overlap."""
    return wording.relation(score_of(one, name), score_of(other, name))


def change(row: Row) -> str:
    """The verb for a change whose interval is `low` … `high`."""
    return "falls" if row["high"] < 0 else "rises" if row["low"] > 0 else "does not clearly change"


def back(met: bool) -> str:
    """Whether a published value comes back."""
    return "comes back" if met else "does not come back"


def signed(value: float, digits: int) -> str:
    """A number with its sign."""
    return f"{value:+.{digits}f}".replace("-", "−")


def grouped(word_of: Mapping[str, str], template: str = "{} {}") -> str:
    """Names by the word that is said of each, such as "above a and b; below c"; names of which "" is said are left out."""
    names: dict[str, list[str]] = {}
    for name, word in word_of.items():
        names.setdefault(word, []).append(name)
    return "; ".join(template.format(word, listed(own)) for word, own in names.items() if word)
