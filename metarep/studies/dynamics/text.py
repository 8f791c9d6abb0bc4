"""What the dynamics say, in claims and sentences; nothing was published."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.stats import binomtest

from metarep.domains.multiplier.dynamics import SIGNIFICANT
from metarep.domains.multiplier.mode_paths import share_row
from metarep.report.wording import listed
from metarep.studies.dynamics.retrained import LONG, RECIPE, Birth, Pairs, leaving_any, leaving_rows
from metarep.studies.rows import Row, Rows, where
from metarep.studies.study import Claim
from metarep.studies.words import share, spoken


def best_from(birth: Birth, quantities: str) -> Row:
    """The best predictor from some of the initial quantities."""
    return max(where(birth.rows, quantities=quantities), key=lambda row: row["bits"])


def claims(metrics: Mapping[str, dict], birth: Birth, pairs: Pairs) -> tuple[Claim, ...]:
    drop, phase = metrics["loss_at_change"], metrics["phase"]
    best, decided = best_from(birth, "all"), birth.twin_accuracy["value"]
    accuracy = "final mode from the initialisation, balanced accuracy"
    steps = f"mode changes between {RECIPE.n_steps:,} and {LONG:,} steps"
    made = [
        Claim.of("initial mode is the final one", metrics["kept_from_birth"], "share"),
        Claim.of("same start, other data: same final mode", birth.twins[0], "share"),
        Claim.of(accuracy, best, "balanced_accuracy", best=decided),
        Claim.of("final mode from the initialisation, bits", best, "bits"),
        Claim.of(steps, leaving_any(pairs)[RECIPE.lr], "share"),
    ]
    if "mean_excess" in drop:
        more = share_row(drop["n_falls_more"], drop["n"])
        made.append(Claim.of("excess drop of the error at the last change, decades", drop, "mean_excess"))
        made.append(Claim.of("error falls further than in the control", more, "share"))
    if "median_ratio" in phase:
        made.append(Claim.of("steepness of the drop over a relaxation's", phase, "median_ratio"))
    return tuple(made)


def birth_sentences(birth: Birth) -> list[str]:
    """How much is decided at birth: twins, the best predictor, and the gap between them."""
    twin, accuracy, best, simple = birth.twins[0], birth.twin_accuracy, best_from(birth, "all"), best_from(birth, "mode")
    decided = "The data decide the mode more than the initialisation"
    if twin["low"] > 0.5:
        decided = "The initialisation decides the mode" + ("" if twin["low"] > 0.9 else " in part")
    beyond = "above" if best["balanced_accuracy_low"] > best["null_max"] else "not clearly above"
    gap = accuracy["low"] > best["balanced_accuracy_high"]
    return [
        f"{decided}: trained from the same start on the data of another seed, {share(twin)} of {twin['of']:,} networks end in "
        "the same mode.",
        f"{best['predictor'].capitalize()} on the initial parameters and areas foretell it with a balanced accuracy of "
        f"{spoken(best, 'balanced_accuracy')}, {beyond} the {best['null_mean']:.2f} of permuted labels (at most "
        f"{best['null_max']:.2f}), and tell {spoken(best, 'bits')} of the {best['entropy_bits']:.2f} bits; the initial mode "
        f"alone gives {spoken(simple, 'balanced_accuracy')} and {spoken(simple, 'bits')} bits. Twins agree with "
        f"{spoken(accuracy)}{': more of it is decided than these predictors see' if gap else ''}.",
    ]


def settings_sentences(pairs: Pairs) -> list[str]:
    """What a longer training and other learning rates change, and whether a mode is a stage on the way."""
    told = [f"{share(row)} at learning rate {lr:g}" for lr, row in leaving_any(pairs).items()]
    leaving = [row for row in leaving_rows(pairs) if row["of"]]
    stages = [told_of(row) for row in leaving if is_left(row, len(leaving))]
    text = f"A stage on the way, which clearly more than half leave in a longer training: {listed(stages)}."
    if not stages:
        text = (
            "Under no learning rate do clearly more than half of a mode's networks leave it in a longer training (binomial "
            f"test, corrected for {len(leaving)} looks), so none is shown to be merely a stage; the highest share: "
            f"{told_of(max(leaving, key=lambda row: row['share']))}."
        )
    own = where(leaving, lr=RECIPE.lr)
    most = [f"Most often left at the recipe's rate: {told_of(max(own, key=lambda row: row['low']))}."] if own else []
    return [
        f"Of {max(len(before) for before, _ in pairs.values()):,} networks each, these are in another mode after {LONG:,} "
        f"steps than after {RECIPE.n_steps:,}: {listed(told)}.",
        text,
        *most,
    ]


def is_left(row: Row, n_looks: int) -> bool:
    """Whether more than half of a mode's networks leave it, by a binomial test at 5 %, corrected (Bonferroni) for n_looks."""
    return binomtest(row["n"], row["of"], 0.5, alternative="greater").pvalue * n_looks < SIGNIFICANT


def told_of(row: Row) -> str:
    """How many networks leave a mode, and where most of them go."""
    where_to = f", {row['n_to_mode']:,} of them for mode {row['to_mode']}" if row["n"] else ""
    return f"mode {row['mode']} at learning rate {row['lr']:g} ({share(row)} of {row['of']:,} leave it{where_to})"


def embedding_sentence(rows: Rows) -> str:
    """How early the embedding shows where a run will end."""
    final = np.array([row["mode_at_the_end"] for row in rows])
    reached = rows[int(np.argmax(final >= 0.9 * final[-1]))]["step"]
    return (
        f"The cloze embedding of {rows[0]['n']:,} test runs names the mode in which a run ends with a balanced accuracy of "
        f"{final[0]:.2f} at initialisation and {final[-1]:.2f} at the end (nearest centre of finished training networks), "
        f"and reaches nine tenths of that at step {reached:,}."
    )
