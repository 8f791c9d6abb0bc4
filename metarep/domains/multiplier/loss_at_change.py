"""Does the error fall where a network takes its final mode? A matched control and a null for it.

A network that changes its mode for the last time between two snapshots is compared, over the same steps
(a window that reaches further by some snapshots on either side), with networks that end in the same
mode, whose error stood at the same height at the start of the window and whose mode does not change within it.
The difference of the two drops is the excess. The null gives each network the time of another one's change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metarep.domains.multiplier.mode_paths import last_change
from metarep.domains.multiplier.trajectories import Runs
from metarep.evaluation.resampling import interval

MIN_CONTROLS = 3
"""Networks with fewer candidates are left out: a mean of two says little."""


@dataclass(frozen=True)
class ChangeDrops:
    """M networks at their last change of mode. Drops are in decades of the error, positive where it falls.

    run: (M,) rows of the runs. column: (M,) the first snapshot in the final mode. begin, end: (M,)
    columns of the window. drop, control_drop: (M,) float64. controls: (M, K) rows of the matched
    runs, −1 where there are fewer. level_gap: (M,) by how much the controls' error stood higher at the start.
    """

    run: np.ndarray
    column: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    drop: np.ndarray
    control_drop: np.ndarray
    controls: np.ndarray
    level_gap: np.ndarray

    @property
    def excess(self) -> np.ndarray:
        """(M,): how much further the error falls than in the controls."""
        return self.drop - self.control_drop


def drops_at_change(runs: Runs, *, window: int, n_controls: int) -> ChangeDrops:
    """The drops of all runs that change their mode, each beside its control."""
    column = last_change(runs.mode)
    run = np.flatnonzero(column)
    return drops_at(runs, run, column[run], window=window, n_controls=n_controls)


def drops_at(runs: Runs, run: np.ndarray, column: np.ndarray, *, window: int, n_controls: int) -> ChangeDrops:
    """The same for the rows `run` (M,) at the columns given (M,); those without enough controls are left out."""
    begin, end = np.maximum(column - 1 - window, 0), np.minimum(column + window, len(runs.step) - 1)
    log_error = runs.log_error
    controls = matched_controls(runs, run, begin, end, n_controls=n_controls)
    enough = (controls >= 0).sum(axis=1) >= MIN_CONTROLS
    run, column, begin, end, controls = (values[enough] for values in (run, column, begin, end, controls))
    used, own = controls >= 0, log_error[run, begin]
    before, after = (np.mean(log_error[controls, at[:, None]], axis=1, where=used) for at in (begin, end))
    return ChangeDrops(run, column, begin, end, own - log_error[run, end], before - after, controls, before - own)


def matched_controls(runs: Runs, run: np.ndarray, begin: np.ndarray, end: np.ndarray, *, n_controls: int) -> np.ndarray:
    """(M, K) rows of runs to compare with, −1 where there are fewer than K = n_controls.

    Those that end in the same mode, do not change mode within the columns begin … end, and stand
    nearest in rank by the error at `begin`; never the run itself.
    """
    final_mode, n_changes = runs.mode_number[:, -1], runs.n_changes
    controls = np.full((len(run), n_controls), -1)
    group = np.stack([begin, end, final_mode[run]], axis=1)
    for first, last, final in np.unique(group, axis=0):
        chosen = np.flatnonzero((group == (first, last, final)).all(axis=1))
        still = (n_changes[:, first] == n_changes[:, last]) & (final_mode == final)
        controls[chosen] = _nearest(runs.log_error[:, first], np.flatnonzero(still), run[chosen], n_controls)
    return controls


def _nearest(level: np.ndarray, candidates: np.ndarray, run: np.ndarray, k: int) -> np.ndarray:
    """(m, k) candidates nearest in rank to the levels of `run` (m,), without the run itself; −1 where there are fewer."""
    ranked = candidates[np.argsort(level[candidates], kind="stable")]
    width = min(k + 1, len(ranked))
    first = np.clip(np.searchsorted(level[ranked], level[run]) - width // 2, 0, len(ranked) - width)
    near = np.full((len(run), k + 1), -1)
    near[:, :width] = ranked[first[:, None] + np.arange(width)]
    near[near == run[:, None]] = -1
    return np.take_along_axis(near, np.argsort(near < 0, axis=1, kind="stable"), axis=1)[:, :k]


def excess_summary(
    runs: Runs, found: ChangeDrops, *, window: int, n_controls: int, n_bootstraps: int, n_permutations: int, seed: int
) -> dict:
    """The mean excess drop with its 95 % bootstrap interval over networks, and the null of shuffled times.

    p is the share of shuffles (the data counted as one) whose mean excess is as large: one-sided.
    """
    excess = found.excess
    if len(excess) < 2:
        return {"n": len(excess)}
    rng = np.random.default_rng([seed, 1])
    draws = excess[rng.integers(0, len(excess), (n_bootstraps, len(excess)))].mean(axis=1)
    nulls = []
    for _ in range(n_permutations):
        column = found.column[rng.permutation(len(excess))]
        nulls.append(drops_at(runs, found.run, column, window=window, n_controls=n_controls).excess.mean())
    low, high = interval(draws)
    return {
        "n": len(excess),
        "mean_drop": float(found.drop.mean()),
        "mean_control_drop": float(found.control_drop.mean()),
        "mean_excess": float(excess.mean()),
        "low": low,
        "high": high,
        **null_metrics(np.array(nulls)),
        "p": float((1 + np.sum(np.array(nulls) >= excess.mean())) / (1 + n_permutations)),
        "median_level_gap": float(np.median(found.level_gap)),
        "n_falls": int((found.drop > 0).sum()),
        "n_falls_more": int((excess > 0).sum()),
    }


def null_metrics(nulls: np.ndarray) -> dict[str, float]:
    """The mean and 95 % of values (B,) under permutation."""
    low, high = interval(nulls)
    return {"null_mean": float(nulls.mean()), "null_low": low, "null_high": high}


def aligned(runs: Runs, found: ChangeDrops, reach: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Errors aligned on the last change: offsets (2 reach,), own and control (M, 2 reach).

    Offset 0.5 is the first snapshot behind the change, −0.5 the last before it. Values are decades above
    the error at −0.5, NaN beyond the ends of a run; a control is the mean of its matched runs.
    """
    offsets = np.arange(-reach, reach)
    column = found.column[:, None] + offsets
    inside = (column >= 0) & (column < len(runs.step))
    column = np.clip(column, 0, len(runs.step) - 1)
    own = runs.log_error[found.run[:, None], column] - runs.log_error[found.run, found.column - 1][:, None]
    levels = runs.log_error[found.controls[:, :, None], column[:, None, :]]
    levels = levels - runs.log_error[found.controls, found.column[:, None] - 1][:, :, None]
    control = np.mean(levels, axis=1, where=(found.controls >= 0)[:, :, None])
    return offsets + 0.5, np.where(inside, own, np.nan), np.where(inside, control, np.nan)
