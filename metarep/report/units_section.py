"""The section on units: what their embeddings say about what each unit does, beside baselines of units."""

from __future__ import annotations

from collections.abc import Mapping

from metarep.report.blocks import Heading, Section, Table, Text
from metarep.report.representations import CLOZE, Compared, key_of, representation_of
from metarep.report.results import Results, scores_of
from metarep.report.wording import Finding, Score, plain, relation, spoken

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
