"""The stage that predicts properties of networks (accuracy, epoch, gap) from frozen embeddings, beside baselines.

Regressors are fitted on the training networks of each fold and measured on its test networks (`folds`); folds are by training
run, and so are those by which settings are chosen and the resamples of the intervals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kendalltau
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import mean_squared_error, r2_score
from sklearn.model_selection import GroupKFold

from metarep.artefact import writing
from metarep.embeddings.store import load_embeddings
from metarep.errors import MetarepError
from metarep.evaluation.arena import Representation, representations_of
from metarep.evaluation.folds import SAID, Fold, evaluation_split, folds_of, is_in_range, measured_rows, split_off
from metarep.evaluation.probes import linear_regressor
from metarep.evaluation.resampling import interval, r2_draws, resamples
from metarep.evaluation.settings import PredictConfig
from metarep.progress import Progress
from metarep.tables import write_tables
from metarep.work import spread
from metarep.zoos.readings import varies
from metarep.zoos.zoo import Zoo, open_zoo

TREE_CHOICES = ({"max_leaf_nodes": 8, "learning_rate": 0.06}, {"max_leaf_nodes": 31, "learning_rate": 0.06})
N_FOLDS = 3
"""Folds of the training runs by which the size of a tree is chosen."""
MIN_LEAF = 20
"""Networks that a leaf has at least: of few networks all trees are small, and there is nothing to choose."""


def predict(
    config: PredictConfig,
    embeddings: Sequence[Path],
    out: Path | str,
    *,
    zoo: Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Predicts the numeric properties of a zoo from its embeddings, into `out`/predictions.csv; returns `out`.

    Properties that do not vary or that too few networks have are listed in left_out.csv with the reason; there is no
    predictions.csv where none is left. `zoo` may be left out where the embeddings say where it lies. Raises MetarepError for
    embeddings of another zoo, unknown targets, and networks of a single run.
    """
    progress = progress or Progress()
    loaded = [load_embeddings(path) for path in embeddings]
    networks = open_zoo(zoo if zoo is not None else loaded[0].artefact.input_path("zoo")).finite()
    folds = folds_of(networks.split, networks.run_id, seed=config.seed)
    if len(folds) > 1:
        progress.say(SAID)
    given = numeric_properties(networks, config.targets)
    targets, left_out = split_off(given, folds, "property", progress.say)
    how = {"baselines": config.baselines, "joint": config.joint}
    representations = representations_of(networks, loaded, folds, **how)
    inputs = {"zoo": networks.artefact, **{f"embeddings_{i}": one.artefact for i, one in enumerate(loaded)}}
    with writing(out, "predictions", config=config.resolved(), seed=config.seed, inputs=inputs, overwrite=overwrite) as folder:
        run = networks.run_id.astype(str)
        rows = prediction_rows(representations, targets, run, folds, config, progress) if targets else []
        rows = [row for row in rows if row["metric"] != "mse" or is_in_range(given[row["target"]])]  # beyond, it is no number
        write_tables(folder, {"predictions": rows, "left_out": left_out})
    return Path(out)


def numeric_properties(zoo: Zoo, wanted: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The targets (N,) float64 by name, NaN where a network has no value: those wanted, or all properties of the zoo."""
    unknown = [name for name in wanted if name not in zoo.properties]
    if unknown or not zoo.properties:
        met, expected = unknown[0] if unknown else "none", ", ".join(zoo.properties) or "some"
        raise MetarepError("no numeric property", met=met, expected=expected)
    return {name: zoo.number(name) for name in wanted or zoo.properties}


def prediction_rows(
    representations: Sequence[Representation],
    targets: Mapping[str, np.ndarray],
    run: np.ndarray,
    folds: Sequence[Fold],
    config: PredictConfig,
    progress: Progress,
) -> list[dict[str, Any]]:
    """A row for each representation, regressor, target and metric: value, 95 % interval over runs, and null: the 95th
    percentile under permuted training values, of errors the 5th. Networks without a target's value are left out of it.
    """
    jobs = [(one, target) for target in targets for one in representations]
    rows: list[dict[str, Any]] = []
    given = [(one.in_folds(folds), targets[target]) for one, target in jobs]
    with progress.task("predict", len(jobs), "regressions") as task:
        for (one, target), metrics in zip(
            jobs, spread(metrics_of, given, run, folds, config, n_networks=len(run)), strict=True
        ):
            about = {"evaluation_split": evaluation_split(folds)}
            rows += [one.columns | {"target": target, **row} | about for row in metrics]
            task.advance(1, f"{target}, {one.name}")
    return rows


def metrics_of(
    given: tuple[Sequence[np.ndarray], np.ndarray], run: np.ndarray, folds: Sequence[Fold], config: PredictConfig
) -> list[dict[str, Any]]:
    """What each regressor makes of given vectors (N, D), one array a fold, and y (N,), NaN where there is no value."""
    xs, y = given
    known, measured = np.isfinite(y), measured_rows(folds)
    tested = known[measured]
    truth, groups = y[measured][tested], run[measured][tested]
    fits_on = [fold.train[known[fold.train]] for fold in folds]
    sides = [(x[rows], rows, x[fold.test]) for x, rows, fold in zip(xs, fits_on, folds, strict=True)]

    def found(fit: Callable, values: np.ndarray) -> np.ndarray:
        """(M,): what is predicted for the measured networks by fits to values (N,)."""
        fits = [fit(x, values[rows], run[rows], config)(x_test) for x, rows, x_test in sides]
        return np.concatenate(fits)[tested]

    rng = np.random.default_rng(config.seed)
    fitted = np.unique(np.concatenate(fits_on))
    nulls = []
    for _ in range(config.n_permutations):
        permuted = y.copy()
        permuted[fitted] = rng.permutation(y[fitted])
        nulls.append(found(fit_linear, permuted))
    rows = []
    for regressor, fit in REGRESSORS.items():
        rows += [{"regressor": regressor, **row} for row in metric_rows(truth, found(fit, y), nulls, groups, config)]
    return rows


def metric_rows(
    y: np.ndarray, predicted: np.ndarray, nulls: Sequence[np.ndarray], run: np.ndarray, config: PredictConfig
) -> Iterator[dict[str, Any]]:
    """R², Kendall's τ and the mean squared error, intervals from resampled runs; nulls are linear fits to permuted values."""
    weights, n_runs = resamples(config.n_bootstraps, len(y), seed=config.seed, groups=run), len(set(run))
    for metric, (score, draws_of, best) in METRICS.items():
        draws = draws_of(y, predicted, weights)
        low, high = interval(draws[1:], n_runs)
        null = float(np.quantile([score(y, found) for found in nulls], best))
        value = {"metric": metric, "value": float(draws[0]), "low": low, "high": high, "null": null}
        yield value | {"n_networks": len(y), "n_runs": n_runs}


def _tau(y: np.ndarray, predicted: np.ndarray) -> float:
    """NaN where y does not vary; 0 where predictions do not, which order nothing."""
    return float(np.nan_to_num(kendalltau(y, predicted).statistic)) if varies(y) else math.nan


def _tau_draws(y: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    rows = (np.repeat(np.arange(len(y)), drawn.astype(int)) for drawn in weights)
    return np.array([_tau(y[some], predicted[some]) for some in rows])


def _mse_draws(y: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return weights @ np.square(y - predicted) / weights.sum(axis=1)


METRICS = {
    "r2": (r2_score, r2_draws, 0.95),
    "kendall_tau": (_tau, _tau_draws, 0.95),
    "mse": (mean_squared_error, _mse_draws, 0.05),
}
"""Of values and predictions (N,), and of resamples of them, weights (B, N); and which quantile of chance is the null."""


def fit_linear(x: np.ndarray, y: np.ndarray, run: np.ndarray, config: PredictConfig) -> Callable[[np.ndarray], np.ndarray]:
    """Ridge regression on standardised features, its penalty by generalised cross-validation."""
    return linear_regressor().fit(x, y).predict


def fit_trees(x: np.ndarray, y: np.ndarray, run: np.ndarray, config: PredictConfig) -> Callable[[np.ndarray], np.ndarray]:
    """Gradient-boosted trees; the size of a tree is chosen by folds over runs."""
    shared = {"max_iter": config.n_trees, "random_state": config.seed, "early_stopping": False, "min_samples_leaf": MIN_LEAF}
    build = lambda choice: HistGradientBoostingRegressor(**shared, **choice)  # noqa: E731
    n_runs = len(np.unique(run))
    differ = len(y) >= MIN_LEAF * (1 + TREE_CHOICES[0]["max_leaf_nodes"])
    folds = list(GroupKFold(min(N_FOLDS, n_runs)).split(x, y, run)) if differ and n_runs > 1 else []
    errors = np.zeros(len(TREE_CHOICES))
    for (number, choice), (rows, held) in product(enumerate(TREE_CHOICES), folds):
        errors[number] += np.square(build(choice).fit(x[rows], y[rows]).predict(x[held]) - y[held]).sum()
    return build(TREE_CHOICES[int(errors.argmin())]).fit(x, y).predict


REGRESSORS = {"linear": fit_linear, "trees": fit_trees}
