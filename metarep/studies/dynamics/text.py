"""The dynamics in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binomtest

from metarep.domains.multiplier.dynamics import SIGNIFICANT
from metarep.report.wording import listed
from metarep.studies.dynamics.retrained import LONG, RECIPE, leaving_any, leaving_rows
from metarep.studies.words import share, spoken

if TYPE_CHECKING:
    from metarep.studies.dynamics.birth import Birth
    from metarep.studies.dynamics.retrained import Retrained


def birth_sentences(birth: Birth) -> list[str]:
    """How much is decided at birth: twins, the best predictor, and the gap between them."""
    twin, accuracy = birth.twins[0], birth.twin_accuracy
    best = max((row for row in birth.rows if row["quantities"] == "all"), key=lambda row: row["bits"])
    simple = max((row for row in birth.rows if row["quantities"] == "mode"), key=lambda row: row["bits"])
    decided = "The initialisation decides the mode" if twin["low"] > 0.9 else "The initialisation decides the mode in part"
    decided = decided if twin["low"] > 0.5 else "The data decide the mode more than the initialisation"
    texts = [
        f"{decided}: trained from the same start on the data of another seed, {share(twin)} of "
        f"{twin['of']:,} networks end in the same mode."
    ]
    beyond = best["balanced_accuracy_low"] > best["null_max"]
    gap = accuracy["low"] > best["balanced_accuracy_high"]
    texts.append(
        f"{best['predictor'].capitalize()} on the initial parameters and areas foretell it with a balanced accuracy of "
        f"{spoken(best, 'balanced_accuracy')}, {'above' if beyond else 'not clearly above'} the "
        f"{best['null_mean']:.2f} of permuted labels (at most {best['null_max']:.2f}), and tell "
        f"{spoken(best, 'bits')} of the {best['entropy_bits']:.2f} bits; the initial mode alone gives "
        f"{spoken(simple, 'balanced_accuracy')} and "
        f"{spoken(simple, 'bits')} bits. Twins agree with {accuracy['value']:.2f} "
        f"[{accuracy['low']:.2f}, {accuracy['high']:.2f}]"
        + (": more of it is decided than these predictors see." if gap else ".")
    )
    first, second, third = birth.importance[:3]
    texts.append(
        f"What matters most is {first['quantity']} ({first['bits']:.2f} bits lost when it is permuted), then "
        f"{second['quantity']} ({second['bits']:.2f}) and {third['quantity']} ({third['bits']:.2f})."
    )
    return texts


def settings_sentences(settings: Retrained) -> list[str]:
    """What a longer training and other learning rates change, and whether a mode is a stage on the way."""
    told = [f"{share(row)} at learning rate {row['lr']:g}" for row in leaving_any(settings)]
    n = max(len(before) for before, _ in settings.pairs.values())
    texts = [
        f"Of {n:,} networks each, these are in another mode after {LONG:,} steps than after {RECIPE.n_steps:,}: {listed(told)}."
    ]
    leaving = [row for row in leaving_rows(settings) if row["of"]]
    stages = [
        f"mode {row['mode']} at learning rate {row['lr']:g} ({_left(row)})" for row in leaving if _is_left(row, len(leaving))
    ]
    if stages:
        texts.append(f"A stage on the way, which clearly more than half leave in a longer training: {listed(stages)}.")
    else:
        most = max(leaving, key=lambda row: row["share"])
        texts.append(
            "Under no learning rate do clearly more than half of a mode's networks leave it in a longer training (binomial "
            f"test, corrected for {len(leaving)} looks), so none is shown to be merely a stage; the highest share is that of "
            f"mode {most['mode']} at learning rate {most['lr']:g}: {_left(most)}."
        )
    own = [row for row in leaving if row["lr"] == RECIPE.lr]
    if own:
        most = max(own, key=lambda row: row["low"])
        texts.append(f"At the recipe's rate the mode most often left is mode {most['mode']}: {_left(most)}.")
    return texts


def _is_left(row: dict, n_looks: int) -> bool:
    """Whether more than half of a mode's networks leave it, by a binomial test at 5 %, corrected (Bonferroni) for n_looks."""
    return binomtest(row["n"], row["of"], 0.5, alternative="greater").pvalue * n_looks < SIGNIFICANT


def _left(row: dict) -> str:
    where = f", {row['n_to_mode']:,} of them for mode {row['to_mode']}" if row["n"] else ""
    return f"{share(row)} of {row['of']:,} leave it{where}"


def embedding_sentence(rows: list[dict]) -> str:
    """How early the embedding shows where a run will end."""
    final = np.array([row["mode_at_the_end"] for row in rows])
    reached = rows[int(np.argmax(final >= 0.9 * final[-1]))]["step"]
    return (
        f"The cloze embedding of {rows[0]['n']:,} test runs names the mode in which a run ends with a balanced accuracy of "
        f"{final[0]:.2f} at initialisation and {final[-1]:.2f} at the end (nearest centre of finished training networks), "
        f"and reaches nine tenths of that at step {reached:,}."
    )
