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
    from metarep.tables import read_csv

    rows = [row for row in read_csv(path) if all(row[key] == value for key, value in (where or {}).items())]
    print_table(columns, [[row[name] for name in columns] for row in rows])


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
