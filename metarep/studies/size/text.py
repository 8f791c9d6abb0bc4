"""Question 1 in words. Every sentence is computed, and turns with the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from metarep.account import counted
from metarep.report.wording import ari, auc, capital, listed, num
from metarep.studies.rows import Rows, by, values, where
from metarep.studies.size.leak import AS_MANY, DUPLICATE, SEEN, UNSEEN
from metarep.studies.study import Claim
from metarep.studies.words import relation, spoken

NEAR, NEAR_ARI = 0.02, 0.05
"""R² within so much of the best counts as enough; of the ARI, which hangs more on chance, within so much."""

LEARNS = 0.05
"""R²: a model that predicts less of the held-out networks has learned next to nothing."""

LEAKS = 0.05
"""A chance of being the farther of two that lies by so much below 1/2 is called a leak."""

OVERFITS = 0.02
"""Nats: a last validation loss that lies so far above the best one is called overfitting."""


def needed(found: Sequence[float], sizes: Sequence[int], near: float = NEAR) -> int:
    """The least of the sizes whose value is within `near` of the best value."""
    found = np.asarray(found, float)
    return sizes[int(np.argmax(found >= found.max() - near))]


def claims(tables: Mapping[str, list[dict]], draws: np.ndarray, sizes: list[int], biggest: str) -> tuple[Claim, ...]:
    """The size that is enough first; then what the largest model reaches on the largest zoo, overfitting, leak and memory.

    draws (sizes, B): the largest model's R² in each resample.
    """
    enough = [needed(column, sizes) for column in draws.T]
    low, high = (int(v) for v in np.quantile(enough[1:], [0.025, 0.975], method="nearest"))
    last = by(tables["sizes"], "model", train_networks=sizes[-1])[biggest]
    over = max(tables["sizes"], key=lambda row: row["overfit"])
    leak, memory = tables["distances"][-2], tables["memory"][-2]
    nearness = "rank correlation of error with distance to what was seen, less unseen"
    return (
        Claim(f"training networks until {biggest} is within {NEAR} of its best R²", enough[0], low=low, high=high, decimals=0),
        Claim.of(f"masked R², {sizes[-1]:,} training networks", last, "r2_held_out"),
        Claim.of(f"ARI with the mode, {sizes[-1]:,} training networks", last, "ari"),
        Claim(f"largest rise of the validation loss ({over['model']}, {over['train_networks']:,} networks)", over["overfit"]),
        Claim.of("chance that a held-out network lies farther from training ones", leak, "auc", best=0.5),
        Claim.of(nearness, memory, "difference", best=0.0),
    )


def sentences(tables: Mapping[str, Rows], sizes: list[int], dropped: list[int], biggest: str, n_train: int) -> tuple[str, ...]:
    of_model = {model: where(tables["sizes"], model=model) for model in values(tables["sizes"], "model")}
    left_out = f"; {listed([f'{n:,}' for n in dropped])} left out, since the zoo has {n_train:,}" if dropped else ""
    return (
        f"{counted(len(of_model), 'model size')} (times layers: {listed(list(of_model))}) on "
        f"{listed([f'{n:,}' for n in sizes])} training networks{left_out}. There is one pretraining seed: differences between "
        "neighbouring cells hold its chance, which no interval here shows.",
        enough(of_model, sizes),
        against_imputer(tables["sizes"], tables["controls"], sizes),
        clusters(of_model, tables["controls"], sizes),
        overfitting(of_model),
        seen_and_held_out(of_model[biggest], biggest),
        leak(tables["distances"]),
        *(memory(where(tables["memory"], train_networks=n)) for n in sorted({sizes[0], sizes[-1]})),
    )


def enough(of_model: Mapping[str, Rows], sizes: list[int]) -> str:
    """From which zoo size on more networks add little, for each model."""
    parts, idle, last = [], [], []
    for model, own in of_model.items():
        best, at = max(own, key=lambda row: row["r2_held_out"]), needed([row["r2_held_out"] for row in own], sizes)
        reached = spoken(best, "r2_held_out")
        if best["r2_held_out"] < LEARNS:
            idle.append(f"{model} (best {reached})")
            continue
        parts.append(f"{model}: {at:,} (best {reached} with {best['train_networks']:,})")
        last += [model] if at == sizes[-1] else []
    verdict = f"Still gaining at the largest zoo: {listed(last)}." if last else "No model asks for the largest zoo."
    found = f"Training networks that bring the held-out masked R² within {NEAR} of the best: {'; '.join(parts)}. {verdict}"
    nothing = f"Next to nothing is learned in these steps by {listed(idle)}."
    return " ".join([*([found] if parts else []), *([nothing] if idle else [])])


def against_imputer(rows: Rows, controls: Rows, sizes: list[int]) -> str:
    """Which model is best at the smallest and the largest zoo, beside the imputer."""
    parts = []
    for n in dict.fromkeys((sizes[0], sizes[-1])):
        best = max(where(rows, train_networks=n), key=lambda row: row["r2_held_out"])
        (imputer,) = where(controls, train_networks=n, ari=None)
        parts.append(
            f"with {n:,} networks {best['model']} predicts held-out parameters best, R² {spoken(best, 'r2_held_out')}, "
            f"{relation(best, imputer, 'r2_held_out')} the linear-Gaussian imputer ({spoken(imputer, 'r2_held_out')})"
        )
    return f"{capital(listed(parts))}."


def clusters(of_model: Mapping[str, Rows], controls: Rows, sizes: list[int]) -> str:
    """How the agreement of clusters with the mode grows."""
    parts = [
        f"{model}: {ari(own[0])} with {sizes[0]:,}, {ari(own[-1])} with {sizes[-1]:,}, near its best from "
        f"{needed([row['ari'] for row in own], sizes, NEAR_ARI):,} on"
        for model, own in of_model.items()
    ]
    untrained = max((row for row in controls if row["ari"] is not None), key=lambda row: row["ari"])
    rows = [row for own in of_model.values() for row in own]
    beaten = sum(row["ari_low"] > untrained["ari_high"] for row in rows)
    return (
        f"Clusters agree with the mode with an ARI of ({'; '.join(parts)}). {beaten} of {len(rows)} models lie clearly above "
        f"the best untrained one ({ari(untrained)}); permuted labels reach at most "
        f"{num(max(row['ari_null'] for row in rows), 3)} (95th percentile)."
    )


def overfitting(of_model: Mapping[str, Rows]) -> str:
    """Which models' validation loss rises again."""
    over = {model: [row for row in own if row["overfit"] > OVERFITS] for model, own in of_model.items()}
    text = f"Overfitting, a last validation loss more than {OVERFITS} nats above the best: "
    if not any(over.values()):
        return f"{text}none of the models shows it."
    parts = []
    for model, own in ((model, own) for model, own in over.items() if own):
        worst = max(own, key=lambda row: row["overfit"])
        parts.append(
            f"{model} with up to {max(row['train_networks'] for row in own):,} networks (most with "
            f"{worst['train_networks']:,}: {num(worst['overfit'])} nats above its best, of step {worst['best_step']:,})"
        )
    safe = [model for model, own in over.items() if not own]
    return f"{text}{'; '.join(parts)}{f'; not seen in {listed(safe)}' if safe else ''}."


def seen_and_held_out(own: Rows, model: str) -> str:
    """The gap between training networks and held-out ones, of the largest model."""
    open_gaps = [row["train_networks"] for row in own if (row["r2_gap_low"] or 0) > 0]
    parts = [
        f"{spoken(row, 'r2_seen')} against {spoken(row, 'r2_held_out')} with {row['train_networks']:,}"
        for row in (own[0], own[-1])
    ]
    gap = f"clearly above 0 with up to {max(open_gaps):,} networks" if open_gaps else "nowhere clearly above 0"
    return f"Masked R² of {model} on the networks it saw and on held-out ones: {listed(parts)}; the gap is {gap}."


def leak(rows: Rows) -> str:
    """Whether held-out networks lie nearer to training networks than those to each other."""
    held_out, among = rows[-2], rows[-1]
    if held_out["auc_high"] < 0.5 - LEAKS:
        verdict = "held-out networks lie nearer, as a leak would make them"
    elif held_out["auc_high"] < 0.5:
        verdict = f"held-out networks lie a little nearer, by less than the {LEAKS} from 1/2 that are called a leak here"
    elif held_out["auc_low"] > 0.5:
        verdict = "held-out networks lie even farther away, the opposite of a leak"
    else:
        verdict = "no leak is seen"
    return (
        f"Modulo unit order and scale, half of the held-out networks lie within {num(held_out['q50'], 3)} standard deviations "
        f"of one of {held_out['train_networks']:,} training networks, and half of these within "
        f"{num(among['q50'], 3)} of another; a held-out network is the farther of the two with a chance of "
        f"{auc(held_out)}: {verdict}. Nearer than {DUPLICATE}: {held_out['n_duplicates']} of {held_out['n']:,} held-out and "
        f"{among['n_duplicates']} of {among['n']:,} training networks."
    )


def memory(rows: Rows) -> str:
    """Whether the error of the largest model falls with nearness to what it saw, more than with nearness to the unseen."""
    seen, few, unseen = (by(rows, "nearest_of")[bank] for bank in (SEEN, AS_MANY, UNSEEN))
    if few["difference_low"] > 0:
        verdict = "it remembers what it saw"
    elif few["difference_high"] < 0:
        verdict = "what it did not see says even more, so nothing speaks for memory"
    else:
        verdict = "nearness to what it saw says no more than nearness to what it did not see, no sign of memory"
    return (
        f"Memory of {seen['model']}, trained on {seen['train_networks']:,} networks: the rank correlation between its error "
        f"on a held-out network and that one's distance to those it saw is {spoken(seen, 'rho')} (permuted: up to "
        f"{num(seen['null'])} either way); with {few['bank_networks']:,} that it saw {spoken(few, 'rho')}, with as many "
        f"that it did not see {spoken(unseen, 'rho')}, a difference of {spoken(few, 'difference')}: {verdict}."
    )
