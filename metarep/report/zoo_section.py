"""The section on the zoo: what was read, its architectures, labels and properties."""

from __future__ import annotations

import numpy as np

from metarep.evaluation.resampling import wilson
from metarep.report import figures
from metarep.report.blocks import Block, Drawing, Glossary, Heading, Section, Table, Text
from metarep.report.results import Results
from metarep.report.style import colours_of
from metarep.report.wording import Finding, capital, num, percent, plain, three_digits

MAX_VALUES = 12
"""Values of a label that a figure shows; the most common ones."""

WORDS = {
    "Zoo": "Many networks with how each came to be, on disk.",
    "Cloze model": "A transformer that learned to predict masked parameters of a network from the parameters around them.",
    "Representation": "Anything that turns a network into a vector: a cloze embedding, raw parameters, weight statistics.",
    "Label": "What is known of a network in words: a class, an algorithm, a recipe.",
    "Property": "What is known of a network as a number: its error, its accuracy, the epoch.",
    "Adjusted Rand index (ARI)": "How well clusters agree with labels: 1 is the same partition, 0 is chance. AMI, the adjusted "
    "mutual information, likewise.",
    "Probe": "A simple classifier or regressor on a frozen representation, fitted on training networks. Balanced accuracy is "
    "the mean share of correct predictions over the values of a label.",
    "Masked R²": "The share of the variance of masked parameters that is predicted: 1 is all, 0 no more than the mean.",
    "Null": "What a metric reaches in at most 95 of 100 draws when labels or predictions are permuted among networks.",
    "Split": "Everything is fitted on training networks and measured on test networks. Networks of one run share a split. Of "
    "few runs every network is a test network once, in a cross-validation by run.",
    "Clearly": "Two values differ clearly where their 95 % intervals do not overlap.",
}


def section(results: Results) -> Section:
    """What is known of the networks before any model has seen them."""
    zoo, final = results.zoo, results.final
    text = f"The zoo holds {len(zoo):,} networks of {counted(len(zoo.architectures), 'architecture')}"
    if results.domain:
        text += f": {results.domain.title}"
    if len(final) < len(zoo):
        text += f". Without snapshots and networks that diverged, {len(final):,} finished networks remain"
    blocks: list[Block] = [Text(text + "."), architecture_table(results)]
    for name in results.labels:
        blocks += label_blocks(results, name)
    if results.properties:
        blocks += [Heading("Properties"), property_table(results)]
    if not results.labels and not results.properties:
        blocks.append(Text("Neither labels nor properties of these networks are known, so clusters are described, not judged."))
    return Section("zoo", "The zoo", [*blocks, Heading("Words"), Glossary(WORDS)], findings(results))


def counted(n: int, noun: str) -> str:
    """A number with its noun: one architecture, 3 architectures."""
    return f"one {noun}" if n == 1 else f"{n:,} {noun}s"


def architecture_table(results: Results) -> Table:
    """A row for each architecture: networks, training runs, parameters; a domain's recipes apart."""
    zoo = results.zoo
    recipe = zoo["variant"].astype(str) if "variant" in zoo else np.full(len(zoo), "")
    number = np.asarray(zoo.architecture)
    rows = []
    for which, name in sorted({(int(a), str(r)) for a, r in zip(number, recipe, strict=True)}):
        own, one = (number == which) & (recipe == name), zoo.architectures[which]
        spec = str(zoo["spec"][own][0]) if "spec" in zoo else f"{which + 1}: {len(one.tensors)} tensors"
        n_failed = int((~zoo["finite"][own]).sum()) if "finite" in zoo else 0
        cells = [f"{n:,}" for n in (own.sum(), len(set(zoo["run_id"][own])), one.n_params, n_failed)]
        rows.append([spec, *([name] if any(recipe) else []), *cells])
    recipes = ["recipe"] if any(recipe) else []
    columns = ["architecture", *recipes, "networks", "training runs", "parameters", "not finite"]
    return Table(columns, rows, n_left=1 + len(recipes), folded="All architectures" if len(rows) > 12 else "")


def label_rows(results: Results, label: str) -> list[dict]:
    """For each value of a label that occurs: n, share and its Wilson interval, in the order of the label's values."""
    values, rows = results.labels[label][results.labels[label] != ""], []
    for value in results.values_of(label):
        n = int((values == value).sum())
        low, high = wilson(n, len(values))
        rows.append({"value": value, "n": n, "share": n / len(values), "low": low, "high": high})
    return rows


def label_blocks(results: Results, label: str) -> list[Block]:
    """One label: the shares of its values, beside the first property; what its values mean."""
    rows = label_rows(results, label)
    shown = sorted(sorted(rows, key=lambda row: -row["n"])[:MAX_VALUES], key=rows.index)
    meaning = results.domain.label_words.get(label, {}) if results.domain else {}
    domain_says = results.domain.labels.get(label, "") if results.domain else ""
    what = next(iter(results.properties), "")
    numbers = {}
    if what:
        for row in shown:
            own = results.properties[what][results.labels[label] == row["value"]]
            numbers[row["value"]] = own[np.isfinite(own)] if np.isfinite(own).any() else np.zeros(1)
    colours = label_colours(results, label)
    drawing = Drawing(
        f"label-{label}",
        lambda: figures.label_figure(plain(label), shown, colours, numbers, plain(what)),
        f"Shares of networks by {plain(label)}" + (f", and how their {plain(what)} spreads" if what else ""),
        f"The {len(shown)} most common of {len(rows)} values." if len(shown) < len(rows) else "",
    )
    blocks: list[Block] = [Heading(f"{plain(label).capitalize()}{': ' + domain_says if domain_says else ''}"), drawing]
    if meaning:
        blocks.append(Table([plain(label), "meaning"], [[r["value"], meaning.get(r["value"], "")] for r in rows], n_left=2))
    return blocks


def label_colours(results: Results, label: str) -> dict[str, str]:
    """A colour for each value of a label, in the order of the values; "" is a network without one."""
    given = results.domain.label_colours.get(label, {}) if results.domain else {}
    found = colours_of(results.values_of(label), given)
    return {value: found[value] for value in (*results.values_of(label), "")}


def property_table(results: Results) -> Table:
    """How the properties spread among finished networks."""
    rows = []
    for name, values in results.properties.items():
        known = values[np.isfinite(values)]
        rows.append([plain(name), f"{len(known):,}", *(three_digits(q) for q in np.quantile(known, [0, 0.25, 0.5, 0.75, 1]))])
    return Table(["property", "networks", "least", "quartile", "median", "quartile", "largest"], rows)


def findings(results: Results) -> list[Finding]:
    """How many networks there are, and which values of the main label are common."""
    n_failed = int((~results.zoo["finite"]).sum()) if "finite" in results.zoo else 0
    kept = f"{n_failed:,} are not finite and left out of what follows" if n_failed else "all are finite"
    text = f"The zoo holds {len(results.zoo):,} networks of {counted(len(results.zoo.architectures), 'architecture')}; {kept}."
    if label := next(iter(results.labels), None):
        rows = sorted(label_rows(results, label), key=lambda row: -row["n"])
        meaning = results.domain.label_words.get(label, {}) if results.domain else {}
        said = []
        for word, row in (("most common", rows[0]), ("rarest", rows[-1])):
            means = f" ({meaning[row['value']]})" if row["value"] in meaning else ""
            share = percent(row["share"], row["low"], row["high"], 1)
            said.append(f"the {word} is {plain(label)} {row['value']}{means}, {share}")
        text += f" {capital('; '.join(said))}."
    return [Finding("The zoo", text), *spread(results)]


def spread(results: Results) -> list[Finding]:
    """By which values of the main label the first property differs most."""
    label, what = (next(iter(known), None) for known in (results.labels, results.properties))
    if not label or not what:
        return []
    own = {value: results.properties[what][results.labels[label] == value] for value in results.values_of(label)}
    median = sorted((float(np.nanmedian(values)), value) for value, values in own.items() if np.isfinite(values).any())
    if len(median) < 2:
        return []
    said = " to ".join(f"{num(number)} for {plain(label)} {value}" for number, value in (median[0], median[-1]))
    return [Finding(plain(what).capitalize(), f"The median {plain(what)} goes from {said}.")]
