"""What decides the mode at birth: the final mode predicted from the initialisation alone.

Fitted on training networks, measured on test networks, importance on validation networks. The decision
weighs the predicted probabilities by the inverse of the classes' shares, which is best for balanced
accuracy. Information is H(mode) − cross-entropy on test networks, in bits: a lower bound on the mutual
information of initialisation and mode, as good as the predictor.

How far any predictor could get is measured by twins: the same initialisation trained on the data of
another seed. Where twins differ, the data decided.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from metarep.domains.multiplier.geometry import QUADRANTS
from metarep.domains.multiplier.mode_paths import share_row
from metarep.domains.multiplier.modes import MODES, MULTIPLIER, label_modes
from metarep.evaluation.resampling import balanced_accuracy, interval
from metarep.training.engines import train_fast
from metarep.training.recipe import Plan
from metarep.zoos.zoo import Zoo

N_ROUNDS = 80
"""Of boosting."""

N_REPEATS = 5
"""Permutations of a quantity, to see how much it matters."""

LEAST_PROBABILITY = 1e-4
"""Predicted probabilities are not taken below it: one surprise must not decide the log loss."""

UNIT_NAMES = ("w₁ + w₂", "|w₁ − w₂|", "bias", "output weight")

Features = dict[str, np.ndarray]
"""Quantities of initialisations by name, each (N,)."""


def initial_features(params: np.ndarray) -> dict[str, Features]:
    """Sets of quantities of 2-2-1 initialisations (N, 9), each invariant to the order of units and of inputs.

    "mode": which mode it is; "areas": exact active areas (smaller first) and quadrant areas;
    "parameters": those of the unit with the smaller active area first; "all": areas and parameters.
    """
    params = np.asarray(params, np.float64)
    labels = label_modes(MULTIPLIER, params)
    order = np.argsort(labels.active_area, axis=1, kind="stable")
    (weight, bias), (out, out_bias) = MULTIPLIER.unpack(params)
    units = np.concatenate([weight, bias[..., None], out[:, 0, :, None], labels.active_area[..., None]], axis=-1)
    units = np.take_along_axis(units, order[:, :, None], axis=1)
    areas = {f"area of the {title} unit": units[:, i, 4] for i, title in enumerate(("smaller", "larger"))}
    areas |= {f"area {name}": labels.quadrant_area[:, i] for i, name in enumerate(QUADRANTS)}
    difference, parameters = units[..., 0] - units[..., 1], {}
    for i, title in enumerate(("smaller", "larger")):
        own = (units[:, i, :2].sum(axis=1), np.abs(difference[:, i]), units[:, i, 2], units[:, i, 3])
        parameters |= {f"{name}, {title} unit": values for name, values in zip(UNIT_NAMES, own, strict=True)}
    parameters |= {"units tilt to the same side": np.sign(difference.prod(axis=1)), "output bias": out_bias[:, 0]}
    modes = {f"mode is {mode}": (labels.mode == mode).astype(float) for mode in MODES}
    return {"mode": modes, "areas": areas, "parameters": parameters, "all": areas | parameters}


def logistic():
    """Multinomial logistic regression on standardised quantities."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=300, tol=1e-3))


def boosted_trees():
    """Gradient-boosted trees, shallow and slow, for a few thousand networks."""
    return HistGradientBoostingClassifier(
        max_iter=N_ROUNDS, learning_rate=0.1, max_leaf_nodes=15, min_samples_leaf=20, l2_regularization=1.0, random_state=0
    )


PREDICTORS: dict[str, Callable] = {"logistic regression": logistic, "boosted trees": boosted_trees}


@dataclass(frozen=True)
class Fitted:
    """A predictor and the classes' shares (C,) on its training networks."""

    model: object
    classes: np.ndarray
    prior: np.ndarray

    def probability(self, x: np.ndarray) -> np.ndarray:
        """(N, C), none below LEAST_PROBABILITY."""
        p = np.maximum(self.model.predict_proba(x), LEAST_PROBABILITY)
        return p / p.sum(axis=1, keepdims=True)

    def decide(self, probability: np.ndarray) -> np.ndarray:
        """(N,) text: the class whose probability stands out most from its share."""
        return self.classes[np.argmax(probability / self.prior, axis=1)]

    def surprise(self, probability: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """(N,) bits: −log2 of the probability given to the truth; of unseen classes that of LEAST_PROBABILITY."""
        number = {name: i for i, name in enumerate(self.classes)}
        column = np.array([number.get(name, -1) for name in truth])
        p = probability[np.arange(len(truth)), column]
        return -np.log2(np.where(column >= 0, p, LEAST_PROBABILITY))


def fit(build: Callable, x: np.ndarray, y: np.ndarray) -> Fitted:
    """A predictor of the texts y (N,) from x (N, F)."""
    model = build().fit(x, y.astype(str))
    _, counts = np.unique(y.astype(str), return_counts=True)
    return Fitted(model, model.classes_, counts / counts.sum())


def birth_rows(
    zoo: Zoo, *, n_bootstraps: int, n_nulls: int, seed: int, sets: tuple[str, ...] = ("mode", "areas", "parameters", "all")
) -> tuple[list[dict], list[dict]]:
    """Two tables for the finished 2-2-1 networks of a zoo: how well each set of quantities predicts, and what matters.

    The first has a row per set and predictor: balanced accuracy, accuracy and information in bits
    on test networks, each with a bootstrap interval, and the mean and the largest of n_nulls fits to
    shuffled labels. The second: permutation importance of boosted trees on "all", in bits, on validation networks.
    """
    features, mode = initial_features(zoo.init_params), zoo["mode"]
    train, valid, test = (zoo["split"] == name for name in ("train", "valid", "test"))
    rng, rows = np.random.default_rng([seed, 3]), []
    for name in sets:
        x = np.stack(list(features[name].values()), axis=1)
        for title, build in PREDICTORS.items():
            row = {"quantities": name, "predictor": title, "n_train": int(train.sum()), "n_test": int(test.sum())}
            row |= scores(fit(build, x[train], mode[train]), x[test], mode[test], n_bootstraps=n_bootstraps, rng=rng)
            null = []
            for _ in range(n_nulls):
                shuffled = fit(build, x[train], rng.permutation(mode[train]))
                null.append(balanced_accuracy(mode[test], shuffled.decide(shuffled.probability(x[test]))))
            rows.append(row | ({"null_mean": float(np.mean(null)), "null_max": max(null)} if null else {}))
    x = np.stack(list(features["all"].values()), axis=1)
    trees = fit(boosted_trees, x[train], mode[train])
    return rows, importance_rows(trees, dict(zip(features["all"], x[valid].T, strict=True)), mode[valid], rng=rng)


def scores(fitted: Fitted, x: np.ndarray, truth: np.ndarray, *, n_bootstraps: int, rng: np.random.Generator) -> dict:
    """Balanced accuracy, accuracy and bits of one predictor on networks (N, F), with 95 % bootstrap intervals."""
    probability = fitted.probability(x)
    decided, surprise = fitted.decide(probability), fitted.surprise(probability, truth)
    likeliest = fitted.classes[np.argmax(probability, axis=1)]
    blank = fitted.surprise(np.broadcast_to(fitted.prior, probability.shape), truth)
    draws = rng.integers(0, len(truth), (n_bootstraps, len(truth)))
    true_number, decided_number = np.unique(np.stack([truth, decided]).astype(str), return_inverse=True)[1].reshape(2, -1)
    right, gain = (likeliest == truth).astype(bool), blank - surprise
    measures = {
        "balanced_accuracy": lambda i: balanced_accuracy(true_number[i], decided_number[i]),
        "accuracy": lambda i: float(right[i].mean()),
        "bits": lambda i: float(gain[i].mean()),
    }
    row = {}
    for name, measure in measures.items():
        low, high = interval(np.array([measure(i) for i in draws]))
        row |= {name: measure(slice(None)), f"{name}_low": low, f"{name}_high": high}
    return row | {"entropy_bits": float(blank.mean())}


def importance_rows(fitted: Fitted, features: Features, truth: np.ndarray, *, rng: np.random.Generator) -> list[dict]:
    """By how many bits a mode (N,) gets more surprising when one quantity is permuted among networks, largest first; low and
    high are the range over N_REPEATS permutations."""
    x = np.stack(list(features.values()), axis=1)
    base, rows = fitted.surprise(fitted.probability(x), truth).mean(), []
    for column, name in enumerate(features):
        lost = []
        for _ in range(N_REPEATS):
            shuffled = x.copy()
            shuffled[:, column] = rng.permutation(shuffled[:, column])
            lost.append(float(fitted.surprise(fitted.probability(shuffled), truth).mean() - base))
        rows.append({"quantity": name, "bits": float(np.mean(lost)), "low": min(lost), "high": max(lost)})
    return sorted(rows, key=lambda row: -row["bits"])


def twin_modes(zoo: Zoo, plan: Plan, *, n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(initial, final, twin) modes (n,) of networks and of their twins: the same start, the data of another network.

    The n networks are drawn without replacement; data go round among them, so that none keeps its own.
    """
    rng = np.random.default_rng([seed, 4])
    chosen = rng.permutation(len(zoo))[:n]
    networks = zoo.select(chosen)
    other = np.roll(networks["seed"], 1).astype(np.uint32)
    trained = train_fast(plan, other, networks.init_params)
    start = label_modes(MULTIPLIER, networks.init_params).mode
    twin = label_modes(MULTIPLIER, trained.params).mode
    sound = ~trained.diverged
    return start[sound], networks["mode"][sound], twin[sound]


def twin_rows(initial: np.ndarray, final: np.ndarray, twin: np.ndarray) -> list[dict]:
    """How often twins end in the same mode: over all ("all"), and by the mode at initialisation."""
    same = final == twin
    parts = {"all": same} | {name: same[initial == name] for name in sorted(set(initial))}
    return [{"mode": name, **share_row(part.sum(), len(part))} for name, part in parts.items()]
