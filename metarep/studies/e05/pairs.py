"""Parents and their children: skew and error of either, and what changes between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from metarep.domains.multiplier.error_by_product import split_error
from metarep.domains.multiplier.expected_error import expected_error
from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.domains.multiplier.skew import off_right_angle, skew, stretch
from metarep.evaluation.resampling import wilson
from metarep.studies.multipliers import multipliers
from metarep.studies.published import SEED
from metarep.studies.study import Context
from metarep.training.settings import ZooConfig
from metarep.zoos.zoo import Zoo

MEASURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "skew": skew,
    "stretch": stretch,
    "degrees off a right angle": off_right_angle,
}

DISTRIBUTIONS = {"product": "the recipe's inputs", "square": "inputs uniform on the square"}

PARTS = ("product below 1/2", "product above 1/2")


class Pairs(NamedTuple):
    """Parents and children params (N, 9), float64, row by row, and the children's errors (N,) on their validation samples."""

    parent: np.ndarray
    child: np.ndarray
    valid_mse: np.ndarray


class Bootstrap(NamedTuple):
    """Parents drawn again: indices (B, N). A pair stays a pair, so that differences are paired."""

    draws: np.ndarray

    def interval(self, values: np.ndarray, statistic: Callable = np.mean) -> tuple[float, float]:
        """The 95 % percentile interval of a statistic of values (N,)."""
        low, high = np.quantile(statistic(values[self.draws], axis=1), [0.025, 0.975])
        return float(low), float(high)


def published_pair(context: Context) -> Pairs:
    """The published network of experiment 4 and its child on data of the same seed."""
    zoo = context.zoo("e04", ZooConfig(families=[{"variant": "e04", "seeds": [SEED]}], seed=context.config.seed))
    return _children(context, "e05_published", zoo, "e04", {"seeds": [SEED]})


def mode_3_pairs(context: Context) -> Pairs:
    """The first `n_parents` mode-3 networks of the shared zoo, or all of them if they are fewer, with one child each."""
    zoo = multipliers(context).where(mode="3")
    n = min(context.config.n_parents, max(len(zoo), 1))
    return _children(context, "e05", zoo, "e09", {"n_networks": n})


def _children(context: Context, name: str, parents: Zoo, folder: str, entry: dict) -> Pairs:
    family = {"variant": "e05", "parents": str(context.shared / folder), **entry}
    children = context.zoo(name, ZooConfig(families=[family], seed=context.config.seed)).final()
    place = {network: i for i, network in enumerate(parents["network_id"])}
    of = [place[network] for network in children["parent_id"]]
    return Pairs(parents.params[of].astype(np.float64), children.params.astype(np.float64), children["valid_mse"])


def skew_row(name: str, parent: np.ndarray, child: np.ndarray, draws: Bootstrap) -> dict:
    """Medians of one measure, the median change of a pair with its interval, and in how many pairs it falls (Wilson)."""
    change = child - parent
    low, high = draws.interval(change, np.median)
    falls = int((change < 0).sum())
    share_low, share_high = wilson(falls, len(change))
    row = {"measure": name, "n": len(change), "parent": float(np.median(parent)), "child": float(np.median(child))}
    row |= {"change": float(np.median(change)), "low": low, "high": high}
    return row | {"share_that_falls": falls / len(change), "share_low": share_low, "share_high": share_high}


def change_row(key: str, name: str, parent: np.ndarray, child: np.ndarray, draws: Bootstrap) -> dict:
    """Mean errors of parents and children with intervals, and the mean change of a pair with its own."""
    row = {key: name, "n": len(parent)}
    for who, values in (("parent", parent), ("child", child)):
        low, high = draws.interval(values)
        row |= {who: float(values.mean()), f"{who}_low": low, f"{who}_high": high}
    low, high = draws.interval(child - parent)
    row |= {"change": float((child - parent).mean()), "low": low, "high": high}
    return row | {"share_that_falls": float((child < parent).mean())}


def distribution_row(name: str, inputs: str, family: Pairs, draws: Bootstrap) -> dict:
    """The exact expected errors of parents and children under one input distribution."""
    errors = (expected_error(MULTIPLIER, params, input_distribution=inputs) for params in (family.parent, family.child))
    return change_row("input_distribution", name, *errors, draws)


def published_rows(own: Pairs) -> list[dict]:
    """Every quantity of the published parent and its child."""
    both = np.concatenate([own.parent, own.child])
    values = {name: measure(both) for name, measure in MEASURES.items()}
    for inputs, name in DISTRIBUTIONS.items():
        values[f"expected error, {name}"] = expected_error(MULTIPLIER, both, input_distribution=inputs)
    values |= {f"part of the error, {name}": part for name, part in zip(PARTS, split_error(both).T, strict=True)}
    return [
        {"quantity": name, "parent": float(v[0]), "child": float(v[1]), "change": float(v[1] - v[0])}
        for name, v in values.items()
    ]
