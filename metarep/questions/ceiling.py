"""Question 4: is the task too hard? How much of a hidden parameter the others say at all, and how near the model comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from metarep.analysis.inside import predicted_in_turn
from metarep.analysis.neighbours import (
    HiddenNeighbours,
    gamma_noise,
    in_all_orders,
    local_linear,
    local_mean,
    neighbours_without,
)
from metarep.cloze.imputers import fit_linear_gaussian
from metarep.cloze.model import ClozeModel
from metarep.experiments.experiment import Claim, Picture, Result
from metarep.networks.modes import MODES
from metarep.questions.ceiling_figures import ceiling_figure, convergence_figure
from metarep.questions.context import QuestionContext
from metarep.report.wording import listed, num
from metarep.zoo.store import Zoo

ALL = "all parameters"
CEILING, LOCAL, MEAN, MODEL, IMPUTER = "ceiling", "local fit", "neighbours' mean", "cloze model", "linear-Gaussian imputer"
CONVERGED = 0.01
"""The bound has converged where the last step of the bank changes it by less."""

NEAR = 0.02
"""The model has come to the bound where it is no farther from it than this."""

CEILING_CAPTION = (
    "Each parameter of a test network hidden in turn: the share of its variance that is predicted from the other eight. Bars "
    "are 95 % bootstrap intervals over networks. The bound is the Gamma test's estimate of what any predictor could reach; the "
    "local fit is a linear regression on the nearest networks of the bank, which needs no model."
)
CONVERGENCE_CAPTION = (
    "Left: the bound, the local fit and the neighbours' mean as the bank of networks grows, over all parameters. Right: by "
    "mode, the mean squared residual of each hidden parameter in units of its variance over all networks: what the model "
    "leaves (bars) and what the local fit leaves (marks)."
)


def run(context: QuestionContext) -> Result:
    """Estimates every hidden parameter of test networks from growing banks, by the model and by the imputer."""
    config, zoo = context.config.ceiling, context.large_zoo()
    zoo = zoo.select(zoo["mode"] != "")
    settings = context.settings(n_steps=config.n_steps, max_train_networks=config.n_train_networks, behaviour_weight=0.0)
    model = context.models(zoo, {"ceiling": settings})["ceiling"]
    train, test = (zoo.where(split=split) for split in ("train", "test"))
    test = test.select(np.arange(min(config.max_test_networks, len(test))))
    with torch.no_grad():
        bank, queries = (model.read(part.params).numpy().astype(np.float64) for part in (train, test))
    sizes = sorted({min(size, len(bank)) for size in config.bank_sizes})
    rows, residuals = predictor_rows(context, model, bank, queries)
    with context.progress.task("neighbours", len(sizes), "banks") as task:
        for size in sizes:
            found, fitted = bank_rows(context, model, bank[:size], queries)
            rows += [{"bank": size, **row} for row in found]
            task.advance(1, f"{size:,}")
    residuals[LOCAL] = fitted
    modes = list(mode_rows(model, residuals, test))
    return Result(
        claims(rows),
        tuple(sentences(rows, modes, sizes)),
        tables={"predicted": rows, "by_mode": modes},
        pictures={
            "ceiling": Picture(
                ceiling_figure(last(rows)), CEILING_CAPTION, "Dot plot of R² by kind of parameter and predictor."
            ),
            "convergence": Picture(
                convergence_figure([r for r in rows if r["parameter"] == ALL and r["bank"]], modes),
                CONVERGENCE_CAPTION,
                "Two charts.",
            ),
        },
        numbers={"n_test": len(test), "n_bank": sizes[-1], "n_neighbours": config.n_neighbours},
        shown=("predicted", "by_mode"),
    )


def groups_of(model: ClozeModel) -> dict[str, np.ndarray]:
    """Columns by kind of parameter, and all of them: hidden units stand for each other."""
    layout = model.layout
    return {name: np.flatnonzero(layout.slot_class == c) for c, name in enumerate(layout.class_names)} | {
        ALL: np.arange(layout.n_tokens)
    }


def predictor_rows(context: QuestionContext, model: ClozeModel, train: np.ndarray, test: np.ndarray) -> tuple[list, dict]:
    """Rows (bank None, parameter, predictor, r2, low, high) of the model and the imputer; their squared residuals (N, P)."""
    n, p = test.shape
    masks = np.tile(np.eye(p, dtype=bool), (n, 1))
    imputed = fit_linear_gaussian(train, model.layout)(np.repeat(test, p, axis=0), masks)[masks].reshape(n, p)
    predictions = {MODEL: predicted_in_turn(model, torch.from_numpy(test).float(), None), IMPUTER: imputed}
    residuals = {name: np.square(prediction - test) for name, prediction in predictions.items()}
    rows = [
        {"bank": None, "parameter": name, "predictor": predictor, **r2_of(residual[:, columns], test[:, columns], context)}
        for predictor, residual in residuals.items()
        for name, columns in groups_of(model).items()
    ]
    return rows, residuals


def bank_rows(
    context: QuestionContext, model: ClozeModel, bank: np.ndarray, queries: np.ndarray
) -> tuple[list[dict], np.ndarray]:
    """Rows (parameter, predictor, r2, low, high) from one bank, and the squared residuals (N, P) of the local fit.

    Bank and queries are taken in every order of the units, so that one hidden column stands for all of its kind.
    """
    config, spec = context.config.ceiling, model.spec
    everywhere, asked = in_all_orders(spec, bank), in_all_orders(spec, queries)
    n, n_orders = len(queries), len(asked) // len(queries)
    squared: dict[str, dict[str, np.ndarray]] = {MEAN: {}, LOCAL: {}}
    noise: dict[str, np.ndarray] = {}
    truth: dict[str, np.ndarray] = {}
    draws = bootstrap_rows(n, context)
    groups = {name: columns for name, columns in groups_of(model).items() if name != ALL}
    for name, columns in groups.items():
        found = neighbours_without(everywhere, asked, int(columns[0]), min(4 * config.n_neighbours, len(everywhere)))
        nearest = HiddenNeighbours(found.offset[:, : config.n_neighbours], found.value[:, : config.n_neighbours], found.truth)
        truth[name] = found.truth.reshape(n_orders, n).T
        for predictor, estimate in ((MEAN, local_mean(nearest)), (LOCAL, local_linear(found))):
            squared[predictor][name] = np.square(estimate - found.truth).reshape(n_orders, n).T
        noise[name] = np.array([gamma_noise(nearest), *(gamma_noise(of_networks(nearest, rows, n)) for rows in draws)])
    rows = [
        {"parameter": name, "predictor": predictor, **r2_of(own[name], truth[name], context)}
        for predictor, own in squared.items()
        for name in groups
    ]
    rows += [
        {"parameter": ALL, "predictor": predictor, **pooled_r2(own, truth, groups, context)}
        for predictor, own in squared.items()
    ]
    rows += ceiling_rows(noise, truth, groups, draws)
    fitted = np.empty_like(queries)
    for name, columns in groups.items():
        fitted[:, columns] = squared[LOCAL][name][:, : len(columns)]
    return rows, fitted


def of_networks(found: HiddenNeighbours, rows: np.ndarray, n: int) -> HiddenNeighbours:
    """The neighbours of a resample of networks, in all of their orders."""
    every = (rows[None, :] + n * np.arange(len(found.truth) // n)[:, None]).ravel()
    return HiddenNeighbours(*(part[every] for part in found))


def bootstrap_rows(n: int, context: QuestionContext) -> np.ndarray:
    """(B, n) row numbers of resamples of n networks."""
    return np.random.default_rng(context.config.seed).integers(0, n, (context.config.n_bootstraps, n))


def r2_of(residual: np.ndarray, truth: np.ndarray, context: QuestionContext) -> dict[str, float]:
    """{r2, low, high} of squared residuals (N, C) of values (N, C), each column about its own mean."""
    return _interval(lambda rows: 1 - residual[rows].sum() / max(_about_mean(truth[rows]), 1e-300), len(truth), context)


def pooled_r2(residuals: dict, truth: dict, groups: dict[str, np.ndarray], context: QuestionContext) -> dict[str, float]:
    """The same over all kinds of parameter, each counted as often as a network has it."""
    share = {name: len(columns) / residuals[name].shape[1] for name, columns in groups.items()}

    def score(rows: np.ndarray) -> float:
        left = sum(share[name] * residuals[name][rows].sum() for name in groups)
        return 1 - left / max(sum(share[name] * _about_mean(truth[name][rows]) for name in groups), 1e-300)

    return _interval(score, len(next(iter(truth.values()))), context)


def ceiling_rows(noise: dict, truth: dict, groups: dict[str, np.ndarray], draws: np.ndarray) -> Iterator[dict]:
    """The bound by kind and overall: 1 − noise / variance; noise (1 + B,) of all test networks and of each resample."""
    variance = {
        name: np.array([_about_mean(own) / own.size, *(_about_mean(own[rows]) / own.size for rows in draws)])
        for name, own in truth.items()
    }
    for name in (*groups, ALL):
        parts = [name] if name != ALL else list(groups)
        left = sum(len(groups[part]) * noise[part] for part in parts)
        whole = sum(len(groups[part]) * variance[part] for part in parts)
        bound = 1 - left / np.maximum(whole, 1e-300)
        low, high = np.quantile(bound[1:], [0.025, 0.975])
        yield {"parameter": name, "predictor": CEILING, "r2": float(bound[0]), "low": float(low), "high": float(high)}


def _about_mean(values: np.ndarray) -> float:
    """The sum of squares about the mean of each column."""
    return float(np.square(values - values.mean(axis=0)).sum())


def _interval(score: Callable[[np.ndarray], float], n: int, context: QuestionContext) -> dict[str, float]:
    low, high = np.quantile([score(rows) for rows in bootstrap_rows(n, context)], [0.025, 0.975])
    return {"r2": float(score(np.arange(n))), "low": float(low), "high": float(high)}


def mode_rows(model: ClozeModel, residuals: dict[str, np.ndarray], test: Zoo) -> Iterator[dict]:
    """Rows (mode, parameter, n, one column a predictor): mean squared residuals in units of the parameter's whole variance."""
    for mode in MODES:
        own = test["mode"] == mode
        if own.any():
            for name, columns in groups_of(model).items():
                figures = {predictor: float(residual[own][:, columns].mean()) for predictor, residual in residuals.items()}
                yield {"mode": mode, "parameter": name, "n": int(own.sum()), **figures}


def last(rows: Sequence[dict]) -> list[dict]:
    """The rows of the largest bank, and those that need none."""
    largest = max(row["bank"] for row in rows if row["bank"])
    return [row for row in rows if row["bank"] in (None, largest)]


def table_of(rows: Sequence[dict]) -> dict[tuple[str, str], dict]:
    """The rows of the largest bank by (parameter, predictor)."""
    return {(row["parameter"], row["predictor"]): row for row in last(rows)}


def claims(rows: Sequence[dict]) -> tuple[Claim, ...]:
    """What the model predicts of each kind of parameter, beside the bound."""
    of = table_of(rows)
    names = dict.fromkeys(row["parameter"] for row in rows)
    return tuple(
        Claim(
            f"masked R² of the cloze model, {name}",
            of[name, MODEL]["r2"],
            best=of[name, CEILING]["r2"],
            low=of[name, MODEL]["low"],
            high=of[name, MODEL]["high"],
            decimals=3,
        )
        for name in (ALL, *(n for n in names if n != ALL))
    )


def sentences(rows: Sequence[dict], modes: Sequence[dict], sizes: Sequence[int]) -> Iterator[str]:
    """What was found, in words."""
    of = table_of(rows)
    kinds = [name for name in dict.fromkeys(row["parameter"] for row in rows) if name != ALL]
    model, bound, fit, imputer = (of[ALL, name] for name in (MODEL, CEILING, LOCAL, IMPUTER))
    yield (
        f"Of the variance of a hidden parameter the other eight determine {num(bound['r2'], 3)} [{num(bound['low'], 3)}, "
        f"{num(bound['high'], 3)}] by the Gamma test on {sizes[-1]:,} networks in all orders; the model predicts "
        f"{num(model['r2'], 3)} [{num(model['low'], 3)}, {num(model['high'], 3)}], {model['r2'] / bound['r2']:.0%} of that. A "
        f"linear fit on the nearest networks predicts {num(fit['r2'], 3)}, the linear-Gaussian imputer {num(imputer['r2'], 3)}."
    )
    near = [k for k in kinds if of[k, CEILING]["r2"] - of[k, MODEL]["r2"] <= NEAR]
    far = [f"{k} ({num(of[k, MODEL]['r2'], 3)} of {num(of[k, CEILING]['r2'], 3)})" for k in kinds if k not in near]
    text = (
        f"The model comes within {num(NEAR)} of the bound for {listed(near)}"
        if near
        else "For no kind of parameter does the model come to the bound"
    )
    yield text + (f"; it stays behind for {listed(far)}." if far else ".")
    beaten = [k for k in kinds if of[k, LOCAL]["low"] > of[k, MODEL]["high"]]
    yield (
        f"The nearest networks clearly predict {listed(beaten)} better than the model: there it leaves something to be learned."
        if beaten
        else "For no kind of parameter do the nearest networks clearly predict better than the model."
    )
    yield convergence_sentence(rows, sizes)
    worst = max((row for row in modes if row["parameter"] == ALL), key=lambda row: row[LOCAL])
    least = min((row for row in modes if row["parameter"] == ALL), key=lambda row: row[LOCAL])
    yield (
        f"What cannot be predicted lies in mode {worst['mode']}: even the local fit leaves {num(worst[LOCAL])} of the variance "
        f"there, the model {num(worst[MODEL])}; least is left in mode {least['mode']} ({num(least[LOCAL], 3)} and "
        f"{num(least[MODEL], 3)})."
    )


def convergence_sentence(rows: Sequence[dict], sizes: Sequence[int]) -> str:
    """Whether a larger bank would change the bound."""
    bound = {row["bank"]: row["r2"] for row in rows if row["parameter"] == ALL and row["predictor"] == CEILING}
    values = [bound[size] for size in sizes]
    if len(values) < 2:
        return "With one bank alone nothing can be said of convergence."
    change = values[-1] - values[-2]
    word = "has converged" if abs(change) < CONVERGED else "has not converged"
    return (
        f"The bound {word}: from {sizes[-2]:,} to {sizes[-1]:,} networks it changes by {num(change, 3)}, over all banks from "
        f"{num(values[0], 3)} to {num(values[-1], 3)}."
    )
