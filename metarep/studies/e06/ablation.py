"""The choices of the hand-crafted network set free, one by one and together: what each is worth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metarep.domains.multiplier.expected_error import expected_error
from metarep.domains.multiplier.freed import Freed, worth
from metarep.domains.multiplier.modes import MULTIPLIER, label_modes
from metarep.domains.multiplier.recipes import HANDCRAFTED
from metarep.networks.forward import forward
from metarep.studies.published import SEED
from metarep.training.engines import train_fast
from metarep.training.recipe import Plan, draw_reference

GROUPS = {"hidden weight": (0, 1, 2, 3), "hidden bias": (4, 5), "output weight": (6, 7), "output bias": (8,)}
"""The four choices, by the places of their parameters."""

N_RANDOM, SPREAD = 10, 0.5
"""Further starts of each descent, and the standard deviation of their noise."""

DISTRIBUTIONS = {"product": "recipe", "square": "uniform on the square"}


class Ablation(NamedTuple):
    """The error as chosen, and every set of the choices set free."""

    start: float
    freed: dict[tuple[str, ...], Freed]

    def saved(self, chosen: frozenset[str]) -> float:
        """What setting a set of choices free saves, by descents from the chosen values."""
        return self.start - self.left(chosen)

    def left(self, chosen: frozenset[str]) -> float:
        """The error that is left when a set of choices is free."""
        return self.freed[tuple(name for name in GROUPS if name in chosen)].near.error if chosen else self.start


VALID = "recipe, 2,000 validation samples"


def error_rows(published: float) -> list[dict]:
    """The error on each set of samples of the published seed and expected ones, and whether it prints as published."""
    rows = []
    for inputs, name in DISTRIBUTIONS.items():
        samples = draw_reference(SEED, inputs, MULTIPLIER)
        for part, (x, y) in (
            ("validation samples", samples.valid),
            ("training samples", samples.train),
            ("samples, training and validation", (samples.x, samples.y)),
        ):
            rows.append({"data": f"{name}, {len(y):,} {part}", "mse": sample_error(HANDCRAFTED, x, y)})
        exact = float(expected_error(MULTIPLIER, HANDCRAFTED[None], input_distribution=inputs)[0])
        rows.append({"data": f"{name}, expected error", "mse": exact})
    return [row | {"prints_as_published": f"{row['mse']:.4f}" == f"{published:.4f}"} for row in rows]


def sample_error(params: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    """The mean squared error of one 2-2-1 network params (9,) on samples x (S, 2), y (S,), in float64."""
    return float(np.square(forward(MULTIPLIER, params, x.astype(np.float64))[:, 0] - y).mean())


def valid_errors(n: int, *, seed: int) -> np.ndarray:
    """(n,): the error of the hand-crafted network on the recipe's validation samples of other seeds."""
    seeds = np.random.default_rng([seed, 6]).integers(0, 2**32, n, dtype=np.uint32)
    start = np.repeat(HANDCRAFTED[None].astype(np.float32), n, axis=0)
    return train_fast(Plan(MULTIPLIER, "product", 1e-4, 0), seeds, start).valid_mse


def costliest(found: Ablation) -> str:
    """The choice whose optimisation alone saves most."""
    return max(GROUPS, key=lambda name: found.saved(frozenset({name})))


def choice_rows(found: Ablation) -> list[dict]:
    """One row a choice: what it saves alone, what it costs when it alone stays, and Shapley's value, with shares."""
    values, everything = worth(list(GROUPS), found.saved), frozenset(GROUPS)
    total = found.saved(everything)
    rows = []
    for name in GROUPS:
        alone, stays = frozenset({name}), everything - {name}
        near = found.freed[(name,)].near
        rows.append(
            {
                "choice": name,
                "chosen": _values(HANDCRAFTED, name),
                "optimised_alone": _values(near.params, name),
                "error_optimised_alone": near.error,
                "saves_alone": found.saved(alone),
                "share_saved_alone": found.saved(alone) / total,
                "costs_when_it_alone_stays": round(found.left(stays) - found.left(everything), 12) + 0.0,
                "average_saving": values[name],
                "share_of_average": values[name] / total,
            }
        )
    return sorted(rows, key=lambda row: -row["saves_alone"])


def _values(params: np.ndarray, name: str) -> str:
    return ", ".join(f"{value:.3f}" for value in params[list(GROUPS[name])]).replace("-", "−")


def ablation_rows(found: Ablation) -> list[dict]:
    """One row a set of choices set free: exact errors, errors on the samples of the published seed, the mode, convergence."""
    samples = draw_reference(SEED, "product", MULTIPLIER)
    rows = [_ablation_row("none", HANDCRAFTED, found.start, found.start, 0.0, samples)]
    for names, freed in found.freed.items():
        near = freed.near
        rows.append(_ablation_row(", ".join(names), near.params, near.error, freed.best.error, near.gradient_norm, samples))
    return rows


def _ablation_row(names: str, params: np.ndarray, error: float, lowest: float, gradient: float, samples) -> dict:
    return {
        "optimised": names,
        "expected_error": error,
        "valid_mse": sample_error(params, *samples.valid),
        "train_mse": sample_error(params, *samples.train),
        "mode": str(label_modes(MULTIPLIER, params[None]).mode[0]),
        "lowest_of_descents": lowest,
        "largest_gradient": gradient,
    }
