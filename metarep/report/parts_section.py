"""The section on the parts of a typical network: whether they are more alike than chance, and where its own page is."""

from __future__ import annotations

from metarep.report.blocks import Block, Section, Table, Text, absent
from metarep.report.results import Results
from metarep.report.wording import Finding, listed, num

LEVEL = 0.05


def section(results: Results) -> Section:
    """What the parts of the network that was taken apart have in common, beside copies whose values are shuffled."""
    rows = results.table("parts/tests")
    if not rows:
        return absent("parts", "Parts of a typical network", "parts")
    columns = ["parts", "statistic", "value", "in shuffled copies", "p"]
    cells = [
        [
            f"{row['part']}s",
            row["statistic"],
            num(row["value"]),
            f"{num(row['null_p05'])} to {num(row['null_p95'])}",
            num(row["p"]),
        ]
        for row in rows
    ]
    blocks: list[Block] = [
        Text(
            "One network was taken apart: its units, layers and windows are compared with each other, beside copies of it in "
            "which the values of every tensor are shuffled. A page of its own, linked above, shows its figures."
        ),
        Table(columns, cells, n_left=2),
    ]
    return Section("parts", "Parts of a typical network", blocks, [Finding("Parts of a typical network", sentence(rows))])


def sentence(rows: list[dict]) -> str:
    """Which parts are more alike, or fall into clusters more clearly, than those of shuffled copies."""
    sure = [row for row in rows if row["p"] <= LEVEL]
    if not sure:
        return f"None of {len(rows)} statistics of its parts is larger than in shuffled copies (p > {LEVEL})."
    named = listed([f"{row['statistic']} of {row['part']}s ({num(row['value'])}, p = {num(row['p'])})" for row in sure])
    return f"Of {len(rows)} statistics of its parts these are larger than in shuffled copies, p not corrected: {named}."
