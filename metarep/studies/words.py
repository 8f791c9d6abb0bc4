"""Metrics in words, as sentences of all studies say them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from metarep.report.wording import listed, num

Row = Mapping[str, Any]


def spoken(row: Row, name: str = "value", digits: int = 2) -> str:
    """A metric of a row with its 95 % interval, such as "0.85 [0.83, 0.87]"; "n/a" where there is none."""
    low, high = ("low", "high") if name == "value" else (f"{name}_low", f"{name}_high")
    if row[name] is None:
        return "n/a"
    ends = "" if row[low] is None else f" [{num(row[low], digits)}, {num(row[high], digits)}]"
    return num(row[name], digits) + ends


def share(row: Row) -> str:
    """A share with its 95 % interval, in percent."""
    return f"{row['share']:.1%} [{row['low']:.1%}, {row['high']:.1%}]"


def relation(one: Row, other: Row, name: str = "value") -> str:
    """How the interval of one row's metric lies to another's: "clearly" is said of intervals that do not overlap."""
    low, high = ("low", "high") if name == "value" else (f"{name}_low", f"{name}_high")
    if one[low] > other[high]:
        return "clearly above"
    return "clearly below" if one[high] < other[low] else "not clearly different from"


def change(row: Row) -> str:
    """The verb for a change whose interval is `low` … `high`."""
    return "falls" if row["high"] < 0 else "rises" if row["low"] > 0 else "does not clearly change"


def signed(value: float, digits: int) -> str:
    """A number with its sign."""
    return f"{value:+.{digits}f}".replace("-", "−")


def counted(n: int, noun: str) -> str:
    """Such as "1 model" and "2 models"."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def named(words: Mapping[str, Sequence[str]], template: str = "{} {}") -> list[str]:
    """Each word with the names that belong to it, of those that have some."""
    return [template.format(word, listed(list(names))) for word, names in words.items() if names]
