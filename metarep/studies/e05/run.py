"""Experiment 5: mode-3 networks trained further on inputs uniform on the square. How the skew at the pre-activations changes,
and where on the square the error goes.

What skew is, and why a rotation has none, is explained in `domains/multiplier/skew.py`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from metarep.domains.multiplier.expected_error import expected_error
from metarep.domains.multiplier.minimise import minimise
from metarep.domains.multiplier.modes import MULTIPLIER, label_modes
from metarep.domains.multiplier.skew import skew
from metarep.evaluation.baselines import midpoints
from metarep.evaluation.resampling import resamples, share_of
from metarep.networks.forward import forward
from metarep.report.style import DIVERGING, INK, PALETTE, colour_bar, drawing
from metarep.studies.multipliers import multipliers
from metarep.studies.published import PUBLISHED, SEED
from metarep.studies.rows import Row, back, change, columns, share, spoken
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.zoos.zoo import Zoo

SIDE = 64
LEVEL = 0.5
"""The product at which the square is cut in two."""

SKEW, BELOW, ABOVE = "skew", "error below a product of 1/2", "error above a product of 1/2"


class Pairs(NamedTuple):
    """Parents and children params (N, 9), float64, row by row, and the children's errors (N,) on their validation samples."""

    parent: np.ndarray
    child: np.ndarray
    valid_mse: np.ndarray


def run(context: Context) -> Result:
    """The published child, then at least as many parents as the settings ask for, each with one child."""
    family, published = mode_3_pairs(context), PUBLISHED["5"]["valid_mse"]
    own = children(context, "e05_published", context.family("e04", variant="e04", seeds=[SEED]), seeds=[SEED])
    n, best = len(family.parent), float(minimise(MULTIPLIER, own.child, input_distribution="square").error[0])
    maps = [squared_errors(params) for params in (family.parent, family.child)]
    below = midpoints(2, SIDE**2).prod(axis=1) < LEVEL
    measured = {SKEW: tuple(skew(params) for params in (family.parent, family.child))}
    measured |= {BELOW: tuple((m * below).mean(axis=1) for m in maps), ABOVE: tuple((m * ~below).mean(axis=1) for m in maps)}
    weights = resamples(context.config.n_bootstraps, n, seed=context.config.seed)
    rows = [change_row(name, *pair, weights) for name, pair in measured.items()]
    claims = (
        Claim("valid_mse", float(own.valid_mse[0]), published, best=best),
        *(Claim.of(f"mean change of the {row['quantity']}", row, "change", over=f"{n:,} parents, paired") for row in rows),
    )
    kept = share_of((label_modes(MULTIPLIER, family.child).mode == "3").sum(), n)
    on_square = expected_error(MULTIPLIER, np.concatenate([own.parent, own.child]), input_distribution="square")
    sentences = (
        f"The child of the published network ends at the error {own.valid_mse[0]:.4f} on its own validation samples; the "
        f"published {published:.4f} {back(claims[0].met)}. Its expected error on the square goes from {on_square[0]:.4f} to "
        f"{on_square[1]:.4f}; the minimum nearby has {best:.4f}.",
        f"{share(kept, 0)} of the {n:,} children are still of mode 3. In the mean of all pairs "
        + "; ".join(f"the {row['quantity']} {change_words(row)}" for row in rows)
        + ".",
    )
    return Result(claims, sentences, tables={"changes": rows}, figures={"pairs": figure(measured[SKEW], own, maps)})


def mode_3_pairs(context: Context) -> Pairs:
    """The first `n_parents` mode-3 networks of the shared zoo, or all of them if they are fewer, with one child each."""
    zoo = multipliers(context).where(mode="3")
    return children(context, "e05", zoo, n_networks=min(context.config.n_parents, max(len(zoo), 1)))


def children(context: Context, name: str, parents: Zoo, **own: Any) -> Pairs:
    """Parents and their children in a family of experiment 5."""
    children = context.family(name, variant="e05", parents=str(parents.artefact.path), **own).final()
    place = {network: i for i, network in enumerate(parents["network_id"])}
    of = [place[network] for network in children["parent_id"]]
    return Pairs(parents.params[of].astype(np.float64), children.params.astype(np.float64), children["valid_mse"])


def squared_errors(params: np.ndarray) -> np.ndarray:
    """(N, SIDE²): the squared errors of networks params (N, 9) at the middles of a grid over the square, x1 slowest."""
    x = midpoints(2, SIDE**2)
    return np.square(forward(MULTIPLIER, params, x)[..., 0] - x.prod(axis=1))


def change_row(name: str, parent: np.ndarray, child: np.ndarray, weights: np.ndarray) -> dict:
    """Means of a quantity (N,) of parents and children, and of the change of each pair, over resamples (B, N) of pairs."""
    means = {who: weights @ values / weights.sum(axis=1) for who, values in (("parent", parent), ("child", child))}
    row = {"quantity": name, "n": len(parent)}
    for who, draws in (means | {"change": means["child"] - means["parent"]}).items():
        row |= columns(who, draws)
    return row | {"share_that_falls": float((child < parent).mean())}


def change_words(row: Row) -> str:
    """How a quantity changes, with the interval of the change."""
    digits = 3 if row["quantity"] == SKEW else 5
    verb = change({"low": row["change_low"], "high": row["change_high"]})
    return f"{verb} by {spoken(row, 'change', digits)} (in {row['share_that_falls']:.0%} of the pairs it falls)"


def figure(skews: tuple[np.ndarray, np.ndarray], own: Pairs, maps: list[np.ndarray]) -> Figure:
    """Children's skew against their parents', and the change of the mean squared error over the square."""
    with drawing(10.5, 4.8, w_pad=0.15) as drawn:
        left, right = drawn.subplots(1, 2)
        _pairs_panel(left, skews, own)
        moved = (maps[1].mean(axis=0) - maps[0].mean(axis=0)).reshape(SIDE, SIDE)
        moved = (moved + moved.T) / 2  # either unit may be the one that folds
        reach = float(np.quantile(np.abs(moved), 0.995))
        look = {"origin": "lower", "extent": (0, 1, 0, 1), "cmap": DIVERGING, "norm": Normalize(-reach, reach)}
        image = right.imshow(moved, **look)
        at = np.linspace(LEVEL, 1, 100)
        right.plot(at, LEVEL / at, color=INK)
        right.set(xlabel="$x_1$", ylabel="$x_2$", title="error of children less that of parents")
        colour_bar(drawn, image, "squared error", ax=right, extend="both")
    caption = (
        "Left: each point is a parent with its child; 0 is a rotation, the star is the published network. Right: where on the "
        "square the mean squared error rises and falls (each network with its mirror image); the curve is the product 1/2."
    )
    return Figure(drawn, caption)


def _pairs_panel(ax: Axes, skews: tuple[np.ndarray, np.ndarray], own: Pairs) -> None:
    floor = 0.01
    parent, child = np.maximum(skews, floor)
    top = 1.3 * max(parent.max(), child.max())
    ax.plot([floor, top], [floor, top], color=INK, lw=1, ls=(0, (4, 3)))
    ax.scatter(parent, child, s=14, lw=0, alpha=0.55, color=PALETTE[0])
    ax.plot(max(skew(own.parent)[0], floor), max(skew(own.child)[0], floor), "*", ms=16, mfc="white", mec=INK)
    ax.set(xscale="log", yscale="log", aspect="equal", xlabel="skew of the parent", ylabel="skew of the child", title="skew")
