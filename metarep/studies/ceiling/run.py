"""Question 4: is the task too hard for clean representations? How much of each kind of parameter can be predicted at all.

Each parameter y of a held-out network is masked in turn. From its neighbours in a bank of training networks the Gamma test
(Stefánsson, Končar and Jones, "A note on the Gamma test", 1997) estimates what no smooth function of the other P − 1 parameters
can predict: a line through the mean squared distances of the first, second, … neighbour and half the mean squared differences
in y meets distance 0 at that variance. The bank holds every network in every order of its hidden units, so that two networks
that differ by the order alone meet.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.spatial import cKDTree

from metarep.domains.multiplier.modes import MODE_NAMES, MODES
from metarep.networks.symmetry import all_unit_orders
from metarep.report.dots import Panel, Series, dots_figure
from metarep.report.style import MUTED, PALETTE
from metarep.report.wording import listed, num
from metarep.studies.multipliers import large_zoo, question_model
from metarep.studies.reading import HeldOut, Scale, imputed_in_turn, kinds_of, predicted_in_turn, share_explained
from metarep.studies.rows import Row, Rows, by, columns, spoken
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.zoos.zoo import Zoo

ALL = "all"
MODEL, CEILING, IMPUTER = "model", "ceiling", "imputer"
"""The columns of the table: R² of the cloze model, the Gamma test's estimate of what can be reached, the linear-Gaussian
imputer."""

LOOKS = {
    CEILING: ("within reach (Gamma test)", PALETTE[1], "D"),
    IMPUTER: ("linear-Gaussian imputer", MUTED, "s"),
    MODEL: ("cloze model", PALETTE[0], "o"),
}


def run(context: Context) -> Result:
    """The bank, then the model and the imputer beside it."""
    config, zoo, seed = context.config.ceiling, large_zoo(context), context.config.seed
    train, test = zoo.where(split="train"), zoo.where(split="test")
    train = train.select(np.arange(min(config.n_train_networks, len(train))))
    test = test.select(np.sort(np.random.default_rng(seed).permutation(len(test))[: config.max_test_networks]))
    kinds = kinds_of(zoo.spec)
    scale = kinds.scale(train.params)
    held = HeldOut.of(scale.of(test.params), kinds, n_bootstraps=context.config.n_bootstraps, seed=seed)
    reach = ceiling_draws(train, scale, held, config.n_neighbours)
    predicted = {
        MODEL: scale.of(model_predictions(context, zoo, test)),
        IMPUTER: imputed_in_turn(zoo.spec, scale.of(train.params), held.values),
    }
    rows = predictability_rows(reach, predicted, held)
    modes = mode_rows(predicted[MODEL], held, test["mode"].astype(str))
    whole = rows[0]
    claims = (
        Claim.of("share of the predictable variance that the model predicts", whole, "share", best=1.0),
        Claim.of("masked R² of the model", whole, MODEL, best=whole[CEILING]),
        Claim.of("R² that the Gamma test puts within reach", whole, CEILING),
    )
    sentences = (
        f"Each parameter masked in turn, a model pretrained for the cloze test alone ({len(train):,} training networks, "
        f"{config.n_steps:,} steps) predicts an R² of {spoken(whole, MODEL)}; the Gamma test puts {spoken(whole, CEILING)} "
        f"within reach, {share(whole)}. The linear-Gaussian imputer reaches {spoken(whole, IMPUTER)}; predictions permuted "
        f"among networks reach at most {num(max(whole[f'{name}_null'] for name in predicted))}.",
        how_hard(by(rows[1:], "parameter")),
        where_it_lies(modes),
    )
    return Result(claims, sentences, {"predictability": rows, "by_mode": modes}, {"predictability": figure(rows, len(train))})


def ceiling_draws(train: Zoo, scale: Scale, held: HeldOut, n_neighbours: int) -> np.ndarray:
    """(B, C + 1): 1 − noise / variance by the Gamma test in each resample, for every kind of parameter and over all.

    Every parameter of the held-out networks is masked in turn, and the bank of these training networks asked. The noise is at
    least 0; that of several kinds together is the sum of what each one's test finds.
    """
    bank = scale.of(train.params)[:, all_unit_orders(train.spec)].reshape(-1, train.spec.n_params)
    found = [nearest(bank, held.values, slot, n_neighbours) for slot in range(held.values.shape[1])]
    delta, gamma = (np.stack(part, axis=1) for part in zip(*found, strict=True))  # (N, P, p), nearest neighbour first
    kinds, steps = held.kinds, range(delta.shape[2])
    delta, gamma = (np.stack([held.weights @ kinds.sums(p[:, :, k]) for k in steps], axis=-1) for p in (delta, gamma))
    count = held.weights.sum(axis=1)[:, None] * np.bincount(kinds.number)
    noise = np.maximum(intercept(delta / count[..., None], gamma / count[..., None]), 0.0) * count
    return share_explained(noise, held.total)


def nearest(bank: np.ndarray, queries: np.ndarray, slot: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Of the nearest k points of a bank (M, P), or all, to queries (N, P) by all parameters but the one at `slot`: squared
    distances (N, k), and half the squared differences in that one (N, k).
    """
    rest = cKDTree(np.delete(bank, slot, axis=1))
    distance, index = rest.query(np.delete(queries, slot, axis=1), k=np.arange(1, min(k, len(bank)) + 1))
    return np.square(distance), 0.5 * np.square(bank[index, slot] - queries[:, slot, None])


def intercept(delta: np.ndarray, gamma: np.ndarray) -> np.ndarray:
    """(…,): where the least-squares line of gamma (…, p) on delta (…, p) meets delta = 0; the mean where delta stands still."""
    x, y = delta - delta.mean(axis=-1, keepdims=True), gamma - gamma.mean(axis=-1, keepdims=True)
    spread = np.square(x).sum(axis=-1)
    slope = np.where(spread > 0, (x * y).sum(axis=-1) / np.where(spread > 0, spread, 1.0), 0.0)
    return gamma.mean(axis=-1) - slope * delta.mean(axis=-1)


def model_predictions(context: Context, zoo: Zoo, test: Zoo) -> np.ndarray:
    """(N, P): what a model says that was pretrained for the cloze test alone, few parameters masked at a time."""
    config, shared = context.config.ceiling, context.config.pretrain
    few = max(min(config.mask_ratio_max, shared.mask_ratio_max), shared.mask_ratio_min)
    alone = {"behaviour_weight": 0.0, "jitter": 0.0, "mask_ratio_max": few, "unit_mask_share": 0.0}
    wanted = question_model(context, max_train_networks=config.n_train_networks, n_steps=config.n_steps, **alone)
    model = context.models({"ceiling": (wanted, [zoo.artefact.path])})["ceiling"]
    return predicted_in_turn(model, zoo.spec, test.params)


def predictability_rows(reach: np.ndarray, predicted: Mapping[str, np.ndarray], held: HeldOut) -> list[dict]:
    """One row for all parameters and one for each kind: R² with intervals, of predictions with their nulls, and the model's
    share of what can be predicted.
    """
    r2 = {name: held.r2(own) for name, own in predicted.items()}
    nulls = {name: np.quantile(held.permuted_r2(own), 0.95, axis=0) for name, own in predicted.items()}
    rows = []
    for at, name in ((-1, ALL), *enumerate(held.kinds.names)):
        row = {"parameter": name} | columns(CEILING, reach[:, at])
        for label, draws in r2.items():
            row |= columns(label, draws[:, at]) | {f"{label}_null": float(nulls[label][at])}
        within = np.where(reach[:, at] > 0, reach[:, at], np.nan)
        rows.append(row | columns("share", r2[MODEL][:, at] / within))
    return rows


def mode_rows(predicted: np.ndarray, held: HeldOut, of_network: np.ndarray) -> list[dict]:
    """One row for each of the modes of_network (N,): its share of the networks, and of all that predictions (N, P) leave."""
    left, rows = np.square(held.values - predicted).sum(axis=1), []
    for mode in (mode for mode in MODES if (of_network == mode).any()):
        own = of_network == mode
        row = {"mode": mode, "n": int(own.sum()), "share_of_networks": float(own.mean())}
        rows.append(row | {"share_of_unexplained": float(left[own].sum() / left.sum())})
    return rows


def figure(rows: Rows, n_train: int) -> Figure:
    """A row a kind of parameter, with the share of what is within reach that the model predicts."""
    kinds = {r["parameter"]: f"{r['parameter']}: {'n/a' if r['share'] is None else format(r['share'], '.0%')}" for r in rows}
    series = [Series.of(title, rows, "parameter", *look, metric=name) for name, (title, *look) in LOOKS.items()]
    return Figure(
        dots_figure([Panel("masked R²", series, floor=-0.5)], kinds),
        "R² of held-out networks' parameters, each masked in turn, with 95 % intervals over networks, beside what the Gamma "
        f"test on {n_train:,} training networks estimates that any smooth predictor could reach; by kind of parameter, with "
        "the share of what is within reach that the model predicts.",
    )


def share(whole: Row) -> str:
    """How much of what can be reached the model predicts."""
    if whole["share"] is None:
        return "so that no share of it can be given"
    if whole["share_low"] > 1:
        verdict = "the model predicts more, so the estimate is too low"
    elif whole["share_high"] >= 1:
        verdict = "the model is not clearly below what can be reached"
    else:
        verdict = "the model leaves some of what can be reached"
    return f"{spoken(whole, 'share')} of it: {verdict}"


def how_hard(kinds: Mapping[str, Row]) -> str:
    """Which parameters the others determine least."""
    known = {name: row for name, row in kinds.items() if row[CEILING] is not None}
    parts = [f"{name} {spoken(row, CEILING)}" for name, row in sorted(known.items(), key=lambda item: item[1][CEILING])]
    return f"By kind of parameter, the others determine of its variance: {listed(parts)}."


def where_it_lies(rows: Rows) -> str:
    """Which modes hold what the model leaves unexplained."""
    own = sorted(rows, key=lambda row: -row["share_of_unexplained"])
    parts = [f"mode {r['mode']} {r['share_of_unexplained']:.0%} (of the networks {r['share_of_networks']:.0%})" for r in own]
    most = own[0]["mode"]
    return f"What the model leaves unexplained lies in {listed(parts)}. Mode {most} is: {MODE_NAMES[most]}."
