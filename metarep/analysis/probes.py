"""Frozen probes: what can be read off a representation by a linear map or by its neighbours.

Fitted on training networks, measured on test networks; a seed draws 80 % of the training
networks, and permutes the labels for the null.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import r2_score
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

N_NEIGHBORS = 5
TRAIN_SHARE = 0.8
MSE_TARGET = "log10_valid_mse"


def linear_classifier():
    """Logistic regression on standardised features, classes weighted alike."""
    return make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=300, tol=1e-3))


def neighbour_classifier():
    """Five nearest neighbours on standardised features."""
    return make_pipeline(StandardScaler(), KNeighborsClassifier(N_NEIGHBORS))


def linear_regressor():
    """Ridge regression on standardised features, its penalty by generalised cross-validation."""
    return make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(-3, 3, 7)))


def neighbour_regressor():
    """Five nearest neighbours on standardised features."""
    return make_pipeline(StandardScaler(), KNeighborsRegressor(N_NEIGHBORS))


CLASSIFIERS: dict[str, Callable] = {"linear": linear_classifier, "nearest_neighbours": neighbour_classifier}
REGRESSORS: dict[str, Callable] = {"linear": linear_regressor, "nearest_neighbours": neighbour_regressor}


def balanced_accuracy(truth: np.ndarray, predicted: np.ndarray) -> float:
    """The mean recall over the classes that occur in `truth`; scikit-learn's would warn of others in `predicted`."""
    return float(np.mean([(predicted[truth == label] == label).mean() for label in np.unique(truth)]))


def probe_rows(
    x_train: np.ndarray, x_test: np.ndarray, targets: dict[str, tuple[np.ndarray, np.ndarray]], *, n_seeds: int, seed: int
) -> list[dict]:
    """Rows (target, metric, mean, std, null_mean) for targets {name: (train values, test values)}.

    Text targets give balanced accuracy, numbers R².
    """
    rows = []
    for target, (y_train, y_test) in targets.items():
        is_class = y_train.dtype == object
        score = balanced_accuracy if is_class else r2_score
        for kind, build in (CLASSIFIERS if is_class else REGRESSORS).items():
            scores, nulls = [], []
            for number in range(n_seeds):
                rng = np.random.default_rng([seed, number])
                rows_in = rng.permutation(len(x_train))[: max(2, int(TRAIN_SHARE * len(x_train)))]
                scores.append(_fit_and_score(build, x_train[rows_in], y_train[rows_in], x_test, y_test, score))
                if number == 0:
                    shuffled = rng.permutation(y_train[rows_in])
                    nulls.append(_fit_and_score(build, x_train[rows_in], shuffled, x_test, y_test, score))
            metric = f"{kind}_{'balanced_accuracy' if is_class else 'r2'}"
            rows.append(
                {
                    "target": target,
                    "metric": metric,
                    "mean": float(np.mean(scores)),
                    "std": float(np.std(scores)),
                    "null_mean": float(np.mean(nulls)),
                }
            )
    return rows


def _fit_and_score(build: Callable, x_train, y_train, x_test, y_test, score: Callable) -> float:
    if y_train.dtype == object:
        y_train, y_test = y_train.astype(str), y_test.astype(str)
        if len(np.unique(y_train)) < 2:
            return score(y_test, np.full(len(y_test), y_train[0]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 300 steps of L-BFGS are the probe; a full fit is not wanted
        fitted = build().fit(x_train, y_train)
    return float(score(y_test, fitted.predict(x_test)))
