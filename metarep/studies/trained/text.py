"""What was found of the parts of trained networks, in claims and sentences; each is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from metarep.report.wording import listed, num, times
from metarep.studies.study import Claim
from metarep.studies.words import named, spoken

Row = Mapping[str, Any]

CLOZE, UNTRAINED, CONNECTIVITY = "cloze", "untrained", "connectivity"
TITLES = {CLOZE: "the model", UNTRAINED: "an untrained model", CONNECTIVITY: "connectivity alone", "each unit": "each unit"}
ABOUT = {"decimals": 2, "over": "networks"}
MUST, MUST_NOT = 1.5, 0.67
"""A cluster whose ablation costs so many times as much as that of random units is called needed, or idle."""


def row_of(rows: Sequence[Row], method: str, grouping: str) -> Row:
    """The row of one grouping."""
    return next(row for row in rows if (row["method"], row["grouping"]) == (method, grouping))


def claims(rows: Sequence[Row], clusters: Sequence[Row]) -> tuple[Claim, ...]:
    """How far selectivity leads that of random groups; then what ablated clusters cost."""
    made = []
    for method, grouping in ((CLOZE, "pairs"), (CLOZE, "communities"), (CONNECTIVITY, "pairs"), (CONNECTIVITY, "communities")):
        row = row_of(rows, method, grouping)
        if row["lead"] is not None:
            title = f"4-16-2: selectivity of {grouping} by {TITLES[method]}, above random groups"
            made.append(Claim.of(title, row, "lead", **ABOUT))
    for row in clusters:
        if row["method"] == CLOZE and row["ratio"] is not None:
            name = f"2-16-1: cost of cluster {row['cluster']} ablated, by that of random units"
            made.append(Claim.of(name, row, "ratio", **ABOUT))
    return tuple(made) or (Claim("4-16-2: networks with a section", 0.0, decimals=2),)


def sentences(
    rows: Sequence[Row], clusters: Sequence[Row], error: float, correlation: Mapping[str, float], n_test: int
) -> tuple[str, ...]:
    """Everything that was found."""
    return (
        material(rows, error),
        *(selective(rows, grouping) for grouping in ("pairs", "communities")),
        predictions(correlation, n_test),
        *(ablated(clusters, method) for method in (CLOZE, UNTRAINED)),
    )


def material(rows: Sequence[Row], error: float) -> str:
    """What was trained, and how much one output's units are its own at all."""
    alone = row_of(rows, "each unit", "alone")
    return (
        f"{alone['n_networks']} networks 4-16-2 learned two products at once, to a median error of {num(error, 4)}. One by one "
        f"their units have a selectivity of {spoken(alone, 'selectivity')}: 1 if each mattered for one output alone."
    )


def selective(rows: Sequence[Row], grouping: str) -> str:
    """How selective the groups of one kind are, by method."""
    own = [row_of(rows, method, grouping) for method in (CLOZE, CONNECTIVITY, UNTRAINED)]
    parts = [
        f"{TITLES[row['method']]} {spoken(row, 'selectivity')} (random groups of the same sizes {num(row['random'])}; "
        f"{num(row['groups'], 1)} groups of {num(row['units'], 1)} units a network)"
        if row["lead"] is not None
        else f"{TITLES[row['method']]} finds none"
        for row in own
    ]
    better = [TITLES[row["method"]] for row in own if row["lead"] is not None and row["lead_low"] > 0]
    verdict = f"clearly above random groups are those of {listed(better)}" if better else "none is clearly above random groups"
    title = {"pairs": "Sections of two units", "communities": "Communities of any size"}[grouping]
    return f"{title}, ablated: {'; '.join(parts)}. By intervals, {verdict}."


def predictions(correlation: Mapping[str, float], n_test: int) -> str:
    """How well predictions about units of wider networks fit what the units do."""
    return (
        f"Of the units of {n_test} held-out 2-16-1 networks, the like of which it was never shown, the model predicts shares "
        f"of the square on which each is off that correlate with the shares of inputs at which they are by "
        f"{num(correlation[CLOZE])} (an untrained model {num(correlation[UNTRAINED])})."
    )


def ablated(clusters: Sequence[Row], method: str) -> str:
    """What ablation of each cluster costs."""
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
    verdicts = named({"needed": needed, "idle": idle})
    return (
        f"Clustered by what {TITLES[method]} predicts of units, ablation raises the error, beside random units, as many: "
        f"{'; '.join(parts)}. By intervals, {' and '.join(verdicts) or 'no cluster is clearly needed or idle'}."
    )
