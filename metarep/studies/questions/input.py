"""Question 3: what should the input look like? Token designs compared; what becomes of a unit, a layer, a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from metarep.cloze.embed import embed_params, unit_states, untrained_like
from metarep.cloze.model import ClozeModel
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import permute_units, random_scales
from metarep.report.wording import listed, num
from metarep.studies.experiment import Claim, Picture, Result
from metarep.studies.questions.context import QuestionContext
from metarep.studies.questions.input_figures import depth_figure, design_figure
from metarep.studies.questions.inside import change_under, depth_rows, knockout_rows, pooled_stream, read_linearly, unit_facts
from metarep.tables import read_csv
from metarep.zoos.zoo import Zoo

BASE = "relational"
DESIGNS: dict[str, tuple[str, dict[str, Any]]] = {
    BASE: ("a token a parameter, positions by what tokens share", {}),
    "indexed": ("the same, hidden units numbered and shuffled", {"positions": "indexed"}),
    "as-written": ("the same, units numbered as they stand", {"positions": "indexed", "units": "as_written"}),
    "rescaled": ("by what tokens share, units rescaled at random", {"scale_units": 0.5}),
    "parameters-alone": ("by what tokens share, no behaviour asked for", {"behaviour_weight": 0.0, "jitter": 0.0}),
    "behaviour": (
        "a token a unit's contribution at an input",
        {"behaviour_weight": 0.0, "jitter": 0.0, "tokens": "behaviour", "head": "rectified", "n_probes": 4, "n_components": 4},
    ),
}
"""By name: in words, and what differs from the settings that all models share."""

SCALE_STD = 0.5
NOTICED = 0.01
"""A representation that moves by less than this, in distances between networks, does not notice a change."""

LEVEL = "level"
ARRIVED = 0.95
"""A fact has arrived at the first block from which this share of the last block's R² can be read."""

SPREAD = ("low", "high", "null_p95")
"""The columns beside a figure: its 95 % interval, and what predictions for other networks reach in 95 of 100 draws."""

OTHER_READINGS = {
    "error": "R² of the log error",
    "unit_area": "R² of a unit's active area",
    "masked_r2": "masked R² of a design's own tokens",
}

DESIGNS_CAPTION = (
    "What each design of the input gives. Bars are 95 % bootstrap intervals over test networks; a grey tick, where it lies "
    "within the axis, is what predictions for other networks reach in 95 of 100 draws. The two panels on the right "
    "say how far the states move when a network is written down differently, in distances between two networks."
)
DESIGNS_ALT = "Dot plots: six designs of the input by four readings and two symmetries."
DEPTH_CAPTION = (
    "Above: what a linear probe reads off the stream behind each block, of the trained model (lines) and of an untrained one "
    "of the same shape (dashes). Below: masked R² when attention may not pass between tokens of one kind of pair, by the "
    "parameter that is hidden; arrows at the margin lie beyond it. Grey ticks, where they lie within the axis, are what "
    "predictions for other networks reach in 95 of 100 draws."
)
DEPTH_ALT = "Line plots of R² by block, and a dot plot of masked R² with links cut."


def run(context: QuestionContext) -> Result:
    """Pretrains each design on the same networks and compares what can be read off; then looks into the base model."""
    config, zoo = context.config.input, context.large_zoo()
    zoo = zoo.select(zoo["mode"] != "")
    changes = {"n_steps": config.n_steps, "max_train_networks": config.n_train_networks}
    wanted = {f"input-{name}": context.settings(**changes | own) for name, (_, own) in DESIGNS.items()}
    models = {name.removeprefix("input-"): model for name, model in context.models(zoo, wanted).items()}
    train = zoo.where(split="train").select(np.arange(min(config.max_fit_networks, (zoo["split"] == "train").sum())))
    test = zoo.where(split="test").select(np.arange(min(config.max_test_networks, (zoo["split"] == "test").sum())))
    with context.progress.task("read", len(models) + 3, "looks") as task:
        designs = []
        for name, model in models.items():
            designs += design_rows(context, name, model, train, test)
            task.advance(1, name)
        draws = {"seed": context.config.seed, "n_bootstraps": context.config.n_bootstraps}
        depth = []
        for control in (False, True):
            model = untrained_like(models[BASE], seed=context.config.seed) if control else models[BASE]
            depth += [
                {"model": "untrained" if control else "trained", **row} for row in depth_rows(model, train, test, **draws)
            ]
            task.advance(1, "depth")
        knockouts = list(knockout_rows(models[BASE], test, **draws))
        task.advance(1, "links")
    return Result(
        claims(designs, depth, knockouts),
        tuple(sentences(designs, depth, knockouts)),
        tables={"designs": designs, "depth": depth, "knockouts": knockouts},
        pictures={
            "designs": Picture(
                design_figure(designs, {name: words for name, (words, _) in DESIGNS.items()}), DESIGNS_CAPTION, DESIGNS_ALT
            ),
            "depth": Picture(depth_figure(depth, knockouts), DEPTH_CAPTION, DEPTH_ALT),
        },
        shown=("designs", "knockouts"),
    )


def design_rows(context: QuestionContext, name: str, model: ClozeModel, train: Zoo, test: Zoo) -> Iterator[dict]:
    """Rows (design, reading, value, low, high, null_p95) of one model; None for the null of a distance."""
    draws = {"seed": context.config.seed, "n_bootstraps": context.config.n_bootstraps}
    with torch.no_grad():
        states = [embed_params(model, zoo.params, "states") for zoo in (train, test)]
        units = [pooled_stream(model, model.read(zoo.params))["unit"][-1] for zoo in (train, test)]
    area = [unit_facts(zoo)["its own active area"] for zoo in (train, test)]
    readings = {
        "mode": read_linearly(states[0], train["mode"].astype(object), states[1], test["mode"].astype(object), **draws),
        "error": read_linearly(states[0], train["log_error"], states[1], test["log_error"], **draws),
        "unit_area": read_linearly(units[0], area[0], units[1], area[1], **draws),
    }
    for reading, found in readings.items():
        yield {"design": name, "reading": reading, **{key: found[key] for key in ("value", *SPREAD)}}
    path = context.model_artefact(f"input-{name}").path / "masked_r2.csv"
    own = [r for r in read_csv(path) if (r["masking"], r["predictor"], r["group"]) == ("leave_one_out", "cloze", "all")]
    yield {"design": name, "reading": "masked_r2", "value": float(own[0]["r2"]), **{key: own[0].get(key) for key in SPREAD}}
    for reading, changed in rewritten(test.spec, test.params, context.config.seed).items():
        found = change_under(lambda params: as_written_states(model, params), test.params, changed, **draws)
        yield {"design": name, "reading": reading, **found, "null_p95": None}


def rewritten(spec: NetworkSpec, params: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """The same functions written down differently: hidden units in reverse, and each unit rescaled at random."""
    backwards = params
    for layer, width in enumerate(spec.hidden_widths):
        backwards = permute_units(spec, backwards, layer, np.arange(width)[::-1])
    scales = random_scales(spec, SCALE_STD, len(params), rng=np.random.default_rng(seed))
    return {"moved_by_order": backwards, "moved_by_scale": (params * scales).astype(params.dtype)}


def as_written_states(model: ClozeModel, params: np.ndarray) -> np.ndarray:
    """States (N, D) unit by unit of networks as they are written, not brought into a canonical order before."""
    with torch.no_grad():
        parts = [unit_states(model, model.read(part)) for part in np.array_split(params, max(1, len(params) // 1024))]
    return torch.cat(parts).numpy()


def claims(designs: Sequence[dict], depth: Sequence[dict], knockouts: Sequence[dict]) -> tuple[Claim, ...]:
    """The figures of the base design, beside the best of all designs."""
    of = {(row["design"], row["reading"]): row for row in designs}
    titles = {"mode": "mode by a linear probe", "error": "R² of the log error", "unit_area": "R² of a unit's active area"}
    found = []
    for reading, title in titles.items():
        row, best = of[BASE, reading], max(r["value"] for r in designs if r["reading"] == reading)
        found.append(Claim(f"{title}, {BASE} positions", row["value"], best=best, low=row["low"], high=row["high"], decimals=3))
    whole = by_cut(knockouts)
    cut = min((name for name in whole if name != "nothing"), key=lambda name: whole[name]["value"])
    lost = whole[cut]
    name = (
        f"masked R² without attention between tokens of the {cut}"
        if cut != "nothing shared"
        else ("masked R² without attention between tokens that share nothing")
    )
    return (*found, Claim(name, lost["value"], low=lost["low"], high=lost["high"], best=whole["nothing"]["value"], decimals=3))


def by_cut(knockouts: Sequence[dict], kind: str = "all") -> dict[str, dict]:
    """The rows of one kind of parameter by what is cut."""
    return {row["cut"]: row for row in knockouts if row["kind"] == kind}


def sentences(designs: Sequence[dict], depth: Sequence[dict], knockouts: Sequence[dict]) -> Iterator[str]:
    """What was found, in words."""
    yield design_sentence(designs)
    yield symmetry_sentence(designs)
    yield from depth_sentences(depth)
    yield knockout_sentence(knockouts)


def design_sentence(designs: Sequence[dict]) -> str:
    """How each design stands to the base on modes, and on what else designs differ from it."""
    rows = {row["design"]: row for row in designs if row["reading"] == "mode"}
    base, best = rows[BASE], max(rows.values(), key=lambda row: row["value"])
    beside = "; ".join(f"{word}: {listed(names)}" for word, names in beside_base(rows).items() if names)
    others = []
    for reading, words in OTHER_READINGS.items():
        own = {row["design"]: row for row in designs if row["reading"] == reading}
        if not any(beside_base(own).values()):
            continue  # no design has an interval to compare
        apart = "; ".join(f"{word}: {listed(names)}" for word, names in beside_base(own).items() if names and word != LEVEL)
        others.append(f"{words} {spoken(own[BASE])} ({apart or 'no design is clearly apart'})")
    return (
        f"The mode is read off the states with a balanced accuracy of {spoken(base)} (answers for other networks: at most "
        f"{num(base['null_p95'])}) where tokens are parameters and positions say what they share; {beside}. Best: "
        f"{best['design']} ({num(best['value'], 3)})." + (f" By the same comparison: {listed(others)}." if others else "")
    )


def beside_base(rows: Mapping[str, dict]) -> dict[str, list[str]]:
    """The other designs by how their intervals lie to the base's; those without an interval are left out."""
    base, found = rows[BASE], {"clearly better": [], LEVEL: [], "clearly worse": []}
    known = {name: row for name, row in rows.items() if name != BASE and None not in (row["low"], base["low"])}
    for name, row in known.items():
        word = "clearly better" if row["low"] > base["high"] else "clearly worse" if row["high"] < base["low"] else LEVEL
        found[word].append(f"{name} ({num(row['value'], 3)})")
    return found


def spoken(row: Mapping) -> str:
    """A figure with its interval, where it has one."""
    ends = "" if row["low"] is None else f" [{num(row['low'], 3)}, {num(row['high'], 3)}]"
    return num(row["value"], 3) + ends


def symmetry_sentence(designs: Sequence[dict]) -> str:
    """Which designs notice how a function is written down."""
    value = {(row["design"], row["reading"]): row["value"] for row in designs}
    parts = []
    for reading, words in (("moved_by_order", "hidden units stand in another order"), ("moved_by_scale", "units are rescaled")):
        blind = [name for name in DESIGNS if value[name, reading] < NOTICED]
        moved = [f"{name} {num(value[name, reading])}" for name in DESIGNS if name not in blind]
        parts.append(
            f"When {words} the states of {listed(blind) or 'no design'} stay where they are"
            + (f", the others move (by a share of the distance between two networks): {listed(moved)}" if moved else "")
        )
    return ". ".join(parts) + "."


def depth_sentences(depth: Sequence[dict]) -> Iterator[str]:
    """Where in the model each fact can first be read, and what an untrained model of the same shape makes of it."""
    for level in dict.fromkeys(row["level"] for row in depth):
        parts = []
        for fact in dict.fromkeys(row["fact"] for row in depth if row["level"] == level):
            trained, untrained = (
                [row["value"] for row in depth if (row["model"], row["level"], row["fact"]) == (model, level, fact)]
                for model in ("trained", "untrained")
            )
            at = next(block for block, value in enumerate(trained) if value >= ARRIVED * trained[-1])
            where = "before the first block" if at == 0 else f"behind block {at}"
            text = f"{fact} {num(trained[0])} before and {num(trained[-1])} behind all blocks"
            parts.append(f"{text} (it has arrived {where}; untrained {num(untrained[-1])})")
        yield f"What the states of a {level} say, read linearly: {listed(parts)}."


def knockout_sentence(knockouts: Sequence[dict]) -> str:
    """Which links the prediction of a hidden parameter hangs on."""
    whole = by_cut(knockouts)
    order = sorted((name for name in whole if name != "nothing"), key=lambda name: whole[name]["value"])
    figures = [f"{name} {num(whole[name]['value'])} [{num(whole[name]['low'])}, {num(whole[name]['high'])}]" for name in order]
    kinds = [kind for kind in dict.fromkeys(row["kind"] for row in knockouts) if kind != "all"]
    most = [
        f"{kind}: {min((c for c in whole if c != 'nothing'), key=lambda c: by_cut(knockouts, kind)[c]['value'])}"
        for kind in kinds
    ]
    return (
        f"Hidden parameters are predicted with R² {num(whole['nothing']['value'])} (what is said of other networks: at most "
        f"{num(whole['nothing']['null_p95'])}); without attention between tokens, by what "
        f"they share: {listed(figures)}. The link that each kind of parameter misses most: {'; '.join(most)}."
    )
