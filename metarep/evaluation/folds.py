"""Which networks are fitted on and which are measured on: one split by run, or folds by run where there are few runs.

Of FEW_RUNS runs and more those of the split "train" are fitted on and those of "test" are measured on. Of fewer, every network
is measured once: runs are put into N_FOLDS folds, below twice as many to one each, and whatever is fitted (scalers, components,
clusters, probes) is fitted anew for each fold, on the runs of the others. What was found out of fold is pooled and measured as
one. The number of clusters alone is one for all folds: it follows, without labels, from the means of their curves.

The encoder is not fitted anew: in a cross-validation it was pretrained, without labels, on the zoo's training networks, and
these are measured here in their turn. Only networks of the split "test" are ones that it never saw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from metarep.errors import MetarepError
from metarep.evaluation.agreement import contingency
from metarep.evaluation.resampling import VANISHING
from metarep.zoos.columns import FEW_RUNS
from metarep.zoos.readings import is_known, varies

N_FOLDS = 5
TEST, CROSS_VALIDATED = "test", "cross-validated"
"""What tables say of what was measured, in the column `evaluation_split`."""

MIN_FIT, MIN_TEST = 5, 5
"""Networks whose label or property has to be known, in every fold to fit on and in all folds together to measure on."""

RANGE = (1e-100, 1e100)
"""Where squares of numbers, and sums of many, neither overflow nor vanish."""

NARROW = 1e-4
"""A share of the largest number within which float32 tells few numbers apart."""

SAID = f"fewer than {FEW_RUNS} runs: every network is measured by what was fitted on other runs, in a cross-validation by run"


@dataclass(frozen=True)
class Fold:
    """Row numbers: what is fitted on `train` is measured on `test`; probes are fitted on some of `train`, or all."""

    train: np.ndarray
    test: np.ndarray
    probe_train: np.ndarray


def folds_of(
    split: np.ndarray, run: np.ndarray, *, seed: int = 0, most_fit: int | None = None, most_test: int | None = None,
    most_probe: int | None = None,
) -> tuple[Fold, ...]:  # fmt: skip
    """One fold by the split (N,), or several by run (N,); a seeded choice where there are more networks than so many."""
    rng, runs = np.random.default_rng(seed), np.unique(run)
    if len(runs) >= FEW_RUNS:
        sides = [tuple(np.flatnonzero(split == name) for name in ("train", "test"))]
    elif len(runs) > 1:
        n_folds = N_FOLDS if len(runs) >= 2 * N_FOLDS else len(runs)
        held = [np.isin(run, some) for some in np.array_split(rng.permutation(runs), n_folds)]
        sides = [(np.flatnonzero(~one), np.flatnonzero(one)) for one in held]
    else:
        fix = "add networks of other runs, or give them other run ids in the column run_id of --labels"
        raise MetarepError("nothing to measure on: the networks are of one run", met=f"{len(run)} networks", fix=fix)
    folds = []
    for train, test in sides:
        fitted, measured = rng.permutation(train), rng.permutation(test)
        folds.append(
            Fold(*(np.sort(one) for one in (fitted[:most_fit], measured[:most_test], fitted[: most_probe or most_fit])))
        )
    return tuple(folds)


def gathered(folds: Sequence[Fold], *, probes: bool = True) -> tuple[np.ndarray, tuple[Fold, ...]]:
    """The rows (M,) that are in any fold, sorted, and the folds among these; without `probes` those of clusters alone."""
    sides = [(fold.train, fold.test, fold.probe_train if probes else fold.train) for fold in folds]
    rows = np.unique(np.concatenate([side for of_fold in sides for side in of_fold]))
    return rows, tuple(Fold(*(np.searchsorted(rows, side) for side in of_fold)) for of_fold in sides)


def evaluation_split(folds: Sequence[Fold]) -> str:
    """What tables call it."""
    return TEST if len(folds) == 1 else CROSS_VALIDATED


def measured_rows(folds: Sequence[Fold]) -> np.ndarray:
    """The rows (M,) that are measured, fold by fold."""
    return np.concatenate([fold.test for fold in folds])


def out_of_fold(folds: Sequence[Fold], values: Sequence[np.ndarray]) -> np.ndarray:
    """(M, …): of values (N, …) for each fold, those of the networks that it measures."""
    return np.concatenate([own[fold.test] for fold, own in zip(folds, values, strict=True)])


def same_names(folds: Sequence[Fold], clusters: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Clusters (N,) of each fold under the names that those of the first fold have, matched by the networks fitted on.

    A cluster that has no match gets a name of its own; noise, −1, keeps its name.
    """
    first, found = clusters[0], [clusters[0]]
    for fold, own in zip(folds[1:], clusters[1:], strict=True):
        there, here = np.unique(first[fold.train]), np.unique(own[fold.train])
        rows, columns = linear_sum_assignment(contingency(first[fold.train], own[fold.train]), maximize=True)
        name = {int(here[row]): int(there[column]) for row, column in zip(rows, columns, strict=True)}
        free = iter(range(int(max(first.max(), own.max())) + 1, int(max(first.max(), own.max())) + 2 + len(here)))
        name |= {int(one): next(free) for one in np.unique(own) if int(one) not in name}
        name |= {-1: -1}
        found.append(np.array([name[int(one)] for one in own]))
    return found


def why_not(values: np.ndarray, folds: Sequence[Fold]) -> str | None:
    """Why a label (texts) or a property (numbers), (N,), cannot be measured with these folds; None where it can.

    It has to be known of the networks fitted on too. Every metric asks here whether it has a denominator.
    """
    known, measured = is_known(values), measured_rows(folds)
    own = values[measured][known[measured]]
    n_fit = min(int(known[fold.probe_train].sum()) for fold in folds)
    if len(own) < MIN_TEST or n_fit < MIN_FIT:
        return f"known for {n_fit} networks to fit on and {len(own)} to measure on; {MIN_FIT} of each are the least"
    if not varies(own):
        return f"the same in all {len(own)} networks that are measured"
    if own.dtype != object and own.var() < VANISHING * values[known].var():
        return f"hardly varies among the {len(own)} networks that are measured, beside what others have"
    return None


def in_range(values: np.ndarray) -> np.ndarray:
    """Numbers (N,) as they are, or over a power of two near the largest of them where that is beyond RANGE; and less the first
    of them where they differ by less than `NARROW` of it, which fits in float32 would not see."""
    largest = float(np.abs(values[np.isfinite(values)]).max(initial=0))
    scaled = values if is_in_range(values) else np.ldexp(values, -int(np.frexp(largest)[1]))
    finite = scaled[np.isfinite(scaled)]
    return scaled - finite[0] if len(finite) and 0 < np.ptp(finite) < NARROW * np.abs(finite).max() else scaled


def is_in_range(values: np.ndarray) -> bool:
    """Whether the largest of some numbers has a square."""
    largest = float(np.abs(values[np.isfinite(values)]).max(initial=0))
    return largest == 0 or RANGE[0] < largest < RANGE[1]


def split_off(
    known: dict[str, np.ndarray], folds: Sequence[Fold], what: str, say: Callable[[str], None]
) -> tuple[dict[str, np.ndarray], list[dict[str, str]]]:
    """Those labels or properties, `what` they are, that can be measured, and rows (what, name, reason) for the others, which
    `say` is told too. Numbers whose squares would overflow or vanish are given in other units, which of all metrics the mean
    squared error alone would see.
    """
    known = {name: values if values.dtype == object else in_range(values) for name, values in known.items()}
    reasons = {name: why_not(values, folds) for name, values in known.items()}
    rows = [{"what": what, "name": name, "reason": reason} for name, reason in reasons.items() if reason]
    for row in rows:
        say(f"{what} {row['name']} is left out: {row['reason']}")
    return {name: values for name, values in known.items() if reasons[name] is None}, rows
