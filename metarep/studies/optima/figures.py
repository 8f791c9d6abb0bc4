"""The optima as figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metarep.domains.multiplier.figures.minima import descent_figure, gallery_figure
from metarep.domains.multiplier.figures.square import draw_network
from metarep.domains.multiplier.modes import MODES, MULTIPLIER
from metarep.domains.multiplier.optima import errors_under_both
from metarep.studies.study import Figure

if TYPE_CHECKING:
    from metarep.studies.optima.search import Search


def figures(found: Search, end_mode: np.ndarray, notes: list[dict], seed: int) -> dict[str, Figure]:
    """The best network of each mode, the best of all in its steps, and where descents lead."""
    best, starts = found.best, found.starts
    before, _ = errors_under_both(starts.params)
    lowest = int(best.error.argmin())
    titles = []
    for i, mode in enumerate(MODES):
        where = f"border to mode {best.beyond[i]}" if best.held[i] else "inside"
        where += ", in the limit" if best.unbounded[i] else ""
        titles.append(f"mode {mode}\nerror {best.error[i]:.5f}\n{where}")
    error_of = {row["network"].partition(":")[0]: row["expected_error"] for row in notes}
    lines = {"hand-crafted (e06)": error_of["e06"], "clean mode 3 (e04)": error_of["e04"]}
    third, count = MODES.index("3"), len(starts.mode)
    shown = {
        "best_of_modes": Figure(
            gallery_figure(MULTIPLIER, best.params, titles),
            "The network of the lowest expected error found in each mode: its output over the square, and where its units turn "
            "on. On a border: no local minimum, the error falls on into the next mode.",
            "The best network of each mode",
        ),
        "descents": Figure(
            descent_figure(starts.mode, end_mode, before, found.free.error, lines, seed=seed),
            f"{count:,} networks, at the start and after a descent to convergence that may leave the mode. Dashed: the clean "
            "mode-3 network of the notes (e04) and the hand-crafted one (e06).",
            "Errors before and after the descent, and the modes in which it starts and ends",
        ),
        "best_network": Figure(
            draw_network(MULTIPLIER, best.params[lowest], title=f"best of all: mode {MODES[lowest]}, {best.error[lowest]:.6f}"),
            f"The best 2-2-1 network found, of mode {MODES[lowest]}, step by step.",
            "The best network, step by step",
        ),
    }
    if np.isfinite(best.inside_error[third]) and lowest != third:
        title = f"lowest local minimum of mode 3, {best.inside_error[third]:.6f}"
        shown["best_of_mode_3"] = Figure(
            draw_network(MULTIPLIER, best.inside_params[third], title=title),
            "The lowest local minimum of mode 3, step by step.",
            "The best network of mode 3, step by step",
        )
    return shown
