"""Which algorithm is best: the lowest expected error that each mode can reach, and which descents stay in their mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metarep.domains.multiplier.minimise import CURVATURE_TOLERANCE, GRADIENT_TOLERANCE, Minimum, minimise
from metarep.domains.multiplier.modes import MODES, MULTIPLIER, label_modes
from metarep.domains.multiplier.optima import BestOfModes, Starts, distinct_minima, errors_under_both
from metarep.evaluation.resampling import wilson
from metarep.studies.optima.figures import figures
from metarep.studies.optima.search import search
from metarep.studies.optima.text import (
    best_sentence,
    border_sentence,
    convergence_sentence,
    flow_sentence,
    minima_sentence,
    notes_sentence,
    square_sentence,
)
from metarep.studies.published import PARAMETERS, PUBLISHED, SEED
from metarep.studies.study import Claim, Context, Result
from metarep.training.settings import ZooConfig

if TYPE_CHECKING:
    from metarep.studies.optima.search import Search


IN_NOTES = {
    "e04": "clean mode-3 network, from scratch",
    "e06": "hand-crafted network",
    "e07": "hand-crafted, trained further",
    "e08": "hand-crafted with other biases, trained further",
}


def run(context: Context) -> Result:
    """The best of each mode, where free descents end, and what the notes' networks are worth beside them."""
    found = search(context)
    free, best = found.free, found.best
    ends = label_modes(MULTIPLIER, free.params)
    minima = minima_rows(found, ends)
    flows, notes = flow_rows(found.starts, ends.mode), notes_rows(context, best)
    square = square_rows(found.square)
    lowest, third = float(best.error.min()), MODES.index("3")
    published = PUBLISHED["4"]["valid_mse"]
    return Result(
        (
            Claim("lowest local minimum of mode 3", float(best.inside_error[third]), published, best=lowest),
            *(Claim(f"lowest error of mode {mode}", float(error)) for mode, error in zip(MODES, best.error, strict=True)),
        ),
        (
            best_sentence(best),
            border_sentence(best),
            flow_sentence(flows),
            minima_sentence(minima),
            notes_sentence(notes, best),
            square_sentence(square, notes),
            convergence_sentence(free, found.starts, GRADIENT_TOLERANCE, CURVATURE_TOLERANCE),
        ),
        tables={
            "best": best_rows(best),
            "descents": flows,
            "minima": minima,
            "in_the_notes": notes,
            "on_the_square": square,
            "parameters": parameter_rows(best),
        },
        figures=figures(found, ends.mode, notes, context.config.seed),
        numbers={
            "n_starts": len(found.starts.mode),
            "n_converged": int(free.converged.sum()),
            "n_minima": len(minima),
            "n_within": {mode: len(within.error) for mode, within in found.within.items()},
            "largest_residual_of_best": max(_residual_of_best(found, mode) for mode in MODES),
        },
        shown=("best", "descents", "minima", "in_the_notes", "on_the_square", "parameters"),
    )


def best_rows(best: BestOfModes) -> list[dict]:
    """One row a mode: its infimum and where that lies, its lowest local minimum, and the errors on the square."""
    _, square = errors_under_both(best.params)
    labels = label_modes(MULTIPLIER, best.params)
    rows = []
    for i, mode in enumerate(best.modes):
        inside = float(best.inside_error[i])
        areas = np.sort(labels.active_area[i])
        rows.append(
            {
                "mode": mode,
                "lowest_error": float(best.error[i]),
                "times_the_best": float(best.error[i] / best.error.min()),
                "where": f"border to mode {best.beyond[i]}" if best.held[i] else "inside",
                "attained": not best.unbounded[i],
                "lowest_local_minimum": inside if np.isfinite(inside) else None,
                "error_on_square": float(square[i]),
                "active_area_low": float(areas[0]),
                "active_area_high": float(areas[1]),
                "quadrant_code": labels.quadrant_code[i],
                "output_signs": labels.sign_pattern[i],
            }
        )
    return rows


def flow_rows(starts: Starts, end_mode: np.ndarray) -> list[dict]:
    """One row a start mode: how many starts, how many of them trained so, the share that stays, and where the rest ends."""
    rows = []
    for mode in MODES:
        own = starts.mode == mode
        n, stays = int(own.sum()), int((end_mode[own] == mode).sum())
        low, high = wilson(stays, n)
        row = {"start": mode, "n": n, "n_trained": int(starts.real[own].sum()), "stays": stays / n, "low": low, "high": high}
        rows.append(row | {f"ends in {end}": int((end_mode[own] == end).sum()) for end in MODES})
    return rows


def minima_rows(found: Search, ends) -> list[dict]:
    """One row a local minimum that free descents reached: its error, how many ended there, from and in which modes."""
    done = np.flatnonzero(found.free.converged)
    member = distinct_minima(found.free.params[done], found.free.error[done])
    rows = []
    for number in range(member.max() + 1 if len(member) else 0):
        here = done[member == number]
        codes, counts = np.unique(ends.quadrant_code[here].astype(str), return_counts=True)
        _, square = errors_under_both(found.free.params[here])
        row = {
            "minimum": number + 1,
            "error": float(found.free.error[here[0]]),
            "error_on_square": float(np.median(square)),
            "n": len(here),
            "modes": _counted(ends.mode[here]),
            "from_modes": _counted(found.starts.mode[here]),
            "n_modes": len(set(ends.mode[here])),
            "quadrant_code": str(codes[counts.argmax()]),
        }
        rows.append(row)
    return rows


def _counted(modes: np.ndarray) -> str:
    return ", ".join(f"{mode}: {(modes == mode).sum()}" for mode in MODES if (modes == mode).any())


def notes_rows(context: Context, best: BestOfModes) -> list[dict]:
    """What the notes take for good: exact errors of those networks, and the minimum that a descent from each leads to."""
    config = ZooConfig(families=[{"variant": name, "seeds": [SEED]} for name in IN_NOTES], seed=context.config.seed)
    zoo = context.zoo("optima_notes", config)
    params = zoo.params.astype(np.float64)
    product, square = errors_under_both(params)
    end = minimise(MULTIPLIER, params)
    modes = label_modes(MULTIPLIER, end.params).mode
    rows = []
    for i, variant in enumerate(zoo["variant"]):
        published = PUBLISHED[str(int(variant[1:]))]["valid_mse"]
        rows.append(
            {
                "network": f"{variant}: {IN_NOTES[variant]}",
                "mode": zoo["mode"][i],
                "published_mse": published,
                "valid_mse": float(zoo["valid_mse"][i]),
                "expected_error": float(product[i]),
                "error_on_square": float(square[i]),
                "times_the_best": float(product[i] / best.error.min()),
                "descends_to": float(end.error[i]),
                "ends_in_mode": modes[i],
            }
        )
    return rows


def square_rows(square: Minimum) -> list[dict]:
    """One row a mode: the lowest local minimum of the error on inputs uniform on the square, and how many ended in it."""
    modes, rows = label_modes(MULTIPLIER, square.params).mode, []
    for mode in MODES:
        own = np.flatnonzero((modes == mode) & square.converged)
        lowest = float(square.error[own].min()) if len(own) else None
        reached = int((square.error[own] < lowest + 1e-9).sum()) if len(own) else 0
        rows.append({"mode": mode, "lowest_local_minimum": lowest, "n_ended_in_mode": len(own), "n_reached_it": reached})
    return rows


def parameter_rows(best: BestOfModes) -> list[dict]:
    """The parameters of the best network of each mode, units of incoming norm 1: one row a parameter."""
    columns = {f"mode {mode}": best.params[i] for i, mode in enumerate(best.modes)}
    return [{"parameter": n} | {k: float(v[i]) for k, v in columns.items()} for i, n in enumerate(PARAMETERS)]


def _residual_of_best(found: Search, mode: str) -> float:
    within, i = found.within[mode], MODES.index(mode)
    if not found.best.held[i] or found.best.unbounded[i]:
        return 0.0
    return float(within.residual[within.error.argmin()])
