"""Experiment 8: the hand-crafted network from other hidden biases. Where each start ends, whether the bias moves, and into
how many local minima.

Every cell of the grid trains on the same samples, those of the published seed, so that nothing but the bias differs. What
training has reached after its 4,000 steps is then trained on with the recipe's learning rate and brought to convergence by
Newton's method on the exact expected error; ends that compute the same are one minimum.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from metarep.domains.multiplier.expected_error import expected_error
from metarep.domains.multiplier.figures.bias_map import Marked, bias_figure
from metarep.domains.multiplier.figures.minima import gallery_figure
from metarep.domains.multiplier.figures.square import draw_network
from metarep.domains.multiplier.minimise import Minimum, minimise
from metarep.domains.multiplier.modes import MODES, MULTIPLIER, label_modes
from metarep.domains.multiplier.optima import SAME_ERROR, SAME_OUTPUT, distinct_minima, support
from metarep.domains.multiplier.recipes import BIAS_GRID, HANDCRAFTED, HIDDEN_BIAS, VARIANTS
from metarep.report.wording import listed, num
from metarep.studies.published import PUBLISHED, SEED
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.studies.words import back
from metarep.training.engines import train_fast
from metarep.training.recipe import Plan, Trained

LONGER = Plan(MULTIPLIER, "product", VARIANTS["e09"].lr, 30_000)
"""How training goes on before Newton's method: its own steps are too large to stay in the basin that training is in."""

STANDS = 0.01
"""A bias that moves by less stands still."""


@dataclass(frozen=True)
class Grid:
    """N starting biases (N, 2), what training makes of them, where it goes on to, and the minima.

    member: (N,) which minimum, numbered from 0 by rising error; −1 where nothing converged.
    jumped: (N,) the minimum that Newton's method reaches without the longer training, numbered likewise; −1 if none.
    """

    start: np.ndarray
    trained: Trained
    longer: Trained
    minimum: Minimum
    member: np.ndarray
    jumped: np.ndarray

    @property
    def end(self) -> np.ndarray:
        """(N, 2): the hidden biases after training."""
        return self.trained.params[:, HIDDEN_BIAS].astype(np.float64)

    @property
    def moved(self) -> np.ndarray:
        """(N,): how far the pair of biases moved in training."""
        return np.linalg.norm(self.end - self.start, axis=1)


def run(context: Context) -> Result:
    """The published start, then the grid."""
    published = PUBLISHED["8"]
    own, grid = explore(np.array([published["hidden_bias_start"]])), explore(bias_grid(context.config.bias_grid))
    rows = minimum_rows(grid)
    claims = (
        Claim("valid_mse", float(own.trained.valid_mse[0]), published["valid_mse"], best=float(own.minimum.error[0])),
        Claim("local minima", len(rows)),
        Claim("lowest minimum of the grid", rows[0]["expected_error"] if rows else None),
        Claim.over_all("distance the bias moves", grid.moved, "starting biases"),
    )
    return Result(
        claims,
        (
            published_sentence(own, published, claims[0].met),
            error_sentence(grid, own),
            moved_sentence(grid),
            minima_sentence(grid, rows),
            basin_sentence(grid),
        ),
        tables={"minima": rows, "movement": list(movement_rows(grid, rows)), "grid": cell_rows(grid)},
        figures=figures(grid, own, rows),
        numbers={"share_converged": float((grid.member >= 0).mean()), "published_end": own.trained.params[0].tolist()},
        shown=("minima", "movement"),
    )


def bias_grid(side: int) -> np.ndarray:
    """(side², 2): pairs of hidden biases, the second one fastest."""
    at = np.linspace(*BIAS_GRID, side)
    return np.stack(np.meshgrid(at, at, indexing="ij"), axis=-1).reshape(-1, 2)


def with_bias(start: np.ndarray) -> np.ndarray:
    """(N, 9): the hand-crafted network with hidden biases start (N, 2)."""
    params = np.repeat(HANDCRAFTED[None], len(start), axis=0)
    params[:, HIDDEN_BIAS] = start
    return params


def explore(start: np.ndarray) -> Grid:
    """Trains the hand-crafted network from hidden biases start (N, 2), all on the samples of the published seed.

    The numbering of minima has those that the longer training leads to first.
    """
    variant, seeds = VARIANTS["e08"], np.full(len(start), SEED, np.uint32)
    plan = Plan(variant.spec, variant.input_distribution, variant.lr, variant.n_steps)
    trained = train_fast(plan, seeds, with_bias(start).astype(np.float32))
    longer = train_fast(LONGER, seeds, trained.params)
    minimum, at_once = (minimise(MULTIPLIER, ends.params.astype(np.float64)) for ends in (longer, trained))
    both, error, converged = (
        np.concatenate([getattr(one, name) for one in (minimum, at_once)]) for name in ("params", "error", "converged")
    )
    number = np.full(len(both), -1)
    number[converged] = distinct_minima(both[converged], error[converged])
    member, jumped = number[: len(start)], number[len(start) :]
    reached = np.unique(member[member >= 0])
    place = {old: new for new, old in enumerate(reached)}
    member, jumped = (np.array([place.get(old, -1) for old in numbers]) for numbers in (member, jumped))
    return Grid(start, trained, longer, minimum, member, jumped)


def minimum_rows(grid: Grid) -> list[dict]:
    """One row a minimum: error, share of the grid, the modes of its networks, how many units serve, the biases that lead there.

    A unit serves if it is on for some input that occurs. A mode looks at the whole square, where the recipe leaves out
    [0, 1/2]²: a unit that is on only there is dead to training, but not in the eyes of the mode.
    """
    modes, serving = label_modes(MULTIPLIER, grid.minimum.params).mode, serving_units(grid.minimum.params)
    rows = []
    for i in range(grid.member.max() + 1):
        own = grid.member == i
        counts = {mode: int((modes[own] == mode).sum()) for mode in MODES}
        order = sorted((mode for mode in MODES if counts[mode]), key=lambda mode: -counts[mode])
        row = {"minimum": letter(i), "expected_error": float(grid.minimum.error[own].min()), "n_cells": int(own.sum())}
        row |= {"share": float(own.mean()), "modes": ", ".join(f"{mode} ({counts[mode]})" for mode in order)}
        row["units_that_serve"] = int(np.median(serving[own]))
        for k, (low, high) in enumerate(zip(grid.start[own].min(axis=0), grid.start[own].max(axis=0), strict=True)):
            row[f"start_bias_{k + 1}"] = f"{low:.2f} to {high:.2f}".replace("-", "−")
        row["largest_gradient"] = float(grid.minimum.gradient_norm[own].max())
        rows.append(row | {"least_curvature": float(grid.minimum.least_curvature[own].min())})
    return rows


def serving_units(params: np.ndarray) -> np.ndarray:
    """(N,): how many hidden units of params (N, 9) are on for some input that the recipe draws."""
    weight, bias = MULTIPLIER.unpack(params)[0]
    return ((support() @ weight.swapaxes(-1, -2) + bias[:, None, :]).max(axis=1) > 0).sum(axis=1)


def letter(i: int) -> str:
    """A name for a minimum: A is the lowest."""
    return chr(ord("A") + i) if i < 26 else f"#{i + 1}"


def movement_rows(grid: Grid, rows: list[dict]) -> Iterator[dict]:
    """How far the biases move in training, over all cells and over those of each minimum; `low` and `high` hold 95 %."""
    step = np.abs(grid.end - grid.start)
    for name, own in (("all", slice(None)), *((row["minimum"], grid.member == i) for i, row in enumerate(rows))):
        moved = grid.moved[own]
        low, middle, high = (float(v) for v in np.quantile(moved, [0.025, 0.5, 0.975]))
        row = {"minimum": name, "n_cells": len(moved), "median": middle, "low": low, "high": high}
        row |= {f"median_bias_{k + 1}": float(np.median(step[own, k])) for k in range(2)}
        yield row | {"share_that_stands": float((moved < STANDS).mean())}


def cell_rows(grid: Grid) -> list[dict]:
    """One row a starting bias."""
    modes, rows = label_modes(MULTIPLIER, grid.trained.params).mode, []
    for i, member in enumerate(grid.member):
        row = {
            f"{when}_bias_{k + 1}": float(at[i, k]) for when, at in (("start", grid.start), ("end", grid.end)) for k in (0, 1)
        }
        row |= {"valid_mse": float(grid.trained.valid_mse[i]), "mode": str(modes[i])}
        row["minimum"] = letter(member) if member >= 0 else ""
        rows.append(row | {"error_of_minimum": float(grid.minimum.error[i])})
    return rows


def figures(grid: Grid, own: Grid, rows: list[dict]) -> dict[str, Figure]:
    """The maps, the minima, and the network from the published start."""
    heads = [f"{row['minimum']}: error {row['expected_error']:.5f}" for row in rows]
    names = [f"{head}, {row['share']:.0%}" for head, row in zip(heads, rows, strict=True)]
    titles = [f"{head}\n{r['share']:.0%} of the grid\nmodes {r['modes']}" for head, r in zip(heads, rows, strict=True)]
    marked = Marked("published start", own.start[0])
    title = f"from the published start, error {own.trained.valid_mse[0]:.4f}"
    found = {
        "maps": Figure(
            bias_figure(grid.start, grid.end, grid.trained.valid_mse, grid.member, names, marked),
            f"{len(grid.start):,} starting biases, all on the same samples. Left: the error after training. Middle: each bias "
            "from its start to its end, in the colour of the minimum it goes on to. Right: that minimum.",
        ),
        "stages": Figure(
            draw_network(MULTIPLIER, own.trained.params[0].astype(np.float64), title=title),
            "The network trained from the published starting bias, step by step.",
        ),
    }
    if rows:
        first = [int(np.flatnonzero(grid.member == i)[0]) for i in range(len(rows))]
        found["minima"] = Figure(
            gallery_figure(MULTIPLIER, grid.minimum.params[first], titles),
            "A network of each local minimum: its output over the square, and where its units turn on.",
        )
    return found


def at(bias: np.ndarray, digits: int) -> str:
    """A pair of biases."""
    return "({:.{n}f}, {:.{n}f})".format(*bias, n=digits).replace("-", "−")


def published_sentence(own: Grid, published: dict, met: bool) -> str:
    """Whether the published error comes back, and what happens to the bias it starts from."""
    gap = expected_error(MULTIPLIER, own.trained.params.astype(np.float64))[0] - own.minimum.error[0]
    return (
        f"From the hidden bias {at(own.start[0], 4)} and seed {SEED} training ends at the error "
        f"{own.trained.valid_mse[0]:.4f}; the published {published['valid_mse']:.4f} {back(met)}. The bias moves by "
        f"{own.moved[0]:.2f}, to {at(own.end[0], 4)}, and {num(gap, 4)} of the error is left above the minimum it is on its "
        "way to."
    )


def error_sentence(grid: Grid, own: Grid) -> str:
    """How the final errors spread over the grid, and whether the published start is a good one."""
    error = grid.trained.valid_mse
    low, middle, high = np.quantile(error, [0.25, 0.5, 0.75])
    better = int((error < own.trained.valid_mse[0]).sum())
    verdict = f"{better} ({better / len(error):.1%}) end lower" if better else "none ends lower"
    sides = "[{:.0f}, {:.0f}]²".format(*BIAS_GRID).replace("-", "−")
    return (
        f"From {len(error):,} starting biases in {sides} on the same samples the error ends at {middle:.4f} (median; half of "
        f"them in {low:.4f} to {high:.4f}); the lowest is {error.min():.4f}, from {at(grid.start[error.argmin()], 2)}, and of "
        f"the grid {verdict} than the published start."
    )


def moved_sentence(grid: Grid) -> str:
    """Whether the bias moves."""
    low, middle, high = np.quantile(grid.moved, [0.025, 0.5, 0.975])
    still = grid.moved < STANDS
    dead = serving_units(with_bias(grid.start))[still] < 2
    born = f", and {dead.mean():.0%} of those started with a unit that no input turns on" if still.any() else ""
    further = np.linalg.norm(grid.longer.params[:, HIDDEN_BIAS] - grid.start, axis=1)
    return (
        f"In training the pair of biases moves by {middle:.2f} (median; 95 % in {low:.2f} to {high:.2f}), and "
        f"{still.mean():.0%} of them stand still (less than {STANDS}){born}. Trained on with the recipe's learning rate it "
        f"comes to {np.median(further):.2f} (median)."
    )


def minima_sentence(grid: Grid, rows: list[dict]) -> str:
    """How many local minima, and the share of the grid that leads to each."""
    parts = [
        f"{row['minimum']} with {row['expected_error']:.5f} ({row['share']:.0%}; units that serve: {row['units_that_serve']})"
        for row in rows
    ]
    gaps = np.diff([row["expected_error"] for row in rows])
    apart = f"; the two nearest differ by {gaps.min():.1e}" if len(gaps) else ""
    count = "One local minimum is" if len(rows) == 1 else f"{len(rows)} local minima are"
    return (
        f"{count} reached by the {(grid.member >= 0).mean():.1%} of the grid that converge: {listed(parts)}. Ends count as one "
        f"if, up to the order and scale of units and the order of the inputs, their outputs differ by less than "
        f"{SAME_OUTPUT:g} everywhere and their errors by less than {SAME_ERROR:g}{apart}."
    )


def basin_sentence(grid: Grid) -> str:
    """Whether the way to convergence matters."""
    done = grid.member >= 0
    same = float((grid.jumped == grid.member)[done].mean()) if done.any() else 0.0
    left = expected_error(MULTIPLIER, grid.longer.params.astype(np.float64)) - grid.minimum.error
    near = float((np.abs(left) < 1e-4).mean())
    return (
        f"Newton's method straight from the end of training leads {same:.0%} of the grid to the same minimum as "
        f"{LONGER.n_steps:,} further steps before it do; after those {near:.0%} are within 0.0001 of their minimum, so that "
        f"{'little' if near > 0.9 else 'something'} is left for Newton's method to decide."
    )
