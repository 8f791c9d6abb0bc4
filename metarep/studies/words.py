"""Metrics in words, as sentences of all studies say them."""

from __future__ import annotations

from collections.abc import Mapping

from metarep.report.wording import listed, num
from metarep.studies.rows import Row, ends


def spoken(row: Row, name: str = "value", digits: int = 2) -> str:
    """A metric of a row with its 95 % interval, such as "0.85 [0.83, 0.87]"; "n/a" where there is none."""
    if row[name] is None:
        return "n/a"
    low, high = ends(row, name)
    return num(row[name], digits) + ("" if low is None else f" [{num(low, digits)}, {num(high, digits)}]")


def share(row: Row, digits: int = 1) -> str:
    """A share with its 95 % interval, in percent."""
    return f"{row['share']:.{digits}%} [{row['low']:.{digits}%}, {row['high']:.{digits}%}]"


def relation(one: Row, other: Row, name: str = "value", other_name: str = "") -> str:
    """How the interval of one row's metric lies to another's: "clearly" is said of intervals that do not overlap."""
    (low, high), (other_low, other_high) = ends(one, name), ends(other, other_name or name)
    if low > other_high:
        return "clearly above"
    return "clearly below" if high < other_low else "not clearly different from"


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
