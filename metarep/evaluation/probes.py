"""Frozen probes: what can be told from a representation by a linear map or from its neighbours.

Fitted on the training networks of each fold, measured on its test networks; a seed draws 80 % of the training networks.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import r2_score
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from metarep.evaluation.folds import MIN_FIT, Fold, measured_rows, why_not
from metarep.evaluation.resampling import balanced_accuracy, class_metric, r2_metric
from metarep.zoos.readings import is_known

N_NEIGHBORS = 5
TRAIN_SHARE = 0.8
ALPHAS = np.logspace(-3, 3, 7)
"""Penalties among which ridge regression chooses."""

ROUNDING_SHARE = 1e-9
"""A principal component with a smaller share of the largest variance is rounding."""

Predict = Callable[[np.ndarray], np.ndarray]
"""Rows (M, D) -> classes or numbers (M,)."""


class Whitening(TransformerMixin, BaseEstimator):
    """Standardised features (N, D) as principal components, each divided by √(variance + D/N), float32.

    With many rows all components count alike, whatever the correlations of the features, and a linear fit ends in a few steps;
    with few rows, those whose variance is below the noise of an estimated covariance, of order D/N, stay small.
    """

    def fit(self, x: np.ndarray, y: np.ndarray | None = None) -> Whitening:
        """Finds the components of rows x (N, D)."""
        self.scaler_ = StandardScaler().fit(x)
        with np.errstate(invalid="ignore"):  # shares of no variance, where all rows are alike
            found = PCA().fit(self.scaler_.transform(x))
        variance, axes = found.explained_variance_, found.components_.T
        kept = variance >= ROUNDING_SHARE * variance[0]
        self.axes_ = axes[:, kept] / np.sqrt(variance[kept] + x.shape[1] / len(x))
        return self

    def transform(self, x: np.ndarray) -> np.ndarray:
        """(N, at most D) float32."""
        return (self.scaler_.transform(x) @ self.axes_).astype(np.float32)


def logistic() -> LogisticRegression:
    """Logistic regression on whitened features, classes weighted alike."""
    return LogisticRegression(class_weight="balanced", max_iter=300, tol=1e-3)


def linear_classifier():
    """Logistic regression of features as they are."""
    return make_pipeline(Whitening(), logistic())


def n_neighbors(n_networks: int) -> int:
    """How many neighbours vote: five, or of few networks an odd number of at most a third."""
    return min(N_NEIGHBORS, max(1, (n_networks // 3 - 1) | 1))


def neighbour_classifier(n_networks: int = 3 * N_NEIGHBORS):
    """The nearest of so many networks on standardised features."""
    return make_pipeline(StandardScaler(), KNeighborsClassifier(n_neighbors(n_networks)))


def linear_regressor():
    """Ridge regression of features as they are, whitened, its penalty by generalised cross-validation."""
    return make_pipeline(Whitening(), RidgeCV(alphas=ALPHAS))


def fit_probe(build: Callable, x: np.ndarray, y: np.ndarray) -> Predict:
    """A probe fitted on x (N, D) and y (N,), texts or numbers; where all y are one text, always that one."""
    if y.dtype == object:
        y = y.astype(str)
    if y.dtype.kind == "U" and len(np.unique(y)) < 2:
        return lambda rows: np.full(len(rows), y[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message="The number of unique classes")  # few networks of many classes: as meant
        return build().fit(x, y).predict


def read_linearly(
    x_train: np.ndarray, y_train: np.ndarray, x_test: np.ndarray, y_test: np.ndarray, *, seed: int, n_bootstraps: int
) -> dict:
    """`value`, `low`, `high` and `null` of a linear probe from x (N, …, D) to y (N, …), over the N networks: balanced accuracy
    of texts, R² of numbers.
    """
    is_text = y_train.dtype == object
    build = linear_classifier if is_text else linear_regressor
    predict = fit_probe(build, x_train.reshape(-1, x_train.shape[-1]).astype(np.float64), y_train.reshape(-1))
    predicted = predict(x_test.reshape(-1, x_test.shape[-1]).astype(np.float64)).reshape(y_test.shape)
    metric = class_metric if is_text else r2_metric
    return metric(y_test.astype(str) if is_text else y_test, predicted, seed=seed, n_draws=n_bootstraps)


class Draw:
    """One seed's share of the networks x (N, D) that a fold fits on: what all targets that these networks have share,
    standardised features and neighbours.
    """

    def __init__(self, x: np.ndarray, fold: Fold, *, seed: int, number: int):
        n_fit = len(fold.probe_train)
        drawn = np.random.default_rng([seed, number]).permutation(n_fit)[: max(min(MIN_FIT, n_fit), int(TRAIN_SHARE * n_fit))]
        self.rows = fold.probe_train[drawn]
        scaler = StandardScaler().fit(x[self.rows])
        self.x, self.x_test = scaler.transform(x[self.rows]), scaler.transform(x[fold.test])
        nearest = NearestNeighbors(n_neighbors=n_neighbors(len(self.rows))).fit(self.x)
        self.neighbours = nearest.kneighbors(self.x_test, return_distance=False)

    @cached_property
    def whitened(self) -> tuple[np.ndarray, np.ndarray]:
        """The features of both, whitened."""
        whitening = Whitening().fit(self.x)
        return whitening.transform(self.x), whitening.transform(self.x_test)


def _linear(draw: Draw, y: np.ndarray) -> np.ndarray:
    x, x_test = draw.whitened
    return fit_probe(logistic if y.dtype == object else partial(RidgeCV, alphas=ALPHAS), x, y)(x_test)


def _nearest(draw: Draw, y: np.ndarray) -> np.ndarray:
    if y.dtype != object:
        return y[draw.neighbours].mean(axis=1)
    classes, code = np.unique(y.astype(str), return_inverse=True)
    votes = (code[draw.neighbours][:, :, None] == np.arange(len(classes))).sum(axis=1)
    return classes[votes.argmax(axis=1)]


PROBES: dict[str, Callable[[Draw, np.ndarray], np.ndarray]] = {"linear": _linear, "nearest_neighbours": _nearest}
"""Fitted on the values of a draw's networks; they say those of all that its fold measures."""


def probe_rows(
    xs: Sequence[np.ndarray],
    folds: Sequence[Fold],
    targets: Iterable[tuple[str, np.ndarray]],
    run: np.ndarray,
    *,
    n_seeds: int,
    seed: int,
) -> Iterator[dict]:
    """Rows (target, probe, metric, value, low, high, null, std, null_fit, n, n_runs) of vectors (N, D), one array a fold, for
    targets (name, values (N,)).

    Texts give balanced accuracy, numbers R²; networks with "" or NaN are left out, and targets that `why_not` has a reason
    for. What is found in all folds is pooled. `value` and `std` are over seeds; `low` and `high` the 95 % bootstrap interval of
    the mean over runs (N,); `null` the 95th percentile when predictions are permuted among networks; `null_fit` what a probe
    reaches that was fitted on permuted values.
    """
    every = np.ones(len(run), dtype=bool)
    draws = {every.tobytes(): _draws(xs, folds, every, n_seeds, seed)}
    for target, y in targets:
        if why_not(y, folds):
            continue
        known = is_known(y)
        if known.tobytes() not in draws:
            draws[known.tobytes()] = _draws(xs, folds, known, n_seeds, seed)
        own = draws[known.tobytes()]
        tested = known[measured_rows(folds)]
        truth, groups = (values[measured_rows(folds)][tested] for values in (y, run))
        permuted = [_permuted(y, known, fold, seed) for fold in folds]
        for probe, predict in PROBES.items():
            found = np.column_stack([np.concatenate([predict(one, y[one.rows]) for one in of_seed])[tested] for of_seed in own])
            fitted_null = [predict(one, values[one.rows]) for one, values in zip(own[0], permuted, strict=True)]
            null = np.concatenate(fitted_null)[tested]
            is_text = y.dtype == object
            score = balanced_accuracy if is_text else r2_score
            spread = (
                class_metric(truth, found, seed=seed, groups=groups)
                if is_text
                else r2_metric(truth, *found.T, seed=seed, groups=groups)
            )
            further = {"std": float(np.std([score(truth, one) for one in found.T])), "null_fit": float(score(truth, null))}
            about = {"target": target, "probe": probe, "metric": "balanced_accuracy" if is_text else "r2"}
            yield about | spread | further | {"n": len(truth), "n_runs": len(set(groups.tolist()))}


def _draws(xs: Sequence[np.ndarray], folds: Sequence[Fold], known: np.ndarray, n_seeds: int, seed: int) -> list[list[Draw]]:
    """For each seed a draw of the known networks (N,) bool of each fold."""
    fitted = [replace(fold, probe_train=fold.probe_train[known[fold.probe_train]]) for fold in folds]
    return [[Draw(x, fold, seed=seed, number=number) for x, fold in zip(xs, fitted, strict=True)] for number in range(n_seeds)]


def _permuted(y: np.ndarray, known: np.ndarray, fold: Fold, seed: int) -> np.ndarray:
    """(N,): values of the networks that a fold fits on, permuted among those that have one."""
    rows, found = fold.probe_train[known[fold.probe_train]], y.copy()
    found[rows] = np.random.default_rng([seed, len(fold.probe_train)]).permutation(y[rows])
    return found
