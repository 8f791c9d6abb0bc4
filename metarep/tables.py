"""Tidy tables as CSV text and back."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from metarep.errors import MetarepError


def to_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Rows with the same keys as CSV text with a head; floats with six significant digits."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def read_csv(path: Path) -> list[dict[str, Any]]:
    """The rows of a CSV file; what reads as a number is one, except mode labels and ids. Raises MetarepError if it lacks."""
    if not path.is_file():
        raise MetarepError(f"no table {path}", fix="run its stage again")
    with path.open(newline="") as file:
        return [{key: _value(key, text) for key, text in row.items()} for row in csv.DictReader(file)]


TEXT_COLUMNS = frozenset(
    {
        "from_mode",
        "to_mode",
        "first_mode",
        "final_mode",
        "path",
        "mode",
        "label",
        "network_id",
        "representation",
        "value",
        "quadrant_code",
        "sign_pattern",
        "negative",
        "positive",
    }
)


def _cell(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value


def _value(key: str, text: str) -> Any:
    if key in TEXT_COLUMNS:
        return text
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
