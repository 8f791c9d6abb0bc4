"""Tidy tables as CSV text and back. The head of a column of texts is quoted, so that labels such as "3" stay texts."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from metarep.artefact import canonical_json, write_whole
from metarep.errors import MetarepError


def rows_of(columns: Mapping[str, Iterable[Any]]) -> list[dict[str, Any]]:
    """Rows of columns by name, each an array or anything else of one length."""
    values = (column.tolist() if isinstance(column, np.ndarray) else column for column in columns.values())
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]


def where(rows: Iterable[Mapping], **columns: Any) -> list[Mapping]:
    """The rows with these values in these columns."""
    return [row for row in rows if all(row[name] == value for name, value in columns.items())]


def first(rows: Iterable[Mapping], **columns: Any) -> Mapping:
    """The first of them; {} where there is none."""
    return next(iter(where(rows, **columns)), {})


def write_tables(folder: Path, tables: Mapping[str, Sequence[dict]], metrics: Mapping[str, Any] | None = None) -> None:
    """Writes NAME.csv for each table that has rows, and metrics.json if there are metrics, into a folder."""
    for name, rows in tables.items():
        if rows:
            write_whole(folder / f"{name}.csv", to_csv(rows))
    if metrics is not None:
        write_whole(folder / "metrics.json", canonical_json(metrics) + "\n")


def to_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Rows with the same keys as CSV text with a head; floats with six significant digits, None as an empty cell."""
    columns = list(rows[0])
    heads = [f'"{name}"' if any(isinstance(row[name], str) and row[name] for row in rows) else name for name in columns]
    text = io.StringIO()
    text.write(",".join(heads) + "\n")
    csv.writer(text, lineterminator="\n").writerows([_cell(row[name]) for name in columns] for row in rows)
    return text.getvalue()


def read_csv(path: Path) -> list[dict[str, Any]]:
    """The rows of a CSV file; all values of a column have one type, and None stands for an empty cell among numbers.

    A column is of texts where its head is quoted, else of truth values, whole numbers or floats where all its cells are such.
    Raises MetarepError where there is no such file.
    """
    if not path.is_file():
        raise MetarepError(f"no table {path}", fix="run its stage again")
    with path.open(newline="") as file:
        quoted = [head.startswith('"') for head in file.readline().rstrip("\r\n").split(",")]
        file.seek(0)
        names, *lines = csv.reader(file)
    cells = zip(*lines, strict=True) if lines else ([] for _ in names)
    columns = [list(texts) if is_text else _typed(texts) for texts, is_text in zip(cells, quoted, strict=True)]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _cell(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value


def _typed(texts: Sequence[str]) -> list[Any]:
    kinds: tuple[Callable[[str], Any], ...] = ({"True": True, "False": False}.__getitem__, int, float)
    for kind in kinds if any(texts) else ():
        try:
            return [None if text == "" else kind(text) for text in texts]
        except (KeyError, ValueError):
            continue
    return list(texts)
