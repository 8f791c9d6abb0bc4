"""The scans of a run in words: which rows of their tables belong together, and what they say beside each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from metarep.report.results import Results
from metarep.report.wording import auc, listed

PUBLISHED = "published"
TITLES = {
    "published": "published score",
    "invariant": "invariant score",
    "loss": "loss alone",
    "linear": "linear classifier",
    "embedding": "a few examples",
}
DESCRIPTIONS = {
    "published": "the score of the notes, as it was published",
    "invariant": "the highest published score among all networks that compute the same on the square, in one scale",
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


def scan_table(results: Results, positive: str = "3") -> tuple[list[str], list[dict]]:
    """For the page: what a mode is told from, and for each scan its rows {negative: row of scan.csv}."""
    rows = [row for row in side_by_side(results.table("scan/scan")) if row["positive"] == positive]
    negatives = list(dict.fromkeys(row["negative"] for row in rows))
    table = [
        {
            "scan": name,
            "title": TITLES[name],
            "description": DESCRIPTIONS[name],
            "by_negative": {row["negative"]: row for row in rows if row["scan"] == name},
        }
        for name in scans_of(rows)
    ]
    return negatives, table


def comparison(results: Results) -> str:
    """How the scans do beside each other on mode 3 against all other modes, and what was left out; "" where nothing was."""
    rows = side_by_side(results.table("scan/scan"))
    rows = [row for row in rows if row["positive"] == "3" and row["negative"] == "other modes"]
    left_out = results.metrics.get("scan", {}).get("left_out", "")
    parts = []
    if len(rows) > 1:
        best = max(rows, key=lambda row: row["auc"])
        n = int(best["n_positive"] + best["n_negative"])
        said = [f"{TITLES[row['scan']]} {auc(row)}" for row in sorted(rows, key=lambda row: -row["auc"])]
        clear = all(best["auc_low"] > row["auc_high"] for row in rows if row is not best)
        parts.append(
            f"Of {len(rows)} scans, on the same {n:,} networks, {TITLES[best['scan']]}"
            f" tells mode 3 from all other modes best{'' if clear else ', though not clearly so'}: AUC of {listed(said)}."
        )
    if left_out:
        parts.append(f"{left_out[0].upper()}{left_out[1:]}.")
    return " ".join(parts)
