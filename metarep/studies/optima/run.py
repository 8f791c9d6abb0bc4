"""Which algorithm is best: the lowest expected error that each mode can reach, and which descents stay in their mode."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metarep.domains.multiplier.figures.minima import descent_figure, gallery_figure
from metarep.domains.multiplier.figures.square import draw_network
from metarep.domains.multiplier.minimise import CURVATURE_TOLERANCE, GRADIENT_TOLERANCE, Minimum, minimise
from metarep.domains.multiplier.mode_borders import Within
from metarep.domains.multiplier.modes import MODES, MULTIPLIER, label_modes
from metarep.domains.multiplier.optima import (
    BestOfModes,
    Starts,
    best_of_modes,
    choose_starts,
    descend,
    distinct_minima,
    errors_under_both,
    stay,
)
from metarep.evaluation.resampling import wilson
from metarep.studies.multipliers import multipliers
from metarep.studies.optima.text import (
    best_sentence,
    convergence_sentence,
    flow_sentence,
    minima_sentence,
    square_sentence,
)
from metarep.studies.published import PARAMETERS, PUBLISHED, SEED
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.training.settings import ZooConfig

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
    attained = [mode for mode, held, unbounded in zip(MODES, best.held, best.unbounded, strict=True) if held and not unbounded]
    residuals = [float(found.within[mode].residual[found.within[mode].error.argmin()]) for mode in attained]
    published = PUBLISHED["4"]["valid_mse"]
    return Result(
        (
            Claim("lowest local minimum of mode 3", float(best.inside_error[third]), published, best=lowest),
            *(Claim(f"lowest error of mode {mode}", float(error)) for mode, error in zip(MODES, best.error, strict=True)),
        ),
        (
            best_sentence(best),
            flow_sentence(flows),
            minima_sentence(minima),
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
            "largest_residual_of_best": max(residuals, default=0.0),
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
