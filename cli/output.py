"""What commands print on stdout: where a result lies, and small tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import typer


def say_where(kind: str, path: Path) -> None:
    """One line: what was made and where it lies."""
    typer.echo(f"{kind}: {path}")


def print_table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows under their heads, columns aligned; floats with four significant digits."""
    lines = [list(heads), *([_text(value) for value in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    for line in lines:
        typer.echo("  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def print_csv(path: Path, columns: Sequence[str], where: dict[str, str] | None = None) -> None:
    """Some columns of a CSV table, and only the rows whose columns equal `where`."""
    import csv

    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if all(row.get(k) == v for k, v in (where or {}).items())]
    print_table(columns, [[_number(row.get(name, "")) for name in columns] for row in rows])


def _number(text: str) -> object:
    try:
        return float(text) if "." in text or "e" in text else int(text)
    except ValueError:
        return text


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
