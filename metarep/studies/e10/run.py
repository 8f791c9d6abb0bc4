"""Experiment 10: the scan. Does the published score find mode 3 beyond its two examples, and does anything else?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from metarep.artefact import Artefact
from metarep.domains.multiplier.figures.scans import on_most_networks
from metarep.domains.multiplier.scan import OTHERS, POSITIVE, RANDOM, labelled, measure, random_initialisations
from metarep.domains.multiplier.scores import published
from metarep.domains.multiplier.settings import ScanConfig
from metarep.embeddings.settings import EmbedConfig
from metarep.embeddings.stage import embed
from metarep.evaluation.roc import auc
from metarep.runner import Stage
from metarep.studies.e10.figures import figures
from metarep.studies.e10.text import (
    invariance_sentences,
    margin_sentences,
    published_sentences,
    rare_sentences,
    reasons,
    scan_sentences,
)
from metarep.studies.e10.ways import pairs_that_round_to_one, part_rows, way_rows
from metarep.studies.multipliers import multipliers, small_model
from metarep.studies.published import NETWORKS, PUBLISHED, SEED
from metarep.studies.study import Claim, Context, Result
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
            *rare_sentences(tables["precision"]),
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
    row = row_of(on_most_networks(rows), RANDOM)
    others = row_of(on_most_networks(rows), OTHERS)
    return (
        Claim("scan_auc_of_the_two_published_networks", auc(scores, start), expected, decimals=2),
        Claim(
            "scan_auc_of_all_networks_of_mode_3",
            row["auc"],
            expected,
            decimals=2,
            low=row["auc_low"],
            high=row["auc_high"],
            over=f"{row['n_positive']:,} networks of mode 3 against {row['n_negative']:,} random initialisations",
            seed_known=False,
        ),
        Claim(
            "scan_auc_against_all_other_modes",
            others["auc"],
            low=others["auc_low"],
            high=others["auc_high"],
            over=f"{others['n_positive']:,} networks of mode 3 against {others['n_negative']:,} of other modes",
        ),
        Claim(f"scan_score_of_{SEED}", float(scores[0]), NETWORKS[SEED]["scan_score"]),
    )


def row_of(rows: Sequence[Mapping], negative: str) -> Mapping[str, Any]:
    """The row against one class."""
    return next(row for row in rows if row["negative"] == negative)
