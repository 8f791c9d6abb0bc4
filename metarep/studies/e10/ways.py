"""Why the published scan does what it does: each of its parts alone, and the ways in which networks of mode 3 are built.

Of a mode-3 network one unit is partly on and bends the output, the other is (mainly) on and adds a
plane. The hand-crafted network subtracts both. The sign of the bending unit's output weight decides
which function it is: subtracted it is a ridge, added it is a valley, and no symmetry turns one into the
other. The sign of the other unit's decides nothing: the same plane can be written with either.
"""

from __future__ import annotations

import numpy as np

from metarep.domains.multiplier.modes import MULTIPLIER, TOLERANCE
from metarep.domains.multiplier.scan import POSITIVE
from metarep.domains.multiplier.scores import PARTS, SCORES, WEIGHTS, diagonal_angle, published, published_parts
from metarep.evaluation.roc import Estimate, area, estimate
from metarep.studies.rows import share_of
from metarep.zoos.zoo import Zoo

AS_PUBLISHED, OTHER_SIGN, OTHER_FOLD = WAYS = (
    "subtracts both units",
    "subtracts the bending unit, adds the other",
    "adds the bending unit",
)


def ways_of(params: np.ndarray, active_area: np.ndarray) -> np.ndarray:
    """Which of WAYS each mode-3 network params (N, 9) with active areas (N, 2) takes, (N,) text.

    The bending unit is the one that is on over less of the square.
    """
    (_, _), (out_weight, _) = MULTIPLIER.unpack(np.asarray(params, np.float64))
    rows, bends = np.arange(len(params)), active_area.argmin(axis=1)
    bend, plane = out_weight[rows, 0, bends], out_weight[rows, 0, 1 - bends]
    return np.where(bend >= 0, OTHER_FOLD, np.where(plane < 0, AS_PUBLISHED, OTHER_SIGN)).astype(object)


def part_rows(zoo: Zoo, random: np.ndarray, n_bootstraps: int, *, seed: int) -> list[dict]:
    """Each part of the published score, and the whole, as a scan of its own for mode 3: AUC and medians."""
    is_positive = zoo["mode"] == POSITIVE
    own, start = published_parts(zoo.params), published_parts(random)
    scores = {name: (own[:, i], start[:, i], int(WEIGHTS[i])) for i, name in enumerate(PARTS)}
    scores["whole score"] = (published(zoo.params), published(random), int(WEIGHTS.sum()))
    rows = []
    for name, (values, at_start, weight) in scores.items():
        against_random = _auc_of(values[is_positive], at_start, n_bootstraps, seed)
        against_others = _auc_of(values[is_positive], values[~is_positive], n_bootstraps, seed)
        row = {"part": name, "weight": weight} | against_random.row("auc_random") | against_others.row("auc_others")
        medians = (np.median(v) for v in (values[is_positive], values[~is_positive], at_start))
        rows.append(row | dict(zip(("median_mode_3", "median_others", "median_random"), map(float, medians), strict=True)))
    return rows


def way_rows(zoo: Zoo, random: np.ndarray, n_bootstraps: int, *, seed: int) -> list[dict]:
    """For each of WAYS: how many mode-3 networks take it, with a Wilson interval, and the AUC of published and invariant.

    linear: the share of them whose other unit is on over more than 1 − τ of the square, so that it is a
    plane there and may be written with either sign. angle: the median θ in degrees; the score likes 135.
    """
    found = zoo.where(mode=POSITIVE)
    others = zoo.select(zoo["mode"] != POSITIVE).params
    way = ways_of(found.params, found["active_area"])
    scores = {name: tuple(SCORES[name](p) for p in (found.params, random, others)) for name in ("published", "invariant")}
    rows = []
    for name in WAYS:
        own = way == name
        if not own.any():
            continue
        row = {"way": name, **share_of(own.sum(), len(own))}
        row["linear"] = float((found["active_area"][own].max(axis=1) > 1 - TOLERANCE).mean())
        row["angle"] = float(np.degrees(np.median(diagonal_angle(found.params[own]))))
        row["mse_median"] = float(np.median(found["valid_mse"][own]))
        for scan, (values, start, rest) in scores.items():
            row |= _auc_of(values[own], start, n_bootstraps, seed).row(f"{scan}_auc_random")
            row |= _auc_of(values[own], rest, n_bootstraps, seed).row(f"{scan}_auc_others")
        rows.append(row)
    return rows


def pairs_that_round_to_one(positive: np.ndarray, random: np.ndarray) -> float:
    """The share of all pairs of positives (P,) whose AUC against random (R,), the mean of theirs, rounds to 1.00."""
    below = np.sort(np.searchsorted(np.sort(random), positive, side="left") / len(random))
    partners = len(below) - np.searchsorted(below, 2 * 0.995 - below - 1e-12, side="left")
    itself = below >= 0.995 - 1e-12
    n = len(below)
    return float((partners - itself).sum() / (n * (n - 1))) if n > 1 else 0.0


def _auc_of(positive: np.ndarray, negative: np.ndarray, n_bootstraps: int, seed: int) -> Estimate:
    return estimate({"auc": area}, positive, negative, n_bootstraps, seed=seed)["auc"]
