"""Time and memory of large networks in words."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from metarep.report.wording import num

LIMIT_MINUTES, LIMIT_GIB = 5.0, 4.0
"""What was asked for at ten million parameters."""


def growth(rows: list[dict[str, Any]]) -> float:
    """The slope of log time on log size."""
    x, y = (np.log([row[name] for row in rows]) for name in ("n_params", "seconds"))
    return float(np.polyfit(x, y, 1)[0])


def sentences(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    """What was found."""
    linear = [row for row in rows if row["kind"] == "linear"]
    largest = linear[-1]
    inside = largest["seconds"] <= 60 * LIMIT_MINUTES and largest["peak_gib"] <= LIMIT_GIB
    others = [
        f"{row['kind']} ({row['n_params']:,}) {row['seconds']:.0f} s and {row['peak_gib']:.2f} GiB"
        for row in rows
        if row["kind"] != "linear"
    ]
    return (
        f"A network of {largest['n_params']:,} parameters is embedded, its layers and units too, in "
        f"{largest['seconds']:.0f} seconds with {largest['peak_gib']:.2f} GiB at most, on {os.cpu_count()} cores: "
        f"{'inside' if inside else 'outside'} the {LIMIT_MINUTES:.0f} minutes and {LIMIT_GIB:.0f} GiB asked for at ten "
        "million.",
        f"Over {len(linear)} sizes the time grows with the power {num(growth(linear))} of the size (logarithms, least "
        "squares).",
        f"Other networks of about the largest size: {'; '.join(others)}.",
    )
