"""The same seeds under other learning rates and for longer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metarep.domains.multiplier.birth import birth_rows, twin_modes, twin_rows
from metarep.domains.multiplier.mode_paths import share_row, transition_counts
from metarep.domains.multiplier.modes import MODES, MULTIPLIER
from metarep.domains.multiplier.recipes import VARIANTS
from metarep.evaluation.resampling import balanced_accuracy
from metarep.studies.study import Context
from metarep.training.recipe import Plan
from metarep.training.settings import ZooConfig
from metarep.zoos.zoo import Zoo

RECIPE = VARIANTS["e09"]

LONG = 10 * RECIPE.n_steps

LEARNING_RATES = (1e-4, RECIPE.lr, 1e-2)

SETTINGS_SHARE = 5
"""One of so many snapshot networks is trained again under other settings."""


@dataclass(frozen=True)
class Retrained:
    """Other settings: shares of modes for each, and the pairs of modes (N,) after RECIPE.n_steps and after LONG."""

    shares: list[dict]
    pairs: dict[float, tuple[np.ndarray, np.ndarray]]


def zoo_of(context: Context, name: str, n: int, *, n_snapshots: int = 0, n_steps: int | None = None, lr: float | None = None):
    """The study's zoo of that name: n networks of the recipe, with snapshots, steps or a learning rate of its own."""
    family = {"variant": RECIPE.name, "n_networks": n, "n_steps": n_steps, "lr": lr}
    return context.zoo(name, ZooConfig(families=[family], n_snapshots=n_snapshots, seed=context.config.seed))


def study_settings(context: Context, snapshots: Zoo) -> Retrained:
    """The same seeds under every learning rate, for RECIPE.n_steps and LONG steps."""
    n = max(50, context.config.n_snapshot_networks // SETTINGS_SHARE)
    shares, pairs = [], {}
    for lr in LEARNING_RATES:
        ends = {}
        for n_steps in (RECIPE.n_steps, LONG):
            if (lr, n_steps) == (RECIPE.lr, RECIPE.n_steps):
                zoo = snapshots
            else:
                name = f"lr{lr:g}-{n_steps}"
                zoo = zoo_of(context, name, n, n_steps=n_steps, lr=lr)
            ends[n_steps] = _final_modes(zoo)
        common = sorted(set(ends[RECIPE.n_steps]) & set(ends[LONG]))
        before, after = (np.array([ends[k][run] for run in common], dtype=object) for k in (RECIPE.n_steps, LONG))
        pairs[lr] = before, after
        for n_steps, modes in ((RECIPE.n_steps, before), (LONG, after)):
            shares += [
                {"lr": lr, "n_steps": n_steps, "mode": m, **share_row(int((modes == m).sum()), len(modes))} for m in MODES
            ]
    return Retrained(shares, pairs)


def _final_modes(zoo: Zoo) -> dict[str, str]:
    final = zoo.final()
    return {run: mode for run, mode in zip(final["run_id"], final["mode"], strict=True) if mode}


def pair_rows(settings: Retrained) -> list[dict]:
    """Counts of modes after RECIPE.n_steps (from_mode) and LONG steps (to_mode) of the same runs, by learning rate."""
    rows = []
    for lr, (before, after) in settings.pairs.items():
        counts = transition_counts(before, after)
        for i, j in zip(*np.nonzero(counts), strict=True):
            row = {"lr": lr, "from_step": RECIPE.n_steps, "to_step": LONG, "from_mode": MODES[i], "to_mode": MODES[j]}
            rows.append({**row, **share_row(int(counts[i, j]), int(counts[i].sum()))})
    return rows


def leaving_rows(settings: Retrained) -> list[dict]:
    """For each learning rate and mode: how many of the runs in it after RECIPE.n_steps are elsewhere after LONG, and where."""
    rows = []
    for lr, (before, after) in settings.pairs.items():
        for mode in MODES:
            left = after[(before == mode) & (after != mode)]
            names, counts = np.unique(left.astype(str), return_counts=True)
            where = names[counts.argmax()] if len(left) else ""
            row = {"lr": lr, "mode": mode, **share_row(len(left), int((before == mode).sum()))}
            rows.append({**row, "to_mode": str(where), "n_to_mode": int(counts.max(initial=0))})
    return rows


def leaving_any(settings: Retrained) -> list[dict]:
    """A row a learning rate: the share of networks, with its interval, that end in another mode after LONG steps."""
    return [{"lr": lr, **share_row(int((b != a).sum()), len(b))} for lr, (b, a) in settings.pairs.items()]


N_NULLS = 3

MAX_TWINS = 1000


@dataclass(frozen=True)
class Birth:
    """What the initialisation says: the tables of `birth_rows`, and twins with their balanced accuracy."""

    rows: list[dict]
    importance: list[dict]
    twins: list[dict]
    twin_accuracy: dict


def study_birth(context: Context, zoo: Zoo) -> Birth:
    """Predictors from the initialisation, and twins, on the finished networks of a zoo."""
    zoo = zoo.select(zoo["mode"] != "")
    seed, n_bootstraps = context.config.seed, context.config.n_bootstraps
    rows, importance = birth_rows(zoo, n_bootstraps=n_bootstraps, n_nulls=N_NULLS, seed=seed)
    plan = Plan(MULTIPLIER, RECIPE.input_distribution, RECIPE.lr, RECIPE.n_steps)
    initial, final, twin = twin_modes(zoo, plan, n=min(MAX_TWINS, len(zoo)), seed=seed)
    rng = np.random.default_rng([seed, 5])
    draws = rng.integers(0, len(final), (n_bootstraps, len(final)))
    low, high = np.quantile([balanced_accuracy(final[i], twin[i]) for i in draws], [0.025, 0.975])
    accuracy = {"value": balanced_accuracy(final, twin), "low": float(low), "high": float(high), "n": len(final)}
    return Birth(rows, importance, twin_rows(initial, final, twin), accuracy)
