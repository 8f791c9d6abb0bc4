"""The stage that predicts properties of networks (accuracy, epoch, gap) from frozen embeddings, beside weight statistics.

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
from sklearn.model_selection import GroupKFold

from metarep.artefact import write_whole, writing
from metarep.cloze.embed import Embeddings, load_embeddings
from metarep.errors import MetarepError
from metarep.evaluation.compare import require_different_names
from metarep.evaluation.probes import linear_regressor
from metarep.evaluation.settings import PredictConfig
from metarep.evaluation.weight_statistics import layer_statistics
from metarep.progress import Progress
from metarep.tables import to_csv
from metarep.zoos.zoo import Zoo, open_zoo

BASELINE = "weight statistics"
TREE_CHOICES = ({"max_leaf_nodes": 8, "learning_rate": 0.06}, {"max_leaf_nodes": 31, "learning_rate": 0.06})
N_FOLDS = 3
METRICS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "r2": lambda y, found: 1 - float(np.square(y - found).sum()) / max(float(np.square(y - y.mean()).sum()), 1e-300),
    "kendall_tau": lambda y, found: float(np.nan_to_num(kendalltau(y, found).statistic)),
}


def predict(
    config: PredictConfig,
    embeddings: Sequence[Path],
    out: Path | str,
    *,
    zoo: Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Predicts the numeric properties of an imported zoo from its embeddings, into `out`/predictions.csv; returns `out`.

    `zoo` may be left out where the embeddings say where it lies. Raises MetarepError for embeddings of another zoo, unknown
    targets, and fewer than ten training or test networks.
    """
    progress = progress or Progress()
    loaded = [load_embeddings(path) for path in embeddings]
    require_different_names(loaded)
    networks = open_zoo(zoo if zoo is not None else loaded[0].artefact.input_path("zoo")).finite()
    targets = numeric_properties(networks, config.targets)
    vectors = {one.name: vectors_in_order(one, networks) for one in loaded}
    if config.baseline:
        vectors[BASELINE] = statistics_of(networks)
    for name, parts in config.joint.items():
        unknown = [part for part in parts if part not in vectors]
        if unknown:
            raise MetarepError(f"joint.{name}: no representation {unknown[0]}", expected="one of " + ", ".join(vectors))
        vectors[name] = np.concatenate([vectors[part] for part in parts], axis=1)
    split, run = (np.array(networks[name], dtype=object).astype(str) for name in ("split", "run_id"))
    train, test = np.flatnonzero(split == "train"), np.flatnonzero(split == "test")
    inputs = {"zoo": networks.artefact, **{one.name: one.artefact for one in loaded}}
    with writing(out, "predictions", config=config.resolved(), seed=config.seed, inputs=inputs, overwrite=overwrite) as folder:
        rows = prediction_rows(vectors, targets, run, train, test, config, progress)
        write_whole(folder / "predictions.csv", to_csv(rows))
    return Path(out)


def prediction_rows(
    vectors: Mapping[str, np.ndarray],
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
    if min(len(train), len(test)) < 10:
        met = f"{len(train)} train and {len(test)} test networks"
        raise MetarepError("too few networks to predict from", met=met, expected="at least 10 of each", fix="import more")
    jobs = [(name, target) for target in targets for name in vectors]
    rows: list[dict[str, Any]] = []
    with parallel_config("loky", inner_max_num_threads=1), progress.task("predict", len(jobs), "regressions") as task:
        calls = (delayed(_one)(vectors[name], targets[target], run, train, test, config) for name, target in jobs)
        found = Parallel(n_jobs=min(cpu_count(), len(jobs)), return_as="generator")(calls)
        for (name, target), figures in zip(jobs, found, strict=True):
            rows += [{"representation": name, "target": target, **figure} for figure in figures]
            task.advance(1, f"{target}, {name}")
    return rows


def _one(x, y, run, train, test, config: PredictConfig) -> list[dict[str, Any]]:
    train, test = train[np.isfinite(y[train])], test[np.isfinite(y[test])]
    rng = np.random.default_rng(config.seed)
    nulls = [linear_regressor().fit(x[train], rng.permutation(y[train])).predict(x[test]) for _ in range(config.n_permutations)]
    rows = []
    for regressor, fit in REGRESSORS.items():
        predicted = fit(x[train], y[train], run[train], config)(x[test])
        rows += [{"regressor": regressor, **row} for row in metric_rows(y[test], predicted, nulls, run[test], config)]
    return rows


def metric_rows(
    y: np.ndarray, predicted: np.ndarray, nulls: list[np.ndarray], run: np.ndarray, config
) -> Iterator[dict[str, Any]]:
    """R² and Kendall's τ with intervals from resampled runs; the nulls are linear fits to permuted values."""
    rng = np.random.default_rng(config.seed)
    _, member = np.unique(run, return_inverse=True)
    rows_of = [np.flatnonzero(member == number) for number in range(member.max() + 1)]
    resamples = [
        np.concatenate([rows_of[i] for i in rng.integers(0, len(rows_of), len(rows_of))]) for _ in range(config.n_bootstraps)
    ]
    for metric, score in METRICS.items():
        low, high = np.quantile([score(y[rows], predicted[rows]) for rows in resamples], (0.025, 0.975))
        null = float(np.quantile([score(y, found) for found in nulls], 0.95))
        value = {"metric": metric, "value": score(y, predicted), "low": float(low), "high": float(high), "null_p95": null}
        yield value | {"n_networks": len(y), "n_runs": len(rows_of)}


def fit_linear(x: np.ndarray, y: np.ndarray, run: np.ndarray, config: PredictConfig) -> Callable[[np.ndarray], np.ndarray]:
    """Ridge regression on standardised features, its penalty by generalised cross-validation."""
    del run, config
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


def numeric_properties(zoo: Zoo, wanted: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The targets (N,) float64 by name, NaN where a network has no value: those wanted, or all that are numbers."""
    unknown = [name for name in wanted if name not in zoo.properties]
    if unknown or not zoo.properties:
        met, expected = unknown[0] if unknown else "none", ", ".join(zoo.properties) or "some"
        raise MetarepError("no numeric property", met=met, expected=expected)
    return {name: zoo[name].astype(np.float64) for name in wanted or zoo.properties}


def vectors_in_order(embeddings: Embeddings, zoo: Zoo) -> np.ndarray:
    """The vectors (N, D) float64 of these networks of the zoo. Raises MetarepError where one is missing."""
    embeddings.artefact.require_input("zoo", zoo.artefact)
    row = {str(name): i for i, name in enumerate(embeddings.network_id)}
    missing = [name for name in zoo["network_id"] if name not in row]
    if missing:
        raise MetarepError(
            f"{embeddings.artefact.path} lacks networks of the zoo", met=f"no {missing[0]}", fix="embed it again"
        )
    return embeddings.vectors[[row[name] for name in zoo["network_id"]]].astype(np.float64)


def statistics_of(zoo: Zoo) -> np.ndarray:
    """(N, F): weight statistics of every finite network, layer by layer, in order of depth; 0 where it has fewer layers."""
    n_layers = max(architecture.n_layers for architecture in zoo.architectures)
    return np.stack([layer_statistics(zoo.architecture_of(row), zoo.tensors(row), n_layers) for row in range(len(zoo))])
