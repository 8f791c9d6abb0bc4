"""Starting biases, what training makes of them, and the minima that they lead to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metarep.domains.multiplier.minimise import Minimum, minimise
from metarep.domains.multiplier.modes import MODES, MULTIPLIER, label_modes
from metarep.domains.multiplier.optima import distinct_minima, support
from metarep.domains.multiplier.recipes import BIAS_GRID, HANDCRAFTED, HIDDEN_BIAS, VARIANTS
from metarep.studies.published import SEED
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


def bias_grid(side: int) -> np.ndarray:
    """(side², 2): pairs of hidden biases, the second one fastest."""
    at = np.linspace(*BIAS_GRID, side)
    return np.stack(np.meshgrid(at, at, indexing="ij"), axis=-1).reshape(-1, 2)


def explore(start: np.ndarray) -> Grid:
    """Trains the hand-crafted network from hidden biases start (N, 2), all on the samples of the published seed."""
    params = np.repeat(HANDCRAFTED[None], len(start), axis=0)
    params[:, HIDDEN_BIAS] = start
    variant, seeds = VARIANTS["e08"], np.full(len(start), SEED, np.uint32)
    trained = train_fast(
        Plan(variant.spec, variant.input_distribution, variant.lr, variant.n_steps), seeds, params.astype(np.float32)
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


def grid_step(start: np.ndarray) -> float:
    """The distance between neighbours along an axis of the grid."""
    return float(np.diff(np.unique(start[:, 0])).min())
