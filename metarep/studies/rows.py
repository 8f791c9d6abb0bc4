"""Rows of tidy tables: how to find them, and their columns of a value with its interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from metarep.evaluation.resampling import interval

Row = Mapping[str, Any]
Rows = Sequence[Row]


def where(rows: Rows, **columns: Any) -> list[Row]:
    """The rows with these values in these columns."""
    return [row for row in rows if all(row[name] == value for name, value in columns.items())]


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
