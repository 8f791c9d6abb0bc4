"""Are there phase transitions? Tests on the error curves that know no modes, and whether change points coincide.

The error of each run, in decades, is read off on a grid that is even in the logarithm of the step.

- Concentration: the largest share of a run's whole drop that falls within one cell of the grid, over the
  same for a smooth reference of one time scale: E_end + (E_0 − E_end) exp(−t/τ), with τ such that both
  have done half of their drop at the same step. 1 is as smooth as a relaxation; more is more abrupt.
- Drops: how often the rate of the drop has a peak of its own (scipy's prominence, at least
  PROMINENCE of the run's highest rate). One is a relaxation; two have a plateau between them.
- Coincidence: the distance in decades of steps between the last change of mode and the fastest drop,
  beside the same with the times shuffled among runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import find_peaks

from metarep.domains.multiplier.loss_at_change import null_metrics
from metarep.domains.multiplier.mode_paths import last_change, share_row
from metarep.domains.multiplier.trajectories import Runs
from metarep.evaluation.resampling import interval

CELLS_PER_DECADE = 10
LEAST_DROP = 0.3
"""Decades: a run whose error falls by less than half learns too little to ask how."""

PROMINENCE = 0.25
ABRUPT = 1.5
"""A median concentration above this many times the reference's is called abrupt."""


@dataclass(frozen=True)
class DropShape:
    """How the errors of M runs fall; rows of the runs in `run` (M,).

    grid: (G,) steps. log_error: (M, G) decades. concentration, reference: (M,) largest shares of the
    drop within one cell. n_drops: (M,) int. fastest: (M,) step in the middle of the cell of the fastest drop.
    """

    run: np.ndarray
    grid: np.ndarray
    log_error: np.ndarray
    concentration: np.ndarray
    reference: np.ndarray
    n_drops: np.ndarray
    fastest: np.ndarray

    @property
    def ratio(self) -> np.ndarray:
        """(M,): concentration over the smooth reference's."""
        return self.concentration / self.reference


def drop_shapes(step: np.ndarray, log_error: np.ndarray) -> DropShape:
    """The shape of each error curve (N, T) in decades at the steps (T,), 0 the first; runs that learn little are left out."""
    n_cells = max(2, round(CELLS_PER_DECADE * np.log10(step[-1])))
    grid = np.geomspace(1, step[-1], n_cells + 1)
    seen = log_error[:, 1:]
    run = np.flatnonzero(seen[:, 0] - seen[:, -1] >= LEAST_DROP)
    curves = _on_grid(grid, step[1:], seen[run])
    rate = _rates(curves)
    smooth_rate = _rates(_on_grid(grid, step[1:], relaxation(step[1:], seen[run])))  # seen as seldom as the run itself
    fastest = np.sqrt(grid[1:] * grid[:-1])[rate.argmax(axis=1)] if len(run) else np.zeros(0)
    shares = (rate.max(axis=1, initial=0), smooth_rate.max(axis=1, initial=0))
    return DropShape(run, grid, curves, *shares, np.array([_count_drops(row) for row in rate], int), fastest)


def _on_grid(grid: np.ndarray, step: np.ndarray, log_error: np.ndarray) -> np.ndarray:
    curves = [np.interp(np.log(grid), np.log(step), row) for row in log_error]
    return np.array(curves).reshape(len(log_error), len(grid))


def _rates(curves: np.ndarray) -> np.ndarray:
    """The share of the whole drop in each cell."""
    return -np.diff(curves, axis=1) / (curves[:, :1] - curves[:, -1:])


def relaxation(grid: np.ndarray, log_error: np.ndarray) -> np.ndarray:
    """(M, G) decades: E_end + (E_0 − E_end) exp(−t/τ) at the steps (G,), with the ends and the half drop of curves (M, G)."""
    half = (log_error[:, 0] + log_error[:, -1]) / 2
    after = np.argmax(log_error <= half[:, None], axis=1)
    near = np.stack([np.maximum(after - 1, 0), after], axis=1)
    (y0, y1), (t0, t1) = np.take_along_axis(log_error, near, axis=1).T, np.log(grid)[near].T
    t_half = np.exp(t1 + (t0 - t1) * np.where(y0 > y1, (half - y1) / np.where(y0 > y1, y0 - y1, 1), 0.0))
    start, middle, end = 10 ** log_error[:, 0], 10**half, 10 ** log_error[:, -1]
    tau = t_half / -np.log((middle - end) / (start - end))
    return np.log10(end[:, None] + (start - end)[:, None] * np.exp(-grid / tau[:, None]))


def _count_drops(rate: np.ndarray) -> int:
    """The number of separate drops of one run."""
    padded = np.r_[0, np.maximum(rate, 0), 0]
    return len(find_peaks(padded, prominence=PROMINENCE * padded.max())[0])


def phase_summary(runs: Runs, shape: DropShape, *, n_bootstraps: int, n_permutations: int, seed: int) -> dict:
    """All tests as numbers, with 95 % intervals: bootstrap over runs for medians, Wilson for shares."""
    rng = np.random.default_rng([seed, 2])
    n = len(shape.run)
    if n < 2:
        return {"n_learning": n, "of": len(runs)}
    ratio = shape.ratio
    low, high = interval(np.median(ratio[rng.integers(0, n, (n_bootstraps, n))], axis=1))
    change = last_change(runs.mode)[shape.run]
    moved = change > 0
    summary = {
        "n_learning": n,
        "of": len(runs),
        "median_ratio": float(np.median(ratio)),
        "median_ratio_low": low,
        "median_ratio_high": high,
        "median_concentration": float(np.median(shape.concentration)),
        "median_reference": float(np.median(shape.reference)),
        "several_drops": share_row((shape.n_drops >= 2).sum(), n),
    }
    for name, chosen in (("if_mode_changes", moved), ("if_not", ~moved)):
        summary[f"several_drops_{name}"] = share_row((shape.n_drops[chosen] >= 2).sum(), chosen.sum())
        if chosen.any():
            summary[f"median_ratio_{name}"] = float(np.median(ratio[chosen]))
    if moved.sum() > 1:
        middle = np.sqrt(np.maximum(runs.step[change[moved] - 1], 1) * runs.step[change[moved]])
        summary["coincidence"] = coincidence(np.log10(middle), np.log10(shape.fastest[moved]), n_permutations, rng)
    return summary


def coincidence(change: np.ndarray, fastest: np.ndarray, n_permutations: int, rng: np.random.Generator) -> dict:
    """The median distance between two times (M,) of each run, in decades of steps, and the null of shuffled times.

    p is the share of shuffles (the data counted as one) whose times lie as close: one-sided.
    """
    distance = float(np.median(np.abs(change - fastest)))
    nulls = np.array([np.median(np.abs(rng.permutation(change) - fastest)) for _ in range(n_permutations)])
    p = float((1 + (nulls <= distance).sum()) / (1 + n_permutations))
    return {"n": len(change), "median_distance": distance, **null_metrics(nulls), "p": p}
