"""Question 1: how big must the subject material be, and when does the investigator overfit?

Models of several sizes, each pretrained on the first so many training networks of one zoo and measured on the same
held-out networks. Pretraining keeps the weights of the best validation loss, so overfitting shows in the log of the losses,
not in what is kept.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metarep.embeddings.specs import embed_params
from metarep.evaluation.agreement import agreement
from metarep.evaluation.clusters import fit_kmeans
from metarep.evaluation.neighbours import Units, units_of
from metarep.model.settings import PretrainConfig
from metarep.model.transformer import ClozeModel, untrained_like
from metarep.studies.masked import Held, imputed_in_turn, kinds_of, predicted_in_turn
from metarep.studies.multipliers import large_zoo, question_model
from metarep.studies.rows import columns
from metarep.studies.size.figures import figures
from metarep.studies.size.leak import canonical_units, leak_rows, memory_rows
from metarep.studies.size.text import claims, sentences
from metarep.studies.study import Context, Result
from metarep.tables import read_csv
from metarep.zoos.zoo import Zoo

MAX_FIT = 3000
"""Training networks that k-means is fitted on, the same for every model."""

N_LOGGED = 12
"""Rows of a model's log at least, so that the step of its best validation loss is known."""

CONTROL = ("control", "train_networks", "r2_held_out", "r2_held_out_low", "r2_held_out_high", "ari", "ari_low", "ari_high")


class Material(NamedTuple):
    """What all models are measured on: networks of each split, a choice of test and of training networks, units."""

    train: Zoo
    valid: Zoo
    test: Zoo
    fit: Zoo
    units: Units


def run(context: Context) -> Result:
    """Every zoo size with every model size; then distances between networks, and what they have to do with errors."""
    config, zoo = context.config.size, large_zoo(context)
    material = gather(context, zoo)
    sizes = [n for n in config.train_networks if n <= len(material.train)] or [len(material.train)]
    wanted = {(size, n): settings(context, *size, n) for size in config.model_sizes for n in sizes}
    names = {(size, n): f"size-{size[0]}x{size[1]}-{n}" for size, n in wanted}
    made = context.models({names[key]: (value, [zoo.artefact.path]) for key, value in wanted.items()})
    models = {key: made[name] for key, name in names.items()}
    rows, curves, draws, errors = [], [], {}, {}
    with context.progress.task("measure", len(wanted), "models") as task:
        for key, pretrain in wanted.items():
            log = read_csv(context.model_artefact(names[key]).path / "log.csv")
            row, draws[key], errors[key] = measure(context, models[key], material, key, log, pretrain)
            rows.append(row)
            about = {"model": row["model"], "train_networks": key[1]}
            curves += [about | {name: entry[name] for name in ("step", "train_loss", "valid_loss")} for entry in log]
            task.advance(1, names[key])
    controls = [imputer_row(context, material, n) for n in sizes]
    for size in config.model_sizes:
        found = clusters(context, untrained_like(models[size, sizes[-1]], seed=context.config.seed), material)
        row = {"control": f"untrained, {title_of(*size)}", "train_networks": 0}
        controls.append(dict.fromkeys(CONTROL) | row | {name: found[name] for name in ("ari", "ari_low", "ari_high")})
    largest = max(config.model_sizes, key=lambda size: n_weights(models[size, sizes[-1]]))
    own = {n: errors[largest, n] for n in sorted({sizes[0], sizes[-1]})}
    leaks, distances, memory, nearness = leak_and_memory(context, material, title_of(*largest), own, sizes)
    tables = {"sizes": rows, "controls": controls, "curves": curves, "distances": leaks, "memory": memory}
    dropped = [n for n in config.train_networks if n not in sizes]
    return Result(
        claims(tables, np.stack([draws[largest, n] for n in sizes]), sizes, title_of(*largest)),
        sentences(tables, sizes, dropped, title_of(*largest), len(material.train)),
        tables=tables,
        figures=figures(tables, sizes, title_of(*largest), distances, nearness),
        numbers={"n_train": len(material.train), "n_test": len(material.test), "dropped_sizes": dropped},
        shown=("sizes", "controls", "distances", "memory"),
    )


def title_of(width: int, n_layers: int) -> str:
    """A model size as tables and figures call it: width times layers."""
    return f"width {width} × {n_layers}"


def n_weights(model: ClozeModel) -> int:
    """How many numbers a model learns."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def settings(context: Context, width: int, n_layers: int, n: int) -> PretrainConfig:
    """How one model is pretrained: as many heads as divide its width, and the losses logged often enough."""
    shared, steps = context.config.pretrain, context.config.size.n_steps
    heads = max(h for h in range(1, shared.n_heads + 1) if width % h == 0)
    every = max(1, min(shared.eval_every, steps // N_LOGGED))
    own = {"d_model": width, "n_layers": n_layers, "n_heads": heads, "n_steps": steps, "eval_every": every}
    return question_model(context, max_train_networks=n, **own)


def some(zoo: Zoo, n: int, *, seed: int, of: int | None = None) -> Zoo:
    """At most n networks of a zoo, or of the first `of`."""
    return zoo.select(np.sort(np.random.default_rng(seed).permutation(of or len(zoo))[:n]))


def gather(context: Context, zoo: Zoo) -> Material:
    """The splits and the choices that all models share."""
    train, valid, test = (zoo.where(split=name) for name in ("train", "valid", "test"))
    rng = np.random.default_rng(context.config.seed)
    test = test.select(np.sort(rng.permutation(len(test))[: context.config.size.max_test_networks]))
    fit = train.select(np.sort(rng.permutation(len(train))[:MAX_FIT]))
    return Material(train, valid, test, fit, units_of(train.params, kinds_of(train.spec).number))


def held(context: Context, material: Material, zoo: Zoo) -> Held:
    """Networks with resamples."""
    draws = {"n_bootstraps": context.config.n_bootstraps, "seed": context.config.seed}
    return Held.of(material.units.of(zoo.params), kinds_of(zoo.spec), **draws)


def measure(
    context: Context, model: ClozeModel, material: Material, key: tuple, log: list[dict], pretrain: PretrainConfig
) -> tuple[dict, np.ndarray, np.ndarray]:
    """A model's row of sizes.csv, its R² on test networks over resamples (B,), and its error (N,) on each of them."""
    (width, n_layers), n = key
    seen = some(material.train, context.config.size.max_test_networks, seed=context.config.seed, of=n)
    zoos = {"test": material.test, "seen": seen}
    predicted = {name: material.units.of(predicted_in_turn(model, zoo.spec, zoo.params)) for name, zoo in zoos.items()}
    r2 = {name: held(context, material, zoo).r2(predicted[name])[:, -1] for name, zoo in zoos.items()}
    best = min(log, key=lambda row: row["valid_loss"])
    row = {"model": title_of(width, n_layers), "width": width, "layers": n_layers, "weights": n_weights(model)}
    row |= {"train_networks": n, "epochs": pretrain.n_steps * pretrain.batch_size / n}
    row |= columns("r2_held_out", r2["test"]) | columns("r2_seen", r2["seen"]) | columns("r2_gap", r2["seen"] - r2["test"])
    row |= {"best_step": best["step"], "best_valid_loss": best["valid_loss"], "last_valid_loss": log[-1]["valid_loss"]}
    row |= {"last_train_loss": log[-1]["train_loss"], "overfit": log[-1]["valid_loss"] - best["valid_loss"]}
    row |= clusters(context, model, material)
    return row, r2["test"], np.square(predicted["test"] - material.units.of(material.test.params)).mean(axis=1)


def clusters(context: Context, model: ClozeModel, material: Material) -> dict:
    """The agreement of k-means clusters with the mode: fitted on training networks, measured on test networks.

    What is clustered is the predicted activity of units, or the states of models that were not asked for behaviour.
    """
    config, kind = context.config, "states" if model.decoder is None else "activity"
    fit, test = (embed_params(model, zoo.spec, zoo.params, kind).astype(float) for zoo in (material.fit, material.test))
    fitted = fit_kmeans(fit, min(config.size.k, len(fit)), seed=config.seed)
    found = agreement(material.test["mode"], fitted.predict(test), seed=config.seed, n_permutations=200)["ari"]
    return {"ari": found["value"], **{f"ari_{name}": found[name] for name in ("low", "high", "null")}}


def imputer_row(context: Context, material: Material, n: int) -> dict:
    """The linear-Gaussian imputer, fitted on the same training networks as a model."""
    test = held(context, material, material.test)
    imputed = imputed_in_turn(material.test.spec, material.units.of(material.train.params[:n]), test.values)
    row = {"control": "linear-Gaussian imputer", "train_networks": n}
    return dict.fromkeys(CONTROL) | row | columns("r2_held_out", test.r2(imputed)[:, -1])


def leak_and_memory(
    context: Context, material: Material, model: str, errors: dict[int, np.ndarray], sizes: list[int]
) -> tuple[list[dict], dict, list[dict], dict]:
    """Distances by zoo size, and the memory of the largest model by its errors, at the smallest and the largest zoo."""
    config, units = context.config, canonical_units(material.train)
    shared = {"n_bootstraps": config.n_bootstraps, "seed": config.seed}
    banks, most = sorted({*sizes, len(material.train)}), config.size.max_test_networks
    leaks, distances = leak_rows(material.train, material.test, units, banks, most=most, **shared)
    memory, nearness = [], {}
    for n, error in errors.items():
        zoos = material.train.select(np.arange(n)), material.valid, material.test
        rows, distance = memory_rows(model, error, *zoos, units, n_null=config.n_bootstraps, **shared)
        memory += rows
        nearness[n] = distance, error
    return leaks, distances, memory, nearness
