"""What question 2 found, in claims and sentences; each is computed, and is worded by what the numbers are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from metarep.report.wording import listed, num
from metarep.studies.settings import SourceName
from metarep.studies.sources.cells import METRICS
from metarep.studies.sources.zoos import PRODUCT, RANDOM, SOURCES
from metarep.studies.study import Claim
from metarep.studies.words import named, spoken

Row = Mapping[str, Any]

ASKED: tuple[SourceName, ...] = ("e05", "e07", "e08")
ASKED_SHARE = 0.9
"""So much of the own model's accuracy was asked for on these targets."""

METRIC_TITLES = {"masked_r2": "masked R²", "unit_probe": "unit probe", "clusters_ari": "clusters (ARI)"}
UNTRAINED = "an untrained model of the same shape"
BASELINES = (
    ("masked_r2", "source_mean", "the means of the source's networks"),
    ("masked_r2", "linear_gaussian", "the linear-Gaussian imputer"),
    ("unit_probe", "untrained", UNTRAINED),
    ("unit_probe", "raw", "raw parameters"),
    ("unit_probe", "raw_neighbours", "raw parameters' nearest neighbours"),
    ("clusters_ari", "untrained", UNTRAINED),
    ("clusters_ari", "raw", "raw parameters"),
)
"""What the model is held against: a metric, a baseline, and its name in sentences."""
PROBES = {name: words for metric, name, words in BASELINES if metric == "unit_probe" and name != "raw_neighbours"}

MOST_NAMED = 6


def title(name: SourceName) -> str:
    """A zoo as sentences call it."""
    return SOURCES[name].title


def main_source(rows: Sequence[Row]) -> SourceName:
    """The product zoo, or the first source where it is not among them."""
    names = [row["source"] for row in rows]
    return PRODUCT if PRODUCT in names else names[0]


def picked(rows: Sequence[Row], representation: str, metric: str) -> dict[tuple[SourceName, SourceName], Row]:
    """The rows of one representation and metric that have a value, by (source, target)."""
    return {
        (row["source"], row["target"]): row
        for row in rows
        if (row["representation"], row["metric"]) == (representation, metric) and row["value"] is not None
    }


def carried(rows: Sequence[Row], metric: str, source: SourceName) -> dict[SourceName, Row]:
    """The model's rows from one source to every other target that is no control and has a share retained, by target."""
    found = picked(rows, "cloze", metric).items()
    others = {b: row for (a, b), row in found if a == source and b not in (source, RANDOM)}
    return {target: row for target, row in others.items() if row["retained"] is not None}


def headed(metric: str) -> str:
    """A metric as it begins a sentence."""
    return METRIC_TITLES[metric][0].upper() + METRIC_TITLES[metric][1:]


def claims(rows: Sequence[Row]) -> tuple[Claim, ...]:
    """The mean share retained, the shares on the targets that were asked for, and the control."""
    source = main_source(rows)
    kept = carried(rows, "unit_probe", source)
    found = [mean_claim(source, kept)]
    for target in ASKED:
        if target in kept:
            row = kept[target]
            low, high = row["retained_low"], row["retained_high"]
            name = f"{target}: share of its own model's unit-probe accuracy retained (at least {ASKED_SHARE} was asked for)"
            found.append(Claim(name, row["retained"], decimals=2, low=low, high=high, over="networks"))
    control = {a: row for (a, b), row in picked(rows, "cloze", "masked_r2").items() if b == RANDOM}
    if control:
        best = max(control, key=lambda name: control[name]["value"])
        row = control[best]
        name = f"control: the highest masked R² of any model on random initialisations (source: {title(best)})"
        found.append(Claim(name, row["value"], decimals=2, low=row["low"], high=row["high"], over="networks"))
    return tuple(found)


def mean_claim(source: SourceName, kept: Mapping[SourceName, Row]) -> Claim:
    """The mean share of the own model's unit-probe accuracy, over targets, with the least and the largest."""
    name = f"share of the own model's unit-probe accuracy that the model of {title(source)} networks retains, mean over targets"
    if not kept:
        return Claim(name, "no target has two states to tell apart")
    shares = {target: row["retained"] for target, row in kept.items()}
    least = min(shares, key=shares.__getitem__)
    span = {"low": min(shares.values()), "high": max(shares.values())}
    return Claim(f"{name} (least: {title(least)})", float(np.mean(list(shares.values()))), decimals=2, over="targets", **span)


def sentences(rows: Sequence[Row]) -> tuple[str, ...]:
    """What was found, in plain words."""
    source = main_source(rows)
    found = [*retained_sentences(rows, source), asked_sentence(carried(rows, "unit_probe", source)), lineage_sentence(rows)]
    found += [*(chance_sentence(rows, metric) for metric in METRICS), failure_sentence(rows, source)]
    found += [*baseline_sentences(rows, source), *control_sentences(rows, source)]
    return tuple(sentence for sentence in found if sentence)


def retained_sentences(rows: Sequence[Row], source: SourceName) -> Iterator[str]:
    """How much of what the own models reach the main source's model keeps, metric by metric."""
    for metric in METRICS:
        kept = carried(rows, metric, source)
        if not kept:
            continue
        shares = {target: row["retained"] for target, row in kept.items()}
        least, most = min(shares, key=shares.__getitem__), max(shares, key=shares.__getitem__)
        beyond = [row["retained_beyond_chance"] for row in kept.values() if row["retained_beyond_chance"] is not None]
        more = f" Of what lies above chance it keeps {np.median(beyond):.0%}." if beyond else ""
        yield (
            f"{headed(metric)}: of what each target's own model reaches, the model of {title(source)} networks "
            f"keeps {np.median(list(shares.values())):.0%} in the median of {len(shares)} targets, least on {title(least)} "
            f"({shares[least]:.0%}: {spoken(kept[least])} against {num(kept[least]['own'])}), most on {title(most)} "
            f"({shares[most]:.0%}).{more}"
        )


def asked_sentence(kept: Mapping[SourceName, Row]) -> str:
    """Whether nine tenths are kept on the targets for which that was asked; empty where none of them is there."""
    kept_on, open_on, missed_on = "it is kept on", "the interval holds it and less on", "it is missed on"
    parts: dict[str, list[str]] = {kept_on: [], open_on: [], missed_on: []}
    for target in ASKED:
        if target in kept:
            row = kept[target]
            low, high = row["retained_low"] or row["retained"], row["retained_high"] or row["retained"]
            verdict = kept_on if low >= ASKED_SHARE else open_on if high >= ASKED_SHARE else missed_on
            parts[verdict].append(f"{title(target)} ({row['retained']:.2f} [{low:.2f}, {high:.2f}])")
    said = named(parts)
    if not said:
        return ""
    return f"At least {ASKED_SHARE:.0%} of the own model's unit-probe accuracy was asked for: {'; '.join(said)}."


def lineage_sentence(rows: Sequence[Row]) -> str:
    """Why e03 and e04 have no row, with what other seeds of the same recipe give."""
    found = picked(rows, "cloze", "unit_probe").get((PRODUCT, "seeds"))
    if found is None:
        return ""
    r2 = picked(rows, "cloze", "masked_r2")[PRODUCT, "seeds"]
    return (
        "e03 and e04 are the recipe of e09, the product, by other names; other seeds of it stand for them: unit probe "
        f"{spoken(found)} (own model {num(found['own'])}), masked R² {spoken(r2)} (own model {num(r2['own'])})."
    )


def chance_sentence(rows: Sequence[Row], metric: str) -> str:
    """In how many pairs of different zoos the model is above chance, and in which it is not."""
    found = picked(rows, "cloze", metric).items()
    pairs = {pair: row for pair, row in found if pair[0] != pair[1] and RANDOM not in pair}
    if not pairs:
        return ""
    failed = sorted((row["value"], pair) for pair, row in pairs.items() if row["low"] <= max(row["null"], 0.0))
    head = f"{headed(metric)}: {len(pairs) - len(failed)} of {len(pairs)} pairs of different zoos are above chance"
    if not failed:
        return f"{head}, every one."
    worst = [f"{title(a)} to {title(b)} ({num(value)})" for value, (a, b) in failed[:MOST_NAMED]]
    rest = len(failed) - len(worst)
    (often, most), *others = Counter(target for _, (_, target) in failed).most_common()
    alone = all(n < most for _, n in others)
    where = f", most of all to {title(often)} ({most} sources)" if alone and most > 1 else ""
    return f"{head}; not {listed(worst)}{f' and {rest} more{where}' if rest else ''}."


def failure_sentence(rows: Sequence[Row], source: SourceName) -> str:
    """On which targets predictions carried over from the main source fail: no better than the target's own means, R² 0."""
    ours = picked(rows, "cloze", "masked_r2")
    others = {b: row for (a, b), row in ours.items() if a == source and b not in (source, RANDOM)}
    if not others:
        return ""
    holds = [title(b) for b, row in others.items() if row["low"] > 0]
    fails = [title(b) for b, row in others.items() if row["high"] < 0]
    undecided = [title(b) for b in others if title(b) not in (*holds, *fails)]
    parts = [f"is clearly better than the target's own means on {len(holds)} of {len(others)} targets"]
    parts += [f"clearly worse on {listed(fails)}"] if fails else []
    parts += [f"neither on {listed(undecided)}"] if undecided else []
    return f"{headed('masked_r2')} carried over from {title(source)} {listed(parts)}."


def baseline_sentences(rows: Sequence[Row], source: SourceName) -> Iterator[str]:
    """The model carried over from the main source against each baseline carried over in the same way."""
    for metric, baseline, words in BASELINES:
        ours, theirs = (picked(rows, name, metric) for name in ("cloze", baseline))
        both = [b for a, b in ours if a == source and b not in (source, RANDOM) and (a, b) in theirs]
        if not both:
            continue
        above = [b for b in both if ours[source, b]["low"] > theirs[source, b]["high"]]
        below = [b for b in both if ours[source, b]["high"] < theirs[source, b]["low"]]
        middle = [np.median([rows[source, b]["value"] for b in both]) for rows in (ours, theirs)]
        where = named({"above": [title(b) for b in above], "below": [title(b) for b in below]}, "{} on {}")
        said = f" ({'; '.join(where)})" if where else ""
        yield (
            f"{headed(metric)} against {words}, both from {title(source)}: {num(middle[0])} against "
            f"{num(middle[1])} in the median of {len(both)} targets; the model is clearly above on {len(above)} and clearly "
            f"below on {len(below)}{said}."
        )


def control_sentences(rows: Sequence[Row], source: SourceName) -> Iterator[str]:
    """Whether the cloze test fails on random initialisations, as it must, and what of units is read there nevertheless."""
    r2, probe = picked(rows, "cloze", "masked_r2"), picked(rows, "cloze", "unit_probe")
    on_random = {a: row for (a, b), row in r2.items() if b == RANDOM}
    if not on_random:
        return
    succeeded = [f"{title(a)} ({spoken(row)})" for a, row in on_random.items() if row["low"] > 0]
    best = max(row["value"] for row in on_random.values())
    own = f"; the one that was pretrained on them reaches {spoken(on_random[RANDOM])}" if RANDOM in on_random else ""
    verdict = (
        f"the control does not fail as it must: {listed(succeeded)} predict what is independent by construction"
        if succeeded
        else f"the control fails as it must: no model predicts a masked initial parameter (highest masked R² {num(best)})"
    )
    yield f"Random initialisations are independent draws: {verdict}{own}."
    if (source, RANDOM) in probe:
        row = probe[source, RANDOM]
        read = "is still read, since the geometry of a half-plane is the same"
        known = read if row["low"] > max(row["null"], 0.0) else "is not read either"
        beside = {words: picked(rows, name, "unit_probe").get((source, RANDOM)) for name, words in PROBES.items()}
        others = "".join(f", {words} {num(found['value'])}" for words, found in beside.items() if found)
        yield (
            f"What a unit does there {known}: the unit probe from {title(source)} gives {spoken(row)} on random starts "
            f"(null {num(row['null'])}, own model {num(row['own'])}{others})."
        )
