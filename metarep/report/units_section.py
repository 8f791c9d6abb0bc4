"""The section on units: what their embeddings say about what each unit does, beside baselines of units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from metarep.report.blocks import Block, Heading, Section, Table, Text
from metarep.report.representations import CLOZE, Compared, key_of, representation_of
from metarep.report.results import Results, scores_of
from metarep.report.wording import Finding, Score, num, percent, plain, relation, score_of, spoken

ALIKE = ("clusters of", "alike within", "between", "chance", "clusters")
CLUSTERS = ("cluster", "share of units", "in networks", "effect", "does nothing", "mostly")
COLUMNS = ("representation", "linear probe", "nearest neighbours", "ARI of k-means", "ARI within networks", "k")
PROBES = ("linear", "nearest_neighbours")


def section(results: Results) -> Section | None:
    """A table a label of units; None where units were not compared."""
    if not results.has("units"):
        return None
    known = {key_of(row): representation_of(row, results.objectives) for row in results.table("units/representations")}
    blocks, findings = [Text("Hidden units are what is compared here; each is measured where its network is.")], []
    for label in dict.fromkeys(row["label"] for row in results.table("units/agreement")):
        scores = {probe: scores_of(results.rows("units/probes", target=label, probe=probe)) for probe in PROBES}
        chosen = {"label": label, "clusterer": "kmeans", "space": "native", "metric": "ari", "chosen": 1}
        scores["ari"] = scores_of(results.rows("units/agreement", **chosen))
        scores["within"] = scores_of(results.rows("units/within", label=label))
        blocks += [Heading(f"The {plain(label)} of a unit"), table(known, scores)]
        findings.append(Finding(f"What units do ({plain(label)})", sentence(known, scores)))
    if alike := results.table("unit_effects/alike"):
        blocks += removal(results, known, alike)
        findings.append(Finding("What removing units does", alike_sentence(known, alike)))
    findings = [one for one in findings if one.text]
    return Section("units", "Units", blocks, findings)


def table(known: Mapping[str, Compared], scores: Mapping[str, Mapping[str, Score]]) -> Table:
    """A row a representation, the best by neighbours first."""
    order = sorted(known, key=lambda name: -scores["nearest_neighbours"][name].value)
    cells = [[spoken(of[name]) if name in of else "n/a" for of in scores.values()] for name in order]
    rows = [[known[name].title, *own, str(scores["ari"][name].k)] for name, own in zip(order, cells, strict=True)]
    return Table(COLUMNS, rows, groups={number: known[name].group for number, name in enumerate(order)})


def sentence(known: Mapping[str, Compared], scores: Mapping[str, Mapping[str, Score]]) -> str:
    """The best embedding beside the best baseline, by each metric."""
    words = {"linear": "By a linear probe", "nearest_neighbours": "by nearest neighbours", "ari": "by the ARI of k-means"}
    words["within"] = "by that of k-means within each network"
    said = []
    for metric, found in scores.items():
        sides = [[n for n in found if (known[n].group == CLOZE) == is_own] for is_own in (True, False)]
        if not all(sides):
            continue
        own, other = (max(side, key=lambda n: found[n].value) for side in sides)
        said.append(
            f"{words[metric]} {known[own].title} reaches {spoken(found[own])}, {relation(found[own], found[other])} "
            f"{known[other].title} with {spoken(found[other])}"
        )
    return "; ".join(said) + "." if said else ""


def removal(results: Results, known: Mapping[str, Compared], alike: Sequence[Mapping]) -> list[Block]:
    """Whether units of one cluster change the output alike when they are removed, and each cluster of the first embedding."""
    how = (
        "A unit is removed by setting to zero what reads it. Alike: the mean squared cosine of the changes of the outputs, of "
        "two units of one cluster and different runs; between: of two clusters; chance: clusters permuted among the units of a "
        "layer."
    )
    order = sorted(alike, key=lambda row: -row["value"])
    rows = [
        [
            title_of(row, known),
            spoken(score_of(row)),
            num(row["between"]),
            num(row["null"]),
            str(row["n_clusters"]),
        ]
        for row in order
    ]
    groups = {at: known[key_of(row)].group for at, row in enumerate(order) if key_of(row) in known}
    blocks = [Heading("Units removed"), Text(how), Table(ALIKE, rows, groups=groups)]
    first = next((key for key, one in known.items() if one.group == CLOZE), None)
    own = [row for row in results.table("unit_effects/clusters") if key_of(row) == first]
    if own:
        blocks += [Heading(f"Clusters of {known[first].title}"), Table(CLUSTERS, [cluster_cells(row, results) for row in own])]
    return blocks


def cluster_cells(row: Mapping, results: Results) -> list[str]:
    """A cluster: how often it occurs, the effect of its units in shares of the outputs, and the most common label of them."""
    met = [one for one in results.rows("units/contingency", cluster=row["cluster"]) if key_of(one) == key_of(row)]
    said = []
    for label in dict.fromkeys(one["label"] for one in met if one["label"] != "units"):
        own = [one for one in met if one["label"] == label]
        most, total = max(own, key=lambda one: one["n"]), sum(one["n"] for one in own)
        said.append(f"{plain(label)} {most['value']} ({most['n'] / total:.0%})")
    often = f"{row['n_networks']} of {row['of_networks']}"
    share, effect, nothing = percent(row["share"], row["low"], row["high"]), "n/a", "n/a"
    if row["n_removed"]:
        effect = f"{num(row['effect'])} ({num(row['effect_low'])} to {num(row['effect_high'])})"
        nothing = f"{row['does_nothing']:.0%}"
    return [str(row["cluster"]), share, often, effect, nothing, ", ".join(said)]


def alike_sentence(known: Mapping[str, Compared], alike: Sequence[Mapping]) -> str:
    """The best embedding beside the best baseline and the labels, and chance."""
    own = [row for row in alike if key_of(row) in known and known[key_of(row)].group == CLOZE]
    others = [row for row in alike if key_of(row) in known and known[key_of(row)].group != CLOZE]
    if not own or not others:
        return ""
    best, other = (max(side, key=lambda row: row["value"]) for side in (own, others))
    said = f"Two units of one cluster of {title_of(best, known)} change the output alike (mean squared cosine) by "
    said += f"{spoken(score_of(best))}, {relation(score_of(best), score_of(other))} {title_of(other, known)} with "
    said += f"{spoken(score_of(other))}; permuted clusters give {num(best['null'])}"
    labels = [row for row in alike if key_of(row) not in known]
    return said + "".join(f", {title_of(row, known)} as clusters {num(row['value'])}" for row in labels) + "."


def title_of(row: Mapping, known: Mapping[str, Compared]) -> str:
    """The representation of a row, or the label that was taken for clusters."""
    return known[key_of(row)].title if key_of(row) in known else "the " + plain(str(row["representation"]))
