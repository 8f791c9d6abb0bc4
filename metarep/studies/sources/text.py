"""What question 2 found, in claims and sentences; each is computed, and is worded by what the numbers are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from metarep.report.wording import capital, listed, num
from metarep.studies.rows import Row, Rows, by, where
from metarep.studies.settings import SourceName
from metarep.studies.sources.cells import METRICS
from metarep.studies.sources.zoos import PRODUCT, RANDOM, SOURCES
from metarep.studies.study import Claim
from metarep.studies.words import grouped, relation, spoken

ASKED: tuple[SourceName, ...] = ("e05", "e07", "e08")
ASKED_SHARE = 0.9
"""So much of the own model's accuracy was asked for on these targets."""

TITLES = {"masked_r2": "masked R²", "unit_probe": "unit probe", "clusters_ari": "clusters (ARI)"}
BASELINES = {
    "masked_r2": {"source_mean": "the means of the source's networks", "linear_gaussian": "the linear-Gaussian imputer"},
    "unit_probe": {
        "untrained": "an untrained model of the same shape",
        "raw": "raw parameters",
        "raw_neighbours": "raw parameters' nearest neighbours",
    },
    "clusters_ari": {"untrained": "an untrained model of the same shape", "raw": "raw parameters"},
}
"""What the model is held against, metric by metric, with its name in sentences."""

MOST_NAMED = 6


def main_source(rows: Rows) -> SourceName:
    """The product zoo, or the first source where it is not among them."""
    return PRODUCT if where(rows, source=PRODUCT) else rows[0]["source"]


def picked(rows: Rows, representation: str, metric: str) -> dict[tuple[SourceName, SourceName], Row]:
    """The rows of one representation and metric that have a value, by (source, target)."""
    found = by(rows, "source", "target", representation=representation, metric=metric)
    return {pair: row for pair, row in found.items() if row["value"] is not None}


def carried(rows: Rows, representation: str, metric: str, source: SourceName) -> dict[SourceName, Row]:
    """The same from one source to every other target that is no control, by target."""
    found = picked(rows, representation, metric).items()
    return {b: row for (a, b), row in found if a == source and b not in (source, RANDOM)}


def retaining(rows: Rows, metric: str, source: SourceName) -> dict[SourceName, Row]:
    """Those of the model that have a share retained."""
    found = carried(rows, "cloze", metric, source).items()
    return {target: row for target, row in found if row["retained"] is not None}


def claims(rows: Rows) -> tuple[Claim, ...]:
    """The mean share retained, the shares on the targets that were asked for, and the control."""
    source = main_source(rows)
    kept = retaining(rows, "unit_probe", source)
    own = "the own model's unit-probe accuracy"
    name = f"share of {own} that the model of {SOURCES[source].title} networks retains, mean over targets"
    found = [Claim(name, "no target has two states to tell apart")]
    if kept:
        shares = {target: row["retained"] for target, row in kept.items()}
        least = min(shares, key=shares.__getitem__)
        span = {"low": shares[least], "high": max(shares.values()), "over": "targets", "decimals": 2}
        found = [Claim(f"{name} (least: {SOURCES[least].title})", float(np.mean(list(shares.values()))), **span)]
    for target in (target for target in ASKED if target in kept):
        name = f"{target}: share of {own} retained (at least {ASKED_SHARE} was asked for)"
        found.append(Claim.of(name, kept[target], "retained", decimals=2, over="networks"))
    control = {a: row for (a, b), row in picked(rows, "cloze", "masked_r2").items() if b == RANDOM}
    if control:
        best = max(control, key=lambda name: control[name]["value"])
        name = f"control: the highest masked R² of any model on random initialisations (source: {SOURCES[best].title})"
        found.append(Claim.of(name, control[best], decimals=2, over="networks"))
    return tuple(found)


def sentences(rows: Rows) -> tuple[str, ...]:
    source = main_source(rows)
    found = [*retained_sentences(rows, source), asked_sentence(retaining(rows, "unit_probe", source))]
    found += [chance_sentence(rows, metric) for metric in METRICS]
    found += [*baseline_sentences(rows, source), *control_sentences(rows, source)]
    return tuple(sentence for sentence in found if sentence)


def retained_sentences(rows: Rows, source: SourceName) -> Iterator[str]:
    """How much of what the own models reach the main source's model keeps, metric by metric."""
    for metric in METRICS:
        kept = retaining(rows, metric, source)
        if not kept:
            continue
        shares = {target: row["retained"] for target, row in kept.items()}
        least, most = min(shares, key=shares.__getitem__), max(shares, key=shares.__getitem__)
        beyond = [row["retained_beyond_chance"] for row in kept.values() if row["retained_beyond_chance"] is not None]
        more = f" Of what lies above chance it keeps {np.median(beyond):.0%}." if beyond else ""
        yield (
            f"{capital(TITLES[metric])}: of what each target's own model reaches, the model of {SOURCES[source].title} "
            f"networks keeps {np.median(list(shares.values())):.0%} in the median of {len(kept)} targets, least on "
            f"{SOURCES[least].title} ({shares[least]:.0%}: {spoken(kept[least])} against {num(kept[least]['own'])}), most on "
            f"{SOURCES[most].title} ({shares[most]:.0%}).{more}"
        )


def asked_sentence(kept: Mapping[SourceName, Row]) -> str:
    """Whether nine tenths are kept on the targets for which that was asked; empty where none of them is there."""
    words = {}
    for target in (target for target in ASKED if target in kept):
        row = kept[target]
        low, high = row["retained_low"] or row["retained"], row["retained_high"] or row["retained"]
        verdict = "it is kept on" if low >= ASKED_SHARE else "the interval holds it and less on"
        words[f"{target} ({row['retained']:.2f} [{low:.2f}, {high:.2f}])"] = (
            verdict if high >= ASKED_SHARE else "it is missed on"
        )
    asked = f"At least {ASKED_SHARE:.0%} of the own model's unit-probe accuracy was asked for"
    return f"{asked}: {grouped(words)}." if words else ""


def chance_sentence(rows: Rows, metric: str) -> str:
    """In how many pairs of different zoos the model is above chance, and in which it is not."""
    found = picked(rows, "cloze", metric).items()
    pairs = {pair: row for pair, row in found if pair[0] != pair[1] and RANDOM not in pair}
    failed = sorted((row["value"], pair) for pair, row in pairs.items() if row["low"] <= max(row["null"], 0.0))
    worst = [f"{SOURCES[a].title} to {SOURCES[b].title} ({num(value)})" for value, (a, b) in failed[:MOST_NAMED]]
    rest = f" and {len(failed) - len(worst)} more" if len(failed) > len(worst) else ""
    which = f"not {listed(worst)}{rest}" if failed else "every one"
    head = f"{capital(TITLES[metric])}: {len(pairs) - len(failed)} of {len(pairs)} pairs of different zoos are above chance"
    return f"{head}; {which}." if pairs else ""


def baseline_sentences(rows: Rows, source: SourceName) -> Iterator[str]:
    """The model carried over from the main source against each baseline carried over in the same way."""
    for metric, baselines in BASELINES.items():
        ours = carried(rows, "cloze", metric, source)
        for baseline, words in baselines.items():
            theirs = carried(rows, baseline, metric, source)
            both = [target for target in ours if target in theirs]
            if not both:
                continue
            middle = [num(float(np.median([found[target]["value"] for target in both]))) for found in (ours, theirs)]
            apart = {SOURCES[target].title: relation(ours[target], theirs[target]) for target in both}
            apart = {name: word for name, word in apart.items() if word.startswith("clearly")}
            yield (
                f"{capital(TITLES[metric])} against {words}, both from {SOURCES[source].title}: {middle[0]} against "
                f"{middle[1]} in the median of {len(both)} targets; the model is "
                f"{grouped(apart, '{} on {}') or 'nowhere clearly apart'}."
            )


def control_sentences(rows: Rows, source: SourceName) -> Iterator[str]:
    """Whether the cloze test fails on random initialisations, as it must, and what of units is read there nevertheless."""
    on_random = {a: row for (a, b), row in picked(rows, "cloze", "masked_r2").items() if b == RANDOM}
    if not on_random:
        return
    succeeded = [f"{SOURCES[a].title} ({spoken(row)})" for a, row in on_random.items() if row["low"] > 0]
    verdict = f"the control does not fail as it must: {listed(succeeded)} predict what is independent by construction"
    if not succeeded:
        best = num(max(row["value"] for row in on_random.values()))
        verdict = f"the control fails as it must: no model predicts a masked initial parameter (highest masked R² {best})"
    yield f"Random initialisations are independent draws: {verdict}."
    row = picked(rows, "cloze", "unit_probe").get((source, RANDOM))
    if row:
        beside = {
            words: picked(rows, name, "unit_probe").get((source, RANDOM)) for name, words in BASELINES["unit_probe"].items()
        }
        others = "".join(f", {words} {num(found['value'])}" for words, found in beside.items() if found)
        read = "is still read, since the geometry of a half-plane is the same"
        yield (
            f"What a unit does there {read if row['low'] > max(row['null'], 0.0) else 'is not read either'}: the unit probe "
            f"from {SOURCES[source].title} gives {spoken(row)} on random starts (null {num(row['null'])}, own model "
            f"{num(row['own'])}{others})."
        )
