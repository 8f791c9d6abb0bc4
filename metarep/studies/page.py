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
    sections = []
    for study, found in finished:
        folder = out / study.folder
        drawn = [(folder / "figures" / f"{entry['name']}.png").read_bytes() for entry in found["figures"]]
        data = [{"data": base64.b64encode(image).decode()} for image in drawn]
        images = [entry | own for entry, own in zip(found["figures"], data, strict=True)]
        tables = {name: read_csv(folder / f"{name}.csv") for name in found["shown"]}
        sections.append({"study": study, "found": found, "images": images, "tables": tables})
    published = any(claim["met"] is not None for _, found in finished for claim in found["claims"])
    shared = {"series": series, "rows": rows, "published": published, "max_rows": MAX_ROWS}
    return template_of("studies", "page.html").render(sections=sections, **shared)
