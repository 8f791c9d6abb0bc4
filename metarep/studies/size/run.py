"""Question 1: how big must the subject material be, and when does the investigator overfit?

Models of several sizes, each pretrained on the first so many training networks of one zoo and measured on the same
held-out networks. Pretraining keeps the weights of the best validation loss, so overfitting shows in the log of the losses,
not in what is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from metarep.embeddings.specs import embed_params
from metarep.evaluation.agreement import agreement
from metarep.evaluation.clusters import fit_kmeans
from metarep.evaluation.neighbours import Units, units_of
from metarep.model.settings import PretrainConfig
from metarep.model.transformer import ClozeModel, untrained_like
from metarep.studies.masked import Held, columns, imputed_in_turn, kinds_of, predicted_in_turn
from metarep.studies.multipliers import large_zoo, question_model
from metarep.studies.size.figures import figures
from metarep.studies.size.leak import canonical_units, leak_rows, memory_rows
from metarep.studies.size.text import NEAR, needed, sentences
from metarep.studies.study import Claim, Context, Result
from metarep.tables import read_csv
from metarep.zoos.zoo import Zoo

MAX_FIT = 3000
"""Training networks that k-means is fitted on, the same for every model."""

N_LOGGED = 12
"""Rows of a model's log at least, so that the step of its best validation loss is known."""

Key = tuple[int, int, int]
"""A model: its width, its number of layers, and the number of its training networks."""


class Measured(NamedTuple):
    """A model's row of sizes.csv, its R² on test networks over resamples (B,), and its error (N,) on each of them."""

    row: dict
    draws: np.ndarray
    error: np.ndarray


@dataclass(frozen=True)
class Material:
    """What all models are measured on: networks of each split, a choice of test and of training networks, units."""

    train: Zoo
    valid: Zoo
    test: Zoo
    fit: Zoo
    units: Units
    seed: int
    n_bootstraps: int

    def held(self, zoo: Zoo) -> Held:
        """Networks with resamples."""
        values = self.units.of(zoo.params)
        return Held.of(values, kinds_of(zoo.spec), n_bootstraps=self.n_bootstraps, seed=self.seed)

    def r2(self, zoo: Zoo, predicted: np.ndarray) -> np.ndarray:
        """(B,): masked R² of predictions (N, P) of a zoo's networks, over all kinds of parameters."""
        return self.held(zoo).r2(self.units.of(predicted))[:, -1]


def run(context: Context) -> Result:
    """Every zoo size with every model size; then distances between networks, and what they have to do with errors."""
    config, zoo = context.config.size, large_zoo(context)
    material = gather(context, zoo)
    sizes = [n for n in config.train_networks if n <= len(material.train)] or [len(material.train)]
    wanted = {(w, n_layers, n): settings(context, w, n_layers, n) for w, n_layers in config.model_sizes for n in sizes}
    models = context.models({model_name(*key): (value, [zoo.artefact.path]) for key, value in wanted.items()})
    found, curves = {}, []
    with context.progress.task("measure", len(wanted), "models") as task:
        for key, pretrain in wanted.items():
            log = read_csv(context.model_artefact(model_name(*key)).path / "log.csv")
            found[key] = measure(context, models[model_name(*key)], material, key, log, pretrain)
            about = {"model": size_title(*key[:2]), "train_networks": key[2]}
            curves += [about | {name: row[name] for name in ("step", "train_loss", "valid_loss")} for row in log]
            task.advance(1, model_name(*key))
    controls = [imputer_row(material, n) for n in sizes]
    controls += [untrained_row(context, models[model_name(*size, sizes[-1])], material, size) for size in config.model_sizes]
    largest = max(config.model_sizes, key=lambda size: n_weights(models[model_name(*size, sizes[-1])]))
    leaks, distances, memory, nearness = leak_and_memory(context, material, found, sizes, largest)
    tables = {"sizes": [one.row for one in found.values()], "controls": controls, "curves": curves}
    tables |= {"distances": leaks, "memory": memory}
    dropped = [n for n in config.train_networks if n not in sizes]
    return Result(
        claims(tables, found, sizes, largest),
        sentences(tables, sizes, dropped, largest, len(material.train)),
        tables=tables,
        figures=figures(tables, sizes, largest, distances, nearness),
        numbers={"n_train": len(material.train), "n_test": len(material.test), "dropped_sizes": dropped},
        shown=("sizes", "controls", "distances", "memory"),
    )


def model_name(width: int, n_layers: int, n: int) -> str:
    """The folder of one model."""
    return f"size-{width}x{n_layers}-{n}"


def size_title(width: int, n_layers: int) -> str:
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


def gather(context: Context, zoo: Zoo) -> Material:
    """The splits and the choices that all models share."""
    seed, most = context.config.seed, context.config.size.max_test_networks
    train, valid, test = (zoo.where(split=name) for name in ("train", "valid", "test"))
    rng = np.random.default_rng(seed)
    test = test.select(np.sort(rng.permutation(len(test))[:most]))
    fit = train.select(np.sort(rng.permutation(len(train))[:MAX_FIT]))
    units = units_of(train.params, kinds_of(train.spec).number)
    return Material(train, valid, test, fit, units, seed, context.config.n_bootstraps)


def measure(context: Context, model: ClozeModel, material: Material, key: Key, log: list[dict], pretrain) -> Measured:
    """Everything that is measured of one model."""
    width, n_layers, n = key
    seed, most = context.config.seed, context.config.size.max_test_networks
    seen = material.train.select(np.sort(np.random.default_rng(seed).permutation(n)[:most]))
    test, spec, units = material.test, material.test.spec, material.units
    predicted = predicted_in_turn(model, spec, test.params)
    on_test, on_seen = material.r2(test, predicted), material.r2(seen, predicted_in_turn(model, spec, seen.params))
    best = min(log, key=lambda row: row["valid_loss"])
    row = {"model": size_title(width, n_layers), "width": width, "layers": n_layers, "weights": n_weights(model)}
    row |= {"train_networks": n, "epochs": pretrain.n_steps * pretrain.batch_size / n}
    row |= columns("r2_held_out", on_test) | columns("r2_seen", on_seen) | columns("r2_gap", on_seen - on_test)
    row |= {"best_step": best["step"], "best_valid_loss": best["valid_loss"], "last_valid_loss": log[-1]["valid_loss"]}
    row |= {"last_train_loss": log[-1]["train_loss"], "overfit": log[-1]["valid_loss"] - best["valid_loss"]}
    row |= clusters(context, model, material)
    return Measured(row, on_test, np.square(units.of(predicted) - units.of(test.params)).mean(axis=1))


def clusters(context: Context, model: ClozeModel, material: Material) -> dict:
    """The agreement of k-means clusters with the mode: fitted on training networks, measured on test networks.

    What is clustered is the predicted activity of units, or the states of models that were not asked for behaviour.
    """
    config, kind = context.config, "states" if model.decoder is None else "activity"
    fit, test = (embed_params(model, zoo.spec, zoo.params, kind).astype(float) for zoo in (material.fit, material.test))
    fitted = fit_kmeans(fit, min(config.size.k, len(fit)), seed=config.seed)
    found = agreement(material.test["mode"], fitted.predict(test), seed=config.seed, n_permutations=200)["ari"]
    return {"ari": found["value"], **{f"ari_{name}": found[name] for name in ("low", "high", "null")}}


CONTROL = ("control", "train_networks", "r2_held_out", "r2_held_out_low", "r2_held_out_high", "ari", "ari_low", "ari_high")


def imputer_row(material: Material, n: int) -> dict:
    """The linear-Gaussian imputer, fitted on the same training networks as a model."""
    held, spec = material.held(material.test), material.test.spec
    imputed = imputed_in_turn(spec, material.units.of(material.train.params[:n]), held.values)
    row = {"control": "linear-Gaussian imputer", "train_networks": n}
    return dict.fromkeys(CONTROL) | row | columns("r2_held_out", held.r2(imputed)[:, -1])


def untrained_row(context: Context, model: ClozeModel, material: Material, size: tuple[int, int]) -> dict:
    """A freshly initialised model of one size: what its clusters reach without any training network."""
    found = clusters(context, untrained_like(model, seed=context.config.seed), material)
    row = {"control": f"untrained, {size_title(*size)}", "train_networks": 0}
    return dict.fromkeys(CONTROL) | row | {name: found[name] for name in ("ari", "ari_low", "ari_high")}


def leak_and_memory(
    context: Context, material: Material, found: dict[Key, Measured], sizes: list[int], largest: tuple[int, int]
) -> tuple[list[dict], dict, list[dict], dict]:
    """Distances by zoo size, and the memory of the largest model at the smallest and the largest zoo."""
    config, units = context.config, canonical_units(material.train)
    shared = {"n_bootstraps": config.n_bootstraps, "seed": config.seed}
    most = config.size.max_test_networks
    banks = sorted({*sizes, len(material.train)})
    leaks, distances = leak_rows(material.train, material.test, units, banks, most=most, **shared)
    memory, nearness = [], {}
    for n in sorted({sizes[0], sizes[-1]}):
        error, seen = found[*largest, n].error, material.train.select(np.arange(n))
        rows, distance = memory_rows(
            size_title(*largest), error, seen, material.valid, material.test, units, n_null=config.n_bootstraps, **shared
        )
        memory += rows
        nearness[n] = distance, error
    return leaks, distances, memory, nearness


def claims(tables: dict, found: dict[Key, Measured], sizes: list[int], largest: tuple[int, int]) -> tuple[Claim, ...]:
    """The size that is enough first; then what the largest model reaches on the largest zoo, overfitting, leak and memory."""
    draws = np.stack([found[*largest, n].draws for n in sizes])
    enough = [needed(column, sizes) for column in draws.T]
    low, high = (int(v) for v in np.quantile(enough[1:], [0.025, 0.975], method="nearest"))
    last = found[*largest, sizes[-1]].row
    over = max((one.row for one in found.values()), key=lambda row: row["overfit"])
    leak, memory = tables["distances"][-2], tables["memory"][-2]
    name, with_all = size_title(*largest), f"{sizes[-1]:,} training networks"
    nearness = "rank correlation of error with distance to what was seen, less unseen"
    return (
        Claim(f"training networks until {name} is within {NEAR} of its best R²", enough[0], low=low, high=high, decimals=0),
        Claim.of(f"masked R², {with_all}", last, "r2_held_out"),
        Claim.of(f"ARI with the mode, {with_all}", last, "ari"),
        Claim(f"largest rise of the validation loss ({over['model']}, {over['train_networks']:,} networks)", over["overfit"]),
        Claim.of("chance that a held-out network lies farther from training ones", leak, "auc", best=0.5),
        Claim.of(nearness, memory, "difference", best=0.0),
    )
