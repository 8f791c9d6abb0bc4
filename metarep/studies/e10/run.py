"""Experiment 10: the scan. Does the published score find mode 3 beyond its two examples, and does anything else?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from metarep.report.wording import auc as said
from metarep.report.wording import listed
from metarep.runner import Stage
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
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.studies.words import named, share, spoken
from metarep.training.settings import ZooConfig
from metarep.zoos.zoo import Zoo

EMBEDDING = EmbedConfig(kind="pooled")
"""Of the three kinds the best for this small model on validation networks: a mean AUC of 0.78 over modes, certainty 0.75."""


def run(context: Context) -> Result:
    """Redoes the published measurement, then measures five scans for every mode, and looks for the reasons."""
    zoo, two = labelled(multipliers(context)), published_positives(context)
    config = ScanConfig(seed=context.config.seed, n_bootstraps=context.config.n_bootstraps)
    random = random_initialisations(config.n_random, seed=config.seed)
    embeddings = examples_embedded(context, zoo)
    tables, about = measure(config, zoo, embeddings=embeddings.path, progress=context.progress)
    parts = part_rows(zoo, random, config.n_bootstraps, seed=config.seed)
    ways = way_rows(zoo, random, config.n_bootstraps, seed=config.seed)
    pairs = pairs_that_round_to_one(published(zoo.where(mode=POSITIVE).params), published(random))
    claims = make_claims(two, random, tables["scan"])
    return Result(
        claims,
        (
            *published_sentences(claims, pairs),
            *reasons(parts, ways),
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


def make_claims(two: Zoo, random: np.ndarray, rows: Sequence[Mapping]) -> tuple[Claim, ...]:
    """The published AUC redone on its two positives, the score of the first, and the AUC on all networks of mode 3."""
    expected = PUBLISHED["10"]["scan_auc_vs_2000_random_initialisations"]
    scores, start = published(two.params), published(random)
    by = {row["negative"]: row for row in on_most_networks(rows)}
    row, others = by[RANDOM], by[OTHERS]
    return (
        Claim("scan_auc_of_the_two_published_networks", auc(scores, start), expected, decimals=2),
        Claim.of(
            "scan_auc_of_all_networks_of_mode_3",
            row,
            "auc",
            published=expected,
            decimals=2,
            over=f"{row['n_positive']:,} networks of mode 3 against {row['n_negative']:,} random initialisations",
            seed_known=False,
        ),
        Claim.of(
            "scan_auc_against_all_other_modes",
            others,
            "auc",
            over=f"{others['n_positive']:,} networks of mode 3 against {others['n_negative']:,} of other modes",
        ),
        Claim(f"scan_score_of_{SEED}", float(scores[0]), NETWORKS[SEED]["scan_score"]),
    )


def figures(zoo: Zoo, random: np.ndarray, two: Zoo, tables: Mapping, parts: Sequence[dict]) -> dict[str, Figure]:
    """The figures, the published score first."""
    return {
        "published": Figure(
            ways_figure(zoo, random, two.params),
            "The published score of random starts and of mode 3 by how it is built: only those built like the two published "
            "networks score like them.",
            "Histograms of the published score for random starts and for three ways to build mode 3",
        ),
        "parts": Figure(
            parts_figure(parts),
            "Each part of the published score as a scan of its own. Blue circles separate, orange squares invert.",
            "AUC of the four parts of the published score with intervals",
        ),
        "roc": Figure(
            roc_figure(tables["roc"], tables["scan"]),
            "Every scan on mode 3. Scans that fit nothing are measured on all networks, the others on test networks.",
            "ROC curves of every scan for mode 3 against random starts and against all other modes",
        ),
        "scans_by_mode": Figure(
            heat_figure(tables["scan"]),
            "Every scan for every mode, on the same test networks: AUC with its 95 % interval. Purple finds, orange inverts.",
            "Table of AUC by scan and mode",
        ),
        "margin": Figure(
            margin_figure(tables["margin"]),
            "Mode 3 by how far its active areas are from the threshold of the mode.",
            "AUC of every scan in bins of the distance to the threshold",
        ),
    }


WAY_COLOURS = dict(zip(WAYS, (PALETTE[1], PALETTE[4], PALETTE[2]), strict=True))

N_BINS = 60


def ways_figure(zoo: Zoo, random: np.ndarray, published_two: np.ndarray) -> Drawing:
    """The published score of random starts and of mode 3 by the way it is built, with the two published networks."""
    found = zoo.where(mode=POSITIVE)
    way, score, start = ways_of(found.params, found["active_area"]), published(found.params), published(random)
    groups = {"random starts": (start, MUTED)}
    groups |= {name: (score[way == name], WAY_COLOURS[name]) for name in WAYS if (way == name).any()}
    everything = np.concatenate([values for values, _ in groups.values()])
    edges = np.linspace(everything.min(), everything.max(), N_BINS + 1)
    with drawing(10, 1.05 * len(groups) + 1.6) as figure:
        axes = figure.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0]
        for ax, (name, (values, colour)) in zip(axes, groups.items(), strict=True):
            ax.hist(values, edges, color=colour, lw=0)
            ax.set(yticks=[])
            ax.spines["left"].set_visible(False)
            share = "" if values is start else f", {len(values) / len(found):.0%} of mode 3"
            ax.set_title(f"{name}: n = {len(values):,}{share}", fontsize=10)
            for two in published(published_two):
                ax.axvline(two, color=INK, lw=1.2, ls=(0, (4, 2)))
        axes[-1].set_xlabel("published score; the dashed lines are the two networks that it was published with")
    return figure


def parts_figure(rows: Sequence[dict]) -> Drawing:
    """The AUC of every part of the published score for mode 3, with intervals: which separate, which invert."""
    with drawing(9.5, 0.5 * len(rows) + 1.6) as figure:
        axes = figure.subplots(1, 2, sharey=True)
        for ax, column, title in zip(
            axes, ("auc_random", "auc_others"), ("mode 3 against random starts", "mode 3 against all other modes"), strict=True
        ):
            ax.axvline(0.5, color=MUTED, lw=1, ls=(0, (4, 3)))
            for y, row in enumerate(rows):
                colour = PALETTE[0] if row[column] > 0.5 else PALETTE[1]
                ax.plot([row[f"{column}_low"], row[f"{column}_high"]], [y, y], color=colour, lw=3, alpha=0.6)
                ax.plot(row[column], y, "o" if row[column] > 0.5 else "s", color=colour, ms=6, mec="white")
                text = ax.annotate(f"{row[column]:.2f}", (row[column], y), (0, 8), textcoords="offset points", ha="center")
                text.set_bbox({"facecolor": "white", "lw": 0, "pad": 0.8})
            ax.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.7), xlabel="AUC, 95 % interval; below 0.5 it inverts")
            ax.set_title(title)
        labels = [f"{r['part']} (weight {r['weight']})" if r["part"] in PARTS else r["part"] for r in rows]
        axes[0].set_yticks(range(len(rows)), labels, color=INK)
    return figure


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


def way_sentences(ways: Mapping[str, Mapping]) -> tuple[str, ...]:
    """The three ways in which mode 3 is built, and what the score makes of each."""
    texts = []
    if AS_PUBLISHED in ways:
        row = ways[AS_PUBLISHED]
        verb = "finds" if row["published_auc_random_low"] > FIRM else "does not find"
        texts.append(
            f"{share(row)} of mode 3 subtract both units, as the hand-crafted network does; the score {verb} these: AUC "
            f"{spoken(row, 'published_auc_random', digits=3)} against random initialisations, "
            f"{spoken(row, 'published_auc_others', digits=3)} against all other modes."
        )
    if OTHER_SIGN in ways:
        row = ways[OTHER_SIGN]
        texts.append(
            f"{share(row)} subtract the bending unit and add the other one, the same idea with the sign of the flat unit "
            f"turned (in {row['linear']:.0%} of them it is flat all over the square, where both signs give one function): AUC "
            f"{spoken(row, 'published_auc_random', digits=3)}, and "
            f"{spoken(row, 'invariant_auc_random', digits=3)} for the invariant score."
        )
    if OTHER_FOLD in ways:
        row = ways[OTHER_FOLD]
        texts.append(
            f"{share(row)} add the bending unit: a valley in place of a ridge, another algorithm under the same mode, with a "
            f"median error of {row['mse_median']:.4f}: AUC {spoken(row, 'published_auc_random', digits=3)}, and "
            f"{spoken(row, 'invariant_auc_random', digits=3)} for the invariant score, which no symmetry can turn into a ridge."
        )
    return tuple(texts)


def invariance_sentences(rows: Sequence[Mapping]) -> tuple[str, ...]:
    """What the score finds once the symmetries are taken out of it."""
    own = {r["positive"]: r for r in rows if (r["scan"], r["networks"], r["negative"]) == ("invariant", "all", RANDOM)}
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


def scan_sentences(rows: Sequence[Mapping], about: Mapping) -> tuple[str, ...]:
    """The scans beside each other, on the same test networks."""
    rows = [row for row in side_by_side(rows) if row["positive"] == POSITIVE]
    texts = []
    for negative, against in ((RANDOM, "random initialisations"), (OTHERS, "all other modes")):
        own = sorted((row for row in rows if row["negative"] == negative), key=lambda row: -row["auc"])
        figures = [f"{TITLES[row['scan']]} {said(row)}" for row in own]
        n = own[0]["n_positive"]
        texts.append(f"Mode 3 against {against}, on the same {n:,} test networks of it: {listed(figures)}.")
    loss = next(row for row in rows if (row["scan"], row["negative"]) == ("loss", RANDOM))
    asks = ": that comparison asks whether a network was trained, not which algorithm it found"
    why = asks if loss["auc_low"] > FIRM else ", so being trained does not settle it"
    texts.append(f"Against random initialisations the error alone reaches {said(loss)}{why}.")
    if about["embedding"]:
        texts.append(
            f"A few examples are {about['n_examples']} training networks of a mode in the {about['embedding']} embedding; the "
            f"interval holds which ones they are, over {about['n_example_draws']} draws."
        )
    return tuple(texts)


def margin_sentences(rows: Sequence[Mapping]) -> tuple[str, ...]:
    """Whether networks near the threshold are harder to tell from all other modes, for each scan."""
    falls, rises, level = "falls towards the threshold for", "rises for", "does not clearly change for"
    kinds: dict[str, list[str]] = {falls: [], rises: [], level: []}
    for name in scans_of(rows):
        own = sorted((r for r in rows if r["scan"] == name and r["negative"] == OTHERS), key=lambda r: r["margin_low"])
        if len(own) < 2:
            continue
        near, far = own[0], own[-1]
        verb = falls if near["auc_high"] < far["auc_low"] else rises if near["auc_low"] > far["auc_high"] else level
        kinds[verb].append(f"{TITLES[name]} ({near['auc']:.2f} near, {far['auc']:.2f} far)")
    said_of = named(kinds)
    return (f"Against all other modes the AUC of mode 3 {'; it '.join(said_of)}.",) if said_of else ()
