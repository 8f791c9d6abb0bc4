"""Experiment 7 in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metarep.domains.multiplier.modes import MULTIPLIER, label_modes
from metarep.report.wording import listed
from metarep.studies.e07.moved import _change
from metarep.studies.published import PARAMETERS, SEED
from metarep.studies.words import signed
from metarep.zoos.zoo import Zoo

if TYPE_CHECKING:
    from metarep.studies.e07.moved import Moved


def error_sentence(moved: Moved, published: float, met: bool, best: float) -> str:
    """Whether the published error comes back, and how far from the minimum training stopped."""
    ratio = moved.expected_after / best
    arrival = "has stopped on the way there." if ratio > 1.05 else "has arrived." if ratio > 0.95 else "found a lower place."
    return (
        f"From the hand-crafted network and seed {SEED} training ends at the error {moved.valid_mse:.4f}; the published "
        f"{published:.4f} {'comes back' if met else 'does not come back'}. The expected error falls from "
        f"{moved.expected_before:.4f} to {moved.expected_after:.4f}, while the minimum that Newton's method reaches from the "
        f"same start has {best:.4f}: training " + arrival
    )


def moved_sentence(moved: Moved) -> str:
    """Which parameters moved most."""
    change, order = _change(moved), np.argsort(-moved.share)
    largest = [f"{PARAMETERS[i]} by {signed(change[i], 3)}" for i in order[:3]]
    least = order[-1]
    return (
        f"All nine parameters together move by {np.linalg.norm(change):.2f}; furthest {listed(largest)}, "
        f"which is {moved.share[order[:3]].sum():.0%} of the squared distance; least {PARAMETERS[least]} by "
        f"{signed(change[least], 3)}."
    )


def put_back_sentence(moved: Moved) -> str:
    """Which of the movements matter: the error with one parameter put back."""
    order = np.argsort(-moved.put_back)
    harmless = [PARAMETERS[i] for i in range(9) if moved.put_back[i] <= moved.expected_after]
    text = (
        f"Put back to its value by hand, {PARAMETERS[order[0]]} alone would raise the expected error from "
        f"{moved.expected_after:.4f} to {moved.put_back[order[0]]:.4f}, and {PARAMETERS[order[1]]} alone to "
        f"{moved.put_back[order[1]]:.4f}"
    )
    return text + (
        f"; without the movement of {listed(harmless)} it would be lower." if harmless else "; every movement helped."
    )


def family_sentence(name: str, zoo: Zoo, moved: Moved) -> str:
    """How the changes of a family compare with those of the published run."""
    change = (zoo.params - zoo.init_params).astype(np.float64)
    low, high = np.quantile(change, [0.025, 0.975], axis=0)
    alike = int(((low > 0) | (high < 0)).sum())
    own = _change(moved)
    inside = int(((own >= low) & (own <= high)).sum())
    wide = int(np.argmax(high - low))
    q1, q2, q3 = np.quantile(zoo["valid_mse"], [0.025, 0.5, 0.975])
    return (
        f"Over {len(zoo):,} {name} the error ends at {q2:.4f} (median; 95 % in {q1:.4f} to {q3:.4f}); {alike} of 9 parameters "
        f"change in the same direction in at least 95 %, {inside} of 9 changes of the published run lie within that range, and "
        f"{PARAMETERS[wide]} spreads most, {signed(low[wide], 3)} to {signed(high[wide], 3)}."
    )


def mode_sentence(moved: Moved, zoo: Zoo) -> str:
    """Whether the algorithm changes."""
    labels = label_modes(MULTIPLIER, np.stack([moved.before, moved.after]))
    (before, after), (was, now) = labels.mode, labels.active_area.min(axis=1)
    own = f"stays in mode {after}" if before == after else f"goes from mode {before} to mode {after}"
    kept = label_modes(MULTIPLIER, zoo.init_params).mode == zoo["mode"]
    return (
        f"The published run {own}, and the unit that is on less goes from {was:.0%} of the square to {now:.0%}; of the "
        f"jittered copies {kept.mean():.1%} keep the mode that they start in."
    )
