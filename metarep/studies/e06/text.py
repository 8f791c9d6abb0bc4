"""Experiment 6 in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metarep.domains.multiplier.freed import worth
from metarep.domains.multiplier.modes import MULTIPLIER, label_modes
from metarep.report.wording import listed
from metarep.studies.e06.ablation import GROUPS
from metarep.studies.published import SEED

if TYPE_CHECKING:
    from metarep.studies.e06.ablation import Ablation


LOWER = 1e-6
"""Errors that differ by less count as equal."""


def sentences(data: list[dict], over_seeds: np.ndarray, found: Ablation, published: float) -> tuple[str, ...]:
    """What was found, in words."""
    return (
        where_sentence(data, published),
        seeds_sentence(over_seeds, found.start, published),
        cost_sentence(found),
        *stays_sentences(found),
        descents_sentence(found),
    )


def where_sentence(data: list[dict], published: float) -> str:
    """On which data the published error comes back."""
    same = [row["data"] for row in data if row["prints_as_published"]]
    others = [f"{row['mse']:.4f} ({row['data']})" for row in data if not row["prints_as_published"]]
    if not same:
        return f"The published {published:.4f} comes back on none of {len(data)} sets of data: {listed(others)}."
    only = "only " if len(same) == 1 else ""
    rest = f"; elsewhere the error is {listed(others)}" if others else ""
    return f"With the samples of seed {SEED} the published {published:.4f} comes back {only}on: {listed(same)}{rest}."


def seeds_sentence(over_seeds: np.ndarray, exact: float, published: float) -> str:
    """How the published error compares with other samples of the same size."""
    low, high = np.quantile(over_seeds, [0.025, 0.975])
    above = float((over_seeds >= published).mean())
    where = "within" if low <= published <= high else "outside"
    return (
        f"The expected error on the recipe's inputs is {exact:.4f}; over the validation samples of {len(over_seeds):,} other "
        f"seeds 95 % of the errors lie in {low:.4f} to {high:.4f}, and the published one lies {where} that range, with "
        f"{above:.0%} of the seeds at or above it."
    )


def cost_sentence(found: Ablation) -> str:
    """Which choice costs most, optimised alone."""
    order = sorted(GROUPS, key=lambda name: -found.saved(frozenset({name})))
    first, rest = order[0], [f"the {name} to {found.left(frozenset({name})):.4f}" for name in order[1:]]
    share = found.saved(frozenset({first})) / found.saved(frozenset(GROUPS))
    return (
        f"The {first} costs most: optimised alone, with everything else as chosen, it takes the expected error from "
        f"{found.start:.4f} to {found.left(frozenset({first})):.4f}, {share:.0%} of what all four together save; alone, "
        f"{listed(rest)}."
    )


def stays_sentences(found: Ablation) -> tuple[str, ...]:
    """What each choice costs when it alone stays, and why output weights need not cost anything then."""
    everything = frozenset(GROUPS)
    costs = {name: found.left(everything - {name}) - found.left(everything) for name in GROUPS}
    free = [name for name, cost in costs.items() if cost < LOWER]
    order = sorted((name for name in costs if name not in free), key=lambda name: -costs[name])
    parts = [f"the {name} {costs[name]:.4f}" for name in order]
    text = f"With all four optimised {found.left(everything):.4f} is left; a choice that alone stays adds to it: "
    text += listed(parts) if parts else "nothing, whichever it is"
    text += f"; the {listed(free)} nothing." if free and parts else "."
    if "output weight" in free:
        text += " A unit's scale may move from its output weight into its incoming weights, so that only the sign is a choice."
    values = worth(list(GROUPS), found.saved)
    order = sorted(values, key=lambda name: -values[name])
    shares = [f"{name} {values[name] / found.saved(everything):.0%}" for name in order]
    return text, f"Averaged over all orders of setting them free (Shapley's value), the saving is due to: {listed(shares)}."


def descents_sentence(found: Ablation) -> str:
    """Whether the descents from the chosen values converged, and whether lower minima lie elsewhere."""
    all_converged = all(freed.near.converged for freed in found.freed.values())
    largest = max(freed.near.gradient_norm for freed in found.freed.values())
    start = "All" if all_converged else "Not all"
    lower = [names for names, freed in found.freed.items() if freed.best.error < freed.near.error - LOWER]
    alone = [names[0] for names in lower if len(names) == 1]
    text = f"{start} {len(found.freed)} descents converged (largest gradient {largest:.0e}). "
    if not lower:
        return text + "None of the further starts led lower."
    last = found.freed[lower[-1]]
    mode = label_modes(MULTIPLIER, last.best.params[None]).mode[0]
    text += f"Further starts led lower for {len(lower)} of the sets, " + (
        f"among them the {listed(alone)} alone; " if alone else "for none of the choices alone; "
    )
    return text + (
        f"with the {listed(list(lower[-1]))} free the lowest is {last.best.error:.4f}, in mode {mode}, against "
        f"{last.near.error:.4f} from the chosen values."
    )
