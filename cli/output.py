"""What commands print on stdout: where a result lies, and small tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import typer


def say_where(kind: str, path: Path) -> None:
    """One line: what was made and where it lies."""
    typer.echo(f"{kind}: {path}")


def say_run(folder: Path) -> None:
    """Where a run lies, and those pages of it that were made."""
    say_where("run", folder)
    for page in ("map", "report"):
        if (folder / page).is_dir():
            say_where(page, folder / page / f"{page}.html")


def print_table(heads: Sequence[str], rows: Iterable[Sequence[object]], *, left: bool = False) -> None:
    """Rows under their heads, columns aligned, to the left for texts; floats with four significant digits."""
    lines = [list(heads), *([_text(value) for value in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    for line in lines:
        pairs = zip(line, widths, strict=True)
        typer.echo("  ".join(text.ljust(width) if left else text.rjust(width) for text, width in pairs).rstrip())


def print_csv(path: Path, columns: Sequence[str] = (), where: dict[str, str] | None = None, *, last: int = 0) -> None:
    """The columns of a CSV table that it has, all if none is named, of rows whose columns equal `where`; only the last rows
    where `last` is not 0.
    """
    from metarep.tables import read_csv

    rows = [row for row in read_csv(path) if all(row[key] == value for key, value in (where or {}).items())][-last:]
    shown = [name for name in columns or rows[0] if name in rows[0]] if rows else []
    print_table(shown, [[row[name] for name in shown] for row in rows])


def _text(value: object) -> str:
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
