"""Experiment 8: the hand-crafted network from other hidden biases. Where each start ends, and into how many local minima.

Every cell of the grid trains on the same samples, those of the published seed, so that nothing but the bias differs. What
training has reached after its 4,000 steps is then trained on with the recipe's learning rate and brought to convergence by
Newton's method on the exact expected error; ends that compute the same are one minimum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure as Drawing

from metarep.domains.multiplier.figures.square import gallery
from metarep.domains.multiplier.minimise import SAME_ERROR, SAME_OUTPUT, Minimum, distinct_minima, minimise
from metarep.domains.multiplier.modes import MODES, MULTIPLIER, label_modes
from metarep.domains.multiplier.recipes import BIAS_GRID, HANDCRAFTED, HIDDEN_BIAS, VARIANTS
from metarep.report.style import FAINT, INK, MUTED, PALETTE, SEQUENTIAL, colour_bar, drawing, key, zero_lines
from metarep.report.wording import listed
from metarep.studies.published import PUBLISHED, SEED
from metarep.studies.rows import Rows, back
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.training.engines import train_fast
from metarep.training.recipe import Trained, TrainingPlan

LONGER = TrainingPlan(MULTIPLIER, "product", VARIANTS["e09"].lr, 30_000)
"""How training goes on before Newton's method: its own steps are too large to stay in the basin that training is in."""

STANDS = 0.01
"""A bias that moves by less stands still."""


@dataclass(frozen=True)
class Grid:
    """N starting biases (N, 2), what training makes of them, and the minimum that each goes on to.

    member: (N,) which minimum, numbered from 0 by rising error; −1 where nothing converged.
    """

    start: np.ndarray
    trained: Trained
    minimum: Minimum
    member: np.ndarray

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
        Claim.over_all("distance the bias moves", grid.moved, "starting biases"),
    )
    sentences = (
        f"From the hidden bias {at(own.start[0])} and seed {SEED} training ends at the error {claims[0].value:.4f}; the "
        f"published {published['valid_mse']:.4f} {back(claims[0].met)}. The bias moves by {own.moved[0]:.2f}, to "
        f"{at(own.end[0])}.",
        grid_sentence(grid, own),
        minima_sentence(grid, rows),
    )
    return Result(claims, sentences, tables={"minima": rows}, figures=figures(grid, own, rows))


def bias_grid(side: int) -> np.ndarray:
    """(side², 2): pairs of hidden biases, the second one fastest."""
    ends = np.linspace(*BIAS_GRID, side)
    return np.stack(np.meshgrid(ends, ends, indexing="ij"), axis=-1).reshape(-1, 2)


def explore(start: np.ndarray) -> Grid:
    """Trains the hand-crafted network from hidden biases start (N, 2), all on the samples of the published seed."""
    variant, seeds = VARIANTS["e08"], np.full(len(start), SEED, np.uint32)
    params = np.repeat(HANDCRAFTED[None], len(start), axis=0)
    params[:, HIDDEN_BIAS] = start
    plan = TrainingPlan(variant.spec, variant.input_distribution, variant.lr, variant.n_steps)
    trained = train_fast(plan, seeds, params.astype(np.float32))
    minimum = minimise(MULTIPLIER, train_fast(LONGER, seeds, trained.params).params.astype(np.float64))
    member = np.full(len(start), -1)
    member[minimum.converged] = distinct_minima(minimum.params[minimum.converged], minimum.error[minimum.converged])
    return Grid(start, trained, minimum, member)


def minimum_rows(grid: Grid) -> list[dict]:
    """One row a minimum: error, share of the grid, the modes of its networks, how sure it is one."""
    modes, rows = label_modes(MULTIPLIER, grid.minimum.params).mode, []
    for i in range(grid.member.max() + 1):
        own = grid.member == i
        counts = {mode: int((modes[own] == mode).sum()) for mode in MODES}
        named = ", ".join(f"{mode} ({n})" for mode, n in sorted(counts.items(), key=lambda item: -item[1]) if n)
        row = {"minimum": chr(ord("A") + i) if i < 26 else f"#{i + 1}", "expected_error": float(grid.minimum.error[own].min())}
        row |= {"n_cells": int(own.sum()), "share": float(own.mean()), "modes": named}
        row["largest_gradient"] = float(grid.minimum.gradient_norm[own].max())
        rows.append(row | {"least_curvature": float(grid.minimum.least_curvature[own].min())})
    return rows


def figures(grid: Grid, own: Grid, rows: Rows) -> dict[str, Figure]:
    """The maps, and a network of each minimum."""
    names = [f"{row['minimum']}: error {row['expected_error']:.5f}, {row['share']:.0%}" for row in rows]
    found = {
        "maps": Figure(
            bias_figure(grid.start, grid.end, grid.trained.valid_mse, grid.member, names, own.start[0]),
            f"{len(grid.start):,} starting biases, all on the same samples; the star is the published one. Left: the error "
            "after training. Right: each bias from its start to its end, in the colour of the minimum it goes on to.",
        ),
    }
    if rows:
        first = [int(np.flatnonzero(grid.member == i)[0]) for i in range(len(rows))]
        titles = [f"{name}\nmodes {row['modes']}" for name, row in zip(names, rows, strict=True)]
        found["minima"] = Figure(
            gallery(MULTIPLIER, grid.minimum.params[first], titles),
            "A network of each local minimum: its output over the square, and where its units turn on.",
        )
    return found


def look(i: int) -> tuple[str, str]:
    """A colour and a marker by minimum, lowest error first; later ones are drawn alike, and −1, which is none, as a cross."""
    return (MUTED, "x") if i < 0 else (PALETTE[i], "os^DvP"[i]) if i < 6 else (INK, ".")


def bias_figure(
    start: np.ndarray, end: np.ndarray, error: np.ndarray, member: np.ndarray, names: list[str], marked: np.ndarray
) -> Drawing:
    """Two maps over the same starting biases start (N, 2), a square grid whose second bias runs fastest.

    The error (N,) after training; and an arrow to the end (N, 2) in the colour of the minimum member (N,) that it leads to, −1
    for none. All are in units of the bias; marked (2,) is pointed out.
    """
    side = round(len(start) ** 0.5)
    groups = [(i, member == i) for i in (*range(len(names)), -1) if i >= 0 or (member < 0).any()]
    with drawing(11.5, 6.1, w_pad=0.1) as figure:
        errors, moves = figure.subplots(1, 2)
        at, norm = start[:side, 1], LogNorm(error.min(), error.max())
        image = errors.pcolormesh(at, at, error.reshape(side, side).T, cmap=SEQUENTIAL + "_r", norm=norm, shading="nearest")
        colour_bar(figure, image, "validation error after training", ax=errors, shrink=0.7, pad=0.02)
        arrow = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.0028, "headwidth": 4, "headlength": 5}
        for i, own in groups:
            colour, marker = look(i)
            moves.quiver(*start[own].T, *(end - start)[own].T, color=colour, zorder=2, minlength=0, **arrow)
            moves.plot(*start[own].T, ls="", marker=marker, ms=3.5, color=colour, zorder=2)
        reach = np.abs(np.concatenate([start, end])).max() * 1.04
        titles = (f"error from {len(start):,} starting biases", "the bias from start to end, by minimum")
        for ax, title in zip((errors, moves), titles, strict=True):
            ax.plot(*marked, "*", ms=16, mfc="white", mec=INK, mew=1.1, zorder=4)
            ax.set(aspect="equal", xlim=(-reach, reach), ylim=(-reach, reach), xlabel="hidden bias 1", ylabel="hidden bias 2")
            zero_lines(ax, FAINT)
            ax.locator_params(nbins=5)
            ax.set_title(title)
        keys = [key([*names, "not converged"][i], *look(i), ms=7, mec=look(i)[0]) for i, _ in groups]
        figure.legend(handles=keys, loc="outside lower center", ncols=min(len(keys), 4), handletextpad=0.2)
    return figure


def at(bias: np.ndarray) -> str:
    """A pair of biases."""
    return "({:.4f}, {:.4f})".format(*bias).replace("-", "−")


def grid_sentence(grid: Grid, own: Grid) -> str:
    """How the final errors spread over the grid, whether the published start is a good one, and whether biases move."""
    error = grid.trained.valid_mse
    low, middle, high = np.quantile(error, [0.25, 0.5, 0.75])
    better, still = (error < own.trained.valid_mse[0]).mean(), (grid.moved < STANDS).mean()
    return (
        f"From {len(error):,} starting biases on the same samples the error ends at {middle:.4f} (median; half of them in "
        f"{low:.4f} to {high:.4f}), and {better:.1%} of them end lower than the published start. The pair of biases moves by "
        f"{np.median(grid.moved):.2f} (median); {still:.0%} stand still (less than {STANDS})."
    )


def minima_sentence(grid: Grid, rows: Rows) -> str:
    """How many local minima, and the share of the grid that leads to each."""
    parts = [f"{row['minimum']} with {row['expected_error']:.5f} ({row['share']:.0%})" for row in rows]
    return (
        f"{(grid.member >= 0).mean():.1%} of the grid converge, to {len(rows)} local minima: "
        f"{listed(parts) if parts else 'none'}. Ends count as one if, up to the order and scale of units and the order of the "
        f"inputs, their outputs differ by less than {SAME_OUTPUT:g} everywhere and their errors by less than {SAME_ERROR:g}."
    )
