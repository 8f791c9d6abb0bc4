"""The section that compares representations: clusters against every label, probes for every label and property."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from matplotlib.figure import Figure

from metarep.report import figures
from metarep.report.blocks import Block, Drawing, Heading, Section, Table, Text, absent
from metarep.report.figures import Panel
from metarep.report.representations import BASELINE, BASELINES, CLOZE, LOOKS, ORACLE, UNTRAINED
from metarep.report.results import MAIN_ARM, NATIVE, Results
from metarep.report.wording import Finding, Score, arm_title, capital, compare, listed, num, plain, relation, spoken

LINEAR, NEIGHBOURS = "linear", "nearest_neighbours"
PROBES = {LINEAR: "a linear probe", NEIGHBOURS: "a probe of five nearest neighbours"}
ACCURACY = "balanced_accuracy"
MAX_CURVES, MAX_PANELS, FEW_TEST_NETWORKS = 11, 4, 300


def section(results: Results) -> Section:
    """Every representation against every label and every property."""
    if not results.has("clusters") and not results.has("predictions"):
        return absent("comparison", "The comparison", "cluster")
    about = results.metrics.get("clusters", {})
    blocks: list[Block] = []
    if about:
        fitted = (
            f"fitted on {about.get('n_train', 0):,} training networks, measured on {about.get('n_test', 0):,} test networks"
        )
        if results.is_cross_validated:
            fitted += f", in a cross-validation by run of {about['n_folds']} folds, each fitted anew"
        rule = f"The number of clusters k was chosen without labels: {about.get('rule_for_k', '')}."
        blocks.append(Text(f"Every representation is {fitted}. {rule}"))
    if panels := panels_of(results):
        order = dict(sorted(panels[0].scores.items(), key=lambda item: -item[1].value))
        at_k = {name: "" if score.k is None else f",  k = {score.k}" for name, score in order.items()}
        names = {name: results.title(name) + of for name, of in at_k.items()}
        groups = {name: results.group(name) for name in names}
        blocks.append(
            Drawing(
                "comparison",
                lambda: figures.comparison_figure(panels, names, groups),
                "For each representation its agreement with labels and what probes predict from it, with intervals",
                "Sorted by the first panel. Intervals are 95 % over test networks. The grey tick is what chance gives in 95 of "
                "100 draws at most: labels or predictions permuted among networks. Accuracies are on a logit scale.",
            )
        )
    if label := results.main_label:
        blocks += [Heading(f"Every clusterer against the {plain(label)}"), clusterer_table(results, label)]
        text = (
            "ARI with the 95 % interval, at each clusterer's own k. Stability is the mean ARI between clusterings of resamples."
        )
        blocks.append(Text(text, small=True))
    blocks += [Heading("Every label and every property"), targets_table(results)]
    if label:
        blocks += [Heading("How much depends on k"), *k_drawings(results, label)]
    blocks += left_out_blocks(results)
    return Section("comparison", "The comparison", blocks, findings(results))


def left_out_blocks(results: Results) -> list[Block]:
    """What could not be measured, and why; what was done otherwise than the settings say."""
    rows = [row for stage in ("clusters", "predictions") for row in results.table(f"{stage}/left_out")]
    cells = list(dict.fromkeys((row["what"], plain(str(row["name"])), row["reason"]) for row in rows))
    notes = list(dict.fromkeys(results.metrics.get("clusters", {}).get("notes", ())))
    if not cells and not notes:
        return []
    table = [Table(["what", "name", "why"], [list(one) for one in cells], n_left=3)] if cells else []
    return [Heading("What was left out"), *table, *(Text(f"{capital(note)}.", small=True) for note in notes)]


def panels_of(results: Results) -> list[Panel]:
    """What the comparison draws: the main label by clusters and probes, then properties."""
    panels = []
    if label := results.main_label:
        panels.append(Panel(f"k-means, {plain(label)}", "adjusted Rand index", results.agreement(label)))
        for probe, title in ((LINEAR, "linear probe"), (NEIGHBOURS, "neighbours")):
            scores = results.probes(label, probe, ACCURACY)
            panels.append(Panel(f"{title}, {plain(label)}", "balanced accuracy", scores, is_accuracy=True))
    for name in results.properties:
        panels.append(Panel(f"linear, {plain(name)}", "R²", results.predicted(name)))
    return [panel for panel in panels if panel.scores][:MAX_PANELS]


def clusterer_table(results: Results, label: str) -> Table:
    """A row for each representation: the ARI by each clusterer at its own k, with stability."""
    scores = {arm: results.agreement(label, arm=arm) for arm in results.arms}
    main, ami = scores.get(MAIN_ARM, {}), results.agreement(label, metric="ami")
    names = sorted(main, key=lambda name: -main[name].value)
    rows = []
    for name in names:
        cells = [f"{spoken(own[name])}, k={own[name].k}" if name in own else "" for own in scores.values()]
        stability = results.chosen[name, MAIN_ARM]["stability"]
        rows.append([results.title(name), *cells, num(main[name].null, 3), num(ami[name].value), num(stability)])
    columns = ["representation", *map(arm_title, scores), "k-means, permuted", "k-means, AMI", "k-means, stability"]
    return _marked(results, columns, rows, names)


def targets_table(results: Results) -> Table:
    """A row for each representation: ARI, AMI and linear probe for each label, linear R² for each property."""
    columns, scores = ["representation"], []
    for label in dict.fromkeys(row["label"] for row in results.table("clusters/agreement")):
        columns += [f"{plain(label)}: ARI", "AMI", "linear", "neighbours"]
        scores += [results.agreement(label), results.agreement(label, metric="ami")]
        scores += [results.probes(label, probe, ACCURACY) for probe in PROBES]
    for name in results.properties:
        columns.append(f"{plain(name)}: R²")
        scores.append(results.predicted(name))
    names = list(results.representations)
    rows = [[results.title(n), *(spoken(s[n]) if n in s else "" for s in scores)] for n in names]
    return _marked(results, columns, rows, names)


def _marked(results: Results, columns: list[str], rows: list[list[str]], names: list[str]) -> Table:
    notes = {i: results.representations[name].description for i, name in enumerate(names)}
    return Table(columns, rows, groups={i: results.group(name) for i, name in enumerate(names)}, notes=notes)


def k_drawings(results: Results, label: str) -> list[Block]:
    """The ARI by k: k-means and the Gaussian mixture, of so many representations as a figure can hold."""
    found: list[Block] = []
    for arm, name in ((MAIN_ARM, "by_k"), (("gmm", NATIVE), "by_k_gmm")):
        scores = results.agreement(label, arm=arm)
        if len({k for one in scores for k, _ in results.curve(one, label, arm)}) < 2:
            continue
        caption = f"{arm_title(arm)}. Rings mark the chosen k."
        caption += " Of many representations the most telling are drawn; agreement.csv holds all." if name == "by_k" else ""
        alt = f"Adjusted Rand index of {arm_title(arm)} with the {plain(label)} by the number of clusters"
        found.append(Drawing(name, partial(k_figure_of, results, label, arm, scores), alt, caption))
    return found


def k_figure_of(results: Results, label: str, arm: tuple[str, str], scores: Mapping[str, Score]) -> Figure:
    """The first representation of each group in colour, raw parameters of the baselines; the others grey."""
    drawn = results.most_telling(scores, MAX_CURVES)
    first: dict[str, str] = {}
    for name in drawn:
        if results.group(name) != BASELINE or results.representations[name].name == "raw":
            first.setdefault(results.group(name), name)
    looks = {results.title(name): LOOKS[group] for group, name in first.items()}
    curves = {results.title(name): results.curve(name, label, arm) for name in drawn}
    chosen = {results.title(name): scores[name].k for name in drawn}
    return figures.k_figure(curves, chosen, looks, n_values=len(results.values_of(label)), label=plain(label))


# -- in words


def headline(results: Results) -> str:
    """One sentence on the question of the run: do cloze embeddings show what is known better than what is simpler?"""
    name, label = results.shown, results.main_label
    if name and label and name in (scores := results.agreement(label)):
        start = f"Clusters of the {results.title(name)} embedding agree with the {plain(label)} (adjusted Rand index"
        return f"{start} {spoken(scores[name])}, where 1 is perfect and 0 is chance){_against(results, scores, name)}."
    for target in results.properties:
        scores = results.predicted(target)
        if best := results.best(scores, CLOZE):
            start = f"The {results.title(best)} embedding predicts the {plain(target)} with R² {spoken(scores[best])}"
            return f"{start}{_against(results, scores, best)}."
    if name:
        return f"{len(results.final):,} networks were embedded; nothing is known of them, so their clusters are described."
    return f"The zoo holds {len(results.zoo):,} networks; no cloze embedding of them has been compared yet."


def _against(results: Results, scores: Mapping[str, Score], name: str) -> str:
    words = {1: "clearly better than", 0: "about as well as", -1: "clearly worse than"}
    others = results.rivals(scores, name)
    said = [f"{words[compare(scores[name], scores[n])]} {results.title(n)} ({num(scores[n].value)})" for n in others]
    return f" {listed(said)}" if said else ""


def findings(results: Results) -> list[Finding]:
    """Everything that can be said of the comparison; what was not measured is left out."""
    label = results.main_label
    found: list[Finding | None] = [caution(results)]
    if label:
        found += [make(results, label) for make in (leader, pretraining, stability, chance, ceiling)]
    found += [labels_probed(results), properties_predicted(results)]
    return [finding for finding in found if finding]


def caution(results: Results) -> Finding | None:
    """Says so where there are too few test networks for the rest to mean much."""
    n = results.metrics.get("clusters", {}).get("n_test")
    if n is None or n >= FEW_TEST_NETWORKS:
        return None
    of = "networks in a cross-validation by run" if results.is_cross_validated else "test networks only"
    return Finding("Caution", f"The comparison rests on {n:,} {of}; read the intervals before the values.")


def leader(results: Results, label: str) -> Finding | None:
    """Which representation's clusters agree best with the main label, each at its chosen k."""
    scores = {name: s for name, s in results.agreement(label).items() if results.group(name) != ORACLE}
    ranked = sorted(scores, key=lambda name: -scores[name].value)
    if not ranked:
        return None
    said = [f"{results.title(name)} (ARI {spoken(scores[name])}, k = {scores[name].k})" for name in ranked[:2]]
    text = f"With k chosen for each without labels, k-means agrees best with the {plain(label)} on {said[0]}"
    if len(said) > 1:
        clear = "clearly ahead of" if compare(scores[ranked[0]], scores[ranked[1]]) > 0 else "not clearly ahead of"
        text += f", {clear} {said[1]}"
    return Finding("Which representation leads", text + ".")


def pretraining(results: Results, label: str) -> Finding | None:
    """The embedding named first against raw parameters, its untrained encoder and the best baseline."""
    scores, name = results.agreement(label), results.shown
    if name not in scores:
        return None
    text = f"The embedding that the settings name first, {results.title(name)}, reaches {spoken(scores[name])}"
    text += "."
    for other in results.rivals(scores, name):
        text += f" It is {relation(scores[name], scores[other])} {results.title(other)} ({spoken(scores[other])})."
    k = len(results.values_of(label))
    same = results.agreement(label, k=k)
    rivals = [f"{num(same[n].value)} for {results.title(n)}" for n in results.rivals(same, name)] if name in same else []
    if rivals:
        text += f" With k = {k} for all it reaches {num(same[name].value)}, against {listed(rivals)}."
    return Finding(f"Does pretraining help to see the {plain(label)}?", text)


def stability(results: Results, label: str) -> Finding | None:
    """Whether resamples and other pretraining seeds give the same clusters of the embedding shown."""
    name, parts = results.shown, []
    for arm in results.arms:
        if (name, arm) not in results.chosen or arm[1] != NATIVE:
            continue
        k, value = (results.chosen[name, arm][column] for column in ("k", "stability"))
        text = f"With {arm_title(arm)} (k = {k}) bootstraps agree with an ARI of {num(value)}"
        pairs = [row for row in results.table("clusters/seeds") if (row["clusterer"], row["space"]) == arm]
        pairs = [row for row in pairs if _is_in(results, name, row)]
        same = [row for row in pairs if row["k"] == row["other_k"] == k]
        text += f" and pretraining seeds with {_least_of(same)}" if same else ""
        chosen = [row for row in pairs if row["chosen"]]
        if any(row["k"] != row["other_k"] for row in chosen):
            text += f"; where each pretraining seed chooses its own k, they agree with {_least_of(chosen)}"
        parts.append(text + ".")
    return Finding(f"Is {results.title(name)} stable?", " ".join(parts)) if parts else None


def _is_in(results: Results, name: str, pair: Mapping) -> bool:
    one = results.representations[name]
    own = (one.name, one.model)
    return own in ((pair["representation"], pair["model"]), (pair["other"], pair["other_model"]))


def _least_of(pairs: list[dict]) -> str:
    """The agreement of the two pretraining seeds that agree least."""
    worst = min(pairs, key=lambda row: row["value"])
    ks = f", k = {worst['k']} and {worst['other_k']}" if worst["k"] != worst["other_k"] else ""
    null = num(max(row["null"] for row in pairs), 3)
    value = spoken(Score(worst["value"], worst["low"], worst["high"]))
    of = f", the least of {len(pairs)} pairs" if len(pairs) > 1 else ""
    return f"{value}{of}{ks} (permuted: at most {null})"


def chance(results: Results, label: str) -> Finding | None:
    """Whether the agreements lie above those of permuted labels."""
    scores = results.agreement(label)
    if not scores:
        return None
    below = [name for name, score in scores.items() if score.low <= score.null]
    null = f"what permuted labels reach in 95 of 100 draws (at most {num(max(s.null for s in scores.values()), 3)})"
    if not below:
        return Finding("Chance", f"All {len(scores)} representations are above {null}, interval included.")
    names = listed([results.title(name) for name in below])
    return Finding("Chance", f"Not clearly above {null}: {names}. The other {len(scores) - len(below)} are.")


def ceiling(results: Results, label: str) -> Finding | None:
    """How far the embedding shown is from the oracles, and from labels that know more."""
    scores, name = results.agreement(label), results.shown
    best = results.best(scores, ORACLE)
    if best is None:
        return None
    parts = [
        f"The {results.title(n)} ({results.representations[n].description}) reaches {spoken(s)} (k = {s.k})."
        for n, s in scores.items()
        if results.group(n) == ORACLE
    ]
    if name in scores:
        text = f"The {results.title(name)} embedding is {relation(scores[name], scores[best])} the best of them"
        if compare(scores[name], scores[best]) < 0 and scores[best].value > 0:
            text += f" and reaches {scores[name].value / scores[best].value:.0%} of it"
        parts.append(text + ".")
    return Finding("The ceiling", " ".join(parts))


def labels_probed(results: Results) -> Finding | None:
    """What probes predict of each label from the best cloze embedding, beside what is simpler."""
    parts = []
    for number, label in enumerate(results.labels):
        for probe, title in list(PROBES.items())[: 2 if number == 0 else 1]:
            if text := _probed(results, results.probes(label, probe, ACCURACY), f"{title} predicts the {plain(label)}"):
                parts.append(text)
    return Finding("Labels from embeddings", " ".join(parts)) if parts else None


def _probed(results: Results, scores: Mapping[str, Score], what: str, metric: str = "balanced accuracy") -> str:
    """The best cloze embedding for a probe, and how others compare; "" where there is none."""
    own = results.best(scores, CLOZE)
    if own is None:
        return ""
    reached = f"{metric} {spoken(scores[own], 3)} (permuted: at most {num(scores[own].null)})"
    text = f"From {results.title(own)}, {what} with {reached}"
    others = dict.fromkeys([*results.rivals(scores, own), results.best(scores, UNTRAINED), results.best(scores, ORACLE)])
    said = [f"{relation(scores[own], scores[n])} {results.title(n)} ({num(scores[n].value, 3)})" for n in others if n]
    return f"{text}: {listed(said)}." if said else f"{text}."


def properties_predicted(results: Results) -> Finding | None:
    """What is predicted of each property from the best cloze embedding, beside the best baseline."""
    parts = []
    for name in results.properties:
        scores = results.predicted(name)
        if text := _probed(results, scores, f"a linear probe predicts the {plain(name)}", "R²"):
            parts.append(text)
        elif best := results.best(scores, BASELINES):
            parts.append(f"The {plain(name)} is predicted best from {results.title(best)}, with R² {spoken(scores[best])}.")
    return Finding("Properties from embeddings", " ".join(parts)) if parts else None
