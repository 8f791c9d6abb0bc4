"""The modes of networks over training: shares, transitions, paths, and when each takes its final mode.

Everywhere mode (N, T) text holds the mode of N runs at T steps, the initialisation first.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from sklearn.metrics import confusion_matrix

from metarep.domains.multiplier.modes import MODES
from metarep.evaluation.resampling import wilson

ARROW = ">"
"""Between the modes of a path, as "3>2.5>3"."""


def share_row(count: int, n: int) -> dict[str, float]:
    """n, of, share, low, high of `count` among n: a share with its 95 % Wilson interval."""
    count, n = int(count), int(n)
    low, high = wilson(count, n)
    return {"n": count, "of": n, "share": count / n if n else float("nan"), "low": low, "high": high}


def transition_counts(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(5, 5) int: how many networks go from each mode (row) to each mode (column), in the order of MODES."""
    return confusion_matrix(before.astype(str), after.astype(str), labels=MODES)


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
        settled, kept = int((mode[:, column] == mode[:, -1]).sum()), int((last_change(mode) <= column).sum())
        for name in MODES:
            counted = share_row((mode[:, column] == name).sum(), len(mode))
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
    return [{"path": path, **share_row(n, len(mode))} for path, n in Counter(paths(mode)).most_common()]


def passing_rows(mode: np.ndarray) -> list[dict]:
    """For each mode: of the runs that are ever seen in it, how many do not end in it.

    A mode that is a stage on the way has a share near 1, one that is an end near 0.
    """
    visited = {name: (mode == name).any(axis=1) for name in MODES}
    return [{"mode": name, **share_row((own & (mode[:, -1] != name)).sum(), own.sum())} for name, own in visited.items()]
