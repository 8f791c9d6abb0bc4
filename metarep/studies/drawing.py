"""What figures of several studies draw alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter

Rows = Sequence[dict[str, Any]]


def column(rows: Rows, name: str) -> np.ndarray:
    """(N,): a column of a table; NaN for None."""
    return np.array([np.nan if row[name] is None else row[name] for row in rows], dtype=float)


def ends(rows: Rows, name: str) -> tuple[np.ndarray, np.ndarray]:
    """(N,) each: the lower and the upper ends of a column's intervals."""
    names = ("low", "high") if name == "value" else (f"{name}_low", f"{name}_high")
    return column(rows, names[0]), column(rows, names[1])


def marks(
    ax: Axes, at: np.ndarray, rows: Rows, name: str, *, across: bool = False, floor: float = -np.inf, **look: Any
) -> None:
    """Dots with intervals at positions (N,) along x, or with `across` along y; what is below `floor` is drawn there."""
    value, low, high = (np.maximum(part, floor) for part in (column(rows, name), *ends(rows, name)))
    spread = np.maximum([value - low, high - value], 0)
    look = {"fmt": "o", "ms": 5.5, "elinewidth": 1.6, "capsize": 0} | look
    if across:
        ax.errorbar(value, at, xerr=spread, **look)
    else:
        ax.errorbar(at, value, yerr=spread, **look)


def band(ax: Axes, x: np.ndarray, rows: Rows, name: str, colour: str, **look: Any) -> None:
    """A line with its intervals as a pale band."""
    ax.plot(x, column(rows, name), color=colour, **look)
    ax.fill_between(x, *ends(rows, name), color=colour, alpha=0.18, lw=0)


def legend_outside(figure: Figure, ax: Axes, where: str = "upper left") -> None:
    """One legend for all panels, in a row."""
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc=f"outside {where}", ncols=max(1, len(handles)))


def counts_along(ax: Axes) -> None:
    """A logarithmic x axis of counts, written out."""
    ax.set_xscale("log")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
