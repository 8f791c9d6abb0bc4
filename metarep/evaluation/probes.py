"""Frozen probes: what can be told from a representation by a linear map or from its neighbours.

Fitted on training networks, measured on test networks; a seed draws 80 % of the training networks.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import r2_score
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from metarep.evaluation.resampling import balanced_accuracy, class_metric, r2_metric

N_NEIGHBORS = 5
TRAIN_SHARE = 0.8
ALPHAS = np.logspace(-3, 3, 7)
"""Penalties among which ridge regression chooses."""

Predict = Callable[[np.ndarray], np.ndarray]
"""Rows (M, D) -> classes or numbers (M,)."""


def logistic() -> LogisticRegression:
    """Logistic regression, classes weighted alike; 300 steps of L-BFGS are the probe, a full fit is not wanted."""
    return LogisticRegression(class_weight="balanced", max_iter=300, tol=1e-3)


def linear_classifier():
    """Logistic regression on standardised features."""
    return make_pipeline(StandardScaler(), logistic())


def neighbour_classifier():
    """Five nearest neighbours on standardised features."""
    return make_pipeline(StandardScaler(), KNeighborsClassifier(N_NEIGHBORS))


def linear_regressor():
    """Ridge regression on standardised features, its penalty by generalised cross-validation."""
    return make_pipeline(StandardScaler(), RidgeCV(alphas=ALPHAS))


def fit_probe(build: Callable, x: np.ndarray, y: np.ndarray) -> Predict:
    """A probe fitted on x (N, D) and y (N,), texts or numbers; where all y are one text, always that one."""
    if y.dtype == object:
        y = y.astype(str)
    if y.dtype.kind == "U" and len(np.unique(y)) < 2:
        return lambda rows: np.full(len(rows), y[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return build().fit(x, y).predict


class Draw:
    """One seed's share of the training networks: what all targets share, standardised features and neighbours."""

    def __init__(self, x_train: np.ndarray, x_test: np.ndarray, *, seed: int, number: int):
        self.rng = np.random.default_rng([seed, number])
        self.rows = self.rng.permutation(len(x_train))[: max(2, int(TRAIN_SHARE * len(x_train)))]
        scaler = StandardScaler().fit(x_train[self.rows])
        self.x, self.x_test = scaler.transform(x_train[self.rows]), scaler.transform(x_test)
        nearest = NearestNeighbors(n_neighbors=min(N_NEIGHBORS, len(self.rows))).fit(self.x)
        self.neighbours = nearest.kneighbors(self.x_test, return_distance=False)

    def predict(self, probe: str, y: np.ndarray, known: np.ndarray) -> np.ndarray:
        """What a probe says of all test networks, fitted on y (N,) of the training networks that are `known` (N,) bool."""
        return PROBES[probe](self, y[self.rows], known[self.rows])


def _linear(draw: Draw, y: np.ndarray, kept: np.ndarray) -> np.ndarray:
    if y.dtype == object:
        return fit_probe(logistic, draw.x[kept], y[kept])(draw.x_test)
    return RidgeCV(alphas=ALPHAS).fit(draw.x[kept], y[kept]).predict(draw.x_test)


def _nearest(draw: Draw, y: np.ndarray, kept: np.ndarray) -> np.ndarray:
    neighbours = draw.neighbours
    if not kept.all():
        rows = np.flatnonzero(kept)
        nearest = NearestNeighbors(n_neighbors=min(N_NEIGHBORS, len(rows))).fit(draw.x[rows])
        neighbours = rows[nearest.kneighbors(draw.x_test, return_distance=False)]
    if y.dtype != object:
        return y[neighbours].mean(axis=1)
    classes, code = np.unique(y.astype(str), return_inverse=True)
    votes = (code[neighbours][:, :, None] == np.arange(len(classes))).sum(axis=1)
    return classes[votes.argmax(axis=1)]


PROBES: dict[str, Callable[[Draw, np.ndarray, np.ndarray], np.ndarray]] = {"linear": _linear, "nearest_neighbours": _nearest}


def probe_rows(
    x_train: np.ndarray,
    x_test: np.ndarray,
    targets: Mapping[str, tuple[np.ndarray, np.ndarray]],
    *,
    n_seeds: int,
    seed: int,
) -> Iterator[dict]:
    """Rows (target, probe, metric, value, low, high, null, std, null_fit, n) for targets {name: (train values, test values)}.

    Texts give balanced accuracy, numbers R²; networks with "" or NaN are left out. `value` and `std` are over seeds; `low` and
    `high` the 95 % bootstrap interval of the mean over test networks; `null` the 95th percentile when predictions are permuted
    among test networks; `null_fit` what a probe reaches that was fitted on permuted values.
    """
    draws = [Draw(x_train, x_test, seed=seed, number=number) for number in range(n_seeds)]
    for target, (y_train, y_test) in targets.items():
        is_text = y_train.dtype == object
        known = (y_train != "") if is_text else np.isfinite(y_train)
        tested = (y_test != "") if is_text else np.isfinite(y_test)
        truth = y_test[tested]
        if known[draws[0].rows].sum() < N_NEIGHBORS or len(truth) < 2:
            continue
        permuted = y_train.copy()
        permuted[known] = np.random.default_rng([seed, len(y_train)]).permutation(y_train[known])
        for probe in PROBES:
            found = np.column_stack([draw.predict(probe, y_train, known)[tested] for draw in draws])
            null = draws[0].predict(probe, permuted, known)[tested]
            metric = "balanced_accuracy" if is_text else "r2"
            score = balanced_accuracy if is_text else r2_score
            spread = class_metric(truth, found, seed=seed) if is_text else r2_metric(truth, *found.T, seed=seed)
            further = {"std": float(np.std([score(truth, one) for one in found.T])), "null_fit": float(score(truth, null))}
            yield {"target": target, "probe": probe, "metric": metric, **spread, **further, "n": len(truth)}
