"""Question 1 in words. Every sentence is computed, and turns with the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from metarep.report.wording import ari, auc, listed, num
from metarep.studies.size.leak import AS_MANY, DUPLICATE, SEEN, UNSEEN
from metarep.studies.words import counted, relation, spoken

NEAR = 0.02
"""R² within so much of the best counts as enough."""

NEAR_ARI = 0.05
"""The same for the ARI, which hangs more on chance."""

LEARNS = 0.05
"""R²: a model that predicts less of the held-out networks has learned next to nothing."""

LEAKS = 0.05
"""A chance of being the farther of two that lies by so much below 1/2 is called a leak."""

OVERFITS = 0.02
"""Nats: a last validation loss that lies so far above the best one is called overfitting."""


def needed(values: Sequence[float], sizes: Sequence[int], near: float = NEAR) -> int:
    """The least of the sizes whose value is within `near` of the best value."""
    values = np.asarray(values, float)
    return sizes[int(np.argmax(values >= values.max() - near))]


def sentences(
    tables: Mapping[str, list[dict]],
    sizes: list[int],
    dropped: list[int],
    largest: tuple[int, int],
    n_train: int,
) -> tuple[str, ...]:
    """What was found."""
    rows = tables["sizes"]
    of_model: dict[str, list[dict]] = {}
    for row in rows:
        of_model.setdefault(row["model"], []).append(row)
    biggest = next(m for m, own in of_model.items() if (own[0]["width"], own[0]["layers"]) == largest)
    left_out = f"; {listed([f'{n:,}' for n in dropped])} left out, since the zoo has {n_train:,}" if dropped else ""
    return (
        f"{counted(len(of_model), 'model size')} (times layers: {listed(list(of_model))}) on "
        f"{listed([f'{n:,}' for n in sizes])} training networks{left_out}. There is one pretraining seed: differences between "
        "neighbouring cells hold its chance, which no interval here shows.",
        enough(of_model, sizes),
        against_size(of_model, tables["controls"], sizes),
        clusters(of_model, tables["controls"], sizes),
        overfitting(of_model, sizes),
        seen_and_held_out(of_model[biggest], biggest),
        leak(tables["distances"]),
        *(memory([row for row in tables["memory"] if row["train_networks"] == n]) for n in sorted({sizes[0], sizes[-1]})),
    )


def enough(of_model: Mapping[str, list[dict]], sizes: list[int]) -> str:
    """From which zoo size on more networks add little, for each model."""
    parts, idle = [], []
    for model, own in of_model.items():
        values = [row["r2_held_out"] for row in own]
        at, best = needed(values, sizes), own[int(np.argmax(values))]
        if best["r2_held_out"] < LEARNS:
            idle.append(f"{model} (best {spoken(best, 'r2_held_out')})")
            continue
        parts.append(f"{model}: {at:,} (best {spoken(best, 'r2_held_out')} with {best['train_networks']:,})")
    nothing = f"Next to nothing is learned in these steps by {listed(idle)}." if idle else ""
    if not parts:
        return nothing
    last = [model for model, own in of_model.items() if needed([r["r2_held_out"] for r in own], sizes) == sizes[-1]]
    verdict = f"Still gaining at the largest zoo: {listed(last)}." if last else "No model asks for the largest zoo."
    text = f"Training networks that bring the held-out masked R² within {NEAR} of the best: {'; '.join(parts)}. {verdict}"
    return f"{text} {nothing}".rstrip()


def against_size(of_model: Mapping[str, list[dict]], controls: list[dict], sizes: list[int]) -> str:
    """Which model is best at the smallest and the largest zoo, beside the imputer."""
    parts = []
    for n in dict.fromkeys((sizes[0], sizes[-1])):
        own = [row for rows in of_model.values() for row in rows if row["train_networks"] == n]
        best = max(own, key=lambda row: row["r2_held_out"])
        imputer = next(row for row in controls if row["train_networks"] == n and row["ari"] is None)
        verdict = relation(best, imputer, "r2_held_out")
        parts.append(
            f"with {n:,} networks {best['model']} predicts held-out parameters best, R² {spoken(best, 'r2_held_out')}, "
            f"{verdict} the linear-Gaussian imputer ({spoken(imputer, 'r2_held_out')})"
        )
    return f"{listed(parts)}.".replace("with", "With", 1)


def clusters(of_model: Mapping[str, list[dict]], controls: list[dict], sizes: list[int]) -> str:
    """How the agreement of clusters with the mode grows."""
    parts = []
    for model, own in of_model.items():
        values = [row["ari"] for row in own]
        at, last = needed(values, sizes, NEAR_ARI), own[-1]
        parts.append(f"{model}: {ari(own[0])} with {sizes[0]:,}, {ari(last)} with {sizes[-1]:,}, near its best from {at:,} on")
    untrained = max((row for row in controls if row["ari"] is not None), key=lambda row: row["ari"])
    null = max(row["ari_null"] for own in of_model.values() for row in own)
    rows = [row for own in of_model.values() for row in own]
    beaten = sum(row["ari_low"] > untrained["ari_high"] for row in rows)
    return (
        f"Clusters agree with the mode with an ARI of ({'; '.join(parts)}). {beaten} of {len(rows)} models lie clearly above "
        f"the best untrained one ({ari(untrained)}); permuted labels reach at most {num(null, 3)} (95th percentile)."
    )


def overfitting(of_model: Mapping[str, list[dict]], sizes: list[int]) -> str:
    """Which models' validation loss rises again."""
    parts, safe = [], []
    for model, own in of_model.items():
        over = [row for row in own if row["overfit"] > OVERFITS]
        if not over:
            safe.append(model)
            continue
        worst = max(over, key=lambda row: row["overfit"])
        parts.append(
            f"{model} with up to {max(row['train_networks'] for row in over):,} networks (most with "
            f"{worst['train_networks']:,}: {num(worst['overfit'])} nats above its best, of step {worst['best_step']:,})"
        )
    text = f"Overfitting, a last validation loss more than {OVERFITS} nats above the best: "
    if not parts:
        return f"{text}none of the models shows it, not even on {sizes[0]:,} networks."
    text += "; ".join(parts)
    return f"{text}; not seen in {listed(safe)}." if safe else f"{text}."


def seen_and_held_out(own: list[dict], model: str) -> str:
    """The gap between training networks and held-out ones, of the largest model."""
    open_gaps = [row for row in own if (row["r2_gap_low"] or 0) > 0]
    first, last = own[0], own[-1]
    text = (
        f"On the networks it saw, {model} has a masked R² of {spoken(first, 'r2_seen')} against "
        f"{spoken(first, 'r2_held_out')} on held-out ones with {first['train_networks']:,} networks, and "
        f"{spoken(last, 'r2_seen')} against {spoken(last, 'r2_held_out')} with {last['train_networks']:,}; "
    )
    if not open_gaps:
        return f"{text}the gap is nowhere clearly above 0."
    return f"{text}the gap is clearly above 0 with up to {max(row['train_networks'] for row in open_gaps):,} networks."


def leak(rows: list[dict]) -> str:
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


def memory(rows: list[dict]) -> str:
    """Whether the error of the largest model falls with nearness to what it saw, more than with nearness to the unseen."""
    by = {row["nearest_of"]: row for row in rows}
    seen, few, unseen = by[SEEN], by[AS_MANY], by[UNSEEN]
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
