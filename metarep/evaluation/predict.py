"""The stage that predicts properties of networks (accuracy, epoch, gap) from frozen embeddings, beside baselines.

Regressors are fitted on training networks and measured on test networks; splits are by training run, and so are the folds by
which settings are chosen and the resamples of the intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, cpu_count, delayed, parallel_config
from scipy.stats import kendalltau
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupKFold

from metarep.artefact import write_whole, writing
from metarep.embeddings.store import load_embeddings
from metarep.errors import MetarepError
from metarep.evaluation.arena import Representation, representations_of
from metarep.evaluation.probes import linear_regressor
from metarep.evaluation.resampling import interval, r2_draws, resamples
from metarep.evaluation.settings import PredictConfig
from metarep.progress import Progress
from metarep.tables import to_csv
from metarep.zoos.zoo import Zoo, open_zoo

TREE_CHOICES = ({"max_leaf_nodes": 8, "learning_rate": 0.06}, {"max_leaf_nodes": 31, "learning_rate": 0.06})
N_FOLDS = 3
MIN_NETWORKS = 10


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

    `zoo` may be left out where the embeddings say where it lies. Raises MetarepError for embeddings of another zoo, unknown
    targets, and fewer than ten training or test networks.
    """
    loaded = [load_embeddings(path) for path in embeddings]
    networks = open_zoo(zoo if zoo is not None else loaded[0].artefact.input_path("zoo")).finite()
    targets = numeric_properties(networks, config.targets)
    how = {"baselines": config.baselines, "joint": config.joint}
    train, test = (np.flatnonzero(networks.split == split) for split in ("train", "test"))
    representations = representations_of(networks, loaded, train, **how)
    inputs = {"zoo": networks.artefact, **{f"embeddings_{i}": one.artefact for i, one in enumerate(loaded)}}
    with writing(out, "predictions", config=config.resolved(), seed=config.seed, inputs=inputs, overwrite=overwrite) as folder:
        run = networks.run_id.astype(str)
        rows = prediction_rows(representations, targets, run, train, test, config, progress or Progress())
        write_whole(folder / "predictions.csv", to_csv(rows))
    return Path(out)


def numeric_properties(zoo: Zoo, wanted: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The targets (N,) float64 by name, NaN where a network has no value: those wanted, or all properties of the zoo."""
    unknown = [name for name in wanted if name not in zoo.properties]
    if unknown or not zoo.properties:
        met, expected = unknown[0] if unknown else "none", ", ".join(zoo.properties) or "some"
        raise MetarepError("no numeric property", met=met, expected=expected)
    return {name: zoo[name].astype(np.float64) for name in wanted or zoo.properties}


def prediction_rows(
    representations: Sequence[Representation],
    targets: Mapping[str, np.ndarray],
    run: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    config: PredictConfig,
    progress: Progress,
) -> list[dict[str, Any]]:
    """A row for each representation, regressor, target and metric: value, 95 % interval over runs, and null: the 95th
    percentile under permuted training values. Networks without a target's value are left out of it.
    """
    jobs = [(one, target) for target in targets for one in representations]
    rows: list[dict[str, Any]] = []
    with parallel_config("loky", inner_max_num_threads=1), progress.task("predict", len(jobs), "regressions") as task:
        calls = (delayed(metrics_of)(one.vectors, targets[target], run, train, test, config) for one, target in jobs)
        found = Parallel(n_jobs=min(cpu_count(), len(jobs)), return_as="generator")(calls)
        for (one, target), metrics in zip(jobs, found, strict=True):
            rows += [one.columns | {"target": target, **row} for row in metrics]
            task.advance(1, f"{target}, {one.name}")
    return rows


def metrics_of(
    x: np.ndarray, y: np.ndarray, run: np.ndarray, train: np.ndarray, test: np.ndarray, config: PredictConfig
) -> list[dict[str, Any]]:
    """What each regressor makes of x (N, D) and y (N,), NaN where there is no value. Raises MetarepError for too few."""
    train, test = train[np.isfinite(y[train])], test[np.isfinite(y[test])]
    if min(len(train), len(test)) < MIN_NETWORKS:
        met, expected = f"{len(train)} train and {len(test)} test networks", f"at least {MIN_NETWORKS} of each"
        raise MetarepError("too few networks to predict from", met=met, expected=expected, fix="add more")
    rng = np.random.default_rng(config.seed)
    nulls = [linear_regressor().fit(x[train], rng.permutation(y[train])).predict(x[test]) for _ in range(config.n_permutations)]
    rows = []
    for regressor, fit in REGRESSORS.items():
        predicted = fit(x[train], y[train], run[train], config)(x[test])
        rows += [{"regressor": regressor, **row} for row in metric_rows(y[test], predicted, nulls, run[test], config)]
    return rows


def metric_rows(
    y: np.ndarray, predicted: np.ndarray, nulls: Sequence[np.ndarray], run: np.ndarray, config: PredictConfig
) -> Iterator[dict[str, Any]]:
    """R² and Kendall's τ with intervals from resampled runs; the nulls are linear fits to permuted values."""
    weights = resamples(config.n_bootstraps, len(y), seed=config.seed, groups=run)
    for metric, (score, draws_of) in METRICS.items():
        draws = draws_of(y, predicted, weights)
        low, high = interval(draws[1:])
        null = float(np.quantile([score(y, found) for found in nulls], 0.95))
        value = {"metric": metric, "value": float(draws[0]), "low": low, "high": high, "null": null}
        yield value | {"n_networks": len(y), "n_runs": len(set(run))}


def _tau(y: np.ndarray, predicted: np.ndarray) -> float:
    return float(np.nan_to_num(kendalltau(y, predicted).statistic))


def _tau_draws(y: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    rows = (np.repeat(np.arange(len(y)), drawn.astype(int)) for drawn in weights)
    return np.array([_tau(y[some], predicted[some]) for some in rows])


METRICS = {"r2": (r2_score, r2_draws), "kendall_tau": (_tau, _tau_draws)}
"""Of values and predictions (N,), and of resamples of them, weights (B, N)."""


def fit_linear(x: np.ndarray, y: np.ndarray, run: np.ndarray, config: PredictConfig) -> Callable[[np.ndarray], np.ndarray]:
    """Ridge regression on standardised features, its penalty by generalised cross-validation."""
    return linear_regressor().fit(x, y).predict


def fit_trees(x: np.ndarray, y: np.ndarray, run: np.ndarray, config: PredictConfig) -> Callable[[np.ndarray], np.ndarray]:
    """Gradient-boosted trees; the size of a tree is chosen by folds over runs."""
    shared = {"max_iter": config.n_trees, "random_state": config.seed, "early_stopping": False}
    build = lambda choice: HistGradientBoostingRegressor(**shared, **choice)  # noqa: E731
    folds = list(GroupKFold(min(N_FOLDS, len(np.unique(run)))).split(x, y, run))
    errors = np.zeros(len(TREE_CHOICES))
    for (number, choice), (rows, held) in product(enumerate(TREE_CHOICES), folds):
        errors[number] += np.square(build(choice).fit(x[rows], y[rows]).predict(x[held]) - y[held]).sum()
    return build(TREE_CHOICES[int(errors.argmin())]).fit(x, y).predict


REGRESSORS = {"linear": fit_linear, "trees": fit_trees}
