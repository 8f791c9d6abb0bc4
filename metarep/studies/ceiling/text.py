"""Question 4 in words. Every sentence is computed, and turns with the numbers."""

from __future__ import annotations

from collections.abc import Mapping

from metarep.domains.multiplier.modes import MODE_NAMES
from metarep.report.wording import listed, num
from metarep.studies.rows import Row, Rows, by, values, where
from metarep.studies.settings import QuestionConfig
from metarep.studies.study import Claim
from metarep.studies.words import grouped, relation, spoken

ALL = "all"
MODEL, MEAN_OF, LOCAL, CEILING, IMPUTER = "model", "neighbours", "local_fit", "ceiling", "imputer"
"""The columns of the tables: R² of the cloze model, the neighbours' mean, the local linear fit, the Gamma test's estimate of
what can be reached, the linear-Gaussian imputer."""

TITLES = {
    MODEL: "the model",
    LOCAL: "the local linear fit",
    MEAN_OF: "the neighbours' mean",
    IMPUTER: "the linear-Gaussian",
}
CONVERGED = 0.02
"""R² that changes by less when the bank grows to the next size counts as converged."""

CLEAN = 0.9
"""A parameter of whose variance so much can be predicted counts as determined by the others."""


def claims(rows: Rows) -> tuple[Claim, ...]:
    """The model's share of what can be predicted first, then both halves of it, and each kind's."""
    kinds = by(rows, "parameter")
    whole = kinds.pop(ALL)
    return (
        Claim.of("share of the predictable variance that the model predicts", whole, "share", best=1.0),
        Claim.of("masked R² of the model", whole, MODEL, best=whole[CEILING]),
        Claim.of("masked R² of the local linear fit", whole, LOCAL, best=whole[CEILING]),
        Claim.of("R² that the Gamma test puts within reach", whole, CEILING),
        *(Claim.of(f"masked R² of the model, {name}", row, MODEL, best=row[CEILING]) for name, row in kinds.items()),
    )


def sentences(tables: Mapping[str, Rows], config: QuestionConfig, sizes: list[int], n_fit: int) -> tuple[str, ...]:
    kinds = by(tables["predictability"], "parameter")
    whole = kinds.pop(ALL)
    return (
        f"Each parameter masked in turn, a model pretrained for the cloze test alone ({n_fit:,} training networks, "
        f"{config.ceiling.n_steps:,} steps of {config.pretrain.batch_size}) predicts an R² of {spoken(whole, MODEL)}; the "
        f"Gamma test on {sizes[-1]:,} networks puts {spoken(whole, CEILING)} within reach, {share(whole)}.",
        how_hard(kinds),
        beside(kinds, whole),
        convergence(tables["convergence"], sizes),
        where_it_lies(where(tables["by_mode"], parameter=ALL)),
    )


def share(whole: Row) -> str:
    """How much of what can be reached the model predicts."""
    if whole["share"] is None:
        return "so that no share of it can be given"
    if whole["share_low"] > 1:
        verdict = "the model predicts more, so the estimate is too low"
    elif whole["share_high"] >= 1:
        verdict = "the model is not clearly below what can be reached"
    else:
        verdict = "the model leaves some of what can be reached"
    return f"{spoken(whole, 'share')} of it: {verdict}"


def how_hard(kinds: Mapping[str, Row]) -> str:
    """Which parameters the others determine."""
    clear = [name for name, row in kinds.items() if (row[f"{CEILING}_low"] or 0) >= CLEAN]
    unclear = {name: row for name, row in kinds.items() if name not in clear and row[CEILING] is not None}
    if not unclear:
        return f"The others determine every kind of parameter: at least {CLEAN:.0%} of each one's variance is within reach."
    parts = [
        f"{name} {1 - row[CEILING]:.0%} [{max(0.0, 1 - row[f'{CEILING}_high']):.0%}, {1 - row[f'{CEILING}_low']:.0%}]"
        for name, row in sorted(unclear.items(), key=lambda item: item[1][CEILING])
    ]
    none = f"{listed(clear)} {'is' if len(clear) == 1 else 'are'}" if clear else "No kind of parameter is"
    return (
        f"{none} clearly determined by the others to {CLEAN:.0%} or more; of the rest, this much of the variance no smooth "
        f"function of the other eight predicts: {listed(parts)}."
    )


def beside(kinds: Mapping[str, Row], whole: Row) -> str:
    """The model beside the simpler predictors."""
    ordered = sorted(TITLES, key=lambda name: -(whole[name] or 0))
    nulls = [whole[f"{name}_null"] for name in ordered if whole[f"{name}_null"] is not None]
    null = f" (permuted among networks, predictions reach at most {num(max(nulls))}, the 95th percentile)" if nulls else ""
    words = {"clearly above": "the model is ahead on", "clearly below": "the local fit is ahead on"}
    lies = {name: words.get(relation(row, row, MODEL, LOCAL), "") for name, row in kinds.items() if row[MODEL] is not None}
    apart = grouped(lies) or "they are apart on no kind of parameter"
    predictors = ", ".join(f"{TITLES[name]} {spoken(whole, name)}" for name in ordered)
    return (
        f"Over all parameters: {predictors}{null}, the mean 0. By intervals of the model and the local fit that do not "
        f"overlap, {apart}."
    )


def convergence(rows: Rows, sizes: list[int]) -> str:
    """Whether the estimates still move when the bank grows."""
    before, after = (by(rows, "parameter", bank=size) for size in sizes[-2:])
    moved = lambda kind, name: (after[kind][name] or 0) - (before[kind][name] or 0)  # noqa: E731
    step = {kind: moved(kind, CEILING) for kind in values(rows, "parameter")}
    moving = {kind: change for kind, change in step.items() if kind != ALL and abs(change) >= CONVERGED}
    still = abs(step[ALL]) < CONVERGED
    if still and not moving:
        verdict = f"the estimate has converged to {CONVERGED}, for every kind of parameter"
    else:
        verdict = "over all it has converged" if still else "it has not converged"
        verdict += (
            f"; still changing are {listed([f'{kind} by {num(by, 3)}' for kind, by in moving.items()])}" if moving else ""
        )
        rising = [change > 0 for change in step.values() if abs(change) >= CONVERGED]
        verdict += "; where it rises it is a lower bound of what is within reach" if all(rising) else ""
    return (
        f"From {sizes[-2]:,} to {sizes[-1]:,} networks in the bank the estimate of what is within reach changes by "
        f"{num(step[ALL], 3)}, and the local fit's R² by {num(moved(ALL, LOCAL), 3)}: {verdict}."
    )


def where_it_lies(rows: Rows) -> str:
    """Which modes hold what the model leaves unexplained."""
    own = sorted(rows, key=lambda row: -row["share_of_unexplained"])
    parts = [f"mode {r['mode']} {r['share_of_unexplained']:.0%} (of the networks {r['share_of_networks']:.0%})" for r in own]
    dense = max(own, key=lambda row: row[f"left_{MODEL}"] or 0)
    return (
        f"What the model leaves unexplained lies in {listed(parts)}. A network of mode {dense['mode']} "
        f"({MODE_NAMES[dense['mode']]}) has most of it, {spoken(dense, f'left_{MODEL}')} of the overall variance a "
        f"parameter; the local fit leaves {spoken(dense, f'left_{LOCAL}')} there."
    )
