"""One page with every experiment of a series: the table of all, then a section each."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from metarep.studies.registry import Experiment, Series
from metarep.tables import read_csv

MAX_ROWS = 30
"""Of a longer table the page shows the first rows, and says so."""


def render(out: Path, series: Series, finished: list[tuple[Experiment, dict[str, Any]]], rows: list[dict[str, Any]]) -> str:
    """The page of the finished experiments under `out` as HTML that needs no network: figures are in it as data URIs."""
    return render_sections(series, [section(out / one.module, one, found) for one, found in finished], rows)


def render_sections(series: Series, sections: list[dict[str, Any]], rows: list[dict[str, Any]]) -> str:
    """The page of a series with these sections, and `rows` for the table of all."""
    rooms = dict.fromkeys((series.room, "studies", "report"))
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("metarep", room.replace(".", "/")) for room in rooms]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = cell
    return environment.get_template(series.template).render(series=series, rows=rows, sections=sections, max_rows=MAX_ROWS)


def section(folder: Path, one: Experiment, found: dict[str, Any]) -> dict[str, Any]:
    """What the template shows of one experiment."""
    images = [
        entry | {"data": base64.b64encode((folder / "figures" / f"{entry['name']}.png").read_bytes()).decode()}
        for entry in found["pictures"]
    ]
    return {
        "one": one,
        "found": found,
        "images": images,
        "tables": {name: read_csv(folder / f"{name}.csv") for name in found["shown"]},
    }


def cell(value: Any) -> str:
    """A table's cell: numbers with four significant digits, lists with commas, "–" for none."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(cell(v) for v in value)
    return (
        f"{value:.4g}".replace("-", "−") if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
    )
