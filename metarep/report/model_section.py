"""The section on the cloze model: its training, and how much of masked parameters it predicts beside simple predictors."""

from __future__ import annotations

from collections.abc import Mapping

from metarep.report import figures
from metarep.report.blocks import Block, Drawing, Section, Text, absent
from metarep.report.dots import LEAST_SHOWN, Panel, Series, dots_figure
from metarep.report.representations import PREDICTORS
from metarep.report.results import ARCHITECTURE, Results, masking_title
from metarep.report.wording import Finding, Score, compare, listed, num, plain, score_of, spoken

MODEL = "model"
MAX_ROWS = 16
"""Groups of masked values that a panel shows, those with the most values."""

MASKINGS = ("leave one out", "one in eight")
"""Which masking is led with, the first that a run has."""


def section(results: Results) -> Section:
    """How the model was trained and what it knows of masked values."""
    if not results.has(MODEL):
        return absent("model", "The cloze model", "pretrain")
    blocks: list[Block] = [
        Text(
            "A transformer reads a network as tokens, runs of its parameters, and predicts masked values from the others. The "
            "circle marks the best validation loss, whose weights are kept."
        )
    ]
    if log := results.table(f"{MODEL}/log"):
        alt = "Training and validation loss and masked R² by training step"
        blocks.append(Drawing("training", lambda: figures.training_figure(log), alt))
    if panels := masked_panels(results):
        caption = (
            "Values of test networks are masked and predicted. The linear-Gaussian imputer uses every linear relation "
            "between the values of a network; the mixture of Gaussians finds out first what kind of network, or unit, it "
            "sees; the mean uses nothing. Intervals are 95 % over networks; arrows mark values below −1."
        )
        alt = "Masked R-squared of the cloze model and of simple predictors, by group of values"
        blocks.append(Drawing("masked_r2", lambda: dots_figure(panels, apart=0), alt, caption))
    return Section("model", "The cloze model", blocks, findings(results))


def leading_masking(results: Results) -> str | None:
    """The masking that figures and sentences lead with."""
    found = list(dict.fromkeys(map(masking_title, results.table("masked_r2/masked_r2"))))
    return next((name for name in MASKINGS if name in found), found[0] if found else None)


def masked_panels(results: Results) -> list[Panel]:
    """A row a group of values, a mark a predictor: under the leading masking by group and by label; then by masking."""
    masking = leading_masking(results)
    if masking is None:
        return []
    rows = results.masked(masking)
    of_labels = [row for row in rows if row["group"] in results.labels]
    panels = {
        "By group of parameters": [row for row in rows if row not in of_labels],
        **{f"By {plain(label)}": [row for row in of_labels if row["group"] == label] for label in _two_labels(results)},
    }
    others = [row for row in results.table("masked_r2/masked_r2") if row["group"] == "all"]
    if len(set(map(masking_title, others))) > 1:
        panels["By masking"] = [row | {"group": "all", "member": masking_title(row)} for row in others]
    return [panel_of(title, own) for title, own in panels.items() if own]


def _two_labels(results: Results) -> list[str]:
    """The main label, and the architecture where there are several."""
    return list(dict.fromkeys(filter(None, (results.main_label, ARCHITECTURE if ARCHITECTURE in results.labels else None))))


def panel_of(title: str, rows: list[dict]) -> Panel:
    """A row a group of values, those of the first rows, and a mark a predictor."""
    rows = [row | {"title": row_title(row["group"], row["member"]), "null": None} for row in rows]
    shown = list(dict.fromkeys(row["title"] for row in rows))[:MAX_ROWS]
    series = []
    for name, look in PREDICTORS.items():
        own = [row for row in rows if row["predictor"] == name and row["title"] in shown]
        series.append(Series.of(look.title, own, "title", look.colour, look.marker))
    return Panel(title, series, "masked R²", LEAST_SHOWN, zero=True)


def row_title(group: str, member: str) -> str:
    """A group of masked values as a figure calls it."""
    title = plain(member) if group in ("all", "kind", "slot", ARCHITECTURE) else f"{plain(group)} {member}"
    return {"all": "all values", "weight": "all weights", "bias": "all biases"}.get(member, title)


def findings(results: Results) -> list[Finding]:
    """How much of masked values the model knows, beside the simple predictors."""
    masking = leading_masking(results)
    whole = overall(results, masking) if masking else {}
    if "cloze" not in whole:
        return []
    own = whole["cloze"]
    others = [f"{num(whole[n].value)} for the {look.title}" for n, look in PREDICTORS.items() if n in whole and n != "cloze"]
    text = f"The cloze model predicts masked values of unseen networks ({masking}) with R² {spoken(own)}"
    text += f" (predictions permuted among networks: at most {num(own.null)})"
    text += f", against {listed(others)}." if others else "."
    text += knowledge(own, *rival(whole)) + _other_maskings(results, masking)
    return [Finding("The cloze test", text + (_extremes(results, masking) if own.low > 0 else ""))]


def overall(results: Results, masking: str) -> dict[str, Score]:
    """Each predictor's R² over all values, under one masking."""
    return {row["predictor"]: score_of(row) for row in results.masked(masking, "all")}


def rival(scores: Mapping[str, Score]) -> tuple[str, Score | None]:
    """The title of the best simple predictor and its score."""
    others = {name: score for name, score in scores.items() if name in PREDICTORS and name != "cloze"}
    best = max(others, key=lambda name: others[name].value, default="")
    return (PREDICTORS[best].title, others[best]) if best else ("", None)


def knowledge(own: Score, title: str, best: Score | None) -> str:
    """What intervals say of the model's R², beside the mean's, which is 0, and that of the best simple predictor."""
    if not own.low > 0:
        return " That is not clearly better than the mean: no sign that the model learned to predict masked values."
    if best is None:
        return ""
    words = {1: "more than", 0: "not clearly more or less than", -1: "less than"}
    return f" It knows {words[compare(own, best)]} the best of these, the {title}."


def _other_maskings(results: Results, leading: str) -> str:
    titles = dict.fromkeys(map(masking_title, results.table("masked_r2/masked_r2")))
    scores = {title: overall(results, title) for title in titles if title != leading}
    parts = []
    for title, own in scores.items():
        name, best = rival(own)
        if "cloze" in own and best is not None:
            parts.append(f"{spoken(own['cloze'])} against {num(best.value)} for the {name} ({title})")
    return f" Under other masks it reaches, against the best of these, {listed(parts)}." if parts else ""


def _extremes(results: Results, masking: str) -> str:
    label = results.main_label
    rows = results.masked(masking, label) if label else []
    known = [row for row in rows if row["predictor"] == "cloze" and row["value"] == row["value"]]
    scores: Mapping[str, float] = {row["member"]: row["value"] for row in known}
    if len(scores) < 2:
        return ""
    best, worst = max(scores, key=scores.get), min(scores, key=scores.get)
    ends = " and worst on ".join(f"{plain(label)} {member} ({num(scores[member])})" for member in (best, worst))
    return f" It is best on networks of {ends}."
