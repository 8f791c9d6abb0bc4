"""Descents from networks of every mode: free, on the square, and within each mode."""

from __future__ import annotations

from dataclasses import dataclass

from metarep.domains.multiplier.minimise import Minimum
from metarep.domains.multiplier.mode_borders import Within
from metarep.domains.multiplier.modes import MODES
from metarep.domains.multiplier.optima import BestOfModes, Starts, best_of_modes, choose_starts, descend, stay
from metarep.studies.multipliers import multipliers
from metarep.studies.study import Context


@dataclass(frozen=True)
class Search:
    """All descents from the same starts: free on the recipe's inputs and on the square, and within each mode."""

    starts: Starts
    free: Minimum
    square: Minimum
    within: dict[str, Within]
    best: BestOfModes


def search(context: Context) -> Search:
    """Descents from `n_starts` networks of each mode of the shared zoo."""
    zoo, seed = multipliers(context), context.config.seed
    starts = choose_starts(zoo.params, zoo["mode"], context.config.n_starts, seed=seed)
    free = descend(starts)
    within = {name: stay(starts, name, seed=seed) for name in MODES}
    return Search(starts, free, descend(starts, input_distribution="square"), within, best_of_modes(free, within))
