"""Question 4: is the task too hard for clean representations? How much of each kind of parameter can be predicted at all.

Each parameter of a held-out network is masked in turn. Neighbours in a bank of training networks say what can be reached:
their mean and a local linear fit from below, and the Gamma test (see `evaluation.neighbours`) estimates what no
smooth predictor could exceed. Both depend on how dense the bank is, so they are shown as it grows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from metarep.domains.multiplier.modes import MODES
from metarep.evaluation.neighbours import (
    Units,
    bank_of,
    half_squares,
    hidden_neighbours,
    intercept,
    local_linear,
    neighbour_mean,
    units_of,
)
from metarep.studies.ceiling.figures import figures
from metarep.studies.ceiling.text import ALL, CEILING, IMPUTER, LOCAL, MEAN_OF, MODEL, claims, sentences
from metarep.studies.masked import Held, imputed_in_turn, kinds_of, predicted_in_turn, share_explained
from metarep.studies.multipliers import large_zoo, question_model
from metarep.studies.rows import columns, number
from metarep.studies.study import Context, Result
from metarep.zoos.zoo import Zoo


class Answer(NamedTuple):
    """What a bank says of every parameter of N networks when it is masked.

    mean, local: (N, P) predictions. delta, gamma: (N, P, p) what the Gamma test averages, nearest neighbour first.
    """

    mean: np.ndarray
    local: np.ndarray
    delta: np.ndarray
    gamma: np.ndarray


def run(context: Context) -> Result:
    """Banks of growing size, then the model and the imputer beside the largest."""
    config, zoo, seed = context.config.ceiling, large_zoo(context), context.config.seed
    train, test = zoo.where(split="train"), zoo.where(split="test")
    test = test.select(np.sort(np.random.default_rng(seed).permutation(len(test))[: config.max_test_networks]))
    kinds = kinds_of(zoo.spec)
    units = units_of(train.params, kinds.number)
    held = Held.of(units.of(test.params), kinds, n_bootstraps=context.config.n_bootstraps, seed=seed)
    sizes = bank_sizes(config.bank_sizes, len(train))
    draws, answer = {}, None
    with context.progress.task("neighbours", len(sizes), "banks") as task:
        for n in sizes:
            answer = ask_bank(train.select(np.arange(n)), units, held, config.n_neighbours, config.n_local)
            draws[n] = {MEAN_OF: held.r2(answer.mean), LOCAL: held.r2(answer.local), CEILING: ceiling_draws(answer, held)}
            task.advance(1, f"{n:,}")
    predicted = {MODEL: units.of(model_predictions(context, zoo, test)), LOCAL: answer.local}
    n_fit = min(config.n_train_networks, len(train))
    imputed = imputed_in_turn(zoo.spec, units.of(train.params[:n_fit]), held.values)
    beside = draws[sizes[-1]] | {MODEL: held.r2(predicted[MODEL]), IMPUTER: held.r2(imputed)}
    nulls = {name: null_of(held, own) for name, own in (predicted | {MEAN_OF: answer.mean, IMPUTER: imputed}).items()}
    tables = {
        "predictability": predictability_rows(beside, nulls, held),
        "convergence": convergence_rows(draws, held),
        "by_mode": mode_rows(predicted, held, test["mode"].astype(str)),
    }
    return Result(
        claims(tables["predictability"]),
        sentences(tables, context.config, sizes, n_fit),
        tables=tables,
        figures=figures(tables, sizes),
        numbers={"n_train": len(train), "n_test": len(test), "bank_sizes": sizes, "n_model": n_fit},
        shown=("predictability", "by_mode"),
    )


def bank_sizes(wanted: Sequence[int], n_train: int) -> list[int]:
    """The sizes of banks that there are training networks for; all of them where that leaves less than two."""
    sizes = sorted({n for n in wanted if n <= n_train})
    return sizes if len(sizes) > 1 else sorted({*sizes, max(2, n_train // 3), n_train})


def ask_bank(train: Zoo, units: Units, held: Held, n_neighbours: int, n_local: int) -> Answer:
    """Masks every parameter of the held-out networks in turn and asks the bank of these training networks."""
    bank = bank_of(train.spec, train.params, units)
    parts = []
    for slot in range(held.values.shape[1]):
        found = hidden_neighbours(bank, held.values, slot, max(n_neighbours, n_local))
        delta, gamma = half_squares(found, held.values[:, slot], n_neighbours)
        parts.append((neighbour_mean(found, n_neighbours), local_linear(found), delta, gamma))
    return Answer(*(np.stack(column, axis=1) for column in zip(*parts, strict=True)))


def ceiling_draws(answer: Answer, held: Held) -> np.ndarray:
    """(B, C + 1): 1 − noise / variance by the Gamma test, for every kind and over all; the noise is at least 0.

    The noise of several kinds together is the sum of what each one's test finds.
    """
    steps, kinds = range(answer.delta.shape[2]), held.kinds
    summed = [[held.weights @ kinds.sums(part[:, :, k]) for k in steps] for part in (answer.delta, answer.gamma)]
    delta, gamma = (np.stack(sums, axis=-1) for sums in summed)
    count = held.weights.sum(axis=1)[:, None] * np.bincount(kinds.number)
    noise = np.maximum(intercept(delta / count[..., None], gamma / count[..., None]), 0.0) * count
    return share_explained(noise, held.total)


def model_predictions(context: Context, zoo: Zoo, test: Zoo) -> np.ndarray:
    """(N, P): what a model says that was pretrained for the cloze test alone, few parameters masked at a time."""
    config, shared = context.config.ceiling, context.config.pretrain
    few = max(min(config.mask_ratio_max, shared.mask_ratio_max), shared.mask_ratio_min)
    alone = {"behaviour_weight": 0.0, "jitter": 0.0, "mask_ratio_max": few, "unit_mask_share": 0.0}
    wanted = question_model(context, max_train_networks=config.n_train_networks, n_steps=config.n_steps, **alone)
    model = context.models({"ceiling": (wanted, [zoo.artefact.path])})["ceiling"]
    return predicted_in_turn(model, zoo.spec, test.params)


def null_of(held: Held, predicted: np.ndarray) -> np.ndarray:
    """(C + 1,): the 95th percentile of R² when predictions are permuted among networks."""
    return np.quantile(held.permuted_r2(predicted), 0.95, axis=0)


def named_columns(held: Held) -> list[tuple[int, str]]:
    """The columns of R² (B, C + 1) with their names: all parameters first, then each kind."""
    return [(-1, ALL), *enumerate(held.kinds.names)]


def predictability_rows(beside: dict[str, np.ndarray], nulls: dict[str, np.ndarray], held: Held) -> list[dict]:
    """One row for all and for each kind: R² with intervals, the nulls (C + 1,) of what makes predictions, and the model's share
    of what can be predicted.
    """
    rows = []
    for at, name in named_columns(held):
        n_values = int((held.kinds.number == at).sum() or len(held.kinds.number)) * len(held.values)
        row = {"parameter": name, "n_values": n_values}
        for label, draws in beside.items():
            row |= columns(label, draws[:, at])
            row |= {f"{label}_null": number(nulls[label][at])} if label in nulls else {}
        reach = beside[CEILING][:, at]
        rows.append(row | columns("share", beside[MODEL][:, at] / np.where(reach > 0, reach, np.nan)))
    return rows


def convergence_rows(draws: dict[int, dict[str, np.ndarray]], held: Held) -> list[dict]:
    """One row for each size of the bank and each kind of parameter."""
    rows = []
    for n, found in draws.items():
        for at, name in named_columns(held):
            row = {"bank": n, "parameter": name}
            for label, values in found.items():
                row |= columns(label, values[:, at])
            rows.append(row)
    return rows


def mode_rows(predicted: dict[str, np.ndarray], held: Held, of_network: np.ndarray) -> list[dict]:
    """One row for each mode and kind, with all kinds first; `of_network` (N,) are the modes.

    What is left unexplained, in units of the kind's variance over all networks, by model and local fit; and the share of
    all that the model leaves unexplained.
    """
    left = {name: held.kinds.sums(np.square(held.values - values)) for name, values in predicted.items()}
    total, rows = held.total[0], []
    for mode in (m for m in MODES if (of_network == m).any()):
        own = of_network == mode
        drawn = held.weights[:, own].sum(axis=1)
        for at, name in named_columns(held):
            kinds = slice(None) if name == ALL else [at]
            variance = total[kinds].sum() / len(own)
            row = {"mode": mode, "parameter": name, "n": int(own.sum()), "share_of_networks": float(own.mean())}
            for label, squares in left.items():
                summed = held.weights[:, own] @ squares[own][:, kinds].sum(axis=1)
                means = np.divide(summed, drawn, out=np.full(len(drawn), np.nan), where=drawn > 0)
                row |= columns(f"left_{label}", means / max(variance, 1e-12))
            everywhere = max(left[MODEL][:, kinds].sum(), 1e-12)
            rows.append(row | {"share_of_unexplained": number(left[MODEL][own][:, kinds].sum() / everywhere)})
    return rows
