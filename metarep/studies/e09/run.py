"""Experiment 9: thousands of networks from scratch. Which algorithms they found, how often, and how good each is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure as Drawing

from metarep.domains.multiplier.figures.mode_looks import MODE_COLOURS
from metarep.domains.multiplier.figures.square import draw_small
from metarep.domains.multiplier.modes import MODES, sign_patterns
from metarep.report.figures import label_figure
from metarep.report.style import drawing
from metarep.report.wording import listed
from metarep.studies.multipliers import multipliers
from metarep.studies.published import NETWORKS, PUBLISHED
from metarep.studies.rows import share_of
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.studies.words import share
from metarep.zoos.zoo import Zoo


def run(context: Context) -> Result:
    """Shares, errors and typical networks by mode and by quadrant code; those that no published mode describes, apart."""
    zoo = multipliers(context)
    all_networks = context.config.n_networks
    modes, codes = group_rows(zoo, "mode"), group_rows(zoo, "quadrant_code")
    modes.sort(key=lambda row: MODES.index(row["group"]))
    unnamed = zoo.select(~np.isin(zoo["mode"], NAMED))
    occurring = [mode for mode in NAMED if (zoo["mode"] == mode).any()]
    tables = {"modes": modes, "quadrant_codes": codes, "modes_by_code": crossed(zoo)}
    if len(unnamed):
        tables["unnamed"] = group_rows(unnamed, "quadrant_code", of=len(zoo))
    return Result(
        (Claim("published modes that occur", ", ".join(occurring), ", ".join(NAMED)), *published_seeds(context)),
        sentences(zoo, all_networks, modes, codes, unnamed),
        tables=tables,
        figures=figures(zoo, modes, codes, unnamed),
        numbers={"n": len(zoo), "n_diverged": all_networks - len(zoo), "share_unnamed": len(unnamed) / len(zoo)},
    )


def published_seeds(context: Context) -> tuple[Claim, ...]:
    """The modes of the networks whose seeds the notes give for this experiment."""
    seeds = [seed for seed, entry in NETWORKS.items() if entry["experiment"] == 9]
    zoo = context.family("e09_published", variant="e09", seeds=seeds)
    mode_of = dict(zip(zoo["seed"], zoo["mode"], strict=True))
    return tuple(Claim(f"mode of seed {seed}", str(mode_of[seed]), NETWORKS[seed]["mode"]) for seed in seeds)


NAMED = tuple(PUBLISHED["9"]["modes"])
"""The modes that the notes name."""


def group_rows(zoo: Zoo, column: str, *, of: int | None = None) -> list[dict]:
    """One row a group, largest first: n, share of `of` networks with its Wilson interval, quartiles of the validation
    error, the median active areas, the commonest sign pattern, and the network at the middle of the group.
    """
    n_all, rows = of or len(zoo), []
    for name in sorted(set(zoo[column])):
        group = zoo.where(**{column: name})
        row = {"group": name, **share_of(len(group), n_all)}
        quartiles = np.quantile(group["valid_mse"], [0.25, 0.5, 0.75])
        row |= {f"mse_{which}": float(value) for which, value in zip(("q1", "median", "q3"), quartiles, strict=True)}
        low, high = np.median(np.sort(group["active_area"], axis=1), axis=0)
        row |= {"active_area_low": float(low), "active_area_high": float(high)}
        signs, counts = np.unique(sign_patterns(group.spec, group.params).astype(str), return_counts=True)
        row |= {"output_signs": str(signs[counts.argmax()]), "output_signs_share": float(counts.max() / len(group))}
        rows.append(row | {"typical": group["network_id"][typical(group)]})
    return sorted(rows, key=lambda row: -row["n"])


def typical(zoo: Zoo) -> int:
    """The index of the network nearest to the middle: median active areas, quadrant areas and log error, each in units
    of its spread over the group.
    """
    error = np.log10(np.maximum(zoo["valid_mse"], 1e-12))[:, None]
    features = np.concatenate([np.sort(zoo["active_area"], axis=1), zoo["quadrant_area"], error], axis=1)
    spread = features.std(axis=0)
    scaled = (features - np.median(features, axis=0)) / np.where(spread > 1e-9, spread, 1.0)
    return int(np.square(scaled).sum(axis=1).argmin())


def crossed(zoo: Zoo) -> list[dict]:
    """Counts by quadrant code and mode."""
    rows = []
    for code in sorted(set(zoo["quadrant_code"])):
        of_code = zoo["mode"][zoo["quadrant_code"] == code]
        rows.append({"quadrant_code": code, **{f"mode {mode}": int((of_code == mode).sum()) for mode in MODES}})
    return rows


ACROSS = 6
"""Networks in a row of a gallery."""


def figures(zoo: Zoo, modes: list[dict], codes: list[dict], unnamed: Zoo) -> dict[str, Figure]:
    rows = [row | {"value": row["group"]} for row in modes]
    errors = {row["group"]: zoo.where(mode=row["group"])["log_error"] for row in modes}
    found = {
        "shares": Figure(
            label_figure("mode", rows, MODE_COLOURS, errors, "log10 of the validation error"),
            f"{len(zoo):,} networks: how often each mode is learned (Wilson intervals), and how its errors spread.",
        ),
        "typical_by_mode": Figure(
            gallery(zoo, modes, "mode"),
            "The network at the middle of each mode: its output over the unit square, and where its units turn on.",
        ),
        "typical_by_code": Figure(
            gallery(zoo, codes, "code"),
            "The network at the middle of each quadrant code: which of the four on/off combinations occur.",
        ),
    }
    if len(unnamed):
        found["unnamed"] = Figure(
            gallery(unnamed, group_rows(unnamed, "quadrant_code", of=len(zoo)), "code"),
            "Networks that no published mode describes, by quadrant code: the one at the middle of each.",
        )
    return found


def gallery(zoo: Zoo, rows: Sequence[dict], kind: str) -> Drawing:
    """The typical network of every row, small; its share and median error above it."""
    at = {name: i for i, name in enumerate(zoo["network_id"])}
    across = min(ACROSS, len(rows))
    down = -(-len(rows) // across)
    with drawing(2.55 * across, 3.2 * down) as figure:
        axes = np.atleast_1d(figure.subplots(down, across, squeeze=False).ravel())
        for ax, row in zip(axes, rows, strict=False):
            draw_small(ax, zoo.spec, zoo.params[at[row["typical"]]])
            note = f"{100 * row['share']:.2g}% of networks\nmedian error {row['mse_median']:.4f}"
            ax.set_title(f"{kind} {row['group']}\n{note}", fontsize=9.5)
        for ax in axes[len(rows) :]:
            ax.axis("off")
    return figure


def sentences(zoo: Zoo, n_all: int, modes: list[dict], codes: list[dict], unnamed: Zoo) -> tuple[str, ...]:
    shares = [f"mode {row['group']} {share(row)}" for row in modes]
    best, worst = (pick(modes, key=lambda row: row["mse_median"]) for pick in (min, max))
    diverged = n_all - len(zoo)
    return (
        f"Of {n_all:,} networks {diverged or 'none'} diverged; shares of the others, with 95 % intervals: {listed(shares)}.",
        f"The lowest median error is that of mode {best['group']}: {best['mse_median']:.4f}; the highest that of mode "
        f"{worst['group']}: {worst['mse_median']:.4f}.",
        f"The quadrant code tells {len(codes)} kinds apart; the commonest, {codes[0]['group']}, has {codes[0]['share']:.1%} of "
        f"the networks, and {sum(row['share'] < 0.01 for row in codes)} kinds have less than 1 % each.",
        describe_unnamed(zoo, unnamed, modes),
    )


def describe_unnamed(zoo: Zoo, unnamed: Zoo, modes: list[dict]) -> str:
    """A sentence on the networks that no published mode describes."""
    if not len(unnamed):
        return f"Every one of {len(zoo):,} networks is described by a published mode."
    low, high = np.median(np.sort(unnamed["active_area"], axis=1), axis=0)
    error = float(np.median(unnamed["valid_mse"]))
    best = min((row for row in modes if row["group"] in NAMED), key=lambda row: row["mse_median"])
    return (
        f"{len(unnamed):,} networks ({share(share_of(len(unnamed), len(zoo)))}) are described by no published "
        f"mode: both units straddle their boundaries, on over {low:.0%} and {high:.0%} of the square (medians), with "
        f"a median error of {error:.4f}, {'below' if error < best['mse_median'] else 'above'} the best published mode's "
        f"({best['group']}: {best['mse_median']:.4f})."
    )
