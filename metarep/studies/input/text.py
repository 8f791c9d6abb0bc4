"""Question 3 in words. Every sentence is computed, and turns with the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from metarep.report.wording import listed, num
from metarep.studies.words import named, relation, spoken

BASE = "relational"
NOTICED = 0.01
"""A representation that moves by less than this, in distances between networks, does not notice a change."""

LEVEL = "level"
ARRIVED = 0.95
"""A fact has arrived at the first block from which this share of the last block's R² can be read."""

OTHER_METRICS = {
    "error": "R² of the log error",
    "unit_area": "R² of a unit's active area",
    "masked_r2": "masked R²",
}


def by_cut(knockouts: Sequence[dict], kind: str = "all") -> dict[str, dict]:
    """The rows of one kind of parameter by what is cut."""
    return {row["cut"]: row for row in knockouts if row["kind"] == kind}


def sentences(designs: Sequence[dict], depth: Sequence[dict], knockouts: Sequence[dict]) -> Iterator[str]:
    """What was found, in words."""
    yield design_sentence(designs)
    yield symmetry_sentence(designs)
    yield from depth_sentences(depth)
    yield knockout_sentence(knockouts)


def design_sentence(designs: Sequence[dict]) -> str:
    """How each design compares with the base on modes, and on what else designs differ from it."""
    rows = {row["design"]: row for row in designs if row["metric"] == "mode"}
    base, best = rows[BASE], max(rows.values(), key=lambda row: row["value"])
    beside = "; ".join(named(beside_base(rows), "{}: {}"))
    others = []
    for metric, words in OTHER_METRICS.items():
        own = {row["design"]: row for row in designs if row["metric"] == metric}
        if not any(beside_base(own).values()):
            continue  # no design has an interval to compare
        apart = "; ".join(named({word: names for word, names in beside_base(own).items() if word != LEVEL}, "{}: {}"))
        others.append(f"{words} {spoken(own[BASE], digits=3)} ({apart or 'no design is clearly apart'})")
    return (
        f"The mode is read off the states with a balanced accuracy of {spoken(base, digits=3)} (permuted: at most "
        f"{num(base['null'])}) where tokens are parameters and positions say what they share; {beside}. Best: "
        f"{best['design']} ({num(best['value'], 3)})." + (f" By the same comparison: {listed(others)}." if others else "")
    )


def beside_base(rows: Mapping[str, dict]) -> dict[str, list[str]]:
    """The other designs by how their intervals lie to the base's."""
    words = {"clearly above": "clearly better", "not clearly different from": LEVEL, "clearly below": "clearly worse"}
    found: dict[str, list[str]] = {word: [] for word in words.values()}
    for name, row in rows.items():
        if name != BASE:
            found[words[relation(row, rows[BASE])]].append(f"{name} ({num(row['value'], 3)})")
    return found


def symmetry_sentence(designs: Sequence[dict]) -> str:
    """Which designs notice how a function is written down."""
    value = {(row["design"], row["metric"]): row["value"] for row in designs}
    names = [row["design"] for row in designs if row["metric"] == "moved_by_order"]
    parts = []
    for metric, words in (("moved_by_order", "hidden units are in another order"), ("moved_by_scale", "units are rescaled")):
        blind = [name for name in names if value[name, metric] < NOTICED]
        moved = [f"{name} {num(value[name, metric])}" for name in names if name not in blind]
        parts.append(
            f"When {words} the states of {listed(blind) or 'no design'} stay where they are"
            + (f", the others move (by a share of the distance between two networks): {listed(moved)}" if moved else "")
        )
    return ". ".join(parts) + "."


def depth_sentences(depth: Sequence[dict]) -> Iterator[str]:
    """Where in the model each fact can first be read, and what an untrained model of the same shape makes of it."""
    for level in dict.fromkeys(row["level"] for row in depth):
        parts = []
        for fact in dict.fromkeys(row["fact"] for row in depth if row["level"] == level):
            trained, untrained = (
                [row["value"] for row in depth if (row["model"], row["level"], row["fact"]) == (model, level, fact)]
                for model in ("trained", "untrained")
            )
            at = next(block for block, value in enumerate(trained) if value >= ARRIVED * trained[-1])
            where = "before the first block" if at == 0 else f"behind block {at}"
            text = f"{fact} {num(trained[0])} before and {num(trained[-1])} behind all blocks"
            parts.append(f"{text} (it has arrived {where}; untrained {num(untrained[-1])})")
        yield f"What the states of a {level} say, read linearly: {listed(parts)}."


def knockout_sentence(knockouts: Sequence[dict]) -> str:
    """Which links the prediction of a masked parameter depends on."""
    whole = by_cut(knockouts)
    order = sorted((name for name in whole if name != "nothing"), key=lambda name: whole[name]["value"])
    lost = [f"{name} {spoken(whole[name])}" for name in order]
    kinds = [kind for kind in dict.fromkeys(row["kind"] for row in knockouts) if kind != "all"]
    most = [
        f"{kind}: {min((c for c in whole if c != 'nothing'), key=lambda c: by_cut(knockouts, kind)[c]['value'])}"
        for kind in kinds
    ]
    return (
        f"Masked parameters are predicted with R² {num(whole['nothing']['value'])} (permuted: at most "
        f"{num(whole['nothing']['null'])}); without attention between tokens, by what "
        f"they share: {listed(lost)}. The link that each kind of parameter misses most: {'; '.join(most)}."
    )
