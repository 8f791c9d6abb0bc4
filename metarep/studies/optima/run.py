"""Which algorithm is best: the lowest local minimum of the expected error in each mode, and where descents lead."""

from __future__ import annotations

import numpy as np

from metarep.domains.multiplier.expected_error import expected_error
from metarep.domains.multiplier.figures.square import gallery
from metarep.domains.multiplier.minimise import Minimum, distinct_minima, minimise
from metarep.domains.multiplier.modes import MODE_NAMES, MODES, MULTIPLIER, label_modes
from metarep.evaluation.resampling import share_of
from metarep.report.wording import listed, num
from metarep.studies.e01.run import linear_optimum
from metarep.studies.e03.run import stages_figure
from metarep.studies.multipliers import multipliers
from metarep.studies.published import PUBLISHED, SEED
from metarep.studies.rows import Rows, by
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.training.settings import ZooConfig

NAMED = tuple(PUBLISHED["9"]["modes"])
"""The modes that the notes name."""

IN_NOTES = {
    "e04": "clean mode-3 network, from scratch",
    "e06": "hand-crafted network",
    "e07": "hand-crafted, trained further",
    "e08": "hand-crafted with other biases, trained further",
}


def run(context: Context) -> Result:
    """Descents from `n_starts` networks of each mode of the shared zoo, and what the notes' networks are worth beside them."""
    zoo, rng = multipliers(context), np.random.default_rng(context.config.seed)
    chosen = [rng.permutation(np.flatnonzero(zoo["mode"] == mode))[: context.config.n_starts] for mode in MODES]
    starts = zoo.select(np.concatenate(chosen))
    found = minimise(MULTIPLIER, starts.params.astype(np.float64))
    ends = label_modes(MULTIPLIER, found.params).mode
    lowest = lowest_of_modes(found, ends)
    best = min(lowest.values(), key=lambda at: found.error[at])
    rows, notes = mode_rows(starts["mode"], found, ends, lowest), notes_rows(context)
    third = float(found.error[lowest["3"]]) if "3" in lowest else None
    claims = (
        Claim("lowest local minimum of mode 3", third, PUBLISHED["4"]["valid_mse"], best=float(found.error[best])),
        Claim("lowest local minimum of all", float(found.error[best])),
        Claim("its mode", str(ends[best])),
    )
    n_minima = int(distinct_minima(found.params[found.converged], found.error[found.converged]).max()) + 1
    some = [row for row in rows if row["n_starts"]]
    stay = [f"{r['share_that_stays']:.0%} [{r['low']:.0%}, {r['high']:.0%}] of mode {r['mode']}" for r in some]
    sentences = (
        best_sentence(rows),
        f"{found.converged.sum():,} of {len(starts):,} descents converge, to {n_minima} different local minima; "
        f"{listed(stay)} end in the mode they start in.",
        corner_sentence(notes),
    )
    titles = [f"mode {mode}\nerror {found.error[at]:.5f}" for mode, at in lowest.items()]
    figures = {
        "best_of_modes": Figure(
            gallery(MULTIPLIER, found.params[list(lowest.values())], titles),
            "The lowest local minimum found in each mode: its output over the square, and where its units turn on. Of a mode "
            "that is not shown no descent ended in one.",
        ),
        "best_network": stages_figure(
            MULTIPLIER, found.params[best], f"best of all: mode {ends[best]}, {found.error[best]:.6f}"
        ),
    }
    return Result(claims, sentences, tables={"modes": rows, "in_the_notes": notes}, figures=figures)


def lowest_of_modes(found: Minimum, ends: np.ndarray) -> dict[str, int]:
    """By mode the row of the lowest local minimum that lies in it; modes (N,) are those of the ends."""
    error = np.where(found.converged, found.error, np.inf)
    own = {mode: np.where(ends == mode, error, np.inf) for mode in MODES}
    return {mode: int(values.argmin()) for mode, values in own.items() if np.isfinite(values).any()}


def mode_rows(start: np.ndarray, found: Minimum, ends: np.ndarray, lowest: dict[str, int]) -> list[dict]:
    """One row a mode: its lowest local minimum, the error of that on the square, and what becomes of those that start in it."""
    rows = []
    for mode in MODES:
        own = start == mode
        row = {"mode": mode, "lowest_local_minimum": None, "error_on_square": None}
        if mode in lowest:
            at = found.params[[lowest[mode]]]
            row["lowest_local_minimum"] = float(found.error[lowest[mode]])
            row["error_on_square"] = float(expected_error(MULTIPLIER, at, input_distribution="square")[0])
        stays = share_of((ends[own] == mode).sum(), own.sum())
        row |= {"n_starts": int(own.sum()), "share_that_stays": stays["share"], "low": stays["low"], "high": stays["high"]}
        rows.append(row | {f"ends in {end}": int((ends[own] == end).sum()) for end in MODES})
    return rows


def notes_rows(context: Context) -> list[dict]:
    """What the notes take for good: exact errors of those networks, and the minimum that a descent from each leads to."""
    config = ZooConfig(families=[{"variant": name, "seeds": [SEED]} for name in IN_NOTES], seed=context.config.seed)
    zoo = context.zoo("optima_notes", config)
    params = zoo.params.astype(np.float64)
    errors = {name: expected_error(MULTIPLIER, params, input_distribution=name) for name in ("product", "square")}
    end, rows = minimise(MULTIPLIER, params), []
    modes = label_modes(MULTIPLIER, end.params).mode
    for i, variant in enumerate(zoo["variant"]):
        row = {"network": variant, "what": IN_NOTES[variant], "mode": zoo["mode"][i]}
        row |= {"published_mse": PUBLISHED[str(int(variant[1:]))]["valid_mse"], "valid_mse": float(zoo["valid_mse"][i])}
        row |= {"expected_error": float(errors["product"][i]), "error_on_square": float(errors["square"][i])}
        rows.append(row | {"descends_to": float(end.error[i]), "ends_in_mode": modes[i]})
    return rows


def best_sentence(rows: Rows) -> str:
    """Which mode is best, and by what factor over the best one that the notes name."""
    known = sorted((row for row in rows if row["lowest_local_minimum"] is not None), key=lambda r: r["lowest_local_minimum"])
    best, mode = known[0]["lowest_local_minimum"], known[0]["mode"]
    named = [row for row in known if row["mode"] in NAMED]
    head = f"The lowest local minimum found is {best:.6f}, in mode {mode} ({MODE_NAMES[mode]})"
    if mode in NAMED:
        return f"{head}, one that the notes name."
    if not named:
        return f"{head}, which the notes do not name; no local minimum was found in any mode that they do."
    other = named[0]["lowest_local_minimum"]
    return (
        f"{head}, which the notes do not name; the lowest of a mode that they do is {other:.6f}, in mode {named[0]['mode']}, "
        f"{num(other / best)} times as much."
    )


def corner_sentence(notes: Rows) -> str:
    """What the clean network is worth on inputs uniform on the square, beside the best plane."""
    clean = by(notes, "network")["e04"]
    return (
        f"The clean mode-3 network, trained by the recipe, has an expected error of {clean['expected_error']:.4f} on the "
        f"recipe's inputs and of {clean['error_on_square']:.4f} on inputs uniform on the square, where the best plane has "
        f"{float(linear_optimum()[1]):.4f}: the recipe never draws two inputs that are both below 0.5."
    )
