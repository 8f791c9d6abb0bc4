"""The section on the audit: how far embeddings move when networks are rewritten and compute what they did before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from metarep.evaluation.audit import sentence
from metarep.report.blocks import Block, Drawing, Section, Table, Text, absent
from metarep.report.dots import Panel, Series, dots_figure
from metarep.report.results import Results
from metarep.report.style import PALETTE, png_of, use_style
from metarep.report.wording import Finding, num

Rows = Sequence[Mapping[str, Any]]
METRICS = {"median": ("median", PALETTE[0], "o"), "p90": ("90th percentile", PALETTE[1], "D")}
"""What each metric is called, its colour and marker."""


def section(results: Results) -> Section:
    """What moves the embedding that was audited."""
    rows = results.table("audit/audit")
    if not rows:
        said = Section("audit", "Audit", [Text(sentence(rows))])
        return said if results.has("audit") else absent("audit", "Audit", "audit")
    heads = ["rewriting", "metric", "moved", "95 % interval", "function", "networks", "runs"]
    blocks: list[Block] = [
        Text(
            f"Networks were rewritten so that they compute what they did before, and embedded again (kind "
            f"{rows[0]['representation']}). Distances count in units of the distance to the nearest network of another run. "
            "The function is equal where outputs were compared and agree, and assumed where it is not known how to run them."
        ),
        Drawing("audit", lambda: audit_figure(rows), "How far embeddings move under each rewriting"),
        Table(heads, [_cells(row) for row in rows], n_left=2, folded="All values"),
    ]
    return Section("audit", "Audit", blocks, [Finding("Audit", sentence(rows))])


def audit_figure(rows: Rows) -> Figure:
    """A row for each rewriting: median and 90th percentile of how far vectors move, with intervals; linear up to 1, then
    logarithmic.
    """
    series = [
        Series.of(title, [row for row in rows if row["metric"] == metric], "rewriting", *look)
        for metric, (title, *look) in METRICS.items()
    ]
    figure = dots_figure(
        [Panel("", series, "distance moved / distance to the nearest other network")],
        {row["rewriting"]: row["rewriting"] for row in rows},
        width=7,
    )
    with use_style():
        (ax,) = figure.axes
        ax.axvline(1, color=PALETTE[7], lw=0.8, ls=":", zorder=0)
        ax.set_xscale("symlog", linthresh=1)
        ax.xaxis.set_major_formatter("{x:g}")
        ax.set(xlim=(-0.06, None))
    return figure


def png_of_rows(rows: Rows) -> bytes:
    """The figure as PNG; the same table gives the same bytes."""
    return png_of(audit_figure(rows))


def _cells(row: Mapping[str, Any]) -> list[str]:
    ends = f"{num(row['low'])} to {num(row['high'])}"
    return [
        row["rewriting"],
        METRICS[row["metric"]][0],
        num(row["value"]),
        ends,
        row["function"],
        str(row["n_networks"]),
        str(row["n_runs"]),
    ]
