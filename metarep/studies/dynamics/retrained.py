"""The same seeds under other learning rates and for longer; and what the initialisation says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from metarep.domains.multiplier.birth import birth_rows, twin_modes, twin_rows
from metarep.domains.multiplier.mode_paths import share_row, transition_counts
from metarep.domains.multiplier.modes import MODES, MULTIPLIER
from metarep.domains.multiplier.recipes import VARIANTS
from metarep.evaluation.resampling import balanced_accuracy
from metarep.studies.study import Context
from metarep.training.recipe import Plan
from metarep.zoos.zoo import Zoo

RECIPE = VARIANTS["e09"]
LONG = 10 * RECIPE.n_steps
LEARNING_RATES = (1e-4, RECIPE.lr, 1e-2)
SETTINGS_SHARE = 5
"""One of so many snapshot networks is trained again under other settings."""

N_NULLS = 3
MAX_TWINS = 1000

Pairs = dict[float, tuple[np.ndarray, np.ndarray]]
"""By learning rate, the modes (N,) of the same runs after RECIPE.n_steps and after LONG."""


class Birth(NamedTuple):
    """What the initialisation says: the tables of `birth_rows`, and twins with their balanced accuracy."""

    rows: list[dict]
    importance: list[dict]
    twins: list[dict]
    twin_accuracy: dict


def retrained(context: Context, snapshots: Zoo) -> Pairs:
    """The same seeds under every learning rate, for RECIPE.n_steps and LONG steps."""
    n, pairs = max(50, context.config.n_snapshot_networks // SETTINGS_SHARE), {}
    family = {"variant": RECIPE.name, "n_networks": n}
    for lr in LEARNING_RATES:
        modes = []
        for n_steps in (RECIPE.n_steps, LONG):
            known = (lr, n_steps) == (RECIPE.lr, RECIPE.n_steps)
            zoo = snapshots if known else context.family(f"lr{lr:g}-{n_steps}", **family, n_steps=n_steps, lr=lr)
            final = zoo.final()
            modes.append({run: mode for run, mode in zip(final["run_id"], final["mode"], strict=True) if mode})
        common = sorted(set(modes[0]) & set(modes[1]))
        pairs[lr] = tuple(np.array([own[run] for run in common], dtype=object) for own in modes)
    return pairs


def settings_rows(pairs: Pairs) -> Iterator[dict]:
    """Shares of the modes for each learning rate and number of steps."""
    for lr, both in pairs.items():
        for n_steps, modes in zip((RECIPE.n_steps, LONG), both, strict=True):
            for mode in MODES:
                yield {"lr": lr, "n_steps": n_steps, "mode": mode, **share_row((modes == mode).sum(), len(modes))}


def pair_rows(pairs: Pairs) -> Iterator[dict]:
    """Counts of modes after RECIPE.n_steps (from_mode) and LONG steps (to_mode) of the same runs, by learning rate."""
    for lr, (before, after) in pairs.items():
        counts = transition_counts(before, after)
        for i, j in zip(*np.nonzero(counts), strict=True):
            row = {"lr": lr, "from_step": RECIPE.n_steps, "to_step": LONG, "from_mode": MODES[i], "to_mode": MODES[j]}
            yield {**row, **share_row(counts[i, j], counts[i].sum())}


def leaving_rows(pairs: Pairs) -> Iterator[dict]:
    """For each learning rate and mode: how many of the runs in it after RECIPE.n_steps are elsewhere after LONG, and where."""
    for lr, (before, after) in pairs.items():
        for mode in MODES:
            left = after[(before == mode) & (after != mode)]
            names, counts = np.unique(left.astype(str), return_counts=True)
            where = str(names[counts.argmax()]) if len(left) else ""
            row = {"lr": lr, "mode": mode, **share_row(len(left), (before == mode).sum())}
            yield {**row, "to_mode": where, "n_to_mode": int(counts.max(initial=0))}


def leaving_any(pairs: Pairs) -> dict[float, dict]:
    """By learning rate, the share of networks, with its interval, that end in another mode after LONG steps."""
    return {lr: share_row((before != after).sum(), len(before)) for lr, (before, after) in pairs.items()}


def study_birth(context: Context, zoo: Zoo) -> Birth:
    """Predictors from the initialisation, and twins, on the finished networks of a zoo."""
    zoo = zoo.select(zoo["mode"] != "")
    seed, n_bootstraps = context.config.seed, context.config.n_bootstraps
    rows, importance = birth_rows(zoo, n_bootstraps=n_bootstraps, n_nulls=N_NULLS, seed=seed)
    plan = Plan(MULTIPLIER, RECIPE.input_distribution, RECIPE.lr, RECIPE.n_steps)
    initial, final, twin = twin_modes(zoo, plan, n=min(MAX_TWINS, len(zoo)), seed=seed)
    draws = np.random.default_rng([seed, 5]).integers(0, len(final), (n_bootstraps, len(final)))
    low, high = np.quantile([balanced_accuracy(final[i], twin[i]) for i in draws], [0.025, 0.975])
    accuracy = {"value": balanced_accuracy(final, twin), "low": float(low), "high": float(high), "n": len(final)}
    return Birth(rows, importance, twin_rows(initial, final, twin), accuracy)
