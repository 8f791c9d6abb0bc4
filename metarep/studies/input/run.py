"""Question 3: what should the input look like? Designs compared; what becomes of a unit, a layer, a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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
from metarep.report.wording import listed, num
from metarep.studies.input.figures import figures
from metarep.studies.input.inside import (
    OWN_AREA,
    change_under,
    depth_rows,
    facts_of,
    knockout_rows,
    pooled_stream,
    read_linearly,
)
from metarep.studies.masked import Held, kinds_of, predicted_in_turn
from metarep.studies.multipliers import large_zoo, question_model
from metarep.studies.rows import Row, Rows, by, values, where
from metarep.studies.study import Claim, Context, Result
from metarep.studies.words import grouped, relation, spoken
from metarep.zoos.parameters import as_sequential
from metarep.zoos.zoo import Zoo

BASE = "relational"
NOTICED = 0.01
"""A representation that moves by less than this, in distances between networks, does not notice a change."""

LEVEL = "level"
ARRIVED = 0.95
"""A fact has arrived at the first block from which this share of the last block's R² can be read."""

OTHER_METRICS = {
    "error": "R² of the log error",
    "unit_area": "R² of a unit's active area",
    "masked_r2": "masked R²",
}


def sentences(designs: Rows, depth: Rows, knockouts: Rows) -> Iterator[str]:
    yield design_sentence(designs)
    yield symmetry_sentence(designs)
    for level in values(depth, "level"):
        parts = [arrival(where(depth, level=level, fact=fact)) for fact in values(where(depth, level=level), "fact")]
        yield f"What the states of a {level} say, read linearly: {listed(parts)}."
    yield knockout_sentence(knockouts)


def design_sentence(designs: Rows) -> str:
    """How each design compares with the base on modes, and on what else designs differ from it."""
    rows = by(designs, "design", metric="mode")
    base, best = rows[BASE], max(rows.values(), key=lambda row: row["value"])
    others = []
    for metric, words in OTHER_METRICS.items():
        own = by(designs, "design", metric=metric)
        if len(own) > 1:
            apart = grouped({name: word for name, word in beside_base(own).items() if word != LEVEL}, "{}: {}")
            others.append(f"{words} {spoken(own[BASE], digits=3)} ({apart or 'no design is clearly apart'})")
    same = f" By the same comparison: {listed(others)}." if others else ""
    return (
        f"The mode is read off the states with a balanced accuracy of {spoken(base, digits=3)} (permuted: at most "
        f"{num(base['null'])}) where tokens are parameters and positions say what they share; "
        f"{grouped(beside_base(rows), '{}: {}')}. Best: {best['design']} ({num(best['value'], 3)}).{same}"
    )


def beside_base(rows: Mapping[str, Row]) -> dict[str, str]:
    """How the intervals of the other designs, with their values, lie to the base's; the better ones first."""
    words = {"clearly above": "clearly better", "not clearly different from": LEVEL, "clearly below": "clearly worse"}
    lies = {f"{name} ({num(row['value'], 3)})": relation(row, rows[BASE]) for name, row in rows.items() if name != BASE}
    return {name: words[lie] for word in words for name, lie in lies.items() if lie == word}


def symmetry_sentence(designs: Rows) -> str:
    """Which designs notice how a function is written down."""
    parts = []
    for metric, words in (("moved_by_order", "hidden units are in another order"), ("moved_by_scale", "units are rescaled")):
        rows = where(designs, metric=metric)
        blind = [row["design"] for row in rows if row["value"] < NOTICED]
        moved = [f"{row['design']} {num(row['value'])}" for row in rows if row["design"] not in blind]
        rest = f", the others move (by a share of the distance between two networks): {listed(moved)}" if moved else ""
        parts.append(f"When {words} the states of {listed(blind) or 'no design'} stay where they are{rest}")
    return ". ".join(parts) + "."


def arrival(rows: Rows) -> str:
    """Where in the model a fact can first be read, and what an untrained model of the same shape makes of it."""
    trained, untrained = ([row["value"] for row in where(rows, model=model)] for model in ("trained", "untrained"))
    at = next(block for block, value in enumerate(trained) if value >= ARRIVED * trained[-1])
    arrived = f"behind block {at}" if at else "before the first block"
    return (
        f"{rows[0]['fact']} {num(trained[0])} before and {num(trained[-1])} behind all blocks (it has arrived {arrived}; "
        f"untrained {num(untrained[-1])})"
    )


def knockout_sentence(knockouts: Rows) -> str:
    """Which links the prediction of a masked parameter depends on."""
    nothing = by(knockouts, "kind", cut="nothing")["all"]
    cut = [row for row in knockouts if row["cut"] != "nothing"]
    lost = [f"{row['cut']} {spoken(row)}" for row in sorted(where(cut, kind="all"), key=lambda row: row["value"])]
    least = [min(where(cut, kind=kind), key=lambda row: row["value"]) for kind in values(cut, "kind") if kind != "all"]
    most = "; ".join(f"{row['kind']}: {row['cut']}" for row in least)
    return (
        f"Masked parameters are predicted with R² {num(nothing['value'])} (permuted: at most {num(nothing['null'])}); without "
        f"attention between tokens, by what they share: {listed(lost)}. The link that each kind of parameter misses most: "
        f"{most}."
    )


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
        for name in CONTROLS:
            make = BASELINES[name].make
            designs += told_rows(name, lambda zoo, make=make: make(zoo, np.ones(len(zoo), dtype=bool)), train, test, draws)
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
    yield from told_rows(name, lambda zoo: states_as_stored(model, spec, zoo.params), train, test, draws)
    units = [
        part
        for zoo in (train, test)
        for part in (pooled_stream(model, spec, zoo.params)["unit"][-1], facts_of(zoo)["unit"][OWN_AREA])
    ]
    yield row_of(name, "unit_area", read_linearly(*units, **draws))
    kinds = kinds_of(spec)
    scale = units_of(train.params, kinds.number)
    held = Held.of(scale.of(test.params), kinds, **draws)
    predicted = scale.of(predicted_in_turn(model, spec, test.params))
    yield row_of(name, "masked_r2", summary(held.r2(predicted)[:, -1], held.permuted_r2(predicted)[:, -1]))
    for metric, changed in rewritten(spec, test.params, draws["seed"]).items():
        found = change_under(lambda params: states_as_stored(model, spec, params), test.params, changed, **draws)
        yield row_of(name, metric, found | {"null": None})


def told_rows(name: str, vectors: Callable[[Zoo], np.ndarray], train: Zoo, test: Zoo, draws: dict) -> Iterator[dict]:
    """What linear probes read of whole networks from their vectors (N, D)."""
    x = [vectors(zoo) for zoo in (train, test)]
    for metric, column, kind in (("mode", "mode", object), ("error", "log_error", float)):
        y_train, y_test = (zoo[column].astype(kind) for zoo in (train, test))
        yield row_of(name, metric, read_linearly(x[0], y_train, x[1], y_test, **draws))


def row_of(design: str, metric: str, found: dict) -> dict:
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


def claims(designs: Rows, knockouts: Rows) -> tuple[Claim, ...]:
    """What the base design reaches, beside the best of all designs."""
    base = by(designs, "metric", design=BASE)
    best = {metric: max(row["value"] for row in where(designs, metric=metric)) for metric in TITLES}
    found = [
        Claim.of(f"{title}, {BASE} positions", base[metric], best=best[metric], decimals=3) for metric, title in TITLES.items()
    ]
    whole = by(knockouts, "cut", kind="all")
    nothing = whole.pop("nothing")
    cut = min(whole, key=lambda name: whole[name]["value"])
    pairs = "tokens that share nothing" if cut == "nothing shared" else f"tokens of the {cut}"
    name = f"masked R² without attention between {pairs}"
    return (*found, Claim.of(name, whole[cut], best=nothing["value"], decimals=3))
