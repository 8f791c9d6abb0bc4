"""Question 3: what should the input look like? Designs of it, pretrained on the same networks and compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from metarep.domains.multiplier.geometry import active_area
from metarep.evaluation.baselines import BASELINES
from metarep.evaluation.probes import read_linearly
from metarep.evaluation.resampling import interval, resamples, summary
from metarep.model.transformer import ClozeModel
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import permute_units, random_scales
from metarep.report.dots import Panel, Series, dots_figure
from metarep.report.style import PALETTE
from metarep.report.wording import capital, listed, num
from metarep.studies.multipliers import large_zoo, question_model
from metarep.studies.reading import HeldOut, kinds_of, predicted_in_turn, unit_states
from metarep.studies.rows import Row, Rows, by, grouped, relation, spoken, where
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.zoos.zoo import Zoo

BASE = "relational"
NOTICED = 0.01
"""A representation that moves by less than this, in distances between networks, does not notice a change."""

SCALE_STD = 0.5
LEVEL = "level"

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

METRICS = {
    "mode": "mode by a linear probe",
    "error": "R² of the log error",
    "unit_area": "R² of a unit's active area",
    "masked_r2": "masked R²",
}
MOVED = {"moved_by_order": "hidden units are in another order", "moved_by_scale": "units are rescaled"}
PANELS = {
    "mode": "mode: balanced\naccuracy",
    "error": "log error: R²",
    "unit_area": "a unit's\nactive area: R²",
    "masked_r2": "masked R²,\nits own tokens",
    "moved_by_order": "moved by\nunit order",
    "moved_by_scale": "moved by\nunit scale",
}


def run(context: Context) -> Result:
    """Pretrains each design on the same networks and compares what can be read off."""
    config, zoo = context.config.input, large_zoo(context)
    zoo = zoo.select(zoo["mode"] != "")
    changes = {"n_steps": config.n_steps, "max_train_networks": config.n_train_networks}
    settings = {f"input-{name}": question_model(context, **changes | own) for name, (_, own) in DESIGNS.items()}
    models = context.models({name: (own, [zoo.artefact.path]) for name, own in settings.items()})
    sizes = {"train": config.max_fit_networks, "test": config.max_test_networks}
    splits = [zoo.where(split=part) for part in sizes]
    zoos = [part.select(np.arange(min(most, len(part)))) for part, most in zip(splits, sizes.values(), strict=True)]
    draws, rows = {"seed": context.config.seed, "n_bootstraps": context.config.n_bootstraps}, []
    with context.progress.task("read", len(models), "designs") as task:
        for name in DESIGNS:
            rows += design_rows(name, models[f"input-{name}"], *zoos, **draws)
            task.advance(1, name)
    for name in CONTROLS:
        rows += told_rows(name, [BASELINES[name].make(part, np.ones(len(part), dtype=bool)) for part in zoos], *zoos, **draws)
    return Result(
        claims(rows),
        (design_sentence(rows), *(moved_sentence(rows, metric) for metric in MOVED)),
        tables={"designs": rows},
        figures={"designs": figure(rows)},
    )


def design_rows(name: str, model: ClozeModel, train: Zoo, test: Zoo, **draws: int) -> Iterator[dict]:
    """Rows (design, metric, value, low, high, null) of one model; None for the null of a distance."""
    spec = test.spec
    units = [unit_states(model, spec, zoo.params) for zoo in (train, test)]
    yield from told_rows(name, [over_units(one) for one in units], train, test, **draws)
    areas = [active_area(spec, zoo.params) for zoo in (train, test)]
    yield row_of(name, "unit_area", read_linearly(units[0], areas[0], units[1], areas[1], **draws))
    kinds = kinds_of(spec)
    scale = kinds.scale(train.params)
    held = HeldOut.of(scale.of(test.params), kinds, **draws)
    predicted = scale.of(predicted_in_turn(model, spec, test.params))
    yield row_of(name, "masked_r2", summary(held.r2(predicted)[:, -1], held.permuted_r2(predicted)[:, -1]))
    for metric, changed in rewritten(spec, test.params, draws["seed"]).items():
        moved = change_of(over_units(units[1]), over_units(unit_states(model, spec, changed)), **draws)
        yield row_of(name, metric, moved | {"null": None})


def over_units(units: np.ndarray) -> np.ndarray:
    """(N, 2 D): the mean and the largest of unit states (N, H, D)."""
    return np.concatenate([units.mean(axis=1), units.max(axis=1)], axis=1)


def told_rows(name: str, x: list[np.ndarray], train: Zoo, test: Zoo, **draws: int) -> Iterator[dict]:
    """What linear probes read of whole networks from their vectors (N, D), of training and of test networks."""
    for metric, column, kind in (("mode", "mode", object), ("error", "log_error", float)):
        y_train, y_test = (zoo[column].astype(kind) for zoo in (train, test))
        yield row_of(name, metric, read_linearly(x[0], y_train, x[1], y_test, **draws))


def row_of(design: str, metric: str, found: dict) -> dict:
    """A row of the table: one design, one metric."""
    return {"design": design, "metric": metric, **{key: found[key] for key in ("value", "low", "high", "null")}}


def rewritten(spec: NetworkSpec, params: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """The same functions written down differently: hidden units in reverse, and each unit rescaled at random."""
    backwards = params
    for layer, width in enumerate(spec.hidden_widths):
        backwards = permute_units(spec, backwards, layer, np.arange(width)[::-1])
    scales = random_scales(spec, SCALE_STD, len(params), rng=np.random.default_rng(seed))
    return {"moved_by_order": backwards, "moved_by_scale": (params * scales).astype(params.dtype)}


def change_of(before: np.ndarray, after: np.ndarray, *, seed: int, n_bootstraps: int) -> dict[str, float]:
    """How far vectors (N, D) of networks move, in units of the distance between two networks drawn at random: 0 for a
    representation that does not notice, 1 for one that sees another network.

    `value`, and `low` and `high` from a bootstrap over networks.
    """
    weights = resamples(n_bootstraps, len(before), seed=seed)
    moved, apart = (weights @ np.linalg.norm(before - other, axis=1) for other in (after, np.roll(before, 1, axis=0)))
    draws = np.divide(moved, apart, out=np.zeros_like(moved), where=apart > 0)
    low, high = interval(draws[1:])
    return {"value": float(draws[0]), "low": low, "high": high}


def figure(rows: Rows) -> Figure:
    """A panel a metric, a row a design."""
    titles, panels = {name: words for name, (words, _) in DESIGNS.items()} | CONTROLS, []
    for metric, title in PANELS.items():
        own = where(rows, metric=metric)
        floor = min(row["value"] for row in own) - 0.1
        panels.append(Panel(title, [Series.of("", own, "design", PALETTE[0])], floor=floor))
    return Figure(
        dots_figure(panels, titles, width=12.5),
        "What each design of the input gives. Bars are 95 % bootstrap intervals over test networks; a grey tick is the 95th "
        "percentile when predictions are permuted among networks, left out where it lies below. The two panels on the right "
        "say how far the states move when a network is written down differently, in distances between two networks.",
    )


def claims(rows: Rows) -> tuple[Claim, ...]:
    """What the base design reaches, beside the best of all designs."""
    base = by(rows, "metric", design=BASE)
    best = {metric: max(row["value"] for row in where(rows, metric=metric)) for metric in ("mode", "error", "unit_area")}
    return tuple(Claim.of(f"{METRICS[name]}, {BASE} positions", base[name], best=top, decimals=3) for name, top in best.items())


def design_sentence(rows: Rows) -> str:
    """How each design compares with the base, metric by metric."""
    parts = []
    for metric, words in METRICS.items():
        own = by(rows, "design", metric=metric)
        if BASE in own:
            parts.append(f"{words} {spoken(own[BASE], digits=3)} ({grouped(beside_base(own), '{}: {}') or 'no other design'})")
    return capital(f"{'; '.join(parts)}: the base, and how the intervals of other designs lie to its own.")


def beside_base(rows: Mapping[str, Row]) -> dict[str, str]:
    """How the intervals of the other designs, with their values, lie to the base's; the better ones first."""
    words = {"clearly above": "clearly better", "not clearly different from": LEVEL, "clearly below": "clearly worse"}
    lies = {f"{name} ({num(row['value'], 3)})": relation(row, rows[BASE]) for name, row in rows.items() if name != BASE}
    return {name: words[lie] for word in words for name, lie in lies.items() if lie == word}


def moved_sentence(rows: Rows, metric: str) -> str:
    """Which designs notice how a function is written down."""
    own = where(rows, metric=metric)
    blind = [row["design"] for row in own if row["value"] < NOTICED]
    moved = [f"{row['design']} {num(row['value'])}" for row in own if row["design"] not in blind]
    rest = f", the others move (by a share of the distance between two networks): {listed(moved)}" if moved else ""
    return f"When {MOVED[metric]} the states of {listed(blind) or 'no design'} stay where they are{rest}."
