"""The section on maps and clusters: what the embedding shown looks like, what each cluster is, what nothing known explains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial

import numpy as np

from metarep.report import descriptions, maps
from metarep.report.blocks import Block, Card, Cards, Drawing, Heading, Section, Table, Text, absent
from metarep.report.representations import CLOZE, key_of
from metarep.report.results import Results
from metarep.report.wording import Finding, capital, num, plain
from metarep.report.zoo_section import MAX_VALUES, label_colours

MAX_TABLES, MAX_LABELS, MAX_PROPERTIES = 3, 4, 3


def section(results: Results) -> Section:
    """Maps, clusters against labels, what sets clusters apart."""
    if results.shown is None or not results.has("clusters"):
        return absent("maps", "Maps and clusters", "cluster")
    shown = results.representations[results.shown]
    blocks: list[Block] = [
        Text(f"Shown is {shown.title}, the embedding that the settings name first: {shown.description}."),
        *map_blocks(results),
        *contingency_blocks(results),
        *gallery_blocks(results),
        *description_blocks(results),
    ]
    return Section("maps", "Maps and clusters", blocks, findings(results))


def findings(results: Results) -> list[Finding]:
    """What can be said of the clusters of the embedding shown; nothing where they were not described."""
    rules = descriptions.rules_text(results.shown_rows("rules"))
    left = descriptions.unexplained_text(results.shown_rows("unexplained"))
    topic = f"What sets the clusters of {results.title(results.shown)} apart?"
    return [Finding(*one) for one in ((topic, rules), ("What no known label explains", left)) if one[1]]


def places(results: Results) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """{representation: (coordinates (N, 2), rows of `final` (N,))} of those that have a map."""
    by_name: dict[str, list[tuple]] = {}
    for row in results.table("clusters/umap"):
        by_name.setdefault(key_of(row), []).append((row["x"], row["y"], results.row_of[str(row["network_id"])]))
    columns = {name: np.array(rows, float).T for name, rows in by_name.items()}
    return {name: (np.stack([x, y], axis=1), at.astype(int)) for name, (x, y, at) in columns.items()}


def map_blocks(results: Results) -> list[Block]:
    """The map of the embedding shown, coloured by all that is known; then the map of each representation by the main label."""
    found, blocks = places(results), []
    if results.shown in found:
        xy, rows = found[results.shown]
        clusters = results.assigned.get(results.shown, {})
        number = np.array([clusters[str(name)]["cluster"] for name in results.final["network_id"][rows]])
        labels = {name: values[rows] for name, values in list(results.labels.items())[:MAX_LABELS]}
        known = [(n, v[rows]) for n, v in results.properties.items() if np.isfinite(v[rows]).any()][:MAX_PROPERTIES]
        colours = {name: label_colours(results, name) for name in labels}
        fitted = "fitted on training networks, with test networks placed in it"
        fitted = "of all networks" if results.is_cross_validated else fitted
        caption = f"UMAP, {fitted}. The axes mean nothing and distances between islands little. Numbers name clusters."
        alt = "UMAP of test networks coloured by labels, by cluster and by properties"
        blocks.append(Drawing("umap", partial(maps.map_figure, xy, number, labels, dict(known), colours), alt, caption))
    label = results.main_label
    if len(found) > 1 and label in results.labels:
        each = {results.title(n): (xy, results.labels[label][rows]) for n, (xy, rows) in found.items()}
        draw = partial(maps.atlas_figure, each, label_colours(results, label))
        blocks += [Heading("The same networks in each representation"), Drawing("atlas", draw, f"UMAPs by {plain(label)}")]
    return blocks


def contingency(results: Results, representation: str, label: str) -> dict[int, dict[str, int]]:
    """{cluster: {value of a label: n test networks}}; networks without one are not counted."""
    found: dict[int, Counter[str]] = {}
    for name, row in results.assigned.get(representation, {}).items():
        counts = found.setdefault(row["cluster"], Counter())
        value = str(results.labels[label][results.row_of[name]])
        if row["split"] == "test" and value:
            counts[value] += 1
    return dict(sorted(found.items()))


def contingency_blocks(results: Results) -> list[Block]:
    """Clusters against the main label, for the first few cloze embeddings."""
    label = results.main_label
    names = [name for name, one in results.representations.items() if one.group == CLOZE and name in results.assigned]
    if label not in results.labels or not names:
        return []
    tables = {results.title(name): contingency(results, name, label) for name in names[:MAX_TABLES]}
    values = results.values_of(label)
    counted = sum((Counter(row) for rows in tables.values() for row in rows.values()), Counter())
    caption = "Counts of test networks."
    if len(values) > MAX_VALUES and counted:
        common = [value for value, _ in counted.most_common(MAX_VALUES)]
        values = [value for value in values if value in common]
        caption = f"Counts of test networks with the {len(values)} most common values."
    draw = partial(maps.contingency_figure, tables, values, plain(label))
    alt = f"Counts of test networks by cluster and {plain(label)} for cloze embeddings"
    return [Heading(f"Clusters against the {plain(label)}"), Drawing("contingency", draw, alt, caption)]


def cluster_rows(results: Results) -> list[dict]:
    """For each cluster of the embedding shown: n test networks, and the test network nearest to its centre."""
    rows = []
    members = results.assigned.get(results.shown, {})
    for number in sorted({row["cluster"] for row in members.values()}):
        own = [row for row in members.values() if row["cluster"] == number]
        nearest = min(own, key=lambda row: (row["split"] != "test", row["distance_to_centre"]))
        n = sum(row["split"] == "test" for row in own)
        rows.append({"cluster": number, "n": n, "network_id": str(nearest["network_id"])})
    return rows


def most_common(counts: Mapping[str, int]) -> str:
    """The most common value among a cluster's networks with its share: "96% 3"; "" where there is none."""
    value = max(counts, key=counts.get, default=None)
    return "" if value is None else f"{counts[value] / sum(counts.values()):.0%} {value}"


def gallery_blocks(results: Results) -> list[Block]:
    """A card for each cluster: its typical network, its values of the main label, what sets it apart, its rule."""
    label, domain = results.main_label, results.domain
    counts = contingency(results, results.shown, label) if label in results.labels else {}
    colours = label_colours(results, label) if counts else {}
    described, rules = results.shown_rows("descriptions"), results.shown_rows("rules")
    cards = []
    for row in cluster_rows(results):
        number, drawing = row["cluster"], None
        own, rule = ([r for r in table if r["cluster"] == number] for table in (described, rules))
        mix = counts.get(number, {})
        lines = [f"{row['n']:,} networks" + (f", {most_common(mix)}" if mix else "")]
        lines += [descriptions.apart(own)] if own else []
        lines += [descriptions.rule_sentence(rule[0])] if rule else []
        if domain and domain.draw:
            params = results.final.params[results.row_of[row["network_id"]]]
            draw = partial(maps.small_figure, domain.draw, results.final.spec, params)
            drawing = Drawing(f"cluster-{number}", draw, f"the network at the centre of cluster {number}")
        bar = [(n / sum(mix.values()), colours[value]) for value, n in sorted(mix.items()) if n]
        cards.append(Card(f"Cluster {number}", [*lines, row["network_id"]], drawing, bar))
    text = f"The test network nearest to the centre of each cluster of {results.title(results.shown)}."
    text += f" The bar shows the {plain(label)} of the cluster's networks." if counts else ""
    text += " All values are of test networks, with 95 % intervals in brackets." if described else ""
    shown = {f"{plain(label)} {value}": colours[value] for value in results.values_of(label)} if counts else {}
    return [Heading("What each cluster is"), Text(text, small=True), Cards(cards, shown, wide=bool(described))] if cards else []


def description_blocks(results: Results) -> list[Block]:
    """What sets clusters apart, what labels leave open, and whether clusters split the values of the main label."""
    blocks: list[Block] = []
    label = results.main_label
    if rows := results.shown_rows("descriptions"):
        counts = contingency(results, results.shown, label) if label in results.labels else {}
        heads = {row["cluster"]: (most_common(counts.get(row["cluster"], {})), row["n"]) for row in cluster_rows(results)}
        captions = {cluster: f"{most}\nn = {n:,}" for cluster, (most, n) in heads.items()}
        caption = (
            "Cliff's δ on test networks: the probability that a network of the cluster has more of a property than one from "
            "outside, less the probability that it has less; for facts the difference of shares. Effects nearer to 0 than "
            f"{descriptions.SHOWN_EFFECT} are left blank."
        )
        draw = partial(descriptions.effects_figure, rows, captions)
        blocks.append(Heading("What sets the clusters apart"))
        blocks.append(Drawing("effects", draw, "Effects of clusters on properties", caption))
    if left := results.shown_rows("unexplained"):
        caption = (
            "Left: mutual information with the clusters over their entropy, less what chance gives. Right: ticks are what a "
            "property explains in 95 of 100 permutations of the clusters among networks of equal labels at most; filled points "
            "stand out among all properties (p < 0.05, corrected)."
        )
        draw = partial(descriptions.unexplained_figure, left)
        alt = "Share of the clusters' information that labels and properties explain"
        blocks += [Heading("What no known label explains"), Text(descriptions.unexplained_text(left))]
        blocks.append(Drawing("unexplained", draw, alt, caption))
        if splits := descriptions.split_rows(left):
            blocks += [Heading(f"Do clusters split the values of the {plain(label or 'label')}?"), split_table(splits)]
            blocks.append(Text("Kinds: 2 to the power of the clusters' entropy; 1 is a value in one cluster.", small=True))
    return blocks


def split_table(splits: list[dict]) -> Table:
    """For each value of the main label that lies in several clusters: into how many, and what explains which."""
    rows = []
    for row in splits:
        best, known = row["best"], row["labels"]
        others = f"{known['share']:.0%} (permuted {known['null']:.1%})" if known else ""
        numbers = [f"{best['share']:.0%}", f"{best['null']:.1%}", num(best["p"], 3)]
        rows.append([row["scope"], others, capital(best["property"]), f"{row['n']:,}", num(row["kinds"], 1), *numbers])
    columns = ["within", "explained by the other labels", "what explains most of the rest", "networks", "kinds"]
    return Table([*columns, "share of the rest", "permuted", "p"], rows, n_left=3)
