"""Question 3: what should the input look like? Designs compared; what becomes of a unit, a layer, a network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from metarep.embeddings.readout import read_networks
from metarep.embeddings.specs import plan_of_spec
from metarep.evaluation.baselines import BASELINES
from metarep.evaluation.neighbours import units_of
from metarep.evaluation.resampling import summary
from metarep.model.transformer import ClozeModel, untrained_like
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import permute_units, random_scales
from metarep.studies.input.figures import figures
from metarep.studies.input.inside import change_under, depth_rows, knockout_rows, pooled_stream, read_linearly, unit_facts
from metarep.studies.input.text import BASE, by_cut, sentences
from metarep.studies.masked import Held, kinds_of, predicted_in_turn
from metarep.studies.multipliers import large_zoo, question_model
from metarep.studies.study import Claim, Context, Result
from metarep.zoos.parameters import as_sequential
from metarep.zoos.zoo import Zoo

DESIGNS: dict[str, tuple[str, dict[str, Any]]] = {
    BASE: ("a token a parameter, positions by what tokens share", {}),
    "indexed": ("the same, hidden units numbered and shuffled", {"positions": "indexed"}),
    "as-stored": ("the same, units numbered as they are stored", {"positions": "indexed", "units": "raw"}),
    "rescaled": ("by what tokens share, units rescaled at random", {"scale_units": 0.5}),
    "runs": ("a token up to three values of a tensor, single values masked", {"chunk": 3, "value_mask_share": 0.5}),
    "parameters-alone": ("by what tokens share, no behaviour asked for", {"behaviour_weight": 0.0, "jitter": 0.0}),
}
"""By name: in words, and what differs from the settings that all models share."""

CONTROLS = {"raw": "no model: raw parameters", "outputs": "no model: outputs at probe inputs"}
"""Baselines that the mode and the error are read off too."""

SCALE_STD = 0.5
METRIC = ("value", "low", "high", "null")
TITLES = {"mode": "mode by a linear probe", "error": "R² of the log error", "unit_area": "R² of a unit's active area"}


def run(context: Context) -> Result:
    """Pretrains each design on the same networks and compares what can be read off; then looks into the base model."""
    config, zoo = context.config.input, large_zoo(context)
    zoo = zoo.select(zoo["mode"] != "")
    changes = {"n_steps": config.n_steps, "max_train_networks": config.n_train_networks}
    settings = {f"input-{name}": question_model(context, **changes | own) for name, (_, own) in DESIGNS.items()}
    made = context.models({name: (own, [zoo.artefact.path]) for name, own in settings.items()})
    models = {name.removeprefix("input-"): model for name, model in made.items()}
    train = zoo.where(split="train").select(np.arange(min(config.max_fit_networks, (zoo["split"] == "train").sum())))
    test = zoo.where(split="test").select(np.arange(min(config.max_test_networks, (zoo["split"] == "test").sum())))
    draws = {"seed": context.config.seed, "n_bootstraps": context.config.n_bootstraps}
    with context.progress.task("read", len(models) + 3, "looks") as task:
        designs, depth = [], []
        for name, model in models.items():
            designs += design_rows(name, model, train, test, draws)
            task.advance(1, name)
        designs += [row for name in CONTROLS for row in control_rows(name, train, test, draws)]
        controls = {"trained": models[BASE], "untrained": untrained_like(models[BASE], seed=context.config.seed)}
        for name, model in controls.items():
            depth += [{"model": name, **row} for row in depth_rows(model, train, test, **draws)]
            task.advance(1, "depth")
        knockouts = list(knockout_rows(models[BASE], test, **draws))
        task.advance(1, "links")
    return Result(
        claims(designs, knockouts),
        tuple(sentences(designs, depth, knockouts)),
        tables={"designs": designs, "depth": depth, "knockouts": knockouts},
        figures=figures(designs, {name: words for name, (words, _) in DESIGNS.items()} | CONTROLS, depth, knockouts),
        shown=("designs", "knockouts"),
    )


def design_rows(name: str, model: ClozeModel, train: Zoo, test: Zoo, draws: dict) -> Iterator[dict]:
    """Rows (design, metric, value, low, high, null) of one model; None for the null of a distance."""
    spec = test.spec
    states = [states_as_stored(model, spec, zoo.params) for zoo in (train, test)]
    units = [pooled_stream(model, spec, zoo.params)["unit"][-1] for zoo in (train, test)]
    yield from told_rows(name, *states, train, test, draws)
    area = [unit_facts(zoo)["its own active area"] for zoo in (train, test)]
    yield row_of(name, "unit_area", read_linearly(units[0], area[0], units[1], area[1], **draws))
    kinds = kinds_of(spec)
    scale = units_of(train.params, kinds.number)
    held = Held.of(scale.of(test.params), kinds, **draws)
    predicted = scale.of(predicted_in_turn(model, spec, test.params))
    yield row_of(name, "masked_r2", summary(held.r2(predicted)[:, -1], held.permuted_r2(predicted)[:, -1]))
    for metric, changed in rewritten(spec, test.params, draws["seed"]).items():
        found = change_under(lambda params: states_as_stored(model, spec, params), test.params, changed, **draws)
        yield row_of(name, metric, found | {"null": None})


def control_rows(name: str, train: Zoo, test: Zoo, draws: dict) -> Iterator[dict]:
    """The rows of a representation that needs no model."""
    make = BASELINES[name].make
    yield from told_rows(name, *(make(zoo, np.ones(len(zoo), dtype=bool)) for zoo in (train, test)), train, test, draws)


def told_rows(name: str, x_train: np.ndarray, x_test: np.ndarray, train: Zoo, test: Zoo, draws: dict) -> Iterator[dict]:
    """What linear probes tell of whole networks from their vectors (N, D)."""
    yield row_of(
        name, "mode", read_linearly(x_train, train["mode"].astype(object), x_test, test["mode"].astype(object), **draws)
    )
    yield row_of(name, "error", read_linearly(x_train, train["log_error"], x_test, test["log_error"], **draws))


def row_of(design: str, metric: str, found: dict) -> dict:
    """One row of designs.csv."""
    return {"design": design, "metric": metric, **{key: found[key] for key in METRIC}}


def rewritten(spec: NetworkSpec, params: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """The same functions written down differently: hidden units in reverse, and each unit rescaled at random."""
    backwards = params
    for layer, width in enumerate(spec.hidden_widths):
        backwards = permute_units(spec, backwards, layer, np.arange(width)[::-1])
    scales = random_scales(spec, SCALE_STD, len(params), rng=np.random.default_rng(seed))
    return {"moved_by_order": backwards, "moved_by_scale": (params * scales).astype(params.dtype)}


def states_as_stored(model: ClozeModel, spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """States (N, 2 D) unit by unit, mean and largest, of networks as they are stored, not brought into a canonical order."""
    plan, _ = plan_of_spec(model, spec)
    (units,) = read_networks(model, plan, as_sequential(spec, params)).hidden_units
    return np.concatenate([units.mean(dim=1).numpy(), units.amax(dim=1).numpy()], axis=1)


def claims(designs: Sequence[dict], knockouts: Sequence[dict]) -> tuple[Claim, ...]:
    """What the base design reaches, beside the best of all designs."""
    of = {(row["design"], row["metric"]): row for row in designs}
    best = {metric: max(row["value"] for row in designs if row["metric"] == metric) for metric in TITLES}
    found = [
        Claim.of(f"{title}, {BASE} positions", of[BASE, metric], "value", best=best[metric], decimals=3)
        for metric, title in TITLES.items()
    ]
    whole = by_cut(knockouts)
    cut = min((name for name in whole if name != "nothing"), key=lambda name: whole[name]["value"])
    pairs = "tokens that share nothing" if cut == "nothing shared" else f"tokens of the {cut}"
    name = f"masked R² without attention between {pairs}"
    return (*found, Claim.of(name, whole[cut], "value", best=whole["nothing"]["value"], decimals=3))
