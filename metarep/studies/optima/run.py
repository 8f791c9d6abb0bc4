"""Which algorithm is best: the lowest expected error that each mode can reach, and which descents stay in their mode."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metarep.domains.multiplier.figures.minima import descent_figure, gallery_figure
from metarep.domains.multiplier.figures.square import draw_network
from metarep.domains.multiplier.minimise import CURVATURE_TOLERANCE, GRADIENT_TOLERANCE, Minimum, minimise
from metarep.domains.multiplier.mode_borders import Within
from metarep.domains.multiplier.modes import MODES, MULTIPLIER, Labels, label_modes
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
from metarep.studies.multipliers import multipliers
from metarep.studies.optima import text
from metarep.studies.published import PARAMETERS, PUBLISHED, SEED
from metarep.studies.rows import share_of
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.training.settings import ZooConfig

IN_NOTES = {
    "e04": "clean mode-3 network, from scratch",
    "e06": "hand-crafted network",
    "e07": "hand-crafted, trained further",
    "e08": "hand-crafted with other biases, trained further",
}


class Search(NamedTuple):
    """All descents from the same starts: free on the recipe's inputs and on the square, and within each mode; the labels of
    the free ones' ends.
    """

    starts: Starts
    free: Minimum
    square: Minimum
    within: dict[str, Within]
    best: BestOfModes
    ends: Labels

    @property
    def places(self) -> list[str]:
        """Where the best network of each mode lies."""
        return [f"border to mode {to}" if held else "inside" for to, held in zip(self.best.beyond, self.best.held, strict=True)]


def run(context: Context) -> Result:
    """The best of each mode, where free descents end, and what the notes' networks are worth beside them."""
    found = search(context)
    best, free = found.best, found.free
    minima, flows = minima_rows(found), flow_rows(found)
    notes, square = notes_rows(context, best), square_rows(found.square)
    attained = [mode for mode, held, unbounded in zip(MODES, best.held, best.unbounded, strict=True) if held and not unbounded]
    residuals = [float(found.within[mode].residual[found.within[mode].error.argmin()]) for mode in attained]
    third, published = float(best.inside_error[MODES.index("3")]), PUBLISHED["4"]["valid_mse"]
    return Result(
        (
            Claim("lowest local minimum of mode 3", third, published, best=float(best.error.min())),
            *(Claim(f"lowest error of mode {mode}", float(error)) for mode, error in zip(MODES, best.error, strict=True)),
        ),
        (
            text.best_sentence(best),
            text.flow_sentence(flows),
            text.minima_sentence(minima),
            text.square_sentence(square, notes),
            text.convergence_sentence(free, found.starts, GRADIENT_TOLERANCE, CURVATURE_TOLERANCE),
        ),
        tables={
            "best": best_rows(found),
            "descents": flows,
            "minima": minima,
            "in_the_notes": notes,
            "on_the_square": square,
            "parameters": [
                {"parameter": name} | {f"mode {mode}": float(best.params[i][at]) for i, mode in enumerate(MODES)}
                for at, name in enumerate(PARAMETERS)
            ],
        },
        figures=figures(found, notes, context.config.seed),
        numbers={
            "n_starts": len(found.starts.mode),
            "n_converged": int(free.converged.sum()),
            "n_minima": len(minima),
            "n_within": {mode: len(within.error) for mode, within in found.within.items()},
            "largest_residual_of_best": max(residuals, default=0.0),
        },
    )


def search(context: Context) -> Search:
    """Descents from `n_starts` networks of each mode of the shared zoo."""
    zoo, seed = multipliers(context), context.config.seed
    starts = choose_starts(zoo.params, zoo["mode"], context.config.n_starts, seed=seed)
    free, square = descend(starts), descend(starts, input_distribution="square")
    within = {name: stay(starts, name, seed=seed) for name in MODES}
    return Search(starts, free, square, within, best_of_modes(free, within), label_modes(MULTIPLIER, free.params))


def best_rows(found: Search) -> list[dict]:
    """One row a mode: its infimum and where that lies, its lowest local minimum, and the errors on the square."""
    best, (_, square) = found.best, errors_under_both(found.best.params)
    labels = label_modes(MULTIPLIER, best.params)
    rows = []
    for i, mode in enumerate(MODES):
        inside, (low, high) = float(best.inside_error[i]), np.sort(labels.active_area[i])
        row = {"mode": mode, "lowest_error": float(best.error[i]), "times_the_best": float(best.error[i] / best.error.min())}
        row |= {"where": found.places[i], "attained": not best.unbounded[i]}
        row |= {"lowest_local_minimum": inside if np.isfinite(inside) else None, "error_on_square": float(square[i])}
        row |= {"active_area_low": float(low), "active_area_high": float(high)}
        rows.append(row | {"quadrant_code": labels.quadrant_code[i], "output_signs": labels.sign_pattern[i]})
    return rows


def flow_rows(found: Search) -> list[dict]:
    """One row a start mode: how many starts, how many of them trained so, the share that stays, and where the rest ends."""
    rows = []
    for mode in MODES:
        own = found.starts.mode == mode
        ends = found.ends.mode[own]
        stays = share_of((ends == mode).sum(), len(ends))
        row = {"start": mode, "n": int(own.sum()), "n_trained": int(found.starts.real[own].sum())}
        row |= {"stays": stays["share"], "low": stays["low"], "high": stays["high"]}
        rows.append(row | {f"ends in {end}": int((ends == end).sum()) for end in MODES})
    return rows


def minima_rows(found: Search) -> list[dict]:
    """One row a local minimum that free descents reached: its error, how many ended there, from and in which modes."""
    done = np.flatnonzero(found.free.converged)
    member = distinct_minima(found.free.params[done], found.free.error[done])
    counted = lambda modes: ", ".join(f"{mode}: {(modes == mode).sum()}" for mode in MODES if (modes == mode).any())  # noqa: E731
    rows = []
    for number in range(member.max() + 1 if len(member) else 0):
        here = done[member == number]
        codes, counts = np.unique(found.ends.quadrant_code[here].astype(str), return_counts=True)
        _, square = errors_under_both(found.free.params[here])
        row = {"minimum": number + 1, "error": float(found.free.error[here[0]]), "error_on_square": float(np.median(square))}
        row |= {"n": len(here), "modes": counted(found.ends.mode[here]), "from_modes": counted(found.starts.mode[here])}
        rows.append(row | {"n_modes": len(set(found.ends.mode[here])), "quadrant_code": str(codes[counts.argmax()])})
    return rows


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
        row = {"network": f"{variant}: {IN_NOTES[variant]}", "mode": zoo["mode"][i]}
        row |= {"published_mse": PUBLISHED[str(int(variant[1:]))]["valid_mse"], "valid_mse": float(zoo["valid_mse"][i])}
        row |= {"expected_error": float(product[i]), "error_on_square": float(square[i])}
        row |= {"times_the_best": float(product[i] / best.error.min())}
        rows.append(row | {"descends_to": float(end.error[i]), "ends_in_mode": modes[i]})
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


def figures(found: Search, notes: list[dict], seed: int) -> dict[str, Figure]:
    """The best network of each mode, the best of all in its steps, and where descents lead."""
    best, starts = found.best, found.starts
    before, _ = errors_under_both(starts.params)
    lowest, third = int(best.error.argmin()), MODES.index("3")
    limits = [", in the limit" if unbounded else "" for unbounded in best.unbounded]
    titles = [f"mode {mode}\nerror {best.error[i]:.5f}\n{found.places[i]}{limits[i]}" for i, mode in enumerate(MODES)]
    error_of = {row["network"].partition(":")[0]: row["expected_error"] for row in notes}
    lines = {"hand-crafted (e06)": error_of["e06"], "clean mode 3 (e04)": error_of["e04"]}
    shown = {
        "best_of_modes": Figure(
            gallery_figure(MULTIPLIER, best.params, titles),
            "The network of the lowest expected error found in each mode: its output over the square, and where its units turn "
            "on. On a border: no local minimum, the error falls on into the next mode.",
        ),
        "descents": Figure(
            descent_figure(starts.mode, found.ends.mode, before, found.free.error, lines, seed=seed),
            f"{len(starts.mode):,} networks, at the start and after a descent to convergence that may leave the mode. Dashed: "
            "the clean mode-3 network of the notes (e04) and the hand-crafted one (e06).",
        ),
        "best_network": Figure(
            draw_network(MULTIPLIER, best.params[lowest], title=f"best of all: mode {MODES[lowest]}, {best.error[lowest]:.6f}"),
            f"The best 2-2-1 network found, of mode {MODES[lowest]}, step by step.",
        ),
    }
    if np.isfinite(best.inside_error[third]) and lowest != third:
        title = f"lowest local minimum of mode 3, {best.inside_error[third]:.6f}"
        drawn = draw_network(MULTIPLIER, best.inside_params[third], title=title)
        shown["best_of_mode_3"] = Figure(drawn, "The lowest local minimum of mode 3, step by step.")
    return shown
