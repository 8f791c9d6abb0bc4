"""Experiment 10 in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from metarep.domains.multiplier.figures.scans import TITLES, scans_of, side_by_side
from metarep.domains.multiplier.modes import MODE_NAMES
from metarep.domains.multiplier.scan import OTHERS, POSITIVE, RANDOM
from metarep.domains.multiplier.scores import PARTS
from metarep.report.wording import auc as said
from metarep.report.wording import listed
from metarep.studies.e10.ways import AS_PUBLISHED, OTHER_FOLD, OTHER_SIGN
from metarep.studies.published import SEED
from metarep.studies.study import Claim
from metarep.studies.words import share, spoken

SINGULAR = {"separate": "separates", "invert": "inverts", "say nothing": "says nothing"}

LINEAR_MODE = "2.5"

FIRM = 0.9
"""From this AUC on a scan is said to find something."""


def published_sentences(claims: Sequence[Claim], pairs: float) -> tuple[str, ...]:
    """Whether the published value comes back, and whether it holds beyond its two networks."""
    redone, beyond, others, score = claims
    back = "comes back" if redone.met else "does not come back"
    holds = "holds" if beyond.met else "does not hold"
    verdict = {1: "better than chance", 0: "no better than chance", -1: "worse than chance"}
    return (
        f"As published, on the two networks of experiments 4 and 8 against 2,000 random initialisations, the AUC is "
        f"{redone.value:.4f}: the published {redone.published:.2f} {back}. The score of seed {SEED} is {score.value:.4f}, "
        f"published {score.published:.4f}.",
        f"Beyond the two it {holds}: on {beyond.over} the AUC is {beyond.value:.3f} [{beyond.low:.3f}, {beyond.high:.3f}], "
        f"{verdict[_versus_chance(beyond.low, beyond.high)]}; against all other modes {others.value:.3f} "
        f"[{others.low:.3f}, {others.high:.3f}], {verdict[_versus_chance(others.low, others.high)]}.",
        f"Of all pairs of mode-3 networks {pairs:.1%} have an AUC that rounds to 1.00 against the same random initialisations, "
        f"so that two positives {'show little: it matters which two' if pairs < 0.5 else 'were a fair choice'}.",
    )


def _versus_chance(low: float, high: float) -> int:
    return int(low > 0.5) - int(high < 0.5)


def reasons(parts: Sequence[Mapping], ways: Sequence[Mapping]) -> tuple[str, ...]:
    """Which parts of the score separate and which invert, and which networks of mode 3 it was made for."""
    own = [row for row in parts if row["part"] in PARTS]
    texts = []
    for column, against in (("auc_random", "random initialisations"), ("auc_others", "all other modes")):
        signs = {row["part"]: _versus_chance(row[f"{column}_low"], row[f"{column}_high"]) for row in own}
        kinds = {1: "separate", -1: "invert", 0: "say nothing"}
        named = []
        for sign, verb in kinds.items():
            parts_of = [f"{r['part']} {r[column]:.2f}" for r in own if signs[r["part"]] == sign]
            if parts_of:
                named.append(f"{len(parts_of)} {verb if len(parts_of) > 1 else SINGULAR[verb]} ({', '.join(parts_of)})")
        texts.append(f"Of its four parts, each alone a scan for mode 3 against {against}, {listed(named)}.")
    return (*texts, *way_sentences({row["way"]: row for row in ways}))


def auc_of(row: Mapping, name: str) -> str:
    """An AUC with its interval."""
    return spoken(row, name, 3)


def way_sentences(ways: Mapping[str, Mapping]) -> tuple[str, ...]:
    """The three ways in which mode 3 is built, and what the score makes of each."""
    texts = []
    if AS_PUBLISHED in ways:
        row = ways[AS_PUBLISHED]
        verb = "finds" if row["published_auc_random_low"] > FIRM else "does not find"
        texts.append(
            f"{share(row)} of mode 3 subtract both units, as the hand-crafted network does; the score {verb} these: AUC "
            f"{auc_of(row, 'published_auc_random')} against random initialisations, "
            f"{auc_of(row, 'published_auc_others')} against all other modes."
        )
    if OTHER_SIGN in ways:
        row = ways[OTHER_SIGN]
        texts.append(
            f"{share(row)} subtract the bending unit and add the other one, the same idea with the sign of the flat unit "
            f"turned (in {row['linear']:.0%} of them it is flat all over the square, where both signs give one function): AUC "
            f"{auc_of(row, 'published_auc_random')}, and {auc_of(row, 'invariant_auc_random')} for the invariant score."
        )
    if OTHER_FOLD in ways:
        row = ways[OTHER_FOLD]
        texts.append(
            f"{share(row)} add the bending unit: a valley in place of a ridge, another algorithm under the same mode, with a "
            f"median error of {row['mse_median']:.4f}: AUC {auc_of(row, 'published_auc_random')}, and "
            f"{auc_of(row, 'invariant_auc_random')} for the invariant score, which no symmetry can turn into a ridge."
        )
    return tuple(texts)


def invariance_sentences(rows: Sequence[Mapping]) -> tuple[str, ...]:
    """What the score finds once the symmetries are taken out of it."""
    own = {r["positive"]: r for r in rows if (r["scan"], r["networks"], r["negative"]) == ("invariant", "all", RANDOM)}
    if POSITIVE not in own:
        return ()
    best = max(own, key=lambda mode: own[mode]["auc"])
    if best == POSITIVE:
        return (f"Made invariant, the score finds mode 3 best of all modes: AUC {auc_of(own[best], 'auc')}.",)
    why = ", since it never asks how much weight the bending unit has, and a plane is a ridge without weight"
    return (
        f"Made invariant, the score finds mode {best} best, with an AUC of {auc_of(own[best], 'auc')} against random "
        f"initialisations where mode 3 has {auc_of(own[POSITIVE], 'auc')}{why if best == LINEAR_MODE else ''}.",
    )


def scan_sentences(rows: Sequence[Mapping], about: Mapping) -> tuple[str, ...]:
    """The scans beside each other, on the same test networks."""
    rows = [row for row in side_by_side(rows) if row["positive"] == POSITIVE]
    texts = []
    for negative, against in ((RANDOM, "random initialisations"), (OTHERS, "all other modes")):
        own = sorted((row for row in rows if row["negative"] == negative), key=lambda row: -row["auc"])
        figures = [f"{TITLES[row['scan']]} {said(row)}" for row in own]
        n = own[0]["n_positive"]
        texts.append(f"Mode 3 against {against}, on the same {n:,} test networks of it: {listed(figures)}.")
    rows = {row["scan"]: row for row in rows if row["negative"] == RANDOM}
    texts.append(_loss_sentence(rows))
    if about["embedding"]:
        texts.append(
            f"A few examples are {about['n_examples']} training networks of a mode in the {about['embedding']} embedding; the "
            f"interval holds which ones they are, over {about['n_example_draws']} draws."
        )
    return tuple(texts)


def _loss_sentence(rows: Mapping[str, Mapping]) -> str:
    loss = rows["loss"]
    if loss["auc_low"] > FIRM:
        return (
            f"Against random initialisations the error alone reaches {said(loss)}: that comparison asks whether a network "
            "was trained, not which algorithm it found."
        )
    return f"Against random initialisations the error alone reaches {said(loss)}, so being trained does not settle it."


def rare_sentences(rows: Sequence[Mapping]) -> tuple[str, ...]:
    """The precision for the rarest mode, where an AUC says little."""
    rare = min(rows, key=lambda row: row["prevalence"])
    own = [row for row in rows if row["positive"] == rare["positive"]]
    best = max(own, key=lambda row: row["average_precision"])
    name = rare["positive"]
    figures = f"{best['precision_at_50']:.0%} [{best['precision_at_50_low']:.0%}, {best['precision_at_50_high']:.0%}]"
    return (
        f"The rarest mode is {name} ({MODE_NAMES[name]}), {rare['prevalence']:.1%} of networks. The best scan for it is "
        f"{TITLES[best['scan']]}: where it has found half of them, {figures} of what it points at is right, at nine in ten "
        f"{best['precision_at_90']:.0%} [{best['precision_at_90_low']:.0%}, {best['precision_at_90_high']:.0%}].",
    )


def margin_sentences(rows: Sequence[Mapping]) -> tuple[str, ...]:
    """Whether networks near the threshold are harder to tell from all other modes, for each scan."""
    falls, level, rises = [], [], []
    for name in scans_of(rows):
        own = sorted((r for r in rows if r["scan"] == name and r["negative"] == OTHERS), key=lambda r: r["margin_low"])
        if len(own) < 2:
            continue
        near, far = own[0], own[-1]
        text = f"{TITLES[name]} ({near['auc']:.2f} near, {far['auc']:.2f} far)"
        if near["auc_high"] < far["auc_low"]:
            falls.append(text)
        elif near["auc_low"] > far["auc_high"]:
            rises.append(text)
        else:
            level.append(text)
    kinds = (("falls towards the threshold for", falls), ("rises for", rises), ("does not clearly change for", level))
    said_of = [f"{verb} {listed(names)}" for verb, names in kinds if names]
    return (f"Against all other modes the AUC of mode 3 {'; it '.join(said_of)}.",) if said_of else ()
