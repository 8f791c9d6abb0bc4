"""The section on transfer: what the model, its probes and clusters are worth on zoos that nothing was fitted on."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from metarep.report.blocks import Drawing, Section, Table, Text, absent
from metarep.report.dots import LEAST_SHOWN, Panel, Series, dots_figure
from metarep.report.representations import BASELINE, CLOZE, LOOKS, PREDICTORS, TITLES, Look
from metarep.report.results import Results
from metarep.report.wording import LEVEL, Finding, Score, listed, num, plain, score_of, spoken, target_title

MOSTLY = 0.9
"""Where permuted predictions reach so large a part of an R², it says little of single networks."""

NEARLY_ALL = 0.99
"""Where one value has so large a share of a target's networks, balanced accuracy depends on the few others."""

MASKED = ("", "masked_r2")
METRICS = {
    ("linear", "balanced_accuracy"): "linear probe:\nbalanced accuracy",
    ("nearest_neighbours", "balanced_accuracy"): "neighbours:\nbalanced accuracy",
    ("clusters", "ari"): "k-means carried over:\nARI",
}
"""What is drawn of the main label, by probe and metric; of properties the linear probe is."""

WIDEST_SHOWN = 0.45
"""An interval wider than this is not drawn, nor what else is measured on the same networks."""

CHANCE = "permuted predictions, 95th percentile"
MAX_PANELS = 5
Carried = Mapping[tuple[str, str], Score]
"""{(target, representation or predictor): score} of one metric."""


def section(results: Results) -> Section:
    """What holds on every other zoo."""
    rows = results.table("transfer/transfer")
    if not rows:
        return absent("transfer", "Transfer", "transfer")
    looks = {row["representation"]: _look(row["representation"], row["model"]) for row in rows}
    names = dict.fromkeys(row["target"] for row in rows)
    most = {name: max(row["n"] for row in rows if row["target"] == name) for name in names}
    targets = {name: f"{target_title(name)}, {n:,}" for name, n in most.items()}
    text = (
        "The cloze model, probes and clusters were fitted on training networks of the zoo and are applied as they are to "
        "networks of other training runs and zoos"
    )
    if control := control_of(results):
        text += ", and to random starts, a control in which nothing was learned"
        targets[control] += "\n(negative control)"
    caption = (
        "Intervals are 95 % over networks. The grey tick is what permuted predictions reach in at most 95 of 100 draws: "
        "where it is as high as the point, the value says nothing of single networks. Arrows mark values below −1."
    )
    draw = partial(dots_figure, panels_of(results, looks), targets, width=11, widest=WIDEST_SHOWN, chance=CHANCE)
    columns = ["target", "what", "of", "metric", "value", "95 % interval", "permuted", "networks"]
    blocks = [
        Text(f"{text}."),
        Drawing("transfer", draw, "Masked R-squared, probes and clusters applied to each target", caption),
        Table(columns, [_cells(row) for row in rows], n_left=4, folded="All values"),
    ]
    return Section("transfer", "Transfer", blocks, findings(results))


def _cells(row: Mapping) -> list[str]:
    score = score_of(row)
    metric = f"{plain(row['probe'])} {plain(row['metric'])}".strip()
    what = [target_title(row["target"]), _look(row["representation"], row["model"]).title, plain(row["label"]), metric]
    return [*what, num(score.value), f"{num(score.low)} to {num(score.high)}", num(score.null), f"{row['n']:,}"]


def _look(name: str, model: str = "main") -> Look:
    """A predictor, an embedding of the model, or a baseline."""
    title = f"cloze {name}" if model and name not in TITLES else TITLES.get(name, plain(name))
    return PREDICTORS.get(name) or LOOKS[CLOZE if model else BASELINE]._replace(title=title)


def control_of(results: Results) -> str:
    """The target that should fail; "" where there is none."""
    return results.metrics.get("transfer", {}).get("control", "")


def carried(results: Results, label: str, probe: str, metric: str) -> Carried:
    """The scores of one metric; of a label or property, or of none."""
    rows = results.rows("transfer/transfer", label=label, probe=probe, metric=metric)
    return {(row["target"], row["representation"]): score_of(row) for row in rows}


def panels_of(results: Results, looks: Mapping[str, Look]) -> list[Panel]:
    """The metrics that are drawn: masked R², those of the main label, then those of properties."""
    panels = {"masked R²": carried(results, "", *MASKED)}
    if label := results.main_label:
        panels |= {f"{plain(label)}, {title}": carried(results, label, *what) for what, title in METRICS.items()}
    panels |= {f"{plain(name)}, linear probe: R²": carried(results, name, "linear", "r2") for name in results.properties}
    drawn = []
    for title, scores in panels.items():
        of = {name: {target: score for (target, n), score in scores.items() if n == name} for name in looks}
        series = [Series(look.title, of[name], look.colour, look.marker) for name, look in looks.items()]
        drawn += [Panel(title, series, floor=LEAST_SHOWN, zero=True)] if scores else []
    return drawn[:MAX_PANELS]


def findings(results: Results) -> list[Finding]:
    """What holds on each target, and whether the control fails as it should."""
    targets, control = dict.fromkeys(row["target"] for row in results.table("transfer/transfer")), control_of(results)
    said, parts = [sentence(results, target) for target in targets if target != control], []
    if score := carried(results, "", *MASKED).get((control, "cloze")):
        word = "as it should be, worse than the mean" if score.value < 0 else "which is more than the mean knows"
        parts.append(f"the cloze model predicts masked values with R² {num(score.value)}, {word}")
    probed = carried(results, results.main_label or "", "linear", "balanced_accuracy")
    for name, score in ((name, score) for (target, name), score in probed.items() if target == control):
        word = "above" if score.low > score.null else "not clearly above"
        start = f"a linear probe on {_look(name).title} predicts the {plain(results.main_label)} with balanced accuracy"
        parts.append(f"{start} {num(score.value)}, {word} its null of {num(score.null)}")
    texts = {"Transfer": " ".join(said), "Negative control": f"On {target_title(control)} {'; '.join(parts)}." if parts else ""}
    return [Finding(topic, text) for topic, text in texts.items() if text]


def sentence(results: Results, target: str) -> str:
    """What holds on one target."""
    parts = []
    masked = carried(results, "", *MASKED)
    if (target, "cloze") in masked:
        parts.append(f"the cloze model's masked R² is {masked_words(masked, target)}")
    label = results.main_label
    shares = results.metrics["transfer"]["targets"].get(target, {})
    total, (main, most) = sum(shares.values()), max(shares.items(), key=lambda item: item[1], default=("", 0))
    is_one = bool(shares) and most >= NEARLY_ALL * total
    if is_one:
        scores = carried(results, label, "linear", "accuracy")
        few = f"all but {total - most:,} of its {total:,}" if total > most else f"all its {total:,}"
        said = [f"{num(s.value)} from {_look(n).title}" for (t, n), s in scores.items() if t == target]
        right = f": the linear probe is right for {listed(said)}" if said else ""
        parts.append(f"{few} networks have {plain(label)} {main}{right}")
    named = [] if is_one or not label else [(label, "balanced_accuracy")]
    for name, metric in [*named, *((name, "r2") for name in results.properties)]:
        scores = carried(results, name, "linear", metric)
        said = [f"{_beside_null(s)} from {_look(n).title}" for (t, n), s in scores.items() if t == target]
        metric = "R²" if metric == "r2" else plain(metric)
        parts += [f"the {plain(name)} is predicted with {metric} {listed(said)}"] if said else []
    return f"On {target_title(target)} {'; '.join(parts)}." if parts else ""


def _beside_null(score: Score) -> str:
    word = "permuted" if score.low > score.null else "not clearly above permuted predictions"
    return f"{spoken(score)} ({word}: at most {num(score.null)})"


def masked_words(masked: Carried, target: str) -> str:
    """The masked R² on a target with what it has to be read beside."""
    score = masked[target, "cloze"]
    beside = ["worse than the mean of those networks"] if score.value < 0 else []
    if (target, "linear_gaussian") in masked:
        beside.append(f"linear-Gaussian imputer: {num(masked[target, 'linear_gaussian'].value)}")
    text = num(score.value) + (f" ({'; '.join(beside)})" if beside else "")
    if score.value > 0 and score.null > MOSTLY * score.value:
        much = f"{'it' if score.value - score.null < LEVEL else 'most of it'} is knowledge of the family, not of the network"
        text += f", but permuted predictions reach up to {num(score.null)}, so {much}"
    return text
