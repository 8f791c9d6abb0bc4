"""The section that compares representations: clusters against every label, probes for every label and property."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from matplotlib.figure import Figure

from metarep.report import figures
from metarep.report.blocks import Block, Drawing, Heading, Section, Table, Text, absent
from metarep.report.dots import LEAST_SHOWN, Panel, Series, dots_figure
from metarep.report.representations import BASELINE, BASELINES, CLOZE, LOOKS, ORACLE, UNTRAINED
from metarep.report.results import MAIN_ARM, NATIVE, Results
from metarep.report.wording import Finding, Score, arm_title, capital, compare, listed, num, plain, relation, score_of, spoken

LINEAR, NEIGHBOURS = "linear", "nearest_neighbours"
PROBES = {LINEAR: "a linear probe", NEIGHBOURS: "a probe of five nearest neighbours"}
ACCURACY, ACCURACY_WORDS = "balanced_accuracy", "balanced accuracy"
MAX_CURVES, MAX_PANELS, FEW_TEST_NETWORKS = 11, 4, 300


def section(results: Results) -> Section:
    """Every representation against every label and every property."""
    if not results.has("clusters") and not results.has("predictions"):
        return absent("comparison", "The comparison", "cluster")
    blocks: list[Block] = []
    if about := results.metrics.get("clusters", {}):
        fitted = "fitted on {n_train:,} training networks, measured on {n_test:,} test networks"
        if results.is_cross_validated:
            fitted = (
                "measured on all {n_test:,} networks, in a cross-validation by run: each of {n_folds} folds is measured by "
                "what was fitted on the others, at least {n_train:,} networks"
            )
        rule = f"The number of clusters k was chosen without labels: {about['rule_for_k']}."
        blocks.append(Text(f"Every representation is {fitted.format(**about)}. {rule}"))
    if panels := panels_of(results):
        caption = (
            "Sorted by the first panel. Intervals are 95 % over test networks. The grey tick is what chance gives in 95 of "
            "100 draws at most: labels or predictions permuted among networks. Accuracies are on a logit scale."
        )
        alt = "For each representation its agreement with labels and what probes predict from it, with intervals"
        blocks.append(Drawing("comparison", partial(comparison_figure_of, results, panels), alt, caption))
    if label := results.main_label:
        blocks += [Heading(f"Every clusterer against the {plain(label)}"), clusterer_table(results, label)]
        text = "ARI with the 95 % interval, at each clusterer's own k. Stability is the mean ARI between clusters of resamples."
        blocks.append(Text(text, small=True))
    table = targets_table(results)
    blocks += [Heading("Every label and every property" if len(table.columns) > 1 else "What was compared"), table]
    if drawings := k_drawings(results, label) if label else []:
        blocks += [Heading("How much depends on k"), *drawings]
    blocks += left_out_blocks(results)
    return Section("comparison", "The comparison", blocks, findings(results))


def left_out_blocks(results: Results) -> list[Block]:
    """What could not be measured, and why; what was done otherwise than the settings say."""
    rows = [row for stage in ("clusters", "predictions") for row in results.table(f"{stage}/left_out")]
    names: dict[tuple[str, str], dict[str, None]] = {}
    for row in rows:
        names.setdefault((row["what"], row["reason"]), {})[plain(str(row["name"]))] = None
    cells = [[what, ", ".join(own), reason] for (what, reason), own in names.items()]
    notes = list(dict.fromkeys(results.metrics.get("clusters", {}).get("notes", ())))
    if not cells and not notes:
        return []
    table = [Table(["what", "name", "why"], cells, n_left=3)] if cells else []
    return [Heading("What was left out"), *table, *(Text(f"{capital(note)}.", small=True) for note in notes)]


def comparison_figure_of(results: Results, panels: list[tuple[str, str, dict[str, Score]]]) -> Figure:
    """The representations of the first panel, the best first."""
    first, drawn = panels[0][2], []
    names = {n: results.title(n) + (f",  k = {first[n].k}" if first[n].k is not None else "") for n in ranked(first)}
    for title, metric, scores in panels:
        of_group = {g: {n: s for n, s in scores.items() if n in names and results.group(n) == g} for g in LOOKS}
        series = [Series(look.title, of_group[group], look.colour, look.marker) for group, look in LOOKS.items()]
        drawn.append(Panel(title, series, metric, LEAST_SHOWN, is_accuracy=metric == ACCURACY_WORDS, zero=True))
    return dots_figure(drawn, names)


def panels_of(results: Results) -> list[tuple[str, str, dict[str, Score]]]:
    """(title, metric, scores) that the comparison draws: the main label by clusters and probes, then properties."""
    panels = []
    if label := results.main_label:
        panels.append((f"k-means, {plain(label)}", "adjusted Rand index", results.agreement(label)))
        for probe, title in ((LINEAR, "linear probe"), (NEIGHBOURS, "neighbours")):
            panels.append((f"{title}, {plain(label)}", ACCURACY_WORDS, results.probes(label, probe, ACCURACY)))
    panels += [(f"linear, {plain(name)}", "R²", results.predicted(name)) for name in results.properties]
    return [panel for panel in panels if panel[2]][:MAX_PANELS]


def ranked(scores: Mapping[str, Score]) -> list[str]:
    """Representations, the best first."""
    return sorted(scores, key=lambda name: -scores[name].value)


def clusterer_table(results: Results, label: str) -> Table:
    """A row for each representation: the ARI by each clusterer at its own k, with stability."""
    scores = {arm: results.agreement(label, arm=arm) for arm in results.arms}
    main, ami = scores.get(MAIN_ARM, {}), results.agreement(label, metric="ami")
    rows = {}
    for name in ranked(main):
        cells = [f"{spoken(own[name])}, k={own[name].k}" if name in own else "" for own in scores.values()]
        stability = results.chosen[name, MAIN_ARM]["stability"]
        rows[name] = [*cells, num(main[name].null, 3), num(ami[name].value), num(stability)]
    columns = [*map(arm_title, scores), "k-means, permuted", "k-means, AMI", "k-means, stability"]
    return _of_representations(results, columns, rows)


def targets_table(results: Results) -> Table:
    """A row for each representation: ARI, AMI and linear probe for each label, linear R² for each property."""
    columns, scores = [], []
    for label in dict.fromkeys(row["label"] for row in results.table("clusters/agreement")):
        columns += [f"{plain(label)}: ARI", "AMI", "linear", "neighbours"]
        scores += [results.agreement(label), results.agreement(label, metric="ami")]
        scores += [results.probes(label, probe, ACCURACY) for probe in PROBES]
    columns += [f"{plain(name)}: R²" for name in results.properties]
    scores += [results.predicted(name) for name in results.properties]
    rows = {name: [spoken(own[name]) if name in own else "" for own in scores] for name in results.representations}
    return _of_representations(results, columns, rows)


def _of_representations(results: Results, columns: list[str], rows: Mapping[str, list[str]]) -> Table:
    notes = {i: results.representations[name].description for i, name in enumerate(rows)}
    groups = {i: results.group(name) for i, name in enumerate(rows)}
    cells = [[results.title(name), *row] for name, row in rows.items()]
    return Table(["representation", *columns], cells, groups=groups, notes=notes)


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
    """What the run has to say first: do cloze embeddings show what is known better than what is simpler? Where clusters do not
    show the main label it says so, and goes on to what is predicted.
    """
    text, is_clear = _shown_by_clusters(results)
    said = [text] if is_clear else [one for one in (text, _predicted(results)) if one]
    if said:
        return " ".join(said)
    if results.shown:
        return (
            f"{len(results.final):,} networks were embedded; nothing is known of them, so their clusters are shown, not judged."
        )
    return f"The zoo holds {len(results.zoo):,} networks; no cloze embedding of them has been compared yet."


def _shown_by_clusters(results: Results) -> tuple[str, bool]:
    """How the clusters of the embedding shown agree with the main label, and whether clearly more than permuted labels do."""
    name, label = results.shown, results.main_label
    scores = results.agreement(label) if name and label else {}
    if name not in scores:
        return "", False
    own = scores[name]
    is_clear = not own.low <= own.null
    agree = "agree" if is_clear else "do not clearly agree"
    beside = "where 1 is perfect and 0 is chance" if is_clear else f"where permuted labels reach {num(own.null)}"
    text = (
        f"Clusters of the {results.title(name)} embedding {agree} with the {plain(label)} (adjusted Rand index {spoken(own)},"
    )
    return f"{text} {beside}){'' if is_clear else ','}{_against(results, scores, name)}.", is_clear


def _predicted(results: Results) -> str:
    """What the best cloze embedding predicts of the first property that it predicts clearly, else of the first."""
    found = [
        (target, scores, results.best(scores, CLOZE)) for target in results.properties if (scores := results.predicted(target))
    ]
    found = [(target, scores, best) for target, scores, best in found if best]
    clear = [one for one in found if not one[1][one[2]].low <= one[1][one[2]].null]
    if not found:
        return ""
    target, scores, best = (clear or found)[0]
    text = f"The {results.title(best)} embedding {'predicts' if clear else 'does not clearly predict'} the {plain(target)}"
    text += f" with R² {spoken(scores[best])}" if clear else f" (R² {spoken(scores[best])}),"
    return f"{text}{_against(results, scores, best)}."


def _against(results: Results, scores: Mapping[str, Score], name: str) -> str:
    words = {1: "clearly better than", 0: "about as well as", -1: "clearly worse than"}
    others = results.rivals(scores, name)
    said = [f"{words[compare(scores[name], scores[n])]} {results.title(n)} ({num(scores[n].value)})" for n in others]
    return f" {listed(said)}" if said else ""


def findings(results: Results) -> list[Finding]:
    """Everything that can be said of the comparison; what was not measured is left out."""
    n, found = results.metrics.get("clusters", {}).get("n_test", FEW_TEST_NETWORKS), {}
    if n < FEW_TEST_NETWORKS:
        of = "networks in a cross-validation by run" if results.is_cross_validated else "test networks only"
        found["Caution"] = f"The comparison rests on {n:,} {of}; read the intervals before the values."
    if label := results.main_label:
        scores, shown = results.agreement(label), results.title(results.shown or "")
        found["Which representation leads"] = leader(results, label, scores)
        found[f"Does pretraining help to see the {plain(label)}?"] = pretraining(results, label, scores)
        found[f"Are clusters of {shown} stable?"] = stability(results)
        found["Chance"] = chance(results, scores)
        found["The ceiling"] = ceiling(results, scores)
    found["Labels from embeddings"] = labels_probed(results)
    found["Properties from embeddings"] = properties_predicted(results)
    return [Finding(topic, text) for topic, text in found.items() if text]


def leader(results: Results, label: str, scores: Mapping[str, Score]) -> str:
    """Which representation's clusters agree best with the main label, each at its chosen k."""
    first = ranked({name: score for name, score in scores.items() if results.group(name) != ORACLE})[:2]
    said = [f"{results.title(name)} (ARI {spoken(scores[name])}, k = {scores[name].k})" for name in first]
    if not said:
        return ""
    text = f"With k chosen for each without labels, k-means agrees best with the {plain(label)} on {said[0]}"
    if len(said) == 1:
        return f"{text}."
    return f"{text}, {'' if compare(*(scores[name] for name in first)) > 0 else 'not '}clearly ahead of {said[1]}."


def pretraining(results: Results, label: str, scores: Mapping[str, Score]) -> str:
    """The embedding named first against raw parameters, its untrained encoder and the best baseline."""
    if (name := results.shown) not in scores:
        return ""
    text = f"The embedding that the settings name first, {results.title(name)}, reaches {spoken(scores[name])}."
    for other in results.rivals(scores, name):
        text += f" It is {relation(scores[name], scores[other])} {results.title(other)} ({spoken(scores[other])})."
    k = len(results.values_of(label))
    same = results.agreement(label, k=k)
    rivals = [f"{num(same[n].value)} for {results.title(n)}" for n in results.rivals(same, name)] if name in same else []
    return text + (f" With k = {k} for all it reaches {num(same[name].value)}, against {listed(rivals)}." if rivals else "")


def stability(results: Results) -> str:
    """Whether resamples and other pretraining seeds give the same clusters of the embedding shown."""
    name, parts = results.shown, []
    for arm in results.arms:
        if (name, arm) not in results.chosen or arm[1] != NATIVE:
            continue
        k, value = (results.chosen[name, arm][column] for column in ("k", "stability"))
        text = f"With {arm_title(arm)} (k = {k}) bootstraps agree with an ARI of {num(value)}"
        one, pairs = results.representations[name], results.rows("clusters/seeds", clusterer=arm[0], space=arm[1])
        ends = (("representation", "model"), ("other", "other_model"))
        pairs = [row for row in pairs if (one.name, one.model) in ((row[a], row[b]) for a, b in ends)]
        same, chosen = [row for row in pairs if row["k"] == row["other_k"] == k], [row for row in pairs if row["chosen"]]
        text += f" and pretraining seeds with {_least_of(same)}" if same else ""
        if any(row["k"] != row["other_k"] for row in chosen):
            text += f"; where each pretraining seed chooses its own k, they agree with {_least_of(chosen)}"
        parts.append(f"{text}.")
    return " ".join(parts)


def _least_of(pairs: list[dict]) -> str:
    """The agreement of the two pretraining seeds that agree least."""
    worst = min(pairs, key=lambda row: row["value"])
    of = f", the least of {len(pairs)} pairs" if len(pairs) > 1 else ""
    ks = f", k = {worst['k']} and {worst['other_k']}" if worst["k"] != worst["other_k"] else ""
    return f"{spoken(score_of(worst))}{of}{ks} (permuted: at most {num(max(row['null'] for row in pairs), 3)})"


def chance(results: Results, scores: Mapping[str, Score]) -> str:
    """Whether the agreements lie above those of permuted labels."""
    if not scores:
        return ""
    below = [results.title(name) for name, score in scores.items() if score.low <= score.null]
    null = f"what permuted labels reach in 95 of 100 draws (at most {num(max(s.null for s in scores.values()), 3)})"
    if not below:
        return f"All {len(scores)} representations are above {null}, interval included."
    others = f" The other {len(scores) - len(below)} are." if len(below) < len(scores) else ""
    return f"Not clearly above {null}: {listed(below)}.{others}"


def ceiling(results: Results, scores: Mapping[str, Score]) -> str:
    """How far the embedding shown is from the oracles, and from labels that know more."""
    oracles, name = {n: score for n, score in scores.items() if results.group(n) == ORACLE}, results.shown
    parts = [
        f"The {results.title(n)} ({results.representations[n].description}) reaches {spoken(s)} (k = {s.k})."
        for n, s in oracles.items()
    ]
    if oracles and name in scores:
        own, best = scores[name], oracles[ranked(oracles)[0]]
        reached = f" and reaches {own.value / best.value:.0%} of it" if compare(own, best) < 0 and best.value > 0 else ""
        parts.append(f"The {results.title(name)} embedding is {relation(own, best)} the best of them{reached}.")
    return " ".join(parts)


def labels_probed(results: Results) -> str:
    """What probes predict of each label from the best cloze embedding, beside what is simpler."""
    asked = [(label, probe) for n, label in enumerate(results.labels) for probe in list(PROBES)[: 2 if n == 0 else 1]]
    parts = [
        _probed(results, results.probes(label, probe, ACCURACY), f"{PROBES[probe]} predicts the {plain(label)}", ACCURACY_WORDS)
        for label, probe in asked
    ]
    return " ".join(filter(None, parts))


def _probed(results: Results, scores: Mapping[str, Score], what: str, metric: str) -> str:
    """The best cloze embedding for a probe, and how others compare; "" where there is none."""
    own = results.best(scores, CLOZE)
    if own is None:
        return ""
    reached = f"{metric} {spoken(scores[own], 3)} (permuted: at most {num(scores[own].null)})"
    others = dict.fromkeys([*results.rivals(scores, own), results.best(scores, UNTRAINED), results.best(scores, ORACLE)])
    said = [f"{relation(scores[own], scores[n])} {results.title(n)} ({num(scores[n].value, 3)})" for n in others if n]
    return f"From {results.title(own)}, {what} with {reached}{': ' * bool(said)}{listed(said) if said else ''}."


def properties_predicted(results: Results) -> str:
    """What is predicted of each property from the best cloze embedding, beside the best baseline."""
    parts = []
    for name in results.properties:
        scores = results.predicted(name)
        if text := _probed(results, scores, f"a linear probe predicts the {plain(name)}", "R²"):
            parts.append(text)
        elif best := results.best(scores, BASELINES):
            parts.append(f"The {plain(name)} is predicted best from {results.title(best)}, with R² {spoken(scores[best])}.")
    return " ".join(parts)
