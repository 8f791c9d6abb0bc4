"""What was found inside a network, and how it is written down: tables, figures, sentences and one page."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from metarep.artefact import write_whole
from metarep.report.page import png_of
from metarep.tables import to_csv

MAX_ROWS = 30
"""Of a longer table the page shows the first rows, and says so."""

Rows = list[dict[str, Any]]


class Captioned(NamedTuple):
    """A figure and the sentence below it."""

    figure: Figure
    caption: str


@dataclass(frozen=True)
class Findings:
    """What was found, each sentence computed; `tests` are statistics beside those of shuffled copies (`null_row`), `tables`
    become CSV files, of which the page shows those that are `shown`.
    """

    sentences: tuple[str, ...]
    tests: Rows = field(default_factory=list)
    tables: Mapping[str, Rows] = field(default_factory=dict)
    figures: Mapping[str, Captioned] = field(default_factory=dict)
    shown: tuple[str, ...] = ()


def joined(all_findings: Iterable[Findings]) -> Findings:
    """Several findings as one."""
    found = list(all_findings)
    return Findings(
        tuple(chain.from_iterable(one.sentences for one in found)),
        list(chain.from_iterable(one.tests for one in found)),
        {name: rows for one in found for name, rows in one.tables.items()},
        {name: figure for one in found for name, figure in one.figures.items()},
        tuple(chain.from_iterable(one.shown for one in found)),
    )


def write_findings(folder: Path, name: str, found: Findings, *, dpi: int) -> None:
    """Writes tests.csv, the tables, figures/*.png, findings.md and report.html of a network into a folder."""
    tables = {"tests": found.tests, **found.tables}
    for table, rows in tables.items():
        if rows:
            write_whole(folder / f"{table}.csv", to_csv(rows))
    (folder / "figures").mkdir()
    images = []
    for title, one in found.figures.items():
        data = png_of(one.figure, dpi=dpi)
        write_whole(folder / "figures" / f"{title}.png", data)
        images.append({"data": base64.b64encode(data).decode(), "caption": one.caption})
    write_whole(folder / "findings.md", "\n\n".join(found.sentences) + "\n")
    shown = {table: tables[table] for table in found.shown if tables[table]}
    write_whole(folder / "report.html", render(name, found, images, shown))


def render(name: str, found: Findings, images: list[dict[str, str]], shown: Mapping[str, Rows]) -> str:
    """The page, which needs no network connection: figures are in it as data URIs."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("metarep", package) for package in ("parts", "report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = cell
    template = environment.get_template("parts.html")
    return template.render(name=name, found=found, images=images, tables=shown, max_rows=MAX_ROWS)


def cell(value: Any) -> str:
    """A table's cell: numbers with four significant digits, "–" for none."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}".replace("-", "−") if isinstance(value, float) else str(value)
