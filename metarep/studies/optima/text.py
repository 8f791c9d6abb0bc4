"""What the optima say, in sentences; every number and every turn of phrase from the results."""

from __future__ import annotations

import numpy as np

from metarep.domains.multiplier.minimise import Minimum
from metarep.domains.multiplier.modes import MODE_NAMES, MODES
from metarep.domains.multiplier.optima import BestOfModes, Starts
from metarep.report.wording import listed, times
from metarep.studies.e01.run import linear_optimum
from metarep.studies.published import PUBLISHED

NAMED = tuple(PUBLISHED["9"]["modes"])
"""The modes that the notes name."""


def best_sentence(best: BestOfModes) -> str:
    """Which mode is best, and by what factor over the best one that the notes name."""
    first, second, *_ = order = np.argsort(best.error)
    lowest, mode = best.error[first], best.modes[first]
    head = f"The lowest expected error found is {lowest:.6f}, in mode {mode} ({MODE_NAMES[mode]})"
    if mode in NAMED:
        i, error, told = second, best.error[second], ", one that the notes name; the next best is"
    else:
        inside = [i for i in order if best.modes[i] in NAMED and np.isfinite(best.inside_error[i])]
        if not inside:
            return f"{head}, which the notes do not name; no local minimum was found in any mode that they do."
        i = min(inside, key=lambda j: best.inside_error[j])
        error, told = best.inside_error[i], ", which the notes do not name; the lowest local minimum of a mode that they do is"
    return f"{head}{told} {error:.6f}, in mode {best.modes[i]}, {error / lowest:.2f} times as much."


def flow_sentence(flows: list[dict]) -> str:
    """How many descents stay in their mode, and where those that leave go most."""
    parts = []
    for row in flows:
        others = {mode: row[f"ends in {mode}"] for mode in MODES if mode != row["start"]}
        most = max(others, key=others.get)
        where_to = f" (else mostly to {most})" if others[most] else ""
        parts.append(f"{row['stays']:.0%} of mode {row['start']} [{row['low']:.0%}, {row['high']:.0%}]{where_to}")
    return f"Free to go where they like, {listed(parts)} end in the mode they start in."


def minima_sentence(minima: list[dict]) -> str:
    """How many minima there are, how often the best is reached, and whether one minimum can have several modes."""
    best, total = minima[0], sum(row["n"] for row in minima)
    several = [row for row in minima if row["n_modes"] > 1]
    text = (
        f"{total:,} descents end in {len(minima)} different local minima; {best['n']:,} ({best['n'] / total:.0%}) reach the "
        f"best one (from modes {best['from_modes']})."
    )
    if not several:
        return text
    return (
        f"{text} {len(several)} of the minima go by more than one mode: a unit that changes nothing on the inputs drawn may "
        "still be on over part of the square, since the recipe never draws two inputs that are both below 0.5."
    )


def square_sentence(rows: list[dict], notes: list[dict]) -> str:
    """Which mode is best on inputs uniform on the square, and what the first of the notes' networks is worth there."""
    known = sorted((row for row in rows if row["lowest_local_minimum"] is not None), key=lambda r: r["lowest_local_minimum"])
    if not known:
        return "On inputs uniform on the square no descent converged."
    parts = [f"mode {row['mode']} {row['lowest_local_minimum']:.6f}" for row in known]
    missing = [row["mode"] for row in rows if row["lowest_local_minimum"] is None]
    none = f"; none was found in {listed(missing)}" if missing else ""
    name, here, there = notes[0]["network"].partition(":")[0], notes[0]["expected_error"], notes[0]["error_on_square"]
    plane = float(linear_optimum()[1])
    return (
        f"On inputs uniform on the square, where no corner is left out, the lowest local minima are: {listed(parts)}{none}. "
        f"{name}, trained by the recipe, has {there:.6f} there, {times(there / here)} as much as on the recipe's inputs and "
        f"{'more' if there > plane else 'less'} than the best plane's {plane:.6f}."
    )


def convergence_sentence(free: Minimum, starts: Starts, gradient: float, curvature: float) -> str:
    """That the minima are minima: how many descents converged, by what measure, and from how many trained networks."""
    n, done = len(free.error), int(free.converged.sum())
    real = int(starts.real.sum())
    made = f", {n - real:,} brought into a rare mode by moving their biases" if real < n else ""
    return (
        f"{done:,} of {n:,} descents ({real:,} from trained networks{made}) converged: gradient below {gradient:.0e}, no "
        f"curvature below −{curvature:.0e}, after {np.median(free.n_steps):.0f} steps (median)."
    )
