"""Experiment 2 in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metarep.evaluation.resampling import wilson

if TYPE_CHECKING:
    from metarep.studies.e02.optimum import Optimum


def optimum_sentence(best: Optimum) -> str:
    """What the best network is, how sure that is, and whether it treats both inputs alike."""
    w1, w2, b = best.params
    others = (
        f"; the next minimum has {best.next_error:.6f}" if np.isfinite(best.next_error) else "; no other living minimum was met"
    )
    alike = "treats both inputs alike" if best.symmetric else f"weighs one input more, by {abs(w1 - w2):.4f}"
    return (
        f"The best network is relu({w1:.4f} x1 + {w2:.4f} x2 − {-b:.4f}) with the error {best.error:.6f}: {best.n_reached:,} "
        f"of {best.n_starts:,} starts lead to it (gradient below {max(best.gradient_norm, 1e-16):.0e}, least curvature "
        f"{best.least_curvature:.4f}){others}; it {alike}."
    )


def death_sentence(born_dead: np.ndarray, dead: np.ndarray) -> str:
    """How many networks are 0 on the whole square after training, and how many of them were born so."""
    n = len(dead)
    low, high = wilson(int(dead.sum()), n)
    low_born, high_born = wilson(int(born_dead.sum()), n)
    died, revived = int((dead & ~born_dead).sum()), int((born_dead & ~dead).sum())
    on_the_way = f"{died:,} died on the way" if died else "none died on the way"
    back = f", {revived:,} came back to life" if revived else ", none came back to life"
    return (
        f"{dead.sum():,} of {n:,} networks are dead after training ({dead.mean():.1%} [{low:.1%}, {high:.1%}]): their "
        f"output is 0 on the whole square. {born_dead.sum():,} were born dead ({born_dead.mean():.1%} [{low_born:.1%}, "
        f"{high_born:.1%}]), {on_the_way}{back}."
    )
