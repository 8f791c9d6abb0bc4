"""One page with every finished study of a series: the table of all, then a section each."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from metarep.report.page import template_of
from metarep.studies.study import Series, Study
from metarep.tables import read_csv

MAX_ROWS = 30
"""Of a longer table the page shows the first rows, and says so."""


def render(out: Path, series: Series, finished: list[tuple[Study, dict[str, Any]]], rows: list[dict[str, Any]]) -> str:
    """The page of the finished studies under `out` as HTML that needs no network: figures are in it as data URIs."""
    sections = [section(out / study.folder, study, found) for study, found in finished]
    published = any(claim["met"] is not None for _, found in finished for claim in found["claims"])
    shared = {"series": series, "rows": rows, "published": published, "max_rows": MAX_ROWS}
    return template_of("studies", "page.html").render(sections=sections, **shared)


def section(folder: Path, study: Study, found: dict[str, Any]) -> dict[str, Any]:
    """What the template shows of one study."""
    images = [
        entry | {"data": base64.b64encode((folder / "figures" / f"{entry['name']}.png").read_bytes()).decode()}
        for entry in found["figures"]
    ]
    return {
        "study": study,
        "found": found,
        "images": images,
        "tables": {name: read_csv(folder / f"{name}.csv") for name in found["shown"]},
    }
