"""What sets each cluster apart, and what no known label explains, in words and as figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from metarep.evaluation.unexplained import EVERYTHING, LABELS, LEVEL, PROPERTY, SCOPE_ALL, STEP
from metarep.report.style import DIVERGING, FAINT, INK, PALETTE, cells, colour_bar, drawing, key
from metarep.report.wording import capital, listed, num, percent, plain, three_digits

GOOD_RULE = 0.8
"""A rule with an F1 of at least this on test networks describes its cluster well."""

MAX_PROPERTIES = 18
"""Rows of the heat map: of the properties that are said of a cluster, those with the largest effects."""

MAX_BARS = 12
SHOWN_EFFECT = 0.15
"""The heat map writes no number into a cell that is nearer to zero."""

REST = "#E3DFD5"
KINDS = {
    LABELS: ("#004C97", "known labels, added one by one"),
    STEP: ("#3D8FC4", "found properties, added"),
    EVERYTHING: ("#6B6B6B", "a forest of all properties"),
}
FAMILY_COLOURS = [colour for colour in PALETTE if colour != "#F0E442"]


def apart(rows: Sequence[dict]) -> str:
    """What sets one cluster apart, from its rows of descriptions.csv: what was found on training and holds on test networks."""
    if not rows or not rows[0]["n"]:
        return "No test network falls into it."
    holds = [row for row in rows if row["said"] and row["effect_train"] * row["effect"] > 0]
    holds = [row for row in holds if row["effect_low"] > 0 or row["effect_high"] < 0]
    if not holds:
        return "No property sets it clearly apart."
    return capital("; ".join(_said(row) for row in sorted(holds, key=lambda row: row["said"]))) + "."


def _said(row: Mapping) -> str:
    if row["is_fact"]:
        return f"{row['property']} ({row['inside']:.0%} of its networks, {row['outside']:.0%} of the others)"
    word = "higher" if row["effect"] > 0 else "lower"
    return f"{row['property']} {word} (median {three_digits(row['inside'])}, others {three_digits(row['outside'])})"


def rule_sentence(rule: Mapping) -> str:
    """A cluster's rule and how far it holds on test networks, from its row of rules.csv; of a poor one, that it is poor."""
    if f1(rule) < GOOD_RULE / 2:
        return "No simple rule describes it."
    text = f"Rule: {rule['rule']}.".replace(" -", " −")
    right, found = (percent(*(rule[f"{name}{end}"] for end in ("", "_low", "_high"))) for name in ("precision", "recall"))
    text = f"{text} Of the {rule['n_caught']:,} test networks that meet it, {right} are in the cluster (of all networks"
    return f"{text} {rule['share']:.0%}); it finds {found} of the cluster."


def f1(rule: Mapping) -> float:
    """The harmonic mean of a rule's precision and recall on test networks; 0 where it finds none of the cluster."""
    both = rule["precision"] + rule["recall"] if rule["n_caught"] and rule["n"] else 0.0
    return 2 * rule["precision"] * rule["recall"] / both if both > 0 else 0.0


def rules_text(rules: Sequence[dict]) -> str:
    """How many clusters a short rule describes, how well, and the best and the worst of them."""
    if not rules:
        return ""
    ranked = sorted(rules, key=f1)
    well, best, worst = [rule for rule in rules if f1(rule) >= GOOD_RULE], ranked[-1], ranked[0]
    share = sum(rule["n"] for rule in well) / max(1, sum(rule["n"] for rule in rules))
    if not well:
        return f"No rule of at most three conditions describes a cluster well on test networks (F1 at least {GOOD_RULE})."
    text = f"Rules of at most three conditions describe {len(well)} of {len(rules)} clusters well on test networks (F1 at "
    text += f"least {GOOD_RULE}); these hold {share:.0%} of the networks."
    text += f" The best is that of cluster {best['cluster']} (F1 {num(f1(best))}): {best['rule']}.".replace(" -", " −")
    return text + (f" The worst is that of cluster {worst['cluster']} (F1 {num(f1(worst))})." if len(rules) > 1 else "")


def ladder(rows: Sequence[dict]) -> list[tuple[str, float, str]]:
    """[(what is known, the share of the clusters' information that it explains, kind of row)], from rows of unexplained.csv.

    Labels and found properties are added to what comes before; a forest of every property by itself comes last.
    """
    found = [(plain(row["property"]), row["share"], LABELS) for row in _of_kind(rows, LABELS)]
    explained = found[-1][1] if found else 0.0
    for row in _of_kind(rows, STEP):
        explained += (1 - explained) * max(row["share"], 0.0)
        found.append((row["property"], explained, STEP))
    return found + [("every property", row["share"], EVERYTHING) for row in _of_kind(rows, EVERYTHING)]


def _of_kind(rows: Iterable[dict], kind: str, scope: str = SCOPE_ALL) -> list[dict]:
    return [row for row in rows if row["what"] == kind and row["scope"] == scope]


def property_rows(rows: Iterable[dict], scope: str = SCOPE_ALL) -> list[dict]:
    """What each property explains of the rest in a scope, the one that explains most first."""
    return _of_kind(rows, PROPERTY, scope)


def unexplained_text(rows: Sequence[dict]) -> str:
    """How much of the clusters the known labels explain, whether the rest is structure, and what explains most of it."""
    known = _of_kind(rows, LABELS)
    parts = []
    if known:
        said = [f"{max(row['share'], 0.0):.0%} ({listed(plain(row['property']).split(' + '))})" for row in known]
        null = f"permuted: at most {max(row['null'] for row in known):.1%}"
        bits = num(known[-1]["bits"], 1)
        parts.append(f"The known labels explain {listed(said)} of the {bits} bits of a network's cluster ({null}).")
    return " ".join(part for part in (*parts, _rest(rows), _added(rows), _left(rows)) if part) if rows else ""


def _rest(rows: Sequence[dict]) -> str:
    """Whether what the labels leave open is structure, and which property of each family explains most of it."""
    numbers = property_rows(rows)
    sure = [row for row in numbers if row["p"] < LEVEL]
    if not sure:
        least = min((row["p"] for row in numbers), default=1.0)
        text = f"None of {len(numbers)} properties explains any of the rest (permuted among equal labels; p = {num(least)})."
        return text if numbers else ""
    first = sure[0]
    p = "below 0.01" if first["p"] < 0.01 else f"= {num(first['p'])}"
    text = f"The rest is not chance: {len(sure)} of {len(numbers)} properties explain some of it, “{first['property']}” most: "
    text += f"{first['share']:.0%} (permuted among networks of equal labels: at most {first['null']:.1%}; p {p})."
    families = dict.fromkeys(row["family"] for row in numbers if row["family"] != first["family"])
    firsts = [next((row for row in sure if row["family"] == family), None) for family in families]
    said = [f"“{row['property']}” of {row['family']} ({row['share']:.0%})" for row in firsts if row]
    nothing = [family for family, row in zip(families, firsts, strict=True) if row is None]
    text += f" Of other kinds of properties, those that explain most are {listed(said)}." if said else ""
    return text + (f" No property of {listed(nothing)} explains any of it." if nothing else "")


def _added(rows: Sequence[dict]) -> str:
    """What is explained when properties are added to the labels one after the other."""
    steps = [(f"“{name}”", share) for name, share, kind in ladder(rows) if kind == STEP]
    names = listed([name for name, _ in steps])
    return f"Added one after the other, {names} raise this to {steps[-1][1]:.0%}." if len(steps) > 1 else ""


def _left(rows: Sequence[dict]) -> str:
    """What is left by everything that was looked at."""
    forest = _of_kind(rows, EVERYTHING)
    if not forest:
        return ""
    left = 1 - max(max(share, 0.0) for _, share, _ in ladder(rows))
    score = percent(*(forest[0][name] for name in ("share", "low", "high")))
    text = f"A forest of all properties explains {score if forest[0]['share'] > 0 else 'none of it'} on unseen"
    return f"{text} networks, so at most {left:.0%} is due to what was not looked at."


def split_rows(rows: Sequence[dict]) -> list[dict]:
    """For each value of the main label in several clusters: into how many (2 to the entropy), and what explains which."""
    found = []
    for scope in dict.fromkeys(row["scope"] for row in rows if row["scope"] != SCOPE_ALL):
        labels, best = _of_kind(rows, LABELS, scope), property_rows(rows, scope)[0]
        row = {"scope": scope, "n": best["n"], "kinds": 2 ** best["bits"], "best": best}
        found.append(row | {"labels": labels[-1] if labels else None})
    return found


# -- figures


def effects_figure(rows: Sequence[dict], captions: Mapping[int, str]) -> Figure:
    """Cliff's delta of properties by clusters from descriptions.csv; `captions` {cluster: what stands below its number}."""
    names, clusters = shown_properties(rows), sorted({row["cluster"] for row in rows})
    cell = {(row["property"], row["cluster"]): row for row in rows}
    effect = np.array([[cell[name, cluster]["effect"] for cluster in clusters] for name in names], float)
    texts = np.array([[num(value, 1) if abs(value) >= SHOWN_EFFECT else "" for value in row] for row in effect])
    heads = [f"{cluster}\n{captions.get(cluster, '')}" for cluster in clusters]
    with drawing(min(13.5, 6.2 + 0.74 * len(clusters)), 1.7 + 0.36 * len(names)) as figure:
        ax = figure.subplots()
        image = cells(ax, effect, texts, [capital(name) for name in names], heads, cmap=DIVERGING, vmin=-1, vmax=1)
        families = [cell[name, clusters[0]]["family"] for name in names]
        for y in range(1, len(names)):
            if families[y] != families[y - 1]:
                ax.axhline(y - 0.5, color="white", lw=5)
        ax.xaxis.tick_top()
        colour_bar(figure, image, "Cliff’s δ", ax=ax, shrink=0.8, aspect=26, pad=0.02, ticks=[-1, -0.5, 0, 0.5, 1])
    return figure


def shown_properties(rows: Iterable[dict]) -> list[str]:
    """The properties of the heat map, family by family: those said of a cluster, or all where none is."""
    rows = list(rows)
    said = {row["property"] for row in rows if row["said"]} or {row["property"] for row in rows}
    most: dict[str, float] = {}
    for row in rows:
        if row["property"] in said:
            most[row["property"]] = max(most.get(row["property"], 0.0), abs(row["effect_train"]))
    kept = sorted(most, key=lambda name: -most[name])[:MAX_PROPERTIES]
    family = {row["property"]: row["family"] for row in rows}
    order = list(dict.fromkeys(family[name] for name in kept))
    return sorted(kept, key=lambda name: (order.index(family[name]), -most[name]))


def unexplained_figure(rows: Sequence[dict]) -> Figure:
    """From rows of unexplained.csv. Left: how much of the clusters is explained by what. Right: what explains the rest."""
    steps, numbers = ladder(rows), property_rows(rows)[:MAX_BARS]
    with drawing(13, 2.2 + 0.33 * max(len(steps), len(numbers))) as figure:
        left, right = figure.subplots(1, 2)
        keys = _draw_ladder(left, steps, [row for row in rows if row["what"] == EVERYTHING])
        figure.legend(handles=keys, ncols=2, loc="outside lower left")
        keys = _draw_properties(right, numbers)
        figure.legend(handles=keys, ncols=3, loc="outside lower right", columnspacing=1.4, handletextpad=0.3)
        for ax in (left, right):
            ax.xaxis.set_major_formatter("{x:.0%}")
            ax.tick_params(axis="y", length=0, labelcolor=INK, labelsize=10)
    return figure


def _draw_ladder(ax: Axes, steps: Sequence[tuple[str, float, str]], forest: Sequence[dict]) -> list[Artist]:
    """Draws the shares and returns the key to the colours."""
    at = np.arange(len(steps))[::-1]
    explained = np.array([max(share, 0.0) for _, share, _ in steps])
    ax.barh(at, 1, color=REST, height=0.62)
    ax.barh(at, explained, color=[KINDS[kind][0] for _, _, kind in steps], height=0.62)
    ends = np.maximum(explained, [0.0] * len(steps[:-1]) + [max((row["high"] for row in forest), default=0.0)])
    for y, share, end in zip(at, explained, ends, strict=True):
        ax.annotate(f"{share:.0%}", (end, y), (8, 0), textcoords="offset points", va="center")
    for row in forest:
        width = [[row["share"] - row["low"]], [row["high"] - row["share"]]]
        ax.errorbar(max(row["share"], 0.0), at[-1], xerr=width, color=INK, capsize=3, lw=1.4)
    names = [name if i == 0 or kind == EVERYTHING else f"+ {name.split(' + ')[-1]}" for i, (name, _, kind) in enumerate(steps)]
    ax.set_yticks(at, [capital(name) for name in names])
    ax.set(xlim=(0, 1), title="What explains a network’s cluster", xlabel="share of the clusters’ information")
    present = [look for kind, look in KINDS.items() if any(kind == own for _, _, own in steps)]
    return [Patch(color=colour, label=label) for colour, label in [*present, (REST, "left open")]]


def _draw_properties(ax: Axes, numbers: Sequence[dict]) -> list[Artist]:
    """Draws the points and the nulls and returns the key to them."""
    at = np.arange(len(numbers))[::-1]
    colours = dict(zip(sorted({row["family"] for row in numbers}), FAMILY_COLOURS, strict=False))
    for y, row in zip(at, numbers, strict=True):
        colour = colours[row["family"]]
        ax.plot([0, row["share"]], [y, y], color=FAINT, lw=2.5, zorder=1)
        ax.plot(row["null"], y, "|", ms=12, mew=2, color=INK)
        ax.plot(row["share"], y, "o", ms=8, color=colour, mfc=colour if row["p"] < LEVEL else "white", mew=1.6)
    ax.set_yticks(at, [capital(row["property"]) for row in numbers])
    ax.set(ylim=(-0.7, len(numbers) - 0.3), title="What explains most of the rest")
    ax.set_xlim(min([0.0, *(row["share"] - 0.01 for row in numbers)]))
    ax.set_xlabel("share of what the labels leave open")
    return [*(key(family, colour) for family, colour in colours.items()), key("permuted, 95th percentile", INK, "|", mew=2)]
