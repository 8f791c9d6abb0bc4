"""What each cluster does that the others do not, and what no known label explains, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from metarep.domains.multiplier.properties import START
from metarep.evaluation.unexplained import EVERYTHING, LABELS, LEVEL, PROPERTY, SCOPE_ALL, STEP
from metarep.report.results import Results, title_of
from metarep.report.summary import Finding
from metarep.report.wording import listed, num

GOOD_RULE = 0.8
"""A rule with an F1 of at least this on test networks describes its cluster well."""


def findings(results: Results) -> list[Finding]:
    """What can be said of the clusters of the embedding shown; nothing where they were not described."""
    made = [
        (f"What do the clusters of {title_of(results.shown or '')} stand for?", rules_text(shown_rows(results, "rules"))),
        ("What no known label explains", unexplained_text(shown_rows(results, "unexplained"))),
    ]
    return [Finding(topic, text) for topic, text in made if text]


def shown_rows(results: Results, table: str) -> list[dict]:
    """The rows of a table of the clusters stage that are about the embedding shown."""
    return [row for row in results.table(f"clusters/{table}") if row["representation"] == results.shown]


def apart(rows: Sequence[dict]) -> str:
    """What sets one cluster apart, from its rows of descriptions.csv: what was found on training and holds on test networks."""
    if not rows or not rows[0]["n"]:
        return "No test network falls into it."
    told = [row for row in rows if row["said"] and row["effect_train"] * row["effect"] > 0]
    told = [row for row in told if row["effect_low"] > 0 or row["effect_high"] < 0]
    if not told:
        return "Nothing that was looked at sets it clearly apart."
    return capital("; ".join(_said(row) for row in sorted(told, key=lambda row: row["said"]))) + "."


def _said(row: Mapping) -> str:
    if row["is_fact"]:
        return f"{row['property']} ({row['inside']:.0%} of its networks, {row['outside']:.0%} of the others)"
    word = "higher" if row["effect"] > 0 else "lower"
    return f"{row['property']} {word} (median {figure(row['inside'])}, others {figure(row['outside'])})"


def capital(text: str) -> str:
    """The text with a capital at its head."""
    return text[:1].upper() + text[1:]


def figure(value: float) -> str:
    """Three digits with a true minus sign; what is as good as zero is 0."""
    return "0" if abs(value) < 5e-4 else f"{value:.3g}".replace("-", "−")


def rule_sentence(rule: Mapping) -> str:
    """A cluster's rule and how far it holds on test networks, from its row of rules.csv."""
    text = f"Rule: {rule['rule']}.".replace(" -", " −")
    if not rule["n_caught"]:
        return f"{text} No test network meets it."
    right, finds = (_percent(rule, name) for name in ("precision", "recall"))
    text = f"{text} Of the {rule['n_caught']:,} test networks that meet it {right} are in the cluster (of all networks"
    return f"{text} {rule['share']:.0%}); it finds {finds} of the cluster."


def _percent(rule: Mapping, name: str) -> str:
    return f"{rule[name]:.0%} [{rule[f'{name}_low']:.0%}, {rule[f'{name}_high']:.0%}]"


def f1(rule: Mapping) -> float:
    """The harmonic mean of a rule's precision and recall on test networks; 0 where it catches none of the cluster."""
    both = rule["precision"] + rule["recall"] if rule["n_caught"] and rule["n"] else 0.0
    return 2 * rule["precision"] * rule["recall"] / both if both > 0 else 0.0


def rules_text(rules: Sequence[dict]) -> str:
    """How many clusters a short rule describes, how well, and the best and the worst of them."""
    if not rules:
        return ""
    ranked = sorted(rules, key=f1)
    well, best, worst = [rule for rule in rules if f1(rule) >= GOOD_RULE], ranked[-1], ranked[0]
    networks, n = sum(rule["n"] for rule in well), max(1, sum(rule["n"] for rule in rules))
    text = (
        f"Rules of at most three conditions, found on training networks, describe {len(well)} of {len(rules)} clusters well on"
    )
    text += f" test networks (F1 at least {GOOD_RULE}), which hold {networks / n:.0%} of the networks."
    text += f" The best is that of cluster {best['cluster']} (F1 {num(f1(best))}): {best['rule']}.".replace(" -", " −")
    if len(rules) > 1:
        text += f" The least fits cluster {worst['cluster']} (F1 {num(f1(worst))})."
    return text


def ladder(rows: Sequence[dict]) -> list[tuple[str, float, str]]:
    """[(what is known, the share of the clusters' information that it tells, kind of row)], from rows of unexplained.csv.

    Labels and found properties come on top of what stands before; a forest of every property by itself comes last.
    """
    found = [(_plain(row["property"]), row["share"], LABELS) for row in _of_kind(rows, LABELS)]
    told = found[-1][1] if found else 0.0
    for row in _of_kind(rows, STEP):
        told += (1 - told) * max(row["share"], 0.0)
        found.append((row["property"], told, STEP))
    return found + [("every property", row["share"], EVERYTHING) for row in _of_kind(rows, EVERYTHING)]


def _of_kind(rows: Iterable[dict], kind: str, scope: str = SCOPE_ALL) -> list[dict]:
    return [row for row in rows if row["kind"] == kind and row["scope"] == scope]


def _plain(name: str) -> str:
    return name.replace("_", " ")


def property_rows(rows: Iterable[dict], scope: str = SCOPE_ALL) -> list[dict]:
    """What each property tells of the rest in a scope, the most telling first."""
    return _of_kind(rows, PROPERTY, scope)


def unexplained_text(rows: Sequence[dict]) -> str:
    """How much of the clusters the known labels tell, whether the rest is structure, and what tells most of it."""
    known = _of_kind(rows, LABELS)
    if not known:
        return ""
    said = [f"{row['share']:.0%} with {listed(_plain(row['property']).split(' + '))}" for row in known]
    null = max(row["null"] for row in known)
    text = (
        f"A network’s cluster is {num(known[-1]['bits'], 1)} bits of information. Of that the known labels tell {listed(said)}"
    )
    text += f" (clusters shuffled among networks: at most {null:.1%} in 95 of 100 draws)."
    return " ".join(part for part in (text, _rest(rows), _added(rows), _left(rows)) if part)


def _rest(rows: Sequence[dict]) -> str:
    """Whether what the labels leave is structure, which property tells most of it, and what the start of training tells."""
    numbers = property_rows(rows)
    sure = [row for row in numbers if row["p"] < LEVEL]
    if not sure:
        least = min((row["p"] for row in numbers), default=1.0)
        return f"None of {len(numbers)} properties tells anything of the rest (shuffled among equal labels; p = {num(least)})."
    first = sure[0]
    text = f"The rest is not chance: {len(sure)} of {len(numbers)} properties tell something of it, most of all"
    text += f" “{first['property']}” with {first['share']:.0%} of it (shuffled among networks of equal labels: at most"
    text += f" {first['null']:.1%}; p {_chance(first['p'])})."
    began = [row for row in numbers if row["family"] == START]
    told = [row for row in began if row["p"] < LEVEL]
    if told:
        text += f" Of how training began, “{told[0]['property']}” tells most: {told[0]['share']:.0%} of it."
    elif began:
        text += " How training began tells nothing of it."
    return text


def _chance(p: float) -> str:
    return "below 0.01" if p < 0.01 else f"= {num(p)}"


def _added(rows: Sequence[dict]) -> str:
    """What properties leave that are added to the labels one after the other."""
    steps = [name for name, _, kind in ladder(rows) if kind == STEP]
    if len(steps) < 2:
        return ""
    told = max(share for _, share, kind in ladder(rows) if kind == STEP)
    return f"Added one after the other, {listed([f'“{name}”' for name in steps])} bring what is told to {told:.0%}."


def _left(rows: Sequence[dict]) -> str:
    """What is left by everything that was looked at."""
    told, forest = max(share for _, share, _ in ladder(rows)), _of_kind(rows, EVERYTHING)
    if not forest:
        return ""
    row = forest[0]
    text = f"A forest of every property tells {row['share']:.0%} [{row['low']:.0%}, {row['high']:.0%}] on unseen networks;"
    return f"{text} so at most {1 - told:.0%} is left to what was not looked at."


def mode_table(rows: Sequence[dict]) -> list[dict]:
    """For each mode whose networks stand in more than one cluster: into how many, and what tells which.

    kinds is 2 to the power of the entropy, the number of equal clusters that would be as uncertain.
    """
    found = []
    for scope in dict.fromkeys(row["scope"] for row in rows if row["scope"] != SCOPE_ALL):
        labels, best = _of_kind(rows, LABELS, scope), property_rows(rows, scope)[0]
        known = labels[-1] | {"property": _plain(labels[-1]["property"])} if labels else None
        found.append({"scope": scope, "n": best["n"], "kinds": 2 ** best["bits"], "labels": known, "best": best})
    return found
