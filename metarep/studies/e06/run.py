"""Experiment 6: the hand-crafted network. On which data its published error comes back, and which of its choices costs most."""

from __future__ import annotations

import numpy as np

from metarep.domains.multiplier.expected_error import expected_error
from metarep.domains.multiplier.figures.square import gallery
from metarep.domains.multiplier.minimise import Minimum, minimise
from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.domains.multiplier.recipes import HANDCRAFTED
from metarep.networks.forward import forward
from metarep.report.wording import listed
from metarep.studies.e03.run import stages_figure
from metarep.studies.published import PUBLISHED, SEED
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.training.engines import train_fast
from metarep.training.recipe import TrainingPlan, draw_reference

CHOICES = {"hidden weight": (0, 1, 2, 3), "hidden bias": (4, 5), "output weight": (6, 7), "output bias": (8,)}
"""By the positions of their parameters."""

ALL = "all four"


def run(context: Context) -> Result:
    """The error of the hand-crafted network on every data there is, and with each of its choices at its best."""
    published, n = PUBLISHED["6"]["valid_mse"], context.config.n_initialisations
    seeds = np.random.default_rng([context.config.seed, 6]).integers(0, 2**32, n, dtype=np.uint32)
    by_hand = np.repeat(HANDCRAFTED[None].astype(np.float32), n, axis=0)
    over_seeds = train_fast(TrainingPlan(MULTIPLIER, "product", 1e-4, 0), seeds, by_hand).valid_mse
    data, start = sample_errors(), float(expected_error(MULTIPLIER, HANDCRAFTED[None])[0])
    positions = CHOICES | {ALL: tuple(range(MULTIPLIER.n_params))}
    freed = {name: minimise(MULTIPLIER, HANDCRAFTED[None], free=np.array(own)) for name, own in positions.items()}
    errors = {name: float(found.error[0]) for name, found in freed.items()}
    order = sorted(CHOICES, key=errors.__getitem__)
    best = errors[ALL]
    claims = (
        Claim("valid_mse", data["validation"], published, best=best),
        Claim("expected_error", start, best=best),
        Claim("costliest choice", order[0]),
    )
    low, high = np.quantile(over_seeds, [0.025, 0.975])
    told = listed([f"{error:.4f} on the {name} samples" for name, error in data.items()])
    sentences = (
        f"With the samples of seed {SEED} the error is {told}; the published error is {published:.4f}. The expected error is "
        f"{start:.4f}, and over the validation samples of {len(over_seeds):,} other seeds 95 % lie in {low:.4f} to {high:.4f}.",
        cost_sentence(errors, order, start),
    )
    rows = [choice_row(name, freed[name], start) for name in (*order, ALL)]
    shown = [(HANDCRAFTED, f"by hand\nerror {start:.4f}")]
    shown += [(freed[name].params[0], f"{name} optimised\nerror {errors[name]:.4f}") for name in (*order[::-1], ALL)]
    figures = {
        "stages": stages_figure(MULTIPLIER, HANDCRAFTED, f"hand-crafted network, expected error {start:.4f}"),
        "one_at_a_time": Figure(
            gallery(MULTIPLIER, *zip(*shown, strict=True)),
            "The output over the square as chosen by hand, with one choice optimised, and with all four; lines are where the "
            "units turn on.",
        ),
    }
    return Result(claims, sentences, tables={"choices": rows}, figures=figures)


def sample_errors() -> dict[str, float]:
    """The mean squared error on the validation and on the training samples of the published seed, in float64."""
    drawn, found = draw_reference(SEED, "product", MULTIPLIER), {}
    for name, (x, y) in (("validation", drawn.valid), ("training", drawn.train)):
        found[name] = float(np.square(forward(MULTIPLIER, HANDCRAFTED, x.astype(np.float64))[:, 0] - y).mean())
    return found


def choice_row(name: str, found: Minimum, start: float) -> dict:
    """What one choice is at its best while the others stay, and what of the error it saves."""
    positions = list(CHOICES.get(name, range(MULTIPLIER.n_params)))
    text = lambda params: ", ".join(f"{value:.3f}" for value in params[positions]).replace("-", "−")  # noqa: E731
    error = float(found.error[0])
    row = {"choice": name, "chosen": text(HANDCRAFTED), "optimised": text(found.params[0]), "error": error}
    return row | {"saved": start - error, "largest_gradient": float(found.gradient_norm[0])}


def cost_sentence(errors: dict[str, float], order: list[str], start: float) -> str:
    """Which choice costs most, optimised alone."""
    first, *rest = order
    share = (start - errors[first]) / (start - errors[ALL])
    return (
        f"The {first} costs most: optimised alone, with everything else as chosen, it takes the expected error from "
        f"{start:.4f} to {errors[first]:.4f}, {share:.0%} of what all four together save; alone, "
        f"{listed([f'the {name} to {errors[name]:.4f}' for name in rest])}."
    )
