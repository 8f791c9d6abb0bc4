"""Experiment 5 in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metarep.domains.multiplier.error_by_product import share_below, split_error
from metarep.domains.multiplier.expected_error import expected_error
from metarep.domains.multiplier.modes import MULTIPLIER, label_modes
from metarep.domains.multiplier.skew import skew
from metarep.evaluation.resampling import wilson
from metarep.report.wording import listed
from metarep.studies.words import change, signed

if TYPE_CHECKING:
    from metarep.studies.e05.pairs import Pairs


def published_sentence(own: Pairs, published: float, met: bool, best: float) -> str:
    """Whether the published error comes back, and what becomes of the published network's skew."""
    before, after = skew(np.concatenate([own.parent, own.child]))
    on_square = expected_error(MULTIPLIER, np.concatenate([own.parent, own.child]), input_distribution="square")
    return (
        f"The child of the published network ends at the error {own.valid_mse[0]:.4f} on its own validation samples; the "
        f"published {published:.4f} {'comes back' if met else 'does not come back'}. Its skew {_goes(before, after)}, and its "
        f"expected error on the square {_goes(*on_square, digits=4)}; the minimum nearby has {best:.4f}."
    )


def _goes(before: float, after: float, digits: int = 3) -> str:
    verb = "falls" if after < before else "rises" if after > before else "stays"
    return f"{verb} from {before:.{digits}f} to {after:.{digits}f}"


def parents_sentence(family: Pairs, asked: int) -> str:
    """How many parents there are."""
    n = len(family.parent)
    fewer = "" if n >= asked else f", fewer than the {asked:,} asked for since the shared zoo has no more"
    return f"{n:,} mode-3 networks were trained further, each with one child on samples of its own{fewer}."


def mode_sentence(family: Pairs) -> str:
    """Whether the children are still of mode 3."""
    modes, counts = np.unique(label_modes(MULTIPLIER, family.child).mode.astype(str), return_counts=True)
    n, kept = len(family.child), int(counts[modes == "3"].sum())
    low, high = wilson(kept, n)
    others = [f"{count / n:.0%} are of mode {mode}" for mode, count in zip(modes, counts, strict=True) if mode != "3"]
    rest = f"; {listed(others)}" if others else ""
    return f"{kept / n:.0%} [{low:.0%}, {high:.0%}] of the children are still of mode 3{rest}."


def skew_sentence(row: dict) -> str:
    """Whether a measure falls over all parents."""
    meaning = {
        "skew": "how far the units' directions are from a right angle, whatever their scale",
        "stretch": "the log ratio of the hidden weight's singular values",
    }
    return (
        f"The {row['measure']} ({meaning[row['measure']]}) {change(row)}: its median is {row['parent']:.3f} in parents and "
        f"{row['child']:.3f} in children, the median change of a pair {changed(row, 3)}, and it falls in "
        f"{row['share_that_falls']:.0%} [{row['share_low']:.0%}, {row['share_high']:.0%}] of the pairs."
    )


def changed(row: dict, digits: int) -> str:
    """A change with its interval."""
    return f"{signed(row['change'], digits)} [{signed(row['low'], digits)}, {signed(row['high'], digits)}]"


def distribution_sentence(row: dict) -> str:
    """How the mean error changes under one input distribution."""
    return (
        f"On {row['input_distribution']} the mean expected error {change(row)}, from {row['parent']:.4f} in parents to "
        f"{row['child']:.4f} in children (change {changed(row, 4)})."
    )


def where_sentence(splits: list[dict]) -> str:
    """Where the error goes: below or above a product of 1/2."""
    below, above, whole = splits
    before, after = (above[who] / whole[who] for who in ("parent", "child"))
    return (
        f"Below a product of 1/2 ({share_below():.0%} of the square) the error {change(below)}, by {changed(below, 5)}; above "
        f"it {change(above)}, by {changed(above, 5)}. The part above goes from {before:.0%} of the mean error to {after:.0%}: "
        f"its weight moves to {'above' if after > before else 'below'} 1/2."
    )


def own_split_sentence(own: Pairs) -> str:
    """The same for the published network."""
    (below, above), (below_child, above_child) = split_error(np.concatenate([own.parent, own.child]))
    before, after = above / (below + above), above_child / (below_child + above_child)
    return (
        f"In the published network the error below 1/2 {_goes(below, below_child, 5)} and above it "
        f"{_goes(above, above_child, 5)}; the part above goes from {before:.0%} to {after:.0%}."
    )
