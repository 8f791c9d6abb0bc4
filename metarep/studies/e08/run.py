"""Experiment 8: the hand-crafted network from other hidden biases. Where each start ends, whether the bias moves, and into
how many local minima.

Every cell of the grid trains on the same samples, those of the published seed, so that nothing but the bias differs. What
training has reached after its 4,000 steps is then trained on with the recipe's learning rate and brought to convergence by
Newton's method on the exact expected error; ends that compute the same are one minimum.
"""

from __future__ import annotations

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
from metarep.report.wording import listed
from metarep.studies.published import PUBLISHED, SEED
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.training.engines import train_fast
from metarep.training.recipe import Plan, Trained


def run(context: Context) -> Result:
    """The published start as the first cell, then the grid."""
    published = PUBLISHED["8"]
    known = np.array(published["hidden_bias_start"])
    everything = explore(np.concatenate([known[None], bias_grid(context.config.bias_grid)]))
    own, grid = part(everything, slice(0, 1)), part(everything, slice(1, None))
    rows = minimum_rows(grid)
    claims = (
        Claim("valid_mse", float(own.trained.valid_mse[0]), published["valid_mse"], best=float(own.minimum.error[0])),
        Claim("local minima", len(rows)),
        Claim("lowest minimum of the grid", rows[0]["expected_error"] if rows else None),
        Claim("distance the bias moves", float(np.median(grid.moved)), **_range(grid.moved)),
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
        tables={"minima": rows, "movement": movement_rows(grid, rows), "grid": cell_rows(grid)},
        figures=figures(grid, own, rows),
        numbers={"share_converged": float((grid.member >= 0).mean()), "published_end": own.trained.params[0].tolist()},
        shown=("minima", "movement"),
    )


def _range(values: np.ndarray) -> dict:
    low, high = np.quantile(values, [0.025, 0.975])
    return {"low": float(low), "high": float(high), "over": f"95 % of {len(values):,} starting biases"}


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


def bias_grid(side: int) -> np.ndarray:
    """(side², 2): pairs of hidden biases, the second one fastest."""
    at = np.linspace(*BIAS_GRID, side)
    return np.stack(np.meshgrid(at, at, indexing="ij"), axis=-1).reshape(-1, 2)


def explore(start: np.ndarray) -> Grid:
    """Trains the hand-crafted network from hidden biases start (N, 2), all on the samples of the published seed."""
    variant, seeds = VARIANTS["e08"], np.full(len(start), SEED, np.uint32)
    trained = train_fast(
        Plan(variant.spec, variant.input_distribution, variant.lr, variant.n_steps), seeds, with_bias(start).astype(np.float32)
    )
    longer = train_fast(LONGER, seeds, trained.params)
    minimum, at_once = (minimise(MULTIPLIER, ends.params.astype(np.float64)) for ends in (longer, trained))
    n = len(start)
    both, error = np.concatenate([minimum.params, at_once.params]), np.concatenate([minimum.error, at_once.error])
    converged = np.concatenate([minimum.converged, at_once.converged])
    member = np.full(2 * n, -1)
    member[converged] = distinct_minima(both[converged], error[converged])
    return Grid(start, trained, longer, minimum, member[:n], member[n:])


def part(grid: Grid, cells: slice) -> Grid:
    """Some cells of a grid; minima that none of them leads to drop out of the numbering."""
    trained, longer = (
        Trained(*(getattr(t, name)[cells] for name in Trained.__dataclass_fields__)) for t in (grid.trained, grid.longer)
    )
    numbers, member = np.unique(grid.member[cells], return_inverse=True)
    shift = int((numbers < 0).any())
    place = {number: i - shift for i, number in enumerate(numbers)}
    jumped = np.array([place.get(number, -1) for number in grid.jumped[cells]])
    minimum = Minimum(*(values[cells] for values in grid.minimum))
    return Grid(grid.start[cells], trained, longer, minimum, member.reshape(-1) - shift, jumped)


def minimum_rows(grid: Grid) -> list[dict]:
    """One row a minimum: error, share of the grid, the modes of its networks, how many units serve, the biases that lead there.

    A unit serves if it is on for some input that occurs. A mode looks at the whole square, where the recipe leaves out
    [0, 1/2]²: a unit that is on only there is dead to training, but not in the eyes of the mode.
    """
    modes = label_modes(MULTIPLIER, grid.minimum.params).mode
    serving = serving_units(grid.minimum.params)
    rows = []
    for i in range(grid.member.max() + 1):
        own = grid.member == i
        counts = {mode: int((modes[own] == mode).sum()) for mode in MODES}
        order = sorted((mode for mode in MODES if counts[mode]), key=lambda mode: -counts[mode])
        low, high = grid.start[own].min(axis=0), grid.start[own].max(axis=0)
        rows.append(
            {
                "minimum": letter(i),
                "expected_error": float(grid.minimum.error[own].min()),
                "n_cells": int(own.sum()),
                "share": float(own.mean()),
                "modes": ", ".join(f"{mode} ({counts[mode]})" for mode in order),
                "units_that_serve": int(np.median(serving[own])),
                "start_bias_1": f"{low[0]:.2f} to {high[0]:.2f}".replace("-", "−"),
                "start_bias_2": f"{low[1]:.2f} to {high[1]:.2f}".replace("-", "−"),
                "largest_gradient": float(grid.minimum.gradient_norm[own].max()),
                "least_curvature": float(grid.minimum.least_curvature[own].min()),
            }
        )
    return rows


def serving_units(params: np.ndarray) -> np.ndarray:
    """(N,): how many hidden units of params (N, 9) are on for some input that the recipe draws."""
    weight, bias = MULTIPLIER.unpack(params)[0]
    return ((support() @ weight.swapaxes(-1, -2) + bias[:, None, :]).max(axis=1) > 0).sum(axis=1)


def letter(i: int) -> str:
    """A name for a minimum: A is the lowest."""
    return chr(ord("A") + i) if i < 26 else f"#{i + 1}"


def movement_rows(grid: Grid, rows: list[dict]) -> list[dict]:
    """How far the biases move in training, over all cells and over those of each minimum; `low` and `high` hold 95 %."""
    made = []
    for name, own in (("all", np.ones(len(grid.start), bool)), *((r["minimum"], grid.member == i) for i, r in enumerate(rows))):
        step = np.abs(grid.end - grid.start)[own]
        low, middle, high = np.quantile(grid.moved[own], [0.025, 0.5, 0.975])
        row = {"minimum": name, "n_cells": int(own.sum()), "median": float(middle), "low": float(low), "high": float(high)}
        row |= {f"median_bias_{k + 1}": float(np.median(step[:, k])) for k in range(2)}
        made.append(row | {"share_that_stands": float((grid.moved[own] < STANDS).mean())})
    return made


def cell_rows(grid: Grid) -> list[dict]:
    """One row a starting bias."""
    modes = label_modes(MULTIPLIER, grid.trained.params).mode
    return [
        {
            "start_bias_1": float(grid.start[i, 0]),
            "start_bias_2": float(grid.start[i, 1]),
            "end_bias_1": float(grid.end[i, 0]),
            "end_bias_2": float(grid.end[i, 1]),
            "valid_mse": float(grid.trained.valid_mse[i]),
            "mode": str(modes[i]),
            "minimum": letter(grid.member[i]) if grid.member[i] >= 0 else "",
            "error_of_minimum": float(grid.minimum.error[i]),
        }
        for i in range(len(grid.start))
    ]


def with_bias(start: np.ndarray) -> np.ndarray:
    """(N, 9): the hand-crafted network with hidden biases start (N, 2)."""
    params = np.repeat(HANDCRAFTED[None], len(start), axis=0)
    params[:, HIDDEN_BIAS] = start
    return params


def figures(grid: Grid, own: Grid, rows: list[dict]) -> dict[str, Figure]:
    """The maps, the minima, and the network from the published start."""
    names = [f"{row['minimum']}: error {row['expected_error']:.5f}, {row['share']:.0%}" for row in rows]
    marked = Marked("published start", own.start[0])
    first = [int(np.flatnonzero(grid.member == i)[0]) for i in range(len(rows))]
    titles = [
        f"{r['minimum']}: error {r['expected_error']:.5f}\n{r['share']:.0%} of the grid\nmodes {r['modes']}" for r in rows
    ]
    found = {
        "maps": Figure(
            bias_figure(grid.start, grid.end, grid.trained.valid_mse, grid.member, names, marked),
            f"{len(grid.start):,} starting biases, all on the same samples. Left: the error after training. Middle: each bias "
            "from its start to its end, in the colour of the minimum it goes on to. Right: that minimum.",
            "Maps of the final error, the movement of the bias and the minimum reached",
        ),
        "stages": Figure(
            draw_network(
                MULTIPLIER,
                own.trained.params[0].astype(np.float64),
                title=f"from the published start, error {own.trained.valid_mse[0]:.4f}",
            ),
            "The network trained from the published starting bias, step by step.",
        ),
    }
    if rows:
        found["minima"] = Figure(
            gallery_figure(MULTIPLIER, [grid.minimum.params[i] for i in first], titles),
            "A network of each local minimum: its output over the square, and where its units turn on.",
            "The local minima",
        )
    return found


def published_sentence(own: Grid, published: dict, met: bool) -> str:
    """Whether the published error comes back, and what happens to the bias it starts from."""
    (s1, s2), (e1, e2) = own.start[0], own.end[0]
    text = (
        f"From the hidden bias ({s1:.4f}, {s2:.4f}) and seed {SEED} training ends at the error {own.trained.valid_mse[0]:.4f}; "
        f"the published {published['valid_mse']:.4f} {'comes back' if met else 'does not come back'}. The bias moves by "
        f"{own.moved[0]:.2f}, to ({e1:.4f}, {e2:.4f})"
    )
    gap = expected_error(MULTIPLIER, own.trained.params.astype(np.float64))[0] - own.minimum.error[0]
    return f"{text}, and {gap:.4f} of the error is left above the minimum it is on its way to.".replace("(-", "(−").replace(
        " -", " −"
    )


def error_sentence(grid: Grid, own: Grid) -> str:
    """How the final errors spread over the grid, and whether the published start is a good one."""
    error = grid.trained.valid_mse
    low, middle, high = np.quantile(error, [0.25, 0.5, 0.75])
    better = int((error < own.trained.valid_mse[0]).sum())
    best = grid.start[error.argmin()]
    verdict = "none ends lower" if not better else f"{better} ({better / len(error):.1%}) end lower"
    return (
        f"From {len(error):,} starting biases in [{BIAS_GRID[0]:.0f}, {BIAS_GRID[1]:.0f}]² on the same samples the error ends "
        f"at {middle:.4f} (median; half of them in {low:.4f} to {high:.4f}); the lowest is {error.min():.4f}, from "
        f"({best[0]:.2f}, {best[1]:.2f}), and of the grid {verdict} than the published start."
    ).replace("-", "−")


def moved_sentence(grid: Grid) -> str:
    """Whether the bias moves."""
    low, middle, high = np.quantile(grid.moved, [0.025, 0.5, 0.975])
    stands = float((grid.moved < STANDS).mean())
    serving = serving_units(with_bias(grid.start))
    dead = float((serving[grid.moved < STANDS] < 2).mean()) if stands else 0.0
    further = np.linalg.norm(grid.longer.params[:, HIDDEN_BIAS] - grid.start, axis=1)
    text = (
        f"In training the pair of biases moves by {middle:.2f} (median; 95 % in {low:.2f} to {high:.2f}), and "
        f"{stands:.0%} of them stand still (less than {STANDS})"
    )
    text += f", and {dead:.0%} of those started with a unit that no input turns on" if stands else ""
    return f"{text}. Trained on with the recipe's learning rate it comes to {np.median(further):.2f} (median)."


def minima_sentence(grid: Grid, rows: list[dict]) -> str:
    """How many local minima, and the share of the grid that leads to each."""
    converged = float((grid.member >= 0).mean())
    parts = [
        f"{row['minimum']} with {row['expected_error']:.5f} ({row['share']:.0%}; units that serve: {row['units_that_serve']})"
        for row in rows
    ]
    gaps = np.diff([row["expected_error"] for row in rows])
    apart = f"; the two nearest differ by {gaps.min():.1e}" if len(gaps) else ""
    count = "One local minimum is" if len(rows) == 1 else f"{len(rows)} local minima are"
    return (
        f"{count} reached by the {converged:.1%} of the grid that converge: {listed(parts)}. Ends count as one if, up to the "
        f"order and scale of units and the order of the inputs, their outputs differ by less than {SAME_OUTPUT:g} everywhere "
        f"and their errors by less than {SAME_ERROR:g}{apart}."
    )


def basin_sentence(grid: Grid) -> str:
    """Whether the way to convergence matters."""
    same = float((grid.jumped == grid.member)[grid.member >= 0].mean()) if (grid.member >= 0).any() else 0.0
    left = expected_error(MULTIPLIER, grid.longer.params.astype(np.float64)) - grid.minimum.error
    near = float((np.abs(left) < 1e-4).mean())
    return (
        f"Newton's method straight from the end of training leads {same:.0%} of the grid to the same minimum as "
        f"{LONGER.n_steps:,} further steps before it do; after those {near:.0%} are within 0.0001 of their minimum, so that "
        f"{'little' if near > 0.9 else 'something'} is left for Newton's method to decide."
    )
