"""Does the error fall where a network takes its final mode, and how steep is its fall?

A network that changes its mode for the last time between two snapshots is compared, over the same steps (a window that
reaches further by some snapshots on either side), with networks that end in the same mode, whose error stood at the same
height at the start of the window and whose mode does not change within it. The difference of the two drops is the excess.

The steepness knows no modes. On a grid that is even in the logarithm of the step it is the largest share of a run's whole drop
that falls within one cell, over the same for a relaxation of one time scale with the same ends and the same half drop,
E_end + (E_0 − E_end) exp(−t/τ). 1 is as smooth as a relaxation; more is more abrupt.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metarep.domains.multiplier.trajectories import Runs

MIN_CONTROLS = 3
"""Networks with fewer candidates are left out: a mean of two says little."""

CELLS_PER_DECADE = 10
LEAST_DROP = 0.3
"""Decades: a run whose error falls by less than half learns too little to ask how steeply."""


class Drops(NamedTuple):
    """M networks at their last change of mode: rows of the runs (M,), the first snapshot in the final mode (M,), and by how
    many decades the error falls there, in the network and in its matched control (M,).
    """

    run: np.ndarray
    column: np.ndarray
    drop: np.ndarray
    control: np.ndarray

    @property
    def excess(self) -> np.ndarray:
        """(M,): how much further the error falls than in the controls."""
        return self.drop - self.control


def last_change(mode: np.ndarray) -> np.ndarray:
    """(N,) int: the column at which each run of modes (N, T) is first seen in the mode that it keeps; 0 if it never changes."""
    differs = mode != mode[:, -1:]
    return np.where(differs.any(axis=1), mode.shape[1] - np.argmax(differs[:, ::-1], axis=1), 0)


def drops_at_change(runs: Runs, *, window: int, n_controls: int) -> Drops:
    """The drops of all runs that change their mode and have enough controls."""
    column = last_change(runs.mode)
    run = np.flatnonzero(column)
    column = column[run]
    begin, end = np.maximum(column - 1 - window, 0), np.minimum(column + window, len(runs.step) - 1)
    controls = matched_controls(runs, run, begin, end, n_controls=n_controls)
    enough = (controls >= 0).sum(axis=1) >= MIN_CONTROLS
    run, column, begin, end, controls = (values[enough] for values in (run, column, begin, end, controls))
    fallen = runs.log_error[controls, begin[:, None]] - runs.log_error[controls, end[:, None]]
    own = runs.log_error[run, begin] - runs.log_error[run, end]
    return Drops(run, column, own, np.mean(fallen, axis=1, where=controls >= 0))


def matched_controls(runs: Runs, run: np.ndarray, begin: np.ndarray, end: np.ndarray, *, n_controls: int) -> np.ndarray:
    """(M, K) rows of runs to compare with, −1 where there are fewer than K = n_controls.

    Those that end in the same mode, do not change mode within the columns begin … end, and stand
    nearest in rank by the error at `begin`; never the run itself.
    """
    controls = np.full((len(run), n_controls), -1)
    final_mode = runs.mode_number[:, -1]
    group = np.stack([begin, end, final_mode[run]], axis=1)
    for first, last, final in np.unique(group, axis=0):
        chosen = np.flatnonzero((group == (first, last, final)).all(axis=1))
        still = (runs.n_changes[:, first] == runs.n_changes[:, last]) & (final_mode == final)
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


def steepness(step: np.ndarray, log_error: np.ndarray) -> np.ndarray:
    """(M,): that of each error curve (N, T) in decades at the steps (T,), 0 the first; runs that learn little are left out."""
    seen, step = log_error[:, 1:], step[1:]
    seen = seen[seen[:, 0] - seen[:, -1] >= LEAST_DROP]
    grid = np.geomspace(1, step[-1], max(2, round(CELLS_PER_DECADE * np.log10(step[-1]))) + 1)
    own, smooth = (_largest_share(grid, step, curves) for curves in (seen, relaxation(step, seen)))
    return own / smooth


def _largest_share(grid: np.ndarray, step: np.ndarray, curves: np.ndarray) -> np.ndarray:
    """(M,): the largest share of the whole drop of curves (M, T) that falls within one cell of the grid."""
    on_grid = np.array([np.interp(np.log(grid), np.log(step), row) for row in curves]).reshape(len(curves), len(grid))
    return (-np.diff(on_grid, axis=1) / (on_grid[:, :1] - on_grid[:, -1:])).max(axis=1, initial=0)


def relaxation(step: np.ndarray, log_error: np.ndarray) -> np.ndarray:
    """(M, T) decades: E_end + (E_0 − E_end) exp(−t/τ) at the steps (T,), with the ends and the half drop of curves (M, T)."""
    half = (log_error[:, 0] + log_error[:, -1]) / 2
    after = np.argmax(log_error <= half[:, None], axis=1)
    near = np.stack([np.maximum(after - 1, 0), after], axis=1)
    (y0, y1), (t0, t1) = np.take_along_axis(log_error, near, axis=1).T, np.log(step)[near].T
    t_half = np.exp(t1 + (t0 - t1) * np.where(y0 > y1, (half - y1) / np.where(y0 > y1, y0 - y1, 1), 0.0))
    start, middle, end = 10 ** log_error[:, 0], 10**half, 10 ** log_error[:, -1]
    tau = t_half / -np.log((middle - end) / (start - end))
    return np.log10(end[:, None] + (start - end)[:, None] * np.exp(-step / tau[:, None]))
