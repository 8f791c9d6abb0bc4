"""What was found of the parts of trained networks, in claims and sentences; each is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from metarep.report.wording import listed, num, times
from metarep.studies.experiment import Claim

Row = Mapping[str, Any]

CLOZE, UNTRAINED, CONNECTIVITY = "cloze", "untrained", "connectivity"
TITLES = {CLOZE: "the model", UNTRAINED: "an untrained model", CONNECTIVITY: "wiring alone", "each unit": "each unit"}
MUST, MUST_NOT = 1.5, 0.67
"""A cluster whose silence costs so many times as much as that of random units is called needed, or idle."""


def row_of(rows: Sequence[Row], method: str, grouping: str) -> Row:
    """The row of one grouping."""
    return next(row for row in rows if (row["method"], row["grouping"]) == (method, grouping))


def shown(row: Row, name: str, digits: int = 2) -> str:
    """A figure with its interval; "n/a" where there is none."""
    if row[name] is None:
        return "n/a"
    return f"{num(row[name], digits)} [{num(row[f'{name}_low'], digits)}, {num(row[f'{name}_high'], digits)}]"


def claims(rows: Sequence[Row], clusters: Sequence[Row]) -> tuple[Claim, ...]:
    """How far selectivity leads that of random groups; then what silent clusters cost."""
    made = []
    for method, grouping in ((CLOZE, "pairs"), (CLOZE, "communities"), (CONNECTIVITY, "pairs"), (CONNECTIVITY, "communities")):
        row = row_of(rows, method, grouping)
        if row["lead"] is not None:
            title = f"4-16-2: selectivity of {grouping} by {TITLES[method]}, above random groups"
            made.append(claim(title, row, "lead"))
    for row in clusters:
        if row["method"] == CLOZE and row["ratio"] is not None:
            made.append(claim(f"2-16-1: cost of cluster {row['cluster']} silent, by that of random units", row, "ratio"))
    return tuple(made) or (Claim("4-16-2: networks with a section", 0.0, decimals=2),)


def claim(title: str, row: Row, name: str) -> Claim:
    """A figure of a row as a claim."""
    return Claim(title, row[name], decimals=2, low=row[f"{name}_low"], high=row[f"{name}_high"], over="networks")


def sentences(
    rows: Sequence[Row], clusters: Sequence[Row], error: float, correlation: Mapping[str, float], n_test: int
) -> tuple[str, ...]:
    """Everything that was found."""
    return (
        material(rows, error),
        *(selective(rows, grouping) for grouping in ("pairs", "communities")),
        beliefs(correlation, n_test),
        *(silenced(clusters, method) for method in (CLOZE, UNTRAINED)),
    )


def material(rows: Sequence[Row], error: float) -> str:
    """What was trained, and how much one output's units are its own at all."""
    alone = row_of(rows, "each unit", "alone")
    return (
        f"{alone['n_networks']} networks 4-16-2 learned two products at once, to a median error of {num(error, 4)}. One by one "
        f"their units have a selectivity of {shown(alone, 'selectivity')}: 1 if each mattered for one output alone."
    )


def selective(rows: Sequence[Row], grouping: str) -> str:
    """How selective the groups of one kind are, by method."""
    own = [row_of(rows, method, grouping) for method in (CLOZE, CONNECTIVITY, UNTRAINED)]
    parts = [
        f"{TITLES[row['method']]} {shown(row, 'selectivity')} (random groups of the same sizes {num(row['random'])}; "
        f"{num(row['groups'], 1)} groups of {num(row['units'], 1)} units a network)"
        if row["lead"] is not None
        else f"{TITLES[row['method']]} finds none"
        for row in own
    ]
    better = [TITLES[row["method"]] for row in own if row["lead"] is not None and row["lead_low"] > 0]
    verdict = f"clearly above random groups are those of {listed(better)}" if better else "none is clearly above random groups"
    title = {"pairs": "Sections of two units", "communities": "Communities of any size"}[grouping]
    return f"{title}, silenced: {'; '.join(parts)}. By intervals, {verdict}."


def beliefs(correlation: Mapping[str, float], n_test: int) -> str:
    """How well beliefs about units of wider networks fit what the units do."""
    return (
        f"Of the units of {n_test} held-out 2-16-1 networks, the like of which it was never shown, the model believes shares "
        f"of the square on which each is off that correlate with the shares of inputs at which they are by "
        f"{num(correlation[CLOZE])} (an untrained model {num(correlation[UNTRAINED])})."
    )


def silenced(clusters: Sequence[Row], method: str) -> str:
    """What silence of each cluster costs."""
    own = [row for row in clusters if row["method"] == method and row["ratio"] is not None]
    if not own:
        return f"By {TITLES[method]} all units of 2-16-1 networks are of one cluster."
    parts = [
        f"cluster {row['cluster']} ({num(row['units'], 1)} units, off on {row['off']:.0%} of the inputs) "
        f"{times(row['ratio'])} [{num(row['ratio_low'])}, {num(row['ratio_high'])}]"
        for row in own
    ]
    idle = [f"{row['cluster']}" for row in own if row["ratio_high"] < MUST_NOT]
    needed = [f"{row['cluster']}" for row in own if row["ratio_low"] > MUST]
    verdicts = [f"{what} {listed(names)}" for what, names in (("needed", needed), ("idle", idle)) if names]
    return (
        f"Clustered by what {TITLES[method]} believes of units, silence raises the error, beside random units, as many: "
        f"{'; '.join(parts)}. By intervals, {' and '.join(verdicts) or 'no cluster is clearly needed or idle'}."
    )
