"""Frozen probes: what can be read off a representation by a linear map or by its neighbours.

Fitted on training networks, measured on test networks; a seed draws 80 % of the training
networks, and permutes the labels for the null.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from scipy.stats import random_table
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import r2_score
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

N_NEIGHBORS = 5
TRAIN_SHARE = 0.8
N_DRAWS = 200
"""Resamples of the test networks, and deals of the answers."""
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
    """Rows (target, metric, mean, std, low, high, null_mean, null_p95) for targets {name: (train values, test values)}.

    Text targets give balanced accuracy, numbers R². `mean` and `std` are over seeds; `low` and `high` the 95 % bootstrap
    interval of that mean over test networks; `null_mean` what a probe reaches that was fitted on permuted labels;
    `null_p95` what answers reach in 95 of 100 draws when they are dealt out to other test networks.
    """
    rows = []
    for target, (y_train, y_test) in targets.items():
        is_class = y_train.dtype == object
        score = balanced_accuracy if is_class else r2_score
        for kind, build in (CLASSIFIERS if is_class else REGRESSORS).items():
            answers, nulls = [], []
            for number in range(n_seeds):
                rng = np.random.default_rng([seed, number])
                rows_in = rng.permutation(len(x_train))[: max(2, int(TRAIN_SHARE * len(x_train)))]
                answers.append(_fit_and_predict(build, x_train[rows_in], y_train[rows_in], x_test))
                if number == 0:
                    shuffled = rng.permutation(y_train[rows_in])
                    nulls.append(score(y_test, _fit_and_predict(build, x_train[rows_in], shuffled, x_test)))
            scores = [score(y_test, predicted) for predicted in answers]
            together = np.column_stack(answers)
            if is_class:
                spread = class_spread(y_test, together, seed=seed)
            else:
                spread = number_spread(y_test, together, seed=seed, score=mean_r2)
            metric = f"{kind}_{'balanced_accuracy' if is_class else 'r2'}"
            figures = {"mean": float(np.mean(scores)), "std": float(np.std(scores)), "null_mean": float(np.mean(nulls))}
            rows.append({"target": target, "metric": metric, **figures, **spread})
    return rows


def class_spread(
    truth: np.ndarray, predicted: np.ndarray, *, seed: int, n_draws: int = N_DRAWS, score: Callable | None = None
) -> dict[str, float]:
    """`low`, `high` and `null_p95` of the balanced accuracy of answers (N,), or of another `score` of tables (…, L, L).

    Answers (N, S) are those of S probes: the interval is of their mean score, the null of the first. All follow from the
    table of truth and answers: resampling networks is a multinomial draw of its cells, dealing the answers out anew a random
    table with its margins (Patefield 1981).
    """
    names, codes = np.unique(np.column_stack([truth, predicted]).astype(str), return_inverse=True)
    cells, n_networks = np.unique(codes.reshape(len(truth), -1), axis=0, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(len(truth), n_networks / len(truth), size=n_draws)
    score = score or mean_recall
    resampled = np.mean([score(_tables(cells[:, [0, probe]], drawn, len(names))) for probe in range(1, cells.shape[1])], axis=0)
    table = _tables(cells[:, :2], n_networks, len(names))
    margins = table.sum(1), table.sum(0)
    if min(np.count_nonzero(margin) for margin in margins) > 1:
        dealt = random_table(*margins, seed=seed).rvs(n_draws)
    else:
        dealt = table[None]  # one class or one answer: there is nothing to deal, and SciPy's sampler reads beyond its table
    return _quantiles(resampled, score(dealt))


def _tables(cells: np.ndarray, counts: np.ndarray, n_labels: int) -> np.ndarray:
    """Tables (…, L, L) of truth and answers that hold `counts` (…, C) networks in `cells` (C, 2)."""
    tables = np.zeros((*counts.shape[:-1], n_labels, n_labels), dtype=np.int64)
    np.add.at(tables, (..., cells[:, 0], cells[:, 1]), counts)
    return tables


def mean_recall(tables: np.ndarray) -> np.ndarray:
    """The balanced accuracy (…,) of tables (…, L, L) of true classes and answers, over the classes that occur."""
    n = tables.sum(axis=-1)
    hits = np.diagonal(tables, axis1=-2, axis2=-1)
    return (hits / np.maximum(n, 1)).sum(axis=-1) / np.maximum((n > 0).sum(axis=-1), 1)


def share_right(tables: np.ndarray) -> np.ndarray:
    """The share of right answers (…,) of tables (…, L, L) of true classes and answers."""
    return np.trace(tables, axis1=-2, axis2=-1) / tables.sum(axis=(-2, -1))


def mean_r2(truth: np.ndarray, answers: np.ndarray) -> float:
    """The mean R² of the answers (N, S) of S probes."""
    return float(np.mean([r2_score(truth, predicted) for predicted in answers.T]))


def number_spread(
    truth: np.ndarray, predicted: np.ndarray, *, seed: int, n_draws: int = N_DRAWS, score: Callable = r2_score
) -> dict[str, float]:
    """`low`, `high` and `null_p95` of the R² of answers for N networks, or of another `score` of truth and answers (N, …)."""
    rng = np.random.default_rng(seed)
    draws = [rng.integers(0, len(truth), len(truth)) for _ in range(n_draws)]
    resampled = np.array([score(truth[rows], predicted[rows]) for rows in draws])
    dealt = np.array([score(truth, rng.permutation(predicted)) for _ in range(n_draws)])
    return _quantiles(resampled, dealt)


def _quantiles(resampled: np.ndarray, dealt: np.ndarray) -> dict[str, float]:
    low, high = np.quantile(resampled, [0.025, 0.975])
    return {"low": float(low), "high": float(high), "null_p95": float(np.quantile(dealt, 0.95))}


def _fit_and_predict(build: Callable, x_train, y_train, x_test) -> np.ndarray:
    if y_train.dtype == object:
        y_train = y_train.astype(str)
        if len(np.unique(y_train)) < 2:
            return np.full(len(x_test), y_train[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 300 steps of L-BFGS are the probe; a full fit is not wanted
        return build().fit(x_train, y_train).predict(x_test)
