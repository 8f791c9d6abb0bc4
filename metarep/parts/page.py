"""What was found inside a network, and how it is written down: tables, figures, sentences and one page."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import adjusted_mutual_info_score

from metarep.artefact import write_whole
from metarep.parts.alike import Alike
from metarep.report.page import template_of
from metarep.report.style import png_of
from metarep.tables import write_tables

SIGNIFICANT = 0.05
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

    def and_also(self, other: Findings) -> Findings:
        """Both as one."""
        return Findings(
            self.sentences + other.sentences,
            self.tests + other.tests,
            {**self.tables, **other.tables},
            {**self.figures, **other.figures},
            self.shown + other.shown,
        )


def write_findings(folder: Path, name: str, found: Findings, *, dpi: int) -> None:
    """Writes tests.csv, the tables, figures/*.png, findings.md and report.html of a network into a folder."""
    tables = {"tests": found.tests, **found.tables}
    write_tables(folder, tables)
    (folder / "figures").mkdir()
    images = []
    for title, one in found.figures.items():
        data = png_of(one.figure, dpi=dpi)
        write_whole(folder / "figures" / f"{title}.png", data)
        images.append({"data": base64.b64encode(data).decode(), "caption": one.caption})
    write_whole(folder / "findings.md", "\n\n".join(found.sentences) + "\n")
    shown = {table: tables[table] for table in found.shown if tables[table]}
    page = template_of("parts", "parts.html").render(name=name, found=found, images=images, tables=shown)
    write_whole(folder / "report.html", page)


def sentences(found: dict[str, Alike], n_params: int, n_shuffles: int) -> tuple[str, ...]:
    """In plain words: how many parts, whether they are more alike than in shuffled copies, what the clusters hold."""
    counts = ", ".join(f"{len(one.cluster):,} {kind}s" for kind, one in found.items())
    said = [
        f"{n_params:,} parameters, read in windows: {counts}. Null: {n_shuffles} copies in which the values of each tensor are "
        "shuffled."
    ]
    for kind, one in found.items():
        said += [null_sentence(kind, row) for row in one.tests]
        if one.k_curve:
            said.append(cluster_sentence(kind, one))
    return tuple(said)


def null_sentence(kind: str, row: dict) -> str:
    """One statistic beside its null."""
    verdict = "more than in shuffled copies" if row["p"] <= SIGNIFICANT else "no more than in shuffled copies"
    return (
        f"{kind.capitalize()}s, {row['statistic']}: {number(row['value'])}, shuffled {number(row['null_p05'])} to "
        f"{number(row['null_p95'])} (p = {row['p']:.2f}): {verdict}."
    )


def cluster_sentence(kind: str, one: Alike) -> str:
    """How many clusters, their shares, and how far they are more than the group that a part is in."""
    share = [float(np.mean(one.cluster == number)) for number in np.unique(one.cluster)]
    ami = adjusted_mutual_info_score(one.parts.groups.astype(str), one.cluster)
    stable = next(row for row in one.k_curve if row["chosen"])
    shares = ", ".join(f"{s:.0%}" for s in share)
    return (
        f"{kind.capitalize()}s fall into {len(share)} clusters ({shares}; the one recovered worst in resamples: Jaccard "
        f"{stable['least_jaccard']:.2f}); with the group that a {kind} is in they share an AMI of {ami:.2f}."
    )


def number(value: float | None) -> str:
    """Three significant digits."""
    return "–" if value is None else f"{value:.3g}".replace("-", "−")
