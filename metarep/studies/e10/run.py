"""Experiment 10: the scan. Does the published score find mode 3 beyond its two examples, and does anything else?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np
from matplotlib.figure import Figure as Drawing

from metarep.artefact import Artefact
from metarep.domains.multiplier.figures.scan_figures import heat_figure, margin_figure, roc_figure
from metarep.domains.multiplier.figures.scans import TITLES, on_most_networks, scans_of, side_by_side
from metarep.domains.multiplier.scan import OTHERS, POSITIVE, RANDOM, labelled, measure, random_initialisations
from metarep.domains.multiplier.scores import PARTS, published
from metarep.domains.multiplier.settings import ScanConfig
from metarep.embeddings.settings import EmbedConfig
from metarep.embeddings.stage import embed
from metarep.evaluation.roc import auc
from metarep.report.style import INK, MUTED, PALETTE, drawing
from metarep.report.wording import listed
from metarep.runner import Stage
from metarep.studies.drawing import Series, dots_figure
from metarep.studies.e10.ways import (
    AS_PUBLISHED,
    OTHER_FOLD,
    OTHER_SIGN,
    WAYS,
    pairs_that_round_to_one,
    part_rows,
    way_rows,
    ways_of,
)
from metarep.studies.multipliers import multipliers, small_model
from metarep.studies.published import NETWORKS, PUBLISHED, SEED
from metarep.studies.rows import Row, Rows, by, where
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.studies.words import back, grouped, relation, share, spoken
from metarep.training.settings import ZooConfig
from metarep.zoos.zoo import Zoo

AGAINST = {"random": "random initialisations", "others": "all other modes"}
WAY_COLOURS = dict(zip(WAYS, (PALETTE[1], PALETTE[4], PALETTE[2]), strict=True))
N_BINS = 60
LINEAR_MODE = "2.5"
FIRM = 0.9
"""From this AUC on a scan is said to find something."""

EMBEDDING = EmbedConfig(kind="pooled")
"""Of the three kinds the best for this small model on validation networks: a mean AUC of 0.78 over modes, certainty 0.75."""


def run(context: Context) -> Result:
    """Redoes the published measurement, then measures five scans for every mode, and looks for the reasons."""
    zoo, two = labelled(multipliers(context)), published_positives(context)
    config = ScanConfig(seed=context.config.seed, n_bootstraps=context.config.n_bootstraps)
    random = random_initialisations(config.n_random, seed=config.seed)
    tables, about = measure(config, zoo, embeddings=examples_embedded(context, zoo).path, progress=context.progress)
    parts, ways = (rows(zoo, random, config.n_bootstraps, seed=config.seed) for rows in (part_rows, way_rows))
    pairs = pairs_that_round_to_one(published(zoo.where(mode=POSITIVE).params), published(random))
    claims = make_claims(two, random, tables["scan"])
    return Result(
        claims,
        (
            *published_sentences(claims, pairs),
            *part_sentences(parts),
            *way_sentences(ways),
            *invariance_sentences(tables["scan"]),
            *scan_sentences(tables["scan"], about),
            *margin_sentences(tables["margin"]),
        ),
        tables={"parts": parts, "ways": ways, **{name: rows for name, rows in tables.items() if name != "scores" and rows}},
        figures=figures(zoo, random, two, tables, parts),
        numbers={**about, "share_of_pairs_that_round_to_one": pairs},
        shown=("parts", "ways", "precision"),
    )


def published_positives(context: Context) -> Zoo:
    """The two networks that the scan was published with: those of experiments 4 and 8, in this order."""
    families = [{"variant": variant, "seeds": [SEED]} for variant in ("e04", "e08")]
    return context.zoo("scan_positives", ZooConfig(families=families, seed=context.config.seed))


def examples_embedded(context: Context, zoo: Zoo) -> Artefact:
    """The embeddings of the shared zoo by its small model, made where they are not there yet."""
    inputs = {"model": small_model(context).path, "zoo": zoo.artefact.path}
    make = partial(embed, EMBEDDING, *inputs.values())
    (artefact,) = context.made(Stage(f"embeddings/{EMBEDDING.kind}", "embeddings", EMBEDDING.resolved(), make, inputs))
    return artefact


def make_claims(two: Zoo, random: np.ndarray, rows: Rows) -> tuple[Claim, ...]:
    """The published AUC redone on its two positives, the score of the first, and the AUC on all networks of mode 3."""
    expected = PUBLISHED["10"]["scan_auc_vs_2000_random_initialisations"]
    scores, found = published(two.params), by(on_most_networks(rows), "negative")
    start, others = found[RANDOM], found[OTHERS]
    against = f"{start['n_positive']:,} networks of mode 3 against"
    beyond = {"over": f"{against} {start['n_negative']:,} random initialisations", "decimals": 2, "seed_known": False}
    return (
        Claim("scan_auc_of_the_two_published_networks", auc(scores, published(random)), expected, decimals=2),
        Claim.of("scan_auc_of_all_networks_of_mode_3", start, "auc", published=expected, **beyond),
        Claim.of("scan_auc_against_all_other_modes", others, "auc", over=f"{against} {others['n_negative']:,} of other modes"),
        Claim(f"scan_score_of_{SEED}", float(scores[0]), NETWORKS[SEED]["scan_score"]),
    )


def figures(zoo: Zoo, random: np.ndarray, two: Zoo, tables: Mapping, parts: Rows) -> dict[str, Figure]:
    """The figures, the published score first."""
    names = {r["part"]: f"{r['part']} (weight {r['weight']})" if r["part"] in PARTS else r["part"] for r in parts}
    panels = {f"Mode 3 against {AGAINST[of]}: AUC": [Series("", parts, PALETTE[0], of=f"auc_{of}")] for of in AGAINST}
    return {
        "published": Figure(
            ways_figure(zoo, random, two.params),
            "The published score of random starts and of mode 3 by how it is built: only those built like the two published "
            "networks score like them.",
        ),
        "parts": Figure(
            dots_figure(panels, "part", names, xlim=(0, 1)),
            "Each part of the published score as a scan of its own, with 95 % intervals; below 0.5 it inverts.",
        ),
        "roc": Figure(
            roc_figure(tables["roc"], tables["scan"]),
            "Every scan on mode 3. Scans that fit nothing are measured on all networks, the others on test networks.",
        ),
        "scans_by_mode": Figure(
            heat_figure(tables["scan"]),
            "Every scan for every mode, on the same test networks: AUC with its 95 % interval. Purple finds, orange inverts.",
        ),
        "margin": Figure(
            margin_figure(tables["margin"]), "Mode 3 by how far its active areas are from the threshold of the mode."
        ),
    }


def ways_figure(zoo: Zoo, random: np.ndarray, published_two: np.ndarray) -> Drawing:
    """The published score of random starts and of mode 3 by the way it is built, with the two published networks."""
    found = zoo.where(mode=POSITIVE)
    way, score, start = ways_of(found.params, found["active_area"]), published(found.params), published(random)
    groups = {"random starts": start} | {name: score[way == name] for name in WAYS if (way == name).any()}
    edges = np.histogram_bin_edges(np.concatenate([score, start]), N_BINS)
    with drawing(10, 1.05 * len(groups) + 1.6) as figure:
        axes = figure.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0]
        for ax, (name, values) in zip(axes, groups.items(), strict=True):
            ax.hist(values, edges, color=WAY_COLOURS.get(name, MUTED), lw=0)
            ax.set(yticks=[])
            ax.spines["left"].set_visible(False)
            of_all = f", {len(values) / len(found):.0%} of mode 3" if name in WAYS else ""
            ax.set_title(f"{name}: n = {len(values):,}{of_all}", fontsize=10)
            for two in published(published_two):
                ax.axvline(two, color=INK, lw=1.2, ls=(0, (4, 2)))
        axes[-1].set_xlabel("published score; the dashed lines are the two networks that it was published with")
    return figure


def beside_chance(row: Row, name: str, words: tuple[str, str, str]) -> str:
    """The word for an AUC above, at and below chance, by its interval."""
    return words[0] if row[f"{name}_low"] > 0.5 else words[2] if row[f"{name}_high"] < 0.5 else words[1]


def published_sentences(claims: tuple[Claim, ...], pairs: float) -> tuple[str, ...]:
    """Whether the published value comes back, and whether it holds beyond its two networks."""
    redone, beyond, others, score = claims
    words = ("better than chance", "no better than chance", "worse than chance")
    told = []
    for claim in (beyond, others):
        verdict = beside_chance({"auc_low": claim.low, "auc_high": claim.high}, "auc", words)
        told.append(f"{claim.value:.3f} [{claim.low:.3f}, {claim.high:.3f}], {verdict}")
    return (
        f"As published, on the two networks of experiments 4 and 8 against 2,000 random initialisations, the AUC is "
        f"{redone.value:.4f}: the published {redone.published:.2f} {back(redone.met)}. The score of seed {SEED} is "
        f"{score.value:.4f}, published {score.published:.4f}.",
        f"Beyond the two it {'holds' if beyond.met else 'does not hold'}: on {beyond.over} the AUC is {told[0]}; against all "
        f"other modes {told[1]}.",
        f"Of all pairs of mode-3 networks {pairs:.1%} have an AUC that rounds to 1.00 against the same random initialisations, "
        f"so that two positives {'show little: it matters which two' if pairs < 0.5 else 'were a fair choice'}.",
    )


def part_sentences(parts: Rows) -> Iterator[str]:
    """Which parts of the score separate and which invert."""
    own, words = [row for row in parts if row["part"] in PARTS], ("it separates", "it says nothing", "it inverts")
    for of, against in AGAINST.items():
        told = {f"{row['part']} {row[f'auc_{of}']:.2f}": beside_chance(row, f"auc_{of}", words) for row in own}
        yield f"Each of its four parts alone as a scan for mode 3 against {against}: {grouped(told, '{} by {}')}."


def way_sentences(ways: Rows) -> Iterator[str]:
    """The three ways in which mode 3 is built, and what the score makes of each."""
    found = by(ways, "way")
    say = lambda row, name: spoken(row, name, digits=3)  # noqa: E731
    if row := found.get(AS_PUBLISHED):
        verb = "finds" if row["published_auc_random_low"] > FIRM else "does not find"
        yield (
            f"{share(row)} of mode 3 subtract both units, as the hand-crafted network does; the score {verb} these: AUC "
            f"{say(row, 'published_auc_random')} against random initialisations, {say(row, 'published_auc_others')} against "
            "all other modes."
        )
    if row := found.get(OTHER_SIGN):
        yield (
            f"{share(row)} subtract the bending unit and add the other one, the same idea with the sign of the flat unit "
            f"turned (in {row['linear']:.0%} of them it is flat all over the square, where both signs give one function): AUC "
            f"{say(row, 'published_auc_random')}, and {say(row, 'invariant_auc_random')} for the invariant score."
        )
    if row := found.get(OTHER_FOLD):
        yield (
            f"{share(row)} add the bending unit: a valley in place of a ridge, another algorithm under the same mode, with a "
            f"median error of {row['mse_median']:.4f}: AUC {say(row, 'published_auc_random')}, and "
            f"{say(row, 'invariant_auc_random')} for the invariant score, which no symmetry can turn into a ridge."
        )


def invariance_sentences(rows: Rows) -> tuple[str, ...]:
    """What the score finds once the symmetries are taken out of it."""
    own = by(rows, "positive", scan="invariant", networks="all", negative=RANDOM)
    if POSITIVE not in own:
        return ()
    best = max(own, key=lambda mode: own[mode]["auc"])
    if best == POSITIVE:
        return (f"Made invariant, the score finds mode 3 best of all modes: AUC {spoken(own[best], 'auc', digits=3)}.",)
    why = ", since it never asks how much weight the bending unit has, and a plane is a ridge without weight"
    return (
        f"Made invariant, the score finds mode {best} best, with an AUC of {spoken(own[best], 'auc', digits=3)} against random "
        f"initialisations where mode 3 has {spoken(own[POSITIVE], 'auc', digits=3)}{why if best == LINEAR_MODE else ''}.",
    )


def scan_sentences(rows: Rows, about: Mapping) -> Iterator[str]:
    """The scans beside each other, on the same test networks."""
    rows = where(side_by_side(rows), positive=POSITIVE)
    for negative, against in ((RANDOM, AGAINST["random"]), (OTHERS, AGAINST["others"])):
        own = sorted(where(rows, negative=negative), key=lambda row: -row["auc"])
        told = listed([f"{TITLES[row['scan']]} {spoken(row, 'auc')}" for row in own])
        yield f"Mode 3 against {against}, on the same {own[0]['n_positive']:,} test networks of it: {told}."
    (loss,) = where(rows, scan="loss", negative=RANDOM)
    asks = ": that comparison asks whether a network was trained, not which algorithm it found"
    why = asks if loss["auc_low"] > FIRM else ", so being trained does not settle it"
    yield f"Against random initialisations the error alone reaches {spoken(loss, 'auc')}{why}."
    if about["embedding"]:
        yield (
            f"A few examples are {about['n_examples']} training networks of a mode in the {about['embedding']} embedding; the "
            f"interval holds which ones they are, over {about['n_example_draws']} draws."
        )


def margin_sentences(rows: Rows) -> tuple[str, ...]:
    """Whether networks near the threshold are harder to tell from all other modes, for each scan."""
    words = {"clearly below": "falls towards the threshold for", "clearly above": "rises for"}
    told = {}
    for name in scans_of(rows):
        own = sorted(where(rows, scan=name, negative=OTHERS), key=lambda row: row["margin_low"])
        if len(own) > 1:
            word = words.get(relation(own[0], own[-1], "auc"), "does not clearly change for")
            told[f"{TITLES[name]} ({own[0]['auc']:.2f} near, {own[-1]['auc']:.2f} far)"] = word
    return (f"Against all other modes the AUC of mode 3 {grouped(told)}.",) if told else ()
