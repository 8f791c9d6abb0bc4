"""How modes arise: the way through training, what decides at birth, longer training and other learning rates.

Nothing was published about it. The snapshots are `n_snapshot_networks` networks of the recipe; the start is judged
on the networks that the experiments share; other settings train a fifth of the snapshot networks again.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import binomtest

from metarep.domains.multiplier.dynamics import SIGNIFICANT, Dynamics, embedding_rows, follow, sentences, tables_of
from metarep.domains.multiplier.mode_paths import share_row
from metarep.domains.multiplier.settings import DynamicsConfig
from metarep.domains.multiplier.trajectories import read_runs
from metarep.report.wording import listed
from metarep.studies.dynamics.figures import figures, seen_along
from metarep.studies.dynamics.retrained import (
    LONG,
    RECIPE,
    Birth,
    Retrained,
    leaving_any,
    leaving_rows,
    pair_rows,
    study_birth,
    study_settings,
    zoo_of,
)
from metarep.studies.multipliers import multipliers, small_model
from metarep.studies.study import Claim, Context, Result
from metarep.studies.words import share, spoken


def run(context: Context) -> Result:
    """The dynamics of modes, as numbers, tables and figures."""
    config = context.config
    zoo = zoo_of(context, "snapshots", config.n_snapshot_networks, n_snapshots=config.n_snapshots)
    own = DynamicsConfig(seed=config.seed, n_bootstraps=config.n_bootstraps)
    found = follow(own, read_runs(zoo))
    birth = study_birth(context, multipliers(context))
    settings = study_settings(context, zoo)
    model = small_model(context)
    tables = tables_of(found)
    tables["embedding_along_runs"] = embedding_rows(own, found.runs, model.path, device="cpu")
    tables |= {
        "birth": birth.rows,
        "birth_importance": birth.importance,
        "twins": birth.twins,
        "settings": settings.shares,
        "longer_training": pair_rows(settings),
        "left_by_longer_training": leaving_rows(settings),
    }
    words = (
        *sentences(found.metrics),
        embedding_sentence(tables["embedding_along_runs"]),
        *birth_sentences(birth),
        *settings_sentences(settings),
    )
    drawn = figures(found, birth, settings, own)
    drawn["along"] = seen_along(tables, found)
    return Result(
        claims=claims(found, birth, settings),
        sentences=words,
        tables={name: rows for name, rows in tables.items() if rows},
        figures=drawn,
        numbers={"dynamics": found.metrics, "twin_balanced_accuracy": birth.twin_accuracy},
        shown=("birth", "twins", "settings", "left_by_longer_training"),
    )


def claims(found: Dynamics, birth: Birth, settings: Retrained) -> tuple[Claim, ...]:
    """The numbers of the experiment; nothing was published."""
    kept, drop, phase = (found.metrics[name] for name in ("kept_from_birth", "loss_at_change", "phase"))
    best = max((row for row in birth.rows if row["quantities"] == "all"), key=lambda row: row["bits"])
    twin, accuracy = birth.twins[0], birth.twin_accuracy
    left = next(row for row in leaving_any(settings) if row["lr"] == RECIPE.lr)
    made = [
        Claim("initial mode is the final one", kept["share"], low=kept["low"], high=kept["high"]),
        Claim("same start, other data: same final mode", twin["share"], low=twin["low"], high=twin["high"]),
        Claim(
            "final mode from the initialisation, balanced accuracy",
            best["balanced_accuracy"],
            best=accuracy["value"],
            low=best["balanced_accuracy_low"],
            high=best["balanced_accuracy_high"],
        ),
        Claim("final mode from the initialisation, bits", best["bits"], low=best["bits_low"], high=best["bits_high"]),
        Claim(f"mode changes between {RECIPE.n_steps:,} and {LONG:,} steps", left["share"], low=left["low"], high=left["high"]),
    ]
    if "mean_excess" in drop:
        more = share_row(drop["n_falls_more"], drop["n"])
        made += [
            Claim(
                "excess drop of the error at the last change, decades", drop["mean_excess"], low=drop["low"], high=drop["high"]
            ),
            Claim("error falls further than in the control", more["share"], low=more["low"], high=more["high"]),
        ]
    if "median_ratio" in phase:
        low, high = phase["median_ratio_low"], phase["median_ratio_high"]
        made.append(Claim("steepness of the drop over a relaxation's", phase["median_ratio"], low=low, high=high))
    return tuple(made)


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
