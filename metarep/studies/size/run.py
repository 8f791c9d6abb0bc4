"""Question 1: how big must the subject material be, and when does the investigator overfit?

Models of several sizes, each pretrained on the first so many training networks of one zoo and measured on the same
held-out networks. Pretraining keeps the weights of the best validation loss, so overfitting shows in the log of the losses,
not in what is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from metarep.embeddings.specs import embed_params
from metarep.evaluation.agreement import agreement
from metarep.evaluation.clusters import fit_kmeans
from metarep.model.settings import PretrainConfig
from metarep.model.transformer import ClozeModel
from metarep.report.dots import Series, lines_figure, series_of
from metarep.report.style import MUTED
from metarep.report.wording import capital, listed
from metarep.studies.multipliers import large_zoo, question_model
from metarep.studies.reading import HeldOut, Scale, imputed_in_turn, kinds_of, predicted_in_turn
from metarep.studies.rows import Rows, by, columns, relation, spoken, values, where
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.tables import read_csv
from metarep.zoos.zoo import Zoo

MAX_FIT = 3000
"""Training networks that k-means is fitted on, the same for every model."""

N_LOGGED = 12
"""Rows of a model's log at least, so that the step of its best validation loss is known."""

NEAR = 0.02
"""R² within so much of the best counts as enough."""

OVERFITS = 0.02
"""Nats: a last validation loss that lies so far above the best one is called overfitting."""

IMPUTER, N = "linear-Gaussian imputer", "train_networks"


class Material(NamedTuple):
    """What all models are measured on: training and test networks, some of the former for clusters, a scale."""

    train: Zoo
    test: Zoo
    fit: Zoo
    scale: Scale


def run(context: Context) -> Result:
    """Every zoo size with every model size, beside the imputer that is fitted on the same networks."""
    config, zoo = context.config.size, large_zoo(context)
    material = gather(context, zoo)
    sizes = [n for n in config.train_networks if n <= len(material.train)] or [len(material.train)]
    wanted = {(size, n): settings(context, *size, n) for size in config.model_sizes for n in sizes}
    names = {(size, n): f"size-{size[0]}x{size[1]}-{n}" for size, n in wanted}
    models = context.models({names[key]: (value, [zoo.artefact.path]) for key, value in wanted.items()})
    rows = []
    with context.progress.task("measure", len(wanted), "models") as task:
        for key, name in names.items():
            log = read_csv(context.model_artefact(name).path / "log.csv")
            rows.append(measured(context, models[name], material, key, log))
            task.advance(1, name)
    test = held(context, material, material.test)
    for n in sizes:
        imputed = imputed_in_turn(zoo.spec, material.scale.of(material.train.params[:n]), test.values)
        row = {"model": IMPUTER, N: n} | columns("r2_held_out", test.r2(imputed)[:, -1])
        rows.append(dict.fromkeys(rows[0]) | row)
    biggest = max((row for row in rows if row["model"] != IMPUTER), key=lambda row: row["weights"])["model"]
    return Result(
        claims(rows, sizes, biggest),
        tuple(sentences(rows, sizes, biggest)),
        tables={"sizes": rows},
        figures={"sizes": Figure(figure(rows), CAPTION)},
    )


CAPTION = (
    "By number of training networks, with 95 % intervals over networks: masked R² on held-out networks, dashed on those that "
    "the model saw, grey the linear-Gaussian imputer; agreement of clusters with the mode, ticks what permuted labels reach; "
    "how far the validation loss has risen above its lowest by the last step."
)


def settings(context: Context, width: int, n_layers: int, n: int) -> PretrainConfig:
    """How one model is pretrained: as many heads as divide its width, and the losses logged often enough."""
    shared, steps = context.config.pretrain, context.config.size.n_steps
    heads = max(h for h in range(1, shared.n_heads + 1) if width % h == 0)
    every = max(1, min(shared.eval_every, steps // N_LOGGED))
    own = {"d_model": width, "n_layers": n_layers, "n_heads": heads, "n_steps": steps, "eval_every": every}
    return question_model(context, max_train_networks=n, **own)


def gather(context: Context, zoo: Zoo) -> Material:
    """The splits and the choices that all models share."""
    train, test = (zoo.where(split=name) for name in ("train", "test"))
    rng = np.random.default_rng(context.config.seed)
    test = test.select(np.sort(rng.permutation(len(test))[: context.config.size.max_test_networks]))
    fit = train.select(np.sort(rng.permutation(len(train))[:MAX_FIT]))
    return Material(train, test, fit, kinds_of(train.spec).scale(train.params))


def held(context: Context, material: Material, zoo: Zoo) -> HeldOut:
    """Networks with resamples."""
    draws = {"n_bootstraps": context.config.n_bootstraps, "seed": context.config.seed}
    return HeldOut.of(material.scale.of(zoo.params), kinds_of(zoo.spec), **draws)


def measured(context: Context, model: ClozeModel, material: Material, key: tuple, log: list[dict]) -> dict:
    """A model's row: masked R² on held-out networks and on those it saw, clusters, losses."""
    (width, n_layers), n = key
    rng = np.random.default_rng(context.config.seed)
    seen = material.train.select(np.sort(rng.permutation(n)[: context.config.size.max_test_networks]))
    r2 = {}
    for name, zoo in (("held_out", material.test), ("seen", seen)):
        predicted = material.scale.of(predicted_in_turn(model, zoo.spec, zoo.params))
        r2[name] = held(context, material, zoo).r2(predicted)[:, -1]
    best = min(log, key=lambda row: row["valid_loss"])
    row = {"model": f"width {width} × {n_layers}", "weights": sum(p.numel() for p in model.parameters()), "train_networks": n}
    row |= columns("r2_held_out", r2["held_out"]) | columns("r2_seen", r2["seen"])
    row |= columns("r2_gap", r2["seen"] - r2["held_out"]) | clusters(context, model, material)
    return row | {"best_step": best["step"], "overfit": log[-1]["valid_loss"] - best["valid_loss"]}


def clusters(context: Context, model: ClozeModel, material: Material) -> dict:
    """The agreement of k-means clusters with the mode: fitted on training networks, measured on test networks.

    What is clustered is the predicted activity of units, or the states of models that were not asked for behaviour.
    """
    config, kind = context.config, "states" if model.decoder is None else "activity"
    fit, test = (embed_params(model, zoo.spec, zoo.params, kind).astype(float) for zoo in (material.fit, material.test))
    fitted = fit_kmeans(fit, min(config.size.k, len(fit)), seed=config.seed)
    found = agreement(material.test["mode"], fitted.predict(test), seed=config.seed, n_permutations=200)["ari"]
    return {"ari": found["value"], **{f"ari_{name}": found[name] for name in ("low", "high", "null")}}


def figure(rows: Rows):
    """Three panels by number of training networks."""
    titles = {model: model for model in values(rows, "model") if model != IMPUTER}
    of = {metric: series_of(rows, "model", titles, N, metric) for metric in ("r2_held_out", "r2_seen", "ari", "overfit")}
    seen = [replace(one, label="", dashed=True) for one in of["r2_seen"]]
    imputer = Series.of("linear-Gaussian", where(rows, model=IMPUTER), N, MUTED, metric="r2_held_out", dashed=True)
    panels = {
        "Masked R²": [*of["r2_held_out"], *seen, imputer],
        "Clusters: ARI with the mode": of["ari"],
        "Loss above its lowest at the end (nats)": of["overfit"],
    }
    return lines_figure({title: (N, series) for title, series in panels.items()})


def needed(found: Sequence[float], sizes: Sequence[int]) -> int:
    """The least of the sizes whose value is within NEAR of the best value."""
    found = np.asarray(found, float)
    return sizes[int(np.argmax(found >= found.max() - NEAR))]


def claims(rows: Rows, sizes: list[int], biggest: str) -> tuple[Claim, ...]:
    """The size that is enough, and what the largest model reaches on the largest zoo."""
    own = where(rows, model=biggest)
    enough, last = needed([row["r2_held_out"] for row in own], sizes), own[-1]
    return (
        Claim(f"training networks until {biggest} is within {NEAR} of its best R²", enough, decimals=0),
        Claim.of(f"masked R², {sizes[-1]:,} training networks", last, "r2_held_out"),
        Claim.of(f"ARI with the mode, {sizes[-1]:,} training networks", last, "ari"),
    )


def sentences(rows: Rows, sizes: list[int], biggest: str) -> Iterator[str]:
    """What more networks and larger models bring, in words."""
    of_model: Mapping[str, Rows] = {model: where(rows, model=model) for model in values(rows, "model") if model != IMPUTER}
    parts = []
    for model, own in of_model.items():
        best = max(own, key=lambda row: row["r2_held_out"])
        enough = needed([row["r2_held_out"] for row in own], sizes)
        parts.append(f"{model}: {enough:,} (best {spoken(best, 'r2_held_out')} with {best['train_networks']:,})")
    yield (
        f"Training networks that bring the held-out masked R² within {NEAR} of the best: {'; '.join(parts)}. There is one "
        "pretraining seed, whose chance no interval here shows."
    )
    yield against_imputer(rows, sizes)
    told = [
        f"{model} {spoken(own[0], 'ari')} with {sizes[0]:,}, {spoken(own[-1], 'ari')} with {sizes[-1]:,}"
        for model, own in of_model.items()
    ]
    yield f"Clusters agree with the mode with an ARI of: {'; '.join(told)}."
    yield overfitting(of_model)
    pairs = [
        f"{spoken(row, 'r2_seen')} against {spoken(row, 'r2_held_out')} with {row['train_networks']:,}"
        for row in (of_model[biggest][0], of_model[biggest][-1])
    ]
    yield f"Masked R² of {biggest} on the networks it saw and on held-out ones: {listed(pairs)}."


def against_imputer(rows: Rows, sizes: list[int]) -> str:
    """Which model is best at the smallest and the largest zoo, beside the imputer."""
    parts = []
    for n in dict.fromkeys((sizes[0], sizes[-1])):
        own = by(rows, "model", train_networks=n)
        imputer = own.pop(IMPUTER)
        best = max(own.values(), key=lambda row: row["r2_held_out"])
        parts.append(
            f"with {n:,} networks {best['model']} predicts held-out parameters best, R² {spoken(best, 'r2_held_out')}, "
            f"{relation(best, imputer, 'r2_held_out')} the linear-Gaussian imputer ({spoken(imputer, 'r2_held_out')})"
        )
    return f"{capital(listed(parts))}."


def overfitting(of_model: Mapping[str, Rows]) -> str:
    """Which models' validation loss rises again."""
    over = {model: [row["train_networks"] for row in own if row["overfit"] > OVERFITS] for model, own in of_model.items()}
    told = [f"{model} with up to {max(sizes):,} networks" for model, sizes in over.items() if sizes]
    return (
        f"Overfitting, a last validation loss more than {OVERFITS} nats above the best: "
        f"{listed(told) if told else 'none of the models shows it'}."
    )
