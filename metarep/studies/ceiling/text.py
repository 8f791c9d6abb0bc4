"""Question 4 in words. Every sentence is computed, and turns with the numbers."""

from __future__ import annotations

from collections.abc import Mapping

from metarep.domains.multiplier.modes import MODE_NAMES
from metarep.report.wording import listed, num
from metarep.studies.settings import QuestionConfig
from metarep.studies.words import spoken

ALL = "all"
MODEL, MEAN_OF, LOCAL, CEILING, IMPUTER = "model", "neighbours", "local_fit", "ceiling", "imputer"
"""The columns of the tables: R² of the cloze model, the neighbours' mean, the local linear fit, the Gamma test's estimate of
what can be reached, the linear-Gaussian imputer."""

CONVERGED = 0.02
"""R² that changes by less when the bank grows to the next size counts as converged."""

CLEAN = 0.9
"""A parameter of whose variance so much can be predicted counts as determined by the others."""


def sentences(tables: Mapping[str, list[dict]], config: QuestionConfig, sizes: list[int], n_fit: int) -> tuple[str, ...]:
    """What was found."""
    rows = {row["parameter"]: row for row in tables["predictability"]}
    whole, kinds = rows[ALL], {name: row for name, row in rows.items() if name != ALL}
    return (
        overall(whole, config, sizes, n_fit),
        how_hard(kinds),
        beaten(rows, whole),
        convergence(tables["convergence"], sizes),
        where_it_lies(tables["by_mode"]),
    )


def overall(whole: Mapping, config: QuestionConfig, sizes: list[int], n_fit: int) -> str:
    """The model beside what can be reached, over all parameters."""
    share = whole["share"]
    if share is None:
        verdict = "so that no share of it can be given"
    elif whole["share_low"] > 1:
        verdict = f"{spoken(whole, 'share')} of it: the model predicts more, so the estimate is too low"
    elif whole["share_high"] >= 1:
        verdict = f"{spoken(whole, 'share')} of it: the model is not clearly below what can be reached"
    else:
        verdict = f"{spoken(whole, 'share')} of it: the model leaves some of what can be reached"
    return (
        f"Each parameter masked in turn, a model pretrained for the cloze test alone ({n_fit:,} training networks, "
        f"{config.ceiling.n_steps:,} steps of {config.pretrain.batch_size}) predicts an R² of {spoken(whole, MODEL)}; the "
        f"Gamma test on {sizes[-1]:,} networks puts {spoken(whole, CEILING)} within reach, {verdict}."
        f"{not_the_best(whole)}"
    )


def not_the_best(whole: Mapping) -> str:
    """That the local linear fit predicts more than the model, where it does."""
    if whole[LOCAL] is None or whole[MODEL] is None or whole[LOCAL] <= whole[MODEL]:
        return ""
    word = "clearly more" if whole[f"{LOCAL}_low"] > whole[f"{MODEL}_high"] else "more, though intervals overlap"
    return f" A linear fit to the neighbours in that bank predicts {word}: {spoken(whole, LOCAL)}."


def how_hard(kinds: Mapping[str, dict]) -> str:
    """Which parameters the others determine."""
    clear = [name for name, row in kinds.items() if (row[f"{CEILING}_low"] or 0) >= CLEAN]
    unclear = {name: row for name, row in kinds.items() if name not in clear and row[CEILING] is not None}
    if not unclear:
        return f"The others determine every kind of parameter: at least {CLEAN:.0%} of each one's variance is within reach."
    parts = [
        f"{name} {1 - row[CEILING]:.0%} [{max(0.0, 1 - row[f'{CEILING}_high']):.0%}, {1 - row[f'{CEILING}_low']:.0%}]"
        for name, row in sorted(unclear.items(), key=lambda item: item[1][CEILING])
    ]
    none = "No kind of parameter is" if not clear else f"{listed(clear)} {'is' if len(clear) == 1 else 'are'}"
    return (
        f"{none} clearly determined by the others to {CLEAN:.0%} or more; of the rest, this much of the variance no smooth "
        f"function of the other eight predicts: {listed(parts)}."
    )


def beaten(rows: Mapping[str, dict], whole: Mapping) -> str:
    """The model beside the simpler predictors."""
    ordered = sorted((MODEL, LOCAL, MEAN_OF, IMPUTER), key=lambda name: -(whole[name] or 0))
    titles = {
        MODEL: "the model",
        LOCAL: "the local linear fit",
        MEAN_OF: "the neighbours' mean",
        IMPUTER: "the linear-Gaussian",
    }
    text = "Over all parameters: " + ", ".join(f"{titles[name]} {spoken(whole, name)}" for name in ordered)
    nulls = [whole[f"{name}_null"] for name in ordered if whole[f"{name}_null"] is not None]
    text += f" (permuted among networks, predictions reach at most {num(max(nulls))}, the 95th percentile)" if nulls else ""
    kinds = {name: row for name, row in rows.items() if name != ALL}
    ahead = [name for name, row in kinds.items() if (row[f"{MODEL}_low"] or 0) > (row[f"{LOCAL}_high"] or 0)]
    behind = [name for name, row in kinds.items() if (row[f"{MODEL}_high"] or 0) < (row[f"{LOCAL}_low"] or 0)]
    parts = [f"{listed(names)} the {who} is" for who, names in (("model", ahead), ("local fit", behind)) if names]
    if not parts:
        return f"{text}, the mean 0; on no kind of parameter are the intervals of model and local fit apart."
    return f"{text}, the mean 0; by intervals that do not overlap, on {', on '.join(parts)} ahead of the other."


def convergence(rows: list[dict], sizes: list[int]) -> str:
    """Whether the estimates still move when the bank grows."""
    by = {(row["bank"], row["parameter"]): row for row in rows}
    kinds = list(dict.fromkeys(row["parameter"] for row in rows))
    step = {name: (by[sizes[-1], name][CEILING] or 0) - (by[sizes[-2], name][CEILING] or 0) for name in kinds}
    local = (by[sizes[-1], ALL][LOCAL] or 0) - (by[sizes[-2], ALL][LOCAL] or 0)
    moving = [f"{name} by {num(change, 3)}" for name, change in step.items() if name != ALL and abs(change) >= CONVERGED]
    text = (
        f"From {sizes[-2]:,} to {sizes[-1]:,} networks in the bank the estimate of what is within reach changes by "
        f"{num(step[ALL], 3)}, and the local fit's R² by {num(local, 3)}: "
    )
    if abs(step[ALL]) < CONVERGED and not moving:
        return f"{text}the estimate has converged to {CONVERGED}, for every kind of parameter."
    verdict = "over all it has converged" if abs(step[ALL]) < CONVERGED else "it has not converged"
    if not moving:
        return f"{text}{verdict}, though no single kind changes by {CONVERGED}."
    rising = all(change > 0 for change in step.values() if abs(change) >= CONVERGED)
    note = "; where it rises it is a lower bound of what is within reach" if rising else ""
    return f"{text}{verdict}; still changing are {listed(moving)}{note}."


def where_it_lies(rows: list[dict]) -> str:
    """Which modes hold what the model leaves unexplained."""
    own = sorted((row for row in rows if row["parameter"] == ALL), key=lambda row: -row["share_of_unexplained"])
    parts = [f"mode {r['mode']} {r['share_of_unexplained']:.0%} (of the networks {r['share_of_networks']:.0%})" for r in own]
    dense = max(own, key=lambda row: row[f"left_{MODEL}"] or 0)
    return (
        f"What the model leaves unexplained lies in {listed(parts)}. A network of mode {dense['mode']} "
        f"({MODE_NAMES[dense['mode']]}) has most of it, {spoken(dense, f'left_{MODEL}')} of the overall variance a "
        f"parameter; the local fit leaves {spoken(dense, f'left_{LOCAL}')} there."
    )
