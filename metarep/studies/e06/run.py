"""Experiment 6: the hand-crafted network. On which data its published error comes back, and which of its choices costs most."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metarep.domains.multiplier.expected_error import expected_error
from metarep.domains.multiplier.figures.choices import freed_figure
from metarep.domains.multiplier.figures.minima import gallery_figure
from metarep.domains.multiplier.figures.square import draw_network
from metarep.domains.multiplier.freed import Freed, free_groups, worth
from metarep.domains.multiplier.modes import MULTIPLIER, label_modes
from metarep.domains.multiplier.recipes import HANDCRAFTED
from metarep.networks.forward import forward
from metarep.report.wording import listed
from metarep.studies.published import PUBLISHED, SEED
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.training.engines import train_fast
from metarep.training.recipe import Plan, draw_reference

GROUPS = {"hidden weight": (0, 1, 2, 3), "hidden bias": (4, 5), "output weight": (6, 7), "output bias": (8,)}
"""The four choices, by the places of their parameters."""

N_RANDOM, SPREAD = 10, 0.5
"""Further starts of each descent, and the standard deviation of their noise."""

DISTRIBUTIONS = {"product": "recipe", "square": "uniform on the square"}
VALID = "recipe, 2,000 validation samples"
LOWER = 1e-6
"""Errors that differ by less count as equal."""


class Ablation(NamedTuple):
    """The error as chosen, and every set of the choices set free."""

    start: float
    freed: dict[tuple[str, ...], Freed]

    def left(self, *chosen: str) -> float:
        """The error that is left when some choices are free, by descents from the chosen values."""
        return self.freed[tuple(name for name in GROUPS if name in chosen)].near.error if chosen else self.start

    @property
    def order(self) -> list[str]:
        """The choices, first the one whose optimisation alone saves most."""
        return sorted(GROUPS, key=self.left)


def run(context: Context) -> Result:
    """The error of the hand-crafted network on every data there is, and its ablation on the exact expected error."""
    published = PUBLISHED["6"]["valid_mse"]
    data, over_seeds = error_rows(published), valid_errors(context.config.n_initialisations, seed=context.config.seed)
    found = Ablation(
        float(expected_error(MULTIPLIER, HANDCRAFTED[None])[0]),
        free_groups(MULTIPLIER, HANDCRAFTED, GROUPS, n_random=N_RANDOM, spread=SPREAD, seed=context.config.seed),
    )
    valid = next(row["mse"] for row in data if row["data"] == VALID)
    everything = found.freed[tuple(GROUPS)]
    claims = (
        Claim("valid_mse", valid, published, best=everything.near.error),
        Claim("expected_error", found.start, best=everything.near.error),
        Claim("costliest choice", found.order[0]),
    )
    return Result(
        claims,
        (
            where_sentence(data, published),
            seeds_sentence(over_seeds, found.start, published),
            cost_sentence(found),
            descents_sentence(found),
        ),
        tables={"choices": choice_rows(found), "ablation": ablation_rows(found), "data": data},
        figures=figures(found),
        numbers={"parameters_all_free": everything.near.params.tolist(), "lowest_all_free": everything.best.error},
    )


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


def choice_rows(found: Ablation) -> list[dict]:
    """One row a choice: what it saves alone, what it costs when it alone stays, and Shapley's value, with shares."""
    values = worth(list(GROUPS), lambda chosen: found.start - found.left(*chosen))
    total, rows = found.start - found.left(*GROUPS), []
    as_text = lambda params, name: ", ".join(f"{v:.3f}" for v in params[list(GROUPS[name])]).replace("-", "−")  # noqa: E731
    for name in found.order:
        near, saves = found.freed[(name,)].near, found.start - found.left(name)
        stays = found.left(*(other for other in GROUPS if other != name))
        row = {"choice": name, "chosen": as_text(HANDCRAFTED, name), "optimised_alone": as_text(near.params, name)}
        row |= {"error_optimised_alone": near.error, "saves_alone": saves, "share_saved_alone": saves / total}
        row["costs_when_it_alone_stays"] = round(stays - found.left(*GROUPS), 12) + 0.0
        rows.append(row | {"average_saving": values[name], "share_of_average": values[name] / total})
    return rows


def ablation_rows(found: Ablation) -> list[dict]:
    """One row a set of choices set free: exact errors, errors on the samples of the published seed, the mode, convergence."""
    samples = draw_reference(SEED, "product", MULTIPLIER)
    cells = [("none", HANDCRAFTED, found.start, found.start, 0.0)]
    for names, (near, best, *_) in found.freed.items():
        cells.append((", ".join(names), near.params, near.error, best.error, near.gradient_norm))
    return [
        {
            "optimised": names,
            "expected_error": error,
            "valid_mse": sample_error(params, *samples.valid),
            "train_mse": sample_error(params, *samples.train),
            "mode": str(label_modes(MULTIPLIER, params[None]).mode[0]),
            "lowest_of_descents": lowest,
            "largest_gradient": gradient,
        }
        for names, params, error, lowest, gradient in cells
    ]


def figures(found: Ablation) -> dict[str, Figure]:
    """The hand-crafted network, its ablation, and what each choice optimised alone makes of it."""
    worst_first = [(name,) for name in found.order[::-1]]
    shown = {"by hand": (HANDCRAFTED, found.start)}
    for names in (*worst_first, tuple(GROUPS)):
        title = f"{names[0]} optimised" if len(names) == 1 else "all four optimised"
        shown[title] = found.freed[names].near[:2]
    titles = [f"{title}\nerror {error:.4f}" for title, (_, error) in shown.items()]
    near, best = (np.array([getattr(one, which).error for one in found.freed.values()]) for which in ("near", "best"))
    return {
        "stages": Figure(
            draw_network(MULTIPLIER, HANDCRAFTED, title=f"hand-crafted network, expected error {found.start:.4f}"),
            "The hand-crafted network: the square turned by −135°, moved up, folded, and read along a line. Colour is the "
            "true product; grey is where the ReLU sets a unit to zero.",
        ),
        "ablation": Figure(
            freed_figure(list(GROUPS), list(found.freed), near, best, found.start),
            "Every set of the four choices optimised, the others as chosen: the exact expected error. The four rows with one "
            "filled dot say what each choice costs.",
        ),
        "one_at_a_time": Figure(
            gallery_figure(MULTIPLIER, [params for params, _ in shown.values()], titles),
            "The output over the square as chosen by hand, with one choice optimised, and with all four; lines are where the "
            "units turn on.",
        ),
    }


def where_sentence(data: list[dict], published: float) -> str:
    """On which data the published error comes back."""
    same = [row["data"] for row in data if row["prints_as_published"]]
    others = [f"{row['mse']:.4f} ({row['data']})" for row in data if not row["prints_as_published"]]
    if not same:
        return f"The published {published:.4f} comes back on none of {len(data)} sets of data: {listed(others)}."
    only = "only " if len(same) == 1 else ""
    rest = f"; elsewhere the error is {listed(others)}" if others else ""
    return f"With the samples of seed {SEED} the published {published:.4f} comes back {only}on: {listed(same)}{rest}."


def seeds_sentence(over_seeds: np.ndarray, exact: float, published: float) -> str:
    """How the published error compares with other samples of the same size."""
    low, high = np.quantile(over_seeds, [0.025, 0.975])
    above = float((over_seeds >= published).mean())
    where = "within" if low <= published <= high else "outside"
    return (
        f"The expected error on the recipe's inputs is {exact:.4f}; over the validation samples of {len(over_seeds):,} other "
        f"seeds 95 % of the errors lie in {low:.4f} to {high:.4f}, and the published one lies {where} that range, with "
        f"{above:.0%} of the seeds at or above it."
    )


def cost_sentence(found: Ablation) -> str:
    """Which choice costs most, optimised alone."""
    first, *rest = found.order
    share = (found.start - found.left(first)) / (found.start - found.left(*GROUPS))
    return (
        f"The {first} costs most: optimised alone, with everything else as chosen, it takes the expected error from "
        f"{found.start:.4f} to {found.left(first):.4f}, {share:.0%} of what all four together save; alone, "
        f"{listed([f'the {name} to {found.left(name):.4f}' for name in rest])}."
    )


def descents_sentence(found: Ablation) -> str:
    """Whether the descents from the chosen values converged, and whether lower minima lie elsewhere."""
    start = "All" if all(freed.near.converged for freed in found.freed.values()) else "Not all"
    largest = max(freed.near.gradient_norm for freed in found.freed.values())
    lower = [names for names, freed in found.freed.items() if freed.best.error < freed.near.error - LOWER]
    alone = [names[0] for names in lower if len(names) == 1]
    text = f"{start} {len(found.freed)} descents converged (largest gradient {largest:.0e}). "
    if not lower:
        return text + "None of the further starts led lower."
    own = f"among them the {listed(alone)} alone" if alone else "for none of the choices alone"
    return f"{text}Further starts led lower for {len(lower)} of the sets, {own}."
