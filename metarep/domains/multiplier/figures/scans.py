"""The scans in words: which rows of their tables belong together, and what they say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from metarep.report.wording import Finding, auc, capital, listed

PUBLISHED = "published"
PUBLISHED_AUC = "1.00 on two networks chosen by hand"
CHANCE = 0.5
TITLES = {
    "published": "published score",
    "loss": "loss alone",
    "linear": "linear classifier",
    "embedding": "a few examples",
}
DESCRIPTIONS = {
    "published": "the score of the notes, as it was published",
    "loss": "minus the error: any good multiplier scores high",
    "linear": "logistic regression on the parameters, fitted for each mode on training networks",
    "embedding": "distance to a few training networks of the mode in a cloze embedding; no other label is used",
}
NEGATIVE_TITLES = {"random": "random starts", "other modes": "all other modes"}


def negative_title(negative: str) -> str:
    """What a mode is told from, in words."""
    return NEGATIVE_TITLES.get(negative, f"mode {negative}")


def scans_of(rows: Iterable[Mapping]) -> list[str]:
    """The scans that have rows, in their usual order."""
    found = {row["scan"] for row in rows}
    return [name for name in TITLES if name in found]


def on_most_networks(rows: Iterable[Mapping], scan: str = PUBLISHED, positive: str = "3") -> list[Mapping]:
    """The rows of one scan and one mode, on all networks where there are such, else on test networks."""
    own = [row for row in rows if row["scan"] == scan and row["positive"] == positive]
    return [row for row in own if row["networks"] == "all"] or own


def side_by_side(rows: Iterable[Mapping]) -> list[Mapping]:
    """The rows that compare: every scan on the same test networks; on all where a zoo has no test networks."""
    rows = list(rows)
    return [row for row in rows if row["networks"] == "test"] or rows


def findings(rows: Sequence[Mapping], left_out: str) -> list[Finding]:
    """The published score's AUC for mode 3 against random starts and each other mode, then the other scans beside it."""
    own = {row["negative"]: row for row in on_most_networks(rows)}
    parts = []
    if "random" in own:
        row = own["random"]
        parts.append(
            f"The published score, reported with an AUC of {PUBLISHED_AUC}, separates {int(row['n_positive']):,} trained "
            f"networks of mode 3 from {int(row['n_negative']):,} random starts with an AUC of {auc(row)}, "
            f"{_versus_chance(row)}."
        )
    modes = {name: row for name, row in own.items() if name not in NEGATIVE_TITLES}
    if modes:
        extremes = dict.fromkeys(pick(modes, key=lambda name: modes[name]["auc"]) for pick in (max, min))
        said = [f"{auc(modes[mode])} for mode {mode}, {_versus_chance(modes[mode])}" for mode in extremes]
        word = "the highest and lowest AUC are" if len(said) > 1 else "the AUC is"
        parts.append(f"Against other trained modes {word} {', and '.join(said)}.")
    if "other modes" in own:
        row = own["other modes"]
        parts.append(f"Against all other modes it reaches {auc(row)}, {_versus_chance(row)}.")
    parts += [text for text in (comparison(rows), f"{capital(left_out)}." if left_out else "") if text]
    return [Finding("The scan", " ".join(parts))] if parts else []


def comparison(rows: Sequence[Mapping]) -> str:
    """How the scans compare on mode 3 against all other modes; "" where there is one."""
    rows = [row for row in side_by_side(rows) if (row["positive"], row["negative"]) == ("3", "other modes")]
    if len(rows) < 2:
        return ""
    ranked = sorted(rows, key=lambda row: -row["auc"])
    best, n = ranked[0], int(ranked[0]["n_positive"] + ranked[0]["n_negative"])
    clear = "" if all(best["auc_low"] > row["auc_high"] for row in ranked[1:]) else ", though not clearly"
    said = listed([f"{TITLES[row['scan']]} {auc(row)}" for row in ranked])
    text = f"Of {len(rows)} scans on the same {n:,} networks, {TITLES[best['scan']]} separates mode 3 from all other modes best"
    return f"{text}{clear}: AUC of {said}."


def _versus_chance(row: Mapping) -> str:
    if row["auc_low"] > CHANCE:
        return "above chance"
    return "worse than chance" if row["auc_high"] < CHANCE else "no better than chance"
