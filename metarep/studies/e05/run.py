"""Experiment 5: mode-3 networks trained further on inputs uniform on the square. How the skew at the pre-activations changes,
and where on the square the error goes.

What skew is, and why a rotation has none, is explained in `domains/multiplier/skew.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from metarep.domains.multiplier.error_by_product import HALF, error_map, share_below, split_error
from metarep.domains.multiplier.expected_error import expected_error
from metarep.domains.multiplier.figures.skew_figures import error_figure, pre_activations_figure, skew_figure
from metarep.domains.multiplier.figures.square import draw_network
from metarep.domains.multiplier.minimise import minimise
from metarep.domains.multiplier.modes import MULTIPLIER, label_modes
from metarep.domains.multiplier.skew import off_right_angle, skew, stretch
from metarep.report.wording import listed
from metarep.studies.multipliers import multipliers
from metarep.studies.published import PUBLISHED, SEED
from metarep.studies.rows import Row, Rows, share_of
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.studies.words import back, change, share, signed
from metarep.zoos.zoo import Zoo

MEASURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "skew": skew,
    "stretch": stretch,
    "degrees off a right angle": off_right_angle,
}
DISTRIBUTIONS = {"product": "the recipe's inputs", "square": "inputs uniform on the square"}
PARTS = ("product below 1/2", "product above 1/2")
SIDE = 100


class Pairs(NamedTuple):
    """Parents and children params (N, 9), float64, row by row, and the children's errors (N,) on their validation samples."""

    parent: np.ndarray
    child: np.ndarray
    valid_mse: np.ndarray

    def each(self, measure: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """A measure of the parents, and of the children."""
        return measure(self.parent), measure(self.child)


def interval(values: np.ndarray, draws: np.ndarray, statistic: Callable = np.mean) -> tuple[float, float]:
    """The 95 % percentile interval of a statistic of values (N,) over draws (B, N) of their indices: a pair stays a pair."""
    low, high = np.quantile(statistic(values[draws], axis=1), [0.025, 0.975])
    return float(low), float(high)


def run(context: Context) -> Result:
    """The published child, then at least as many parents as the settings ask for, each with one child."""
    config, published = context.config, PUBLISHED["5"]["valid_mse"]
    own, family = published_pair(context), mode_3_pairs(context)
    n = len(family.parent)
    draws = np.random.default_rng([config.seed, 5]).integers(0, n, (config.n_bootstraps, n))
    skews = [skew_row(name, *family.each(measure), draws) for name, measure in MEASURES.items()]
    before, after = family.each(split_error)
    splits = [change_row("part", name, before[:, i], after[:, i], draws) for i, name in enumerate(PARTS)]
    splits.append(change_row("part", "whole square", before.sum(axis=1), after.sum(axis=1), draws))
    distributions = [
        change_row("input_distribution", name, *family.each(partial(expected_error, MULTIPLIER, input_distribution=key)), draws)
        for key, name in DISTRIBUTIONS.items()
    ]
    best = float(minimise(MULTIPLIER, own.child, input_distribution="square").error[0])
    over = {"over": f"{n:,} parents, paired bootstrap"}
    claims = (
        Claim("valid_mse", float(own.valid_mse[0]), published, best=best),
        Claim.of("median change of the skew", skews[0], "change", **over),
        *(Claim.of(f"change of the error, {row['part']}", row, "change", **over) for row in splits[:2]),
    )
    return Result(
        claims,
        (
            published_sentence(own, published, claims[0].met, best),
            mode_sentence(family, config.n_parents),
            *(skew_sentence(row) for row in skews[:2]),
            where_sentence(splits),
        ),
        tables={
            "skew": skews,
            "error_by_input_distribution": distributions,
            "error_by_product": splits,
            "published": published_rows(own),
        },
        figures=figures(family, own, splits),
        numbers={"n_parents": n, "share_of_square_below": share_below(), "skew_is": "artanh of |cos| of the angle of the rows"},
    )


def published_pair(context: Context) -> Pairs:
    """The published network of experiment 4 and its child on data of the same seed."""
    return _children(context, "e05_published", context.family("e04", variant="e04", seeds=[SEED]), seeds=[SEED])


def mode_3_pairs(context: Context) -> Pairs:
    """The first `n_parents` mode-3 networks of the shared zoo, or all of them if they are fewer, with one child each."""
    zoo = multipliers(context).where(mode="3")
    return _children(context, "e05", zoo, n_networks=min(context.config.n_parents, max(len(zoo), 1)))


def _children(context: Context, name: str, parents: Zoo, **own: Any) -> Pairs:
    children = context.family(name, variant="e05", parents=str(parents.artefact.path), **own).final()
    place = {network: i for i, network in enumerate(parents["network_id"])}
    of = [place[network] for network in children["parent_id"]]
    return Pairs(parents.params[of].astype(np.float64), children.params.astype(np.float64), children["valid_mse"])


def skew_row(name: str, parent: np.ndarray, child: np.ndarray, draws: np.ndarray) -> dict:
    """Medians of one measure, the median change of a pair with its interval, and in how many pairs it falls (Wilson)."""
    moved = child - parent
    (low, high), falls = interval(moved, draws, np.median), share_of((moved < 0).sum(), len(moved))
    row = {"measure": name, "n": len(moved), "parent": float(np.median(parent)), "child": float(np.median(child))}
    row |= {"change": float(np.median(moved)), "low": low, "high": high}
    return row | {"share_that_falls": falls["share"], "share_low": falls["low"], "share_high": falls["high"]}


def change_row(key: str, name: str, parent: np.ndarray, child: np.ndarray, draws: np.ndarray) -> dict:
    """Mean errors of parents and children with intervals, and the mean change of a pair with its own."""
    row = {key: name, "n": len(parent)}
    for who, values, ends in (("parent", parent, "parent_"), ("child", child, "child_"), ("change", child - parent, "")):
        low, high = interval(values, draws)
        row |= {who: float(values.mean()), f"{ends}low": low, f"{ends}high": high}
    return row | {"share_that_falls": float((child < parent).mean())}


def published_rows(own: Pairs) -> list[dict]:
    """Every quantity of the published parent and its child."""
    both = np.concatenate([own.parent, own.child])
    values = {name: measure(both) for name, measure in MEASURES.items()}
    for inputs, name in DISTRIBUTIONS.items():
        values[f"expected error, {name}"] = expected_error(MULTIPLIER, both, input_distribution=inputs)
    values |= {f"part of the error, {name}": part for name, part in zip(PARTS, split_error(both).T, strict=True)}
    return [{"quantity": k, "parent": float(a), "child": float(b), "change": float(b - a)} for k, (a, b) in values.items()]


def figures(family: Pairs, own: Pairs, splits: Rows) -> dict[str, Figure]:
    """Skews of all pairs, errors over the square, the published network before and after."""
    titles = {"skew": "skew, free of units' scales", "stretch": "stretch, as drawn"}
    both = np.concatenate([own.parent, own.child])
    stars = {name: tuple(float(value) for value in MEASURES[name](both)) for name in titles}
    skews = zip(("parent", "child"), stars["skew"], stars["stretch"], strict=True)
    heads = [f"{who}\nskew {turned:.3f}, stretch {stretched:.3f}" for who, turned, stretched in skews]
    return {
        "skew": Figure(
            skew_figure({name: family.each(MEASURES[name]) for name in titles}, stars, titles),
            "Each point is a parent with its child; 0 is a rotation. Left: the skew, which no scale of units changes. "
            "Right: the stretch of the square at the pre-activations.",
        ),
        "error": Figure(
            error_figure(*family.each(partial(error_map, side=SIDE)), splits[:2], level=HALF),
            f"Where {len(family.parent):,} parents and their children err on the square, on average (each with its mirror "
            "image); the curve is the product 1/2. Right: the error below and above it.",
        ),
        "pre_activations": Figure(
            pre_activations_figure(MULTIPLIER, both, heads),
            "The square at the pre-activations of the published network and its child; grey is where a unit is off.",
        ),
        "stages": Figure(
            draw_network(MULTIPLIER, own.child[0], title=f"child of the published network, error {own.valid_mse[0]:.4f}"),
            "The child of the published network, step by step.",
        ),
    }


def published_sentence(own: Pairs, published: float, met: bool, best: float) -> str:
    """Whether the published error comes back, and what becomes of the published network's skew."""
    on_square = own.each(partial(expected_error, MULTIPLIER, input_distribution="square"))
    return (
        f"The child of the published network ends at the error {own.valid_mse[0]:.4f} on its own validation samples; the "
        f"published {published:.4f} {back(met)}. Its skew {goes(own.each(skew), 3)}, and its expected error on the square "
        f"{goes(on_square, 4)}; the minimum nearby has {best:.4f}."
    )


def goes(pair: tuple[np.ndarray, np.ndarray], digits: int) -> str:
    """From what to what one network's quantity goes, in words."""
    before, after = (float(value[0]) for value in pair)
    verb = "falls" if after < before else "rises" if after > before else "stays"
    return f"{verb} from {before:.{digits}f} to {after:.{digits}f}"


def mode_sentence(family: Pairs, asked: int) -> str:
    """Whether the children are still of mode 3, and whether there are as many as were asked for."""
    mode, n = label_modes(MULTIPLIER, family.child).mode.astype(str), len(family.child)
    others = [f"{(mode == other).mean():.0%} are of mode {other}" for other in np.unique(mode) if other != "3"]
    rest = f"; {listed(others)}" if others else ""
    fewer = "" if n >= asked else f" (fewer than the {asked:,} asked for, since the shared zoo has no more parents)"
    return f"{share(share_of((mode == '3').sum(), n), 0)} of the {n:,} children{fewer} are still of mode 3{rest}."


def skew_sentence(row: Row) -> str:
    """Whether a measure falls over all parents."""
    meaning = {
        "skew": "how far the units' directions are from a right angle, whatever their scale",
        "stretch": "the log ratio of the hidden weight's singular values",
    }
    return (
        f"The {row['measure']} ({meaning[row['measure']]}) {change(row)}: its median is {row['parent']:.3f} in parents and "
        f"{row['child']:.3f} in children, the median change of a pair {changed(row, 3)}, and it falls in "
        f"{row['share_that_falls']:.0%} [{row['share_low']:.0%}, {row['share_high']:.0%}] of the pairs."
    )


def changed(row: Row, digits: int) -> str:
    """A change with its interval."""
    return f"{signed(row['change'], digits)} [{signed(row['low'], digits)}, {signed(row['high'], digits)}]"


def where_sentence(splits: Rows) -> str:
    """Where the error goes: below or above a product of 1/2."""
    below, above, whole = splits
    before, after = (above[who] / whole[who] for who in ("parent", "child"))
    return (
        f"Below a product of 1/2 ({share_below():.0%} of the square) the error {change(below)}, by {changed(below, 5)}; above "
        f"it {change(above)}, by {changed(above, 5)}. The part above goes from {before:.0%} of the mean error to {after:.0%}: "
        f"its weight moves to {'above' if after > before else 'below'} 1/2."
    )
