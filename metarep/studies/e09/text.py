"""Experiment 9 in words."""

from __future__ import annotations

import numpy as np

from metarep.evaluation.resampling import wilson
from metarep.report.wording import listed
from metarep.studies.e09.groups import NAMED
from metarep.zoos.zoo import Zoo


def sentences(zoo: Zoo, n_all: int, modes: list[dict], codes: list[dict], unnamed: Zoo) -> tuple[str, ...]:
    """What was found, in words."""
    shares = [f"mode {r['group']} {r['share']:.1%} [{r['low']:.1%}, {r['high']:.1%}]" for r in modes]
    best = min(modes, key=lambda row: row["mse_median"])
    diverged = n_all - len(zoo)
    return (
        f"Of {n_all:,} networks {diverged or 'none'} diverged; shares of the others, with 95 % intervals: {listed(shares)}.",
        f"The lowest median error is that of mode {best['group']}: {best['mse_median']:.4f}; the highest that of mode "
        f"{max(modes, key=lambda row: row['mse_median'])['group']}: {max(row['mse_median'] for row in modes):.4f}.",
        f"The quadrant code tells {len(codes)} kinds apart; the commonest, {codes[0]['group']}, has {codes[0]['share']:.1%} of "
        f"the networks, and {sum(row['share'] < 0.01 for row in codes)} kinds have less than 1 % each.",
        describe_unnamed(zoo, unnamed, modes),
    )


def describe_unnamed(zoo: Zoo, unnamed: Zoo, modes: list[dict]) -> str:
    """A sentence on the networks that no published mode describes."""
    if not len(unnamed):
        return f"Every one of {len(zoo):,} networks is described by a published mode."
    low, high = wilson(len(unnamed), len(zoo))
    areas = np.median(np.sort(unnamed["active_area"], axis=1), axis=0)
    error, named_best = (
        float(np.median(unnamed["valid_mse"])),
        min((row for row in modes if row["group"] in NAMED), key=lambda row: row["mse_median"]),
    )
    verdict = "below" if error < named_best["mse_median"] else "above"
    return (
        f"{len(unnamed):,} networks ({len(unnamed) / len(zoo):.1%} [{low:.1%}, {high:.1%}]) are described by no published "
        f"mode: both units straddle their boundaries, on over {areas[0]:.0%} and {areas[1]:.0%} of the square (medians), with "
        f"a median error of {error:.4f}, {verdict} the best published mode's ({named_best['group']}: "
        f"{named_best['mse_median']:.4f})."
    )
