"""Experiment 9: thousands of networks from scratch. Which algorithms they found, how often, and how good each is."""

from __future__ import annotations

import numpy as np

from metarep.domains.multiplier.domain import MODE_COLOURS
from metarep.domains.multiplier.figures.square import gallery
from metarep.domains.multiplier.modes import MODES
from metarep.evaluation.resampling import share_of
from metarep.report.figures import label_figure
from metarep.report.wording import listed
from metarep.studies.multipliers import multipliers
from metarep.studies.published import NETWORKS, PUBLISHED
from metarep.studies.rows import Rows, share
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.zoos.zoo import Zoo

NAMED = tuple(PUBLISHED["9"]["modes"])
"""The modes that the notes name."""


def run(context: Context) -> Result:
    """Shares, errors and typical networks by mode."""
    zoo = multipliers(context)
    rows = mode_rows(zoo)
    occurring = [row["mode"] for row in rows if row["mode"] in NAMED]
    return Result(
        (Claim("published modes that occur", ", ".join(occurring), ", ".join(NAMED)), *published_seeds(context)),
        sentences(zoo, context.config.n_networks, rows),
        tables={"modes": rows},
        figures=figures(zoo, rows),
    )


def published_seeds(context: Context) -> tuple[Claim, ...]:
    """The modes of the networks whose seeds the notes give for this experiment."""
    seeds = [seed for seed, entry in NETWORKS.items() if entry["experiment"] == 9]
    zoo = context.family("e09_published", variant="e09", seeds=seeds)
    mode_of = dict(zip(zoo["seed"], zoo["mode"], strict=True))
    return tuple(Claim(f"mode of seed {seed}", str(mode_of[seed]), NETWORKS[seed]["mode"]) for seed in seeds)


def mode_rows(zoo: Zoo) -> list[dict]:
    """One row a mode: n, its share with a Wilson interval, quartiles of the validation error, the median active areas, and
    the network at the middle of the mode.
    """
    rows = []
    for mode in (mode for mode in MODES if (zoo["mode"] == mode).any()):
        own = zoo.where(mode=mode)
        quartiles = np.quantile(own["valid_mse"], [0.25, 0.5, 0.75])
        low, high = np.median(np.sort(own["active_area"], axis=1), axis=0)
        row = {"mode": mode, **share_of(len(own), len(zoo))}
        row |= {f"mse_{which}": float(value) for which, value in zip(("q1", "median", "q3"), quartiles, strict=True)}
        row |= {"active_area_low": float(low), "active_area_high": float(high)}
        rows.append(row | {"typical": own["network_id"][typical(own)]})
    return rows


def typical(zoo: Zoo) -> int:
    """The index of the network nearest to the middle: median active areas, quadrant areas and log error, each in units
    of its spread over the group.
    """
    error = np.log10(np.maximum(zoo["valid_mse"], 1e-12))[:, None]
    features = np.concatenate([np.sort(zoo["active_area"], axis=1), zoo["quadrant_area"], error], axis=1)
    spread = features.std(axis=0)
    scaled = (features - np.median(features, axis=0)) / np.where(spread > 1e-9, spread, 1.0)
    return int(np.square(scaled).sum(axis=1).argmin())


def figures(zoo: Zoo, rows: Rows) -> dict[str, Figure]:
    """How often each mode occurs and how its errors spread, and a typical network of each."""
    errors = {row["mode"]: zoo.where(mode=row["mode"])["log_error"] for row in rows}
    shares = [row | {"value": row["mode"]} for row in rows]
    at = {name: i for i, name in enumerate(zoo["network_id"])}
    titles = [f"mode {r['mode']}\n{100 * r['share']:.2g}% of networks\nmedian error {r['mse_median']:.4f}" for r in rows]
    return {
        "shares": Figure(
            label_figure("mode", shares, MODE_COLOURS, errors, "log10 of the validation error"),
            f"{len(zoo):,} networks: how often each mode is learned (Wilson intervals), and how its errors spread.",
        ),
        "typical_by_mode": Figure(
            gallery(zoo.spec, zoo.params[[at[row["typical"]] for row in rows]], titles),
            "The network at the middle of each mode: its output over the unit square, and where its units turn on.",
        ),
    }


def sentences(zoo: Zoo, n_all: int, rows: Rows) -> tuple[str, ...]:
    """How common each mode is and how well it does, in words."""
    shares = [f"mode {row['mode']} {share(row)}" for row in rows]
    best, worst = (pick(rows, key=lambda row: row["mse_median"]) for pick in (min, max))
    unnamed = [f"mode {row['mode']} (median error {row['mse_median']:.4f})" for row in rows if row["mode"] not in NAMED]
    return (
        f"Of {n_all:,} networks {n_all - len(zoo) or 'none'} diverged; shares of the others, with 95 % intervals: "
        f"{listed(shares)}.",
        f"The lowest median error is that of mode {best['mode']}: {best['mse_median']:.4f}; the highest that of mode "
        f"{worst['mode']}: {worst['mse_median']:.4f}.",
        f"Not named in the notes: {listed(unnamed)}."
        if unnamed
        else f"All {len(rows)} modes that occur are named in the notes.",
    )
