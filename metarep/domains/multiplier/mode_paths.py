"""The modes of networks over training: shares, transitions, paths, and when each takes its final mode.

Everywhere mode (N, T) text holds the mode of N runs at T steps, the initialisation first.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from metarep.domains.multiplier.modes import MODES
from metarep.evaluation.resampling import wilson

ARROW = ">"
"""Between the modes of a path, as "3>2.5>3"."""


def share_row(count: int, n: int) -> dict[str, float]:
    """n, share, low, high of `count` among `of`: a share with its 95 % Wilson interval."""
    low, high = wilson(count, n)
    return {"n": int(count), "of": int(n), "share": count / n if n else float("nan"), "low": low, "high": high}


def transition_counts(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(5, 5) int: how many networks go from each mode (row) to each mode (column), in the order of MODES."""
    number = {mode: i for i, mode in enumerate(MODES)}
    counts = np.zeros((len(MODES), len(MODES)), np.int64)
    np.add.at(counts, ([number[m] for m in before], [number[m] for m in after]), 1)
    return counts


def last_change(mode: np.ndarray) -> np.ndarray:
    """(N,) int: the column at which each run is first seen in the mode that it keeps; 0 where it never changes."""
    differs = mode != mode[:, -1:]
    n_columns = mode.shape[1]
    return np.where(differs.any(axis=1), n_columns - np.argmax(differs[:, ::-1], axis=1), 0)


def paths(mode: np.ndarray) -> np.ndarray:
    """(N,) text: the modes each run passes through, repeats left out, as "3>2.5>3"."""
    changed = mode[:, 1:] != mode[:, :-1]
    return np.array([ARROW.join([row[0], *row[1:][steps]]) for row, steps in zip(mode, changed, strict=True)], dtype=object)


def share_rows(mode: np.ndarray, step: np.ndarray) -> list[dict]:
    """The share of each mode at each step, with its Wilson interval, and of networks that have their final mode by then."""
    rows = []
    for column, at in enumerate(step):
        settled = int((mode[:, column] == mode[:, -1]).sum())
        kept = int((last_change(mode) <= column).sum())
        for name in MODES:
            counted = share_row(int((mode[:, column] == name).sum()), len(mode))
            rows.append({"step": int(at), "mode": name, **counted, "n_in_final_mode": settled, "n_for_good": kept})
    return rows


def transition_rows(mode: np.ndarray, step: np.ndarray) -> list[dict]:
    """Counts of every transition that occurs between consecutive steps, and from the first to the last ("whole")."""
    last = len(step) - 1
    spans = [("whole", 0, last), *(("step", t, t + 1) for t in range(last))]
    rows = []
    for span, begin, end in spans:
        counts = transition_counts(mode[:, begin], mode[:, end])
        for i, j in zip(*np.nonzero(counts), strict=True):
            row = {"span": span, "from_step": int(step[begin]), "to_step": int(step[end])}
            row |= {"from_mode": MODES[i], "to_mode": MODES[j], **share_row(counts[i, j], counts[i].sum())}
            rows.append(row)
    return rows


def path_rows(mode: np.ndarray) -> list[dict]:
    """How many runs take each path, the commonest first."""
    counted = Counter(paths(mode)).most_common()
    return [{"path": path, **share_row(n, len(mode))} for path, n in counted]


def passing_rows(mode: np.ndarray) -> list[dict]:
    """For each mode: of the runs that are ever seen in it, how many do not end in it.

    A mode that is a stage on the way has a share near 1, one that is an end near 0.
    """
    rows = []
    for name in MODES:
        visited = (mode == name).any(axis=1)
        row = share_row(int((visited & (mode[:, -1] != name)).sum()), int(visited.sum()))
        rows.append({"mode": name, **row})
    return rows


def most_common_path(mode: np.ndarray, *, n_modes: int) -> str:
    """The commonest path of exactly n_modes modes; "" where there is none."""
    chosen = [path for path in paths(mode) if path.count(ARROW) == n_modes - 1]
    return Counter(chosen).most_common(1)[0][0] if chosen else ""
