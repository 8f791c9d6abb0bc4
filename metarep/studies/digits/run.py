"""What frozen embeddings say of small convolutional networks: test accuracy, epoch, generalisation gap.

A model is pretrained on the training runs of a zoo of digit networks, and never told anything but parameters. Ridge
regression and boosted trees read its embeddings, an untrained model's, and weight statistics; all are measured on held-out
runs, then on a design that no regression has seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Drawing

from metarep.domains.digits.build import build_digits
from metarep.embeddings.settings import EmbedConfig
from metarep.embeddings.stage import embed_networks
from metarep.evaluation.arena import Representation
from metarep.evaluation.baselines import BASELINES
from metarep.evaluation.folds import Fold
from metarep.evaluation.predict import metric_rows, prediction_rows
from metarep.evaluation.probes import linear_regressor
from metarep.evaluation.settings import PredictConfig
from metarep.evaluation.weight_statistics import N_STATISTICS
from metarep.model.transformer import ClozeModel, untrained_like
from metarep.report.style import MUTED, PALETTE, drawing
from metarep.report.wording import num, plain
from metarep.runner import Stage
from metarep.studies.drawing import legend_outside, marks
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.studies.words import relation, spoken
from metarep.zoos.zoo import KIND, Zoo, open_zoo

FLOOR = -1.0
SHOWN = ("layers", "weight_statistics", "untrained")


def figures(rows: list[dict[str, Any]], designs: list[dict[str, Any]], targets: Mapping[str, str]) -> dict[str, Figure]:
    """The figures of the page."""
    return {
        "targets": Figure(
            targets_figure(rows, targets),
            "Held-out runs, all designs; the better of ridge regression and boosted trees for each representation; 95 % "
            "intervals over runs, bars: permuted labels.",
        ),
        "designs": Figure(
            designs_figure(designs, targets),
            "Designs that the regression has not seen: fitted on the other four. R² below the axis is drawn at its edge.",
        ),
    }


def targets_figure(rows: list[dict[str, Any]], targets: Mapping[str, str]) -> Drawing:
    """A panel a target, a row a representation: R² (filled) and Kendall's τ (open), the better regressor of both."""
    names = list(dict.fromkeys(row["representation"] for row in rows))
    with drawing(10.5, 1.5 + 0.42 * len(names)) as figure:
        axes = figure.subplots(1, len(targets), sharey=True)
        for ax, (target, title) in zip(axes, targets.items(), strict=True):
            for at, name in enumerate(names):
                for metric, shift, face in (("r2", -0.12, None), ("kendall_tau", 0.12, "white")):
                    row = best(rows, target, name, metric)
                    colour = PALETTE[0] if metric == "r2" else PALETTE[1]
                    ax.plot([row["low"], row["high"]], [at + shift] * 2, color=colour, lw=1.6, zorder=1)
                    label = {"r2": "R²", "kendall_tau": "Kendall's τ"}[metric] if at == 0 else None
                    ax.plot(row["value"], at + shift, "o", color=colour, mfc=face or colour, ms=5.5, label=label)
                    ax.plot([row["null"]] * 2, [at + shift - 0.1, at + shift + 0.1], color=MUTED, lw=1)
            ax.set(title=title, ylim=(len(names) - 0.5, -0.5))
        axes[0].set_yticks(range(len(names)), [plain(name) for name in names])
        legend_outside(figure, axes[0])
    return figure


def designs_figure(rows: list[dict[str, Any]], targets: Mapping[str, str]) -> Drawing:
    """A panel a target, a row a design that was held out: R² of ridge regression."""
    designs = sorted({row["design"] for row in rows})
    with drawing(10.5, 1.9 + 0.5 * len(designs)) as figure:
        axes = figure.subplots(1, len(targets), sharey=True)
        for ax, (target, title) in zip(axes, targets.items(), strict=True):
            for number, name in enumerate(SHOWN):
                own = {r["design"]: r for r in rows if (r["representation"], r["target"], r["metric"]) == (name, target, "r2")}
                at, look = np.arange(len(designs)) + 0.2 * (number - 1), {"color": PALETTE[number], "fmt": "osD"[number]}
                own_rows = [own[one] for one in designs]
                marks(ax, at, own_rows, "value", across=True, floor=FLOOR, label=plain(name), **look)
            ax.axvline(0, color=MUTED, lw=0.8)
            ax.set(title=title, ylim=(len(designs) - 0.5, -0.5), xlim=(FLOOR - 0.06, 1.03), xlabel="R²")
        axes[0].set_yticks(range(len(designs)), designs)
        legend_outside(figure, axes[0], "lower center")
    return figure


TARGETS = {"test_accuracy": "test accuracy", "epoch": "epoch", "gap": "generalisation gap"}
BASELINE = "weight_statistics"
MOMENTS = "mean and spread of weights"
"""Weight statistics without their quartiles: what these add is what an average over tokens cannot say."""


def best(rows: list[dict[str, Any]], target: str, name: str, metric: str = "r2") -> dict[str, Any]:
    """The row of the better regressor."""
    wanted = (target, name, metric)
    own = [row for row in rows if (row["target"], row["representation"], row["metric"]) == wanted]
    return max(own, key=lambda row: row["value"])


def claims(rows: list[dict[str, Any]]) -> tuple[Claim, ...]:
    """R² of the embeddings for each target, with that of weight statistics as the value to beat."""
    found = []
    for target, title in TARGETS.items():
        own, other = best(rows, target, "layers"), best(rows, target, BASELINE)
        name = f"{title}: R² from the layers embedding ({own['regressor']}); weight statistics reach the last value"
        found.append(Claim(name, own["value"], decimals=3, low=own["low"], high=own["high"], over="runs", best=other["value"]))
    return tuple(found)


def sentences(rows, others, n_networks: int, n_runs: int) -> tuple[str, ...]:
    """In plain words, target by target."""
    said = [f"{n_networks:,} snapshots of {n_runs:,} runs; splits by run."]
    for target, title in TARGETS.items():
        names = list(dict.fromkeys(row["representation"] for row in rows))
        parts = [f"{name} {spoken(best(rows, target, name), digits=3)}" for name in names]
        tau = best(rows, target, "layers", "kendall_tau"), best(rows, target, BASELINE, "kendall_tau")
        own, base = best(rows, target, "layers"), best(rows, target, BASELINE)
        said.append(
            f"{title.capitalize()}, R² at the better regressor: {', '.join(parts)}. The embedding is {relation(own, base)} "
            f"weight statistics; Kendall's τ {num(tau[0]['value'])} against {num(tau[1]['value'])}."
        )
        rest = best(rows, target, MOMENTS)
        if rest["high"] < base["low"]:
            said.append(
                f"Why statistics tell so much of {title}: their quartiles. Mean and spread of each layer alone reach "
                f"{spoken(rest, digits=3)}; the embedding, means and spreads of states, is {relation(own, rest)} these."
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


EMBEDDINGS = {"layers": "layers", "pooled": "pooled", "untrained": "layers"}
"""Embeddings by name, with their kinds."""
JOINT = {"layers + statistics": ("layers", BASELINE)}


def run(context: Context) -> Result:
    """See the head of this file."""
    config, zoo = context.config.digits, digit_zoo(context)
    vectors = represented(context, zoo)
    columns = {name: zoo[name].astype(np.float64) for name in TARGETS}
    run_id, split = zoo.run_id.astype(str), zoo.split.astype(str)
    train, test = np.flatnonzero(split == "train"), np.flatnonzero(split == "test")
    settings = config.predict.model_copy(update={"seed": context.config.seed})
    shown = [Representation(name, "", "", "", name == "untrained", "", x) for name, x in vectors.items()]
    found = prediction_rows(shown, columns, run_id, [Fold(train, test, train)], settings, context.progress)
    kept = ("representation", "target", "regressor", "metric", "value", "low", "high", "null", "n_networks", "n_runs")
    rows = [{name: row[name] for name in kept} for row in found]
    others = list(design_rows(vectors, columns, zoo, train, test, settings))
    return Result(
        claims=claims(rows),
        sentences=sentences(rows, others, len(zoo), len(set(run_id))),
        tables={"predictions": rows, "designs": others},
        figures=figures(rows, others, TARGETS),
        shown=("predictions", "designs"),
    )


def digit_zoo(context: Context) -> Zoo:
    """The zoo of digit networks: the finite ones."""
    config = context.config.digits.zoo.model_copy(update={"seed": context.config.seed})
    (artefact,) = context.made(Stage("digits", KIND, config.resolved(), partial(build_digits, config)))
    return open_zoo(artefact.path).finite()


def digit_model(context: Context, zoo: Zoo) -> ClozeModel:
    """The model of digit networks."""
    settings = context.config.digits.pretrain.model_copy(update={"seed": context.config.seed})
    return context.models({"digits": (settings, [zoo.artefact.path])})["digits"]


def represented(context: Context, zoo: Zoo) -> dict[str, np.ndarray]:
    """The vectors (N, D) of every network, by representation."""
    model, rows = digit_model(context, zoo), np.arange(len(zoo))
    models = {"untrained": untrained_like(model, seed=context.config.seed)}
    found = {
        name: embed_networks(models.get(name, model), zoo, rows, EmbedConfig(kind=kind)).astype(np.float64)
        for name, kind in EMBEDDINGS.items()
    }
    statistics = BASELINES[BASELINE].make(zoo, zoo.split == "train")
    found |= {BASELINE: statistics, MOMENTS: without_quartiles(statistics)}
    return found | {name: np.concatenate([found[part] for part in parts], axis=1) for name, parts in JOINT.items()}


def without_quartiles(statistics: np.ndarray) -> np.ndarray:
    """(N, F): of weight statistics (N, 1 + groups · 7) the mean and the standard deviation of each group of weights."""
    groups = statistics[:, 1:].reshape(len(statistics), -1, N_STATISTICS)
    return groups[:, :, :2].reshape(len(statistics), -1)


def design_rows(
    vectors: Mapping[str, np.ndarray], columns: Mapping[str, np.ndarray], zoo: Zoo, train, test, settings: PredictConfig
) -> Iterator[dict[str, Any]]:
    """As `prediction_rows`, a ridge regression fitted on all designs but one and measured on the test runs of that one."""
    design, run_id = zoo["design"].astype(str), zoo.run_id.astype(str)
    for held in sorted(set(design)):
        fit, measured = train[design[train] != held], test[design[test] == held]
        for target, y in columns.items():
            for name, x in vectors.items():
                predicted = linear_regressor().fit(x[fit], y[fit]).predict(x[measured])
                rng = np.random.default_rng(settings.seed)
                permuted = [linear_regressor().fit(x[fit], rng.permutation(y[fit])).predict(x[measured]) for _ in range(3)]
                for row in metric_rows(y[measured], predicted, permuted, run_id[measured], settings):
                    yield {"design": held, "representation": name, "target": target, **row}
