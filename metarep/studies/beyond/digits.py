"""What frozen embeddings say of small convolutional networks: test accuracy, epoch, generalisation gap.

A window model is pretrained on the training runs of a zoo of digit networks, and never told anything but parameters. Ridge
regression and boosted trees read its embeddings, an untrained model's, and weight statistics; all are measured on held-out
runs, then on a design that no regression has seen.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from metarep.artefact import is_done, open_artefact
from metarep.cloze.embed import load_embeddings
from metarep.domains.digits.build import build_digits
from metarep.evaluation.arena import EMBEDDING, Representation, vectors_of
from metarep.evaluation.baselines import layer_statistics
from metarep.evaluation.predict import metric_rows, prediction_rows
from metarep.evaluation.probes import linear_regressor
from metarep.evaluation.settings import PredictConfig
from metarep.evaluation.weight_statistics import QUANTILES
from metarep.report.wording import num
from metarep.studies.beyond.digit_figures import designs_figure, targets_figure
from metarep.studies.experiment import Claim, Context, Picture, Result
from metarep.studies.settings import DigitsStudyConfig
from metarep.windows.embed import embed_windows
from metarep.windows.pretrain import pretrain_windows
from metarep.windows.settings import WindowEmbedConfig
from metarep.zoos.zoo import KIND, Zoo, open_zoo

BASELINE = "weight statistics"
TARGETS = {"test_accuracy": "test accuracy", "epoch": "epoch", "gap": "generalisation gap"}
EMBEDDINGS = {
    "layers": WindowEmbedConfig(),
    "pooled": WindowEmbedConfig(kind="pooled"),
    "untrained": WindowEmbedConfig(untrained=True, name="untrained"),
}
JOINT = {"layers + statistics": ("layers", BASELINE)}
MOMENTS = "mean and spread of weights"
"""Weight statistics without their quartiles: what these add is what an average over tokens cannot say."""


def run(context: Context) -> Result:
    """See the head of this file."""
    config: DigitsStudyConfig = context.config.digits
    zoo = digit_zoo(context)
    statistics = layer_statistics(zoo, np.ones(len(zoo), dtype=bool))
    vectors = embedded(context, zoo) | {BASELINE: statistics, MOMENTS: without_quartiles(statistics)}
    vectors |= {name: np.concatenate([vectors[part] for part in parts], axis=1) for name, parts in JOINT.items()}
    columns = {name: np.array(zoo[name], dtype=np.float64) for name in TARGETS}
    run_id, split, design = (np.array(zoo[name], dtype=object).astype(str) for name in ("run_id", "split", "design"))
    train, test = np.flatnonzero(split == "train"), np.flatnonzero(split == "test")
    settings = config.predict.model_copy(update={"seed": context.config.seed})
    representations = [Representation(name, EMBEDDING, "", name, False, "", x) for name, x in vectors.items()]
    rows = prediction_rows(representations, columns, run_id, train, test, settings, context.progress)
    others = list(design_rows(vectors, columns, run_id, train, test, design, settings))
    n_runs = len(set(run_id))
    return Result(
        claims=claims(rows),
        sentences=sentences(rows, others, len(zoo), n_runs),
        tables={"predictions": rows, "designs": others},
        pictures={
            "targets": Picture(
                targets_figure(rows, TARGETS),
                "Held-out runs, all designs; the better of ridge regression and boosted trees for each representation; 95 % "
                "intervals over runs, bars: permuted labels.",
            ),
            "designs": Picture(
                designs_figure(others, TARGETS),
                "Designs that the regression has not seen: fitted on the other four. R² below the axis stands at its edge.",
            ),
        },
        shown=("predictions", "designs"),
    )


def digit_zoo(context: Context) -> Zoo:
    """The zoo of digit networks, trained where it does not stand yet."""
    config = context.config.digits.zoo.model_copy(update={"seed": context.config.seed})
    path = context.shared / "digits"
    if not is_done(path, KIND, config.resolved(), {}):
        build_digits(config, path, overwrite=path.exists(), progress=context.progress)
    zoo = open_zoo(path).finite()
    context.used["digits"] = zoo.artefact
    return zoo


def pretrained(context: Context, zoo: Zoo) -> Path:
    """The window model of digit networks, pretrained where it does not stand yet."""
    settings = context.config.digits.pretrain.model_copy(update={"seed": context.config.seed})
    model = context.shared / "models" / "digits"
    if not is_done(model, "window-model", settings.resolved(), {"zoo": zoo.artefact}):
        pretrain_windows(settings, [zoo.artefact.path], model, overwrite=model.exists(), progress=context.progress)
    context.used["model_digits"] = open_artefact(model)
    return model


def embedded(context: Context, zoo: Zoo) -> dict[str, np.ndarray]:
    """The vectors (N, D) of every network, by representation."""
    model = pretrained(context, zoo)
    inputs = {"model": open_artefact(model), "zoo": zoo.artefact}
    found = {}
    for name, config in EMBEDDINGS.items():
        path = context.shared / "embeddings" / f"digits_{name}"
        if not is_done(path, "embeddings", config.resolved(), inputs):
            embed_windows(config, model, zoo.artefact.path, path, overwrite=path.exists(), progress=context.progress)
        found[name] = vectors_of(load_embeddings(path), zoo)
    return found


def without_quartiles(statistics: np.ndarray) -> np.ndarray:
    """(N, F): of weight statistics (N, 1 + groups · 7) the mean and the standard deviation of each group of weights."""
    groups = statistics[:, 1:].reshape(len(statistics), -1, 2 + len(QUANTILES))
    return groups[:, :, :2].reshape(len(statistics), -1)


def design_rows(vectors, columns, run_id, train, test, design, settings: PredictConfig):
    """As `prediction_rows`, a ridge regression fitted on all designs but one and measured on the test runs of that one."""
    for held in sorted(set(design)):
        fit, measured = train[design[train] != held], test[design[test] == held]
        for target, y in columns.items():
            for name, x in vectors.items():
                predicted = linear_regressor().fit(x[fit], y[fit]).predict(x[measured])
                rng = np.random.default_rng(settings.seed)
                permuted = [linear_regressor().fit(x[fit], rng.permutation(y[fit])).predict(x[measured]) for _ in range(3)]
                for row in metric_rows(y[measured], predicted, permuted, run_id[measured], settings):
                    yield {"design": held, "representation": name, "target": target, **row}


def best(rows: list[dict[str, Any]], target: str, name: str, metric: str = "r2") -> dict[str, Any]:
    """The row of the better regressor."""
    wanted = (target, name, metric)
    own = [row for row in rows if (row["target"], row["representation"], row["metric"]) == wanted]
    return max(own, key=lambda row: row["value"])


def claims(rows: list[dict[str, Any]]) -> tuple[Claim, ...]:
    """R² of the embeddings for each target, with that of weight statistics as the figure to beat."""
    found = []
    for target, title in TARGETS.items():
        own, other = best(rows, target, "layers"), best(rows, target, BASELINE)
        name = f"{title}: R² from the layers embedding ({own['regressor']}); weight statistics reach the last figure"
        found.append(Claim(name, own["value"], decimals=3, low=own["low"], high=own["high"], over="runs", best=other["value"]))
    return tuple(found)


def sentences(rows, others, n_networks: int, n_runs: int) -> tuple[str, ...]:
    """In plain words, target by target."""
    said = [f"{n_networks:,} snapshots of {n_runs:,} runs; splits by run."]
    for target, title in TARGETS.items():
        names = list(dict.fromkeys(row["representation"] for row in rows))
        parts = [f"{name} {_figure(best(rows, target, name))}" for name in names]
        tau = best(rows, target, "layers", "kendall_tau"), best(rows, target, BASELINE, "kendall_tau")
        own, base = best(rows, target, "layers"), best(rows, target, BASELINE)
        said.append(
            f"{title.capitalize()}, R² at the better regressor: {', '.join(parts)}. The embedding is {_verdict(own, base)} "
            f"weight statistics; Kendall's τ {num(tau[0]['value'])} against {num(tau[1]['value'])}."
        )
        rest = best(rows, target, MOMENTS)
        if rest["high"] < base["low"]:
            said.append(
                f"Why statistics tell so much of {title}: their quartiles. Mean and spread of each layer alone reach "
                f"{_figure(rest)}; the embedding, means and spreads of hidden states, is {_verdict(own, rest)} these."
            )
    for target, title in TARGETS.items():
        some = [row for row in others if (row["target"], row["metric"]) == (target, "kendall_tau")]
        names = ("layers", BASELINE, "untrained")
        means = {name: np.mean([row["value"] for row in some if row["representation"] == name]) for name in names}
        listed = ", ".join(f"{name} {num(float(value))}" for name, value in means.items())
        said.append(
            f"{title.capitalize()} of designs never seen, Kendall's τ of ridge regression, mean over designs: {listed}."
        )
    return tuple(said)


def _figure(row: dict[str, Any]) -> str:
    return f"{num(row['value'], 3)} [{num(row['low'], 3)}, {num(row['high'], 3)}]"


def _verdict(own: dict[str, Any], base: dict[str, Any]) -> str:
    """How R² stands to another, by intervals."""
    if own["low"] > base["high"]:
        return "clearly above"
    if own["high"] < base["low"]:
        return "clearly below"
    return "not clearly different from"
