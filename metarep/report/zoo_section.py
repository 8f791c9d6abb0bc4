"""The section on the zoo: what was read, its architectures, labels and properties."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial

import numpy as np

from metarep.evaluation.resampling import share_of
from metarep.report import figures
from metarep.report.blocks import Block, Drawing, Heading, Section, Table, Text
from metarep.report.results import Results
from metarep.report.style import PALETTE, colours_of
from metarep.report.wording import Finding, capital, percent, plain, three_digits
from metarep.zoos.account import SUBJECTS, by_subject, line_of, read_account

MAX_VALUES = 12
"""Values of a label that a figure shows; the most common ones."""


def section(results: Results) -> Section:
    """What is known of the networks before any model has seen them."""
    zoo, final = results.zoo, results.final
    text = f"The zoo holds {len(zoo):,} networks of {counted(len(zoo.architectures), 'architecture')}"
    if results.domain:
        text += f": {results.domain.title}"
    if len(final) < len(zoo):
        text += f". Without snapshots and networks that diverged, {len(final):,} finished networks remain"
    blocks: list[Block] = [Text(text + "."), architecture_table(results)]
    blocks += account_blocks(results)
    for name in results.labels:
        blocks += label_blocks(results, name)
    if results.properties:
        blocks += [Heading("Properties"), property_table(results)]
    if not results.labels and not results.properties:
        blocks.append(Text("Neither labels nor properties of these networks are known, so clusters are shown, not judged."))
    return Section("zoo", "The zoo", blocks, findings(results))


def counted(n: int, noun: str, several: str = "") -> str:
    """A number with its noun: one architecture, 3 architectures."""
    return f"one {noun}" if n == 1 else f"{n:,} {several or noun + 's'}"


def architecture_table(results: Results) -> Table:
    """A row for each architecture: networks, training runs, parameters; a domain's recipes apart."""
    zoo = results.zoo
    recipe = zoo["variant"].astype(str) if "variant" in zoo else np.full(len(zoo), "")
    number, finite = np.asarray(zoo.architecture), zoo["finite"] if "finite" in zoo else np.ones(len(zoo), bool)
    rows = []
    for which, name in sorted({(int(a), str(r)) for a, r in zip(number, recipe, strict=True)}):
        own, one = (number == which) & (recipe == name), zoo.architectures[which]
        counts = (own.sum(), len(set(zoo["run_id"][own])), one.n_params, (~finite[own]).sum())
        rows.append([zoo.architecture_names[which], *([name] if any(recipe) else []), *(f"{n:,}" for n in counts)])
    recipes = ["recipe"] if any(recipe) else []
    columns = ["architecture", *recipes, "networks", "training runs", "parameters", "not finite"]
    return Table(columns, rows, n_left=1 + len(recipes), folded="All architectures" if len(rows) > 12 else "")


def account_blocks(results: Results) -> list[Block]:
    """What an import says of files that were passed over, and of what was left out, guessed or set aside."""
    entries = read_account(results.zoo.artefact.path)
    if not entries:
        return []
    rows = [
        [SUBJECTS[subject] + " (in doubt)" * group[0].doubt, *line_of(group)]
        for subject, groups in by_subject(entries).items()
        for group in groups
    ]
    n_doubts = sum(entry.doubt for entry in entries)
    said = f"{counted(len(entries), 'entry', 'entries')}, {n_doubts:,} in doubt" if n_doubts else "nothing is in doubt"
    text = Text(f"What was passed over, left out, guessed or set aside while files were read: {said}.")
    columns = ["what it is about", "where", "what", "why"]
    return [
        Heading("What was read and what was not"),
        text,
        Table(columns, rows, n_left=4, folded="" if len(rows) <= 12 else "All entries"),
    ]


def label_rows(results: Results, label: str) -> list[dict]:
    """For each value of a label that occurs: n, share and its Wilson interval, in the order of the label's values."""
    values, rows = results.labels[label][results.labels[label] != ""], []
    for value in results.values_of(label):
        rows.append({"value": value} | share_of((values == value).sum(), len(values)))
    return rows


def label_blocks(results: Results, label: str) -> list[Block]:
    """One label: the shares of its values, beside the first property; what its values mean."""
    rows, title = label_rows(results, label), plain(label)
    shown = sorted(sorted(rows, key=lambda row: -row["n"])[:MAX_VALUES], key=rows.index)
    says, meaning = words_of(results, label)
    what = next(iter(results.properties), "")
    numbers = {}
    for row in shown if what else ():
        own = results.properties[what][results.labels[label] == row["value"]]
        numbers[row["value"]] = own[np.isfinite(own)] if np.isfinite(own).any() else np.zeros(1)
    draw = partial(figures.label_figure, title, shown, label_colours(results, label), numbers, plain(what))
    alt = f"Shares of networks by {title}" + (f", and how their {plain(what)} spreads" if what else "")
    caption = f"The {len(shown)} most common of {len(rows)} values." if len(shown) < len(rows) else ""
    blocks = [Heading(f"{title.capitalize()}{': ' * bool(says)}{says}"), Drawing(f"label-{label}", draw, alt, caption)]
    table = [[row["value"], meaning.get(row["value"], "")] for row in rows]
    return [*blocks, Table([title, "meaning"], table, n_left=2)] if meaning else blocks


def words_of(results: Results, label: str) -> tuple[str, Mapping[str, str]]:
    """What a label says and what its values mean, where the domain has words for them."""
    domain = results.domain
    return (domain.labels.get(label, ""), domain.label_words.get(label, {})) if domain else ("", {})


def label_colours(results: Results, label: str) -> dict[str, str]:
    """A colour for each value of a label, in the order of the values; "" is a network without one.

    Where there are more values than colours, the commonest have one of their own.
    """
    given, values = results.domain.label_colours.get(label, {}) if results.domain else {}, results.values_of(label)
    common = [value for value, _ in Counter(results.labels[label]).most_common()]
    found = colours_of(values if len(values) <= len(PALETTE) else common, given)
    return {value: found[value] for value in (*values, "")}


def property_table(results: Results) -> Table:
    """How the properties spread among finished networks."""
    rows = []
    for name, values in results.properties.items():
        known = values[np.isfinite(values)]
        rows.append([plain(name), f"{len(known):,}", *(three_digits(q) for q in np.quantile(known, [0, 0.25, 0.5, 0.75, 1]))])
    return Table(["property", "networks", "least", "quartile", "median", "quartile", "largest"], rows)


def findings(results: Results) -> list[Finding]:
    """How many networks there are, which values of the main label are common, by which the first property differs most."""
    n_failed = int((~results.zoo["finite"]).sum()) if "finite" in results.zoo else 0
    kept = f"{n_failed:,} are not finite and left out of what follows" if n_failed else "all are finite"
    text = f"The zoo holds {len(results.zoo):,} networks of {counted(len(results.zoo.architectures), 'architecture')}; {kept}."
    label, what = (next(iter(known), None) for known in (results.labels, results.properties))
    if not label:
        return [Finding("The zoo", text)]
    rows = sorted(label_rows(results, label), key=lambda row: -row["n"])
    said, meaning = [], words_of(results, label)[1]
    for word, row in (("most common", rows[0]), ("rarest", rows[-1])):
        means = f" ({meaning[row['value']]})" if row["value"] in meaning else ""
        share = percent(row["share"], row["low"], row["high"], 1)
        said.append(f"the {word} is {plain(label)} {row['value']}{means}, {share}")
    found = [Finding("The zoo", f"{text} {capital('; '.join(said))}.")]
    own = {value: results.properties[what][results.labels[label] == value] for value in results.values_of(label) if what}
    median = sorted((float(np.nanmedian(values)), value) for value, values in own.items() if np.isfinite(values).any())
    numbers = [three_digits(median[end][0]) for end in (0, -1) if median]
    if len(set(numbers)) > 1:
        ends = [f"{number} for {plain(label)} {median[end][1]}" for number, end in zip(numbers, (0, -1), strict=True)]
        found.append(Finding(plain(what).capitalize(), f"The median {plain(what)} goes from {' to '.join(ends)}."))
    return found
