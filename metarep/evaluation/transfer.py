"""The stage that asks whether what was learned on one zoo holds on others.

Probes and clusters are fitted on the training networks of the source (the zoo that the model was
pretrained on) and carried over as they are: to its test networks (unseen seeds), to other
zoos, and to random initialisations of the same architecture, the control that must fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import r2_score
from threadpoolctl import threadpool_limits

from metarep.artefact import canonical_json, open_artefact, write_whole, writing
from metarep.cloze.embed import embed_params, leave_one_out
from metarep.cloze.imputers import Imputer, fit_linear_gaussian, in_turn
from metarep.cloze.model import ClozeModel
from metarep.cloze.pretrain import load_model
from metarep.cloze.r2_draws import N_DRAWS, dealt_r2, r2_draws, resamples, spread
from metarep.domains.multiplier.modes import label_modes
from metarep.errors import MetarepError
from metarep.evaluation.agreement import agreement
from metarep.evaluation.clusters import fit_kmeans
from metarep.evaluation.probes import (
    MSE_TARGET,
    balanced_accuracy,
    class_spread,
    linear_classifier,
    linear_regressor,
    neighbour_classifier,
    number_spread,
    share_right,
)
from metarep.evaluation.settings import TransferConfig
from metarep.progress import Progress
from metarep.tables import to_csv
from metarep.zoos.zoo import Zoo, open_zoo

UNSEEN_SEEDS = "unseen_seeds"
RANDOM = "random_initialisations"


@dataclass(frozen=True)
class Target:
    """Networks to carry over to: params (N, P), mode (N,), log10 of the validation error (N,) or None."""

    name: str
    params: np.ndarray
    mode: np.ndarray
    error: np.ndarray | None


def transfer(
    config: TransferConfig,
    model: Path | str,
    zoos: list[Path],
    out: Path | str,
    *,
    device: str = "cpu",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Tests transfer of a model to its own zoo's test networks and to `zoos`, called by their folders' names, into
    the folder `out`, which it returns. The model's own zoo may be among them. A zoo called after one of its variants
    stands for that variant alone. Raises MetarepError for zoos of another architecture.
    """
    progress = progress or Progress()
    artefact = open_artefact(model, "model")
    network_model = load_model(model, device=device)
    source = open_zoo(artefact.input_path("zoo"))
    artefact.require_input("zoo", source.artefact)
    loaded = load_targets(zoos, source)
    train = few(source.final().where(split="train"), config.max_fit_networks, config.seed)
    targets = list(gather_targets(source, loaded, network_model, config))
    inputs = {"model": artefact, "source": source.artefact, **{f"target_{n}": z.artefact for n, z in loaded.items()}}
    with (
        threadpool_limits(1, user_api="openmp"),
        writing(out, "transfer", config=config.resolved(), seed=config.seed, inputs=inputs, overwrite=overwrite) as folder,
    ):
        represent = {
            **{kind: partial(embed_in_batches, network_model, kind=kind) for kind in config.kinds},
            "raw": lambda params: params.astype(np.float64),
        }
        rows = []
        source_target = Target("train", train.params, train["mode"], train["log_error"])
        with progress.task("transfer", len(targets), "targets") as task:
            rows_of = carry_over(source_target, represent, network_model, config)
            for target in targets:
                rows += rows_of(target)
                task.advance(1, target.name)
        source_name = "+".join(sorted(set(source["variant"])))
        rows = [{"representation": row.pop("representation"), "source": source_name, **row} for row in rows]
        write_whole(folder / "transfer.csv", to_csv(rows))
        write_whole(folder / "metrics.json", canonical_json(summary(rows, targets, config)) + "\n")
    return Path(out)


def load_targets(paths: list[Path], source: Zoo) -> dict[str, Zoo]:
    """The zoos by the names of their folders, without the source. Raises MetarepError where two have one name."""
    zoos: dict[str, Zoo] = {}
    for path in paths:
        zoo = open_zoo(path)
        if zoo.artefact.digest == source.artefact.digest:
            continue
        if Path(path).name in zoos:
            raise MetarepError("two target zoos have one name", met=Path(path).name, fix="rename one folder")
        zoos[Path(path).name] = zoo
    return zoos


def few(zoo: Zoo, most: int, seed: int) -> Zoo:
    """At most so many networks, a seeded choice in the zoo's order."""
    return zoo.select(np.sort(np.random.default_rng(seed).permutation(len(zoo))[:most]))


def gather_targets(source: Zoo, zoos: dict[str, Zoo], model: ClozeModel, config: TransferConfig) -> Iterator[Target]:
    """Unseen seeds of the source, every other zoo's finished networks, and the source's own random initialisations."""
    test = few(source.final().where(split="test"), config.max_test_networks, config.seed)
    yield Target(UNSEEN_SEEDS, test.params, test["mode"], test["log_error"])
    for name, zoo in zoos.items():
        final = zoo.final()
        if name in set(final["variant"]):  # the others are there to descend from
            final = final.where(variant=name)
        if final.spec != model.spec:
            raise MetarepError(f"target {name} is of another architecture", met=final.spec, expected=model.spec)
        final = few(final, config.max_test_networks, config.seed)
        yield Target(name, final.params, final["mode"], final["log_error"])
    yield Target(RANDOM, test.init_params, label_modes(test.spec, test.init_params).mode, None)


def embed_in_batches(model: ClozeModel, params: np.ndarray, kind: str, *, batch_size: int = 512) -> np.ndarray:
    """The embeddings (N, D) float64 of networks (N, P)."""
    parts = [embed_params(model, params[i : i + batch_size], kind) for i in range(0, len(params), batch_size)]
    return np.concatenate(parts).astype(np.float64)


def carry_over(
    source: Target, represent: dict[str, Callable], model: ClozeModel, config: TransferConfig
) -> Callable[[Target], list[dict]]:
    """Fits everything on the source; returns what makes the rows of one target."""
    with torch.no_grad():
        train_values = model.read(source.params).cpu().numpy()
    linear_gaussian = fit_linear_gaussian(train_values, model.layout)
    fitted = {name: fit_readers(embed(source.params), source, config) for name, embed in represent.items()}

    def rows_of(target: Target) -> list[dict]:
        rows = [{"representation": name, **row} for name, row in masked_rows(model, linear_gaussian, target, config.seed)]
        for name, readers in fitted.items():
            rows += [
                {"representation": name, **row} for row in reader_rows(readers, represent[name](target.params), target, config)
            ]
        return rows

    return rows_of


def fit_readers(x: np.ndarray, source: Target, config: TransferConfig) -> dict[str, Callable]:
    """Probes for mode and error and a k-means clustering, fitted on the source's x (N, D)."""
    mode = source.mode.astype(str)
    return {
        "linear": linear_classifier().fit(x, mode).predict,
        "nearest_neighbours": neighbour_classifier().fit(x, mode).predict,
        MSE_TARGET: linear_regressor().fit(x, source.error).predict,
        "clusters": fit_kmeans(x, config.k, seed=config.seed).predict,
    }


def reader_rows(readers: dict[str, Callable], x: np.ndarray, target: Target, config: TransferConfig) -> list[dict]:
    """Rows (target, metric, value, low, high, null_p95, n): probes and clusters carried over to x (N, D)."""
    rows = []
    truth = target.mode.astype(str)
    for name in ("linear", "nearest_neighbours"):
        predicted = readers[name](x)
        spread_of = partial(class_spread, truth, predicted, seed=config.seed)
        found = {"value": balanced_accuracy(truth, predicted)} | spread_of()
        rows.append(row_of(target, f"{name}_balanced_accuracy", found))
        found = {"value": float((truth == predicted).mean())} | spread_of(score=share_right)
        rows.append(row_of(target, f"{name}_accuracy", found))
    if target.error is not None:
        predicted = readers[MSE_TARGET](x)
        found = {"value": r2_score(target.error, predicted)} | number_spread(target.error, predicted, seed=config.seed)
        rows.append(row_of(target, f"{MSE_TARGET}_r2", found))
    if len(np.unique(truth)) < 2:
        return rows  # agreement with one label alone says nothing
    figures = agreement(truth, readers["clusters"](x), seed=config.seed, n_permutations=200)
    columns = {"value": "ari", "low": "ari_low", "high": "ari_high", "null_p95": "null_ari_p95"}
    rows.append(row_of(target, "clusters_ari", {name: figures[column] for name, column in columns.items()}))
    return rows


def masked_rows(model: ClozeModel, linear_gaussian: Imputer, target: Target, seed: int) -> Iterator[tuple[str, dict]]:
    """Masked R² on the target, each parameter hidden in turn: the cloze model and the linear-Gaussian imputer.

    None where the model was trained on something else than predicting values.
    """
    if model.objective != "cloze":
        return
    with torch.no_grad():
        values = model.read(target.params)
        predicted = torch.cat([leave_one_out(model, part)[0] for part in values.split(512)]).cpu().numpy()
    values = values.cpu().numpy()
    kinds, weights = model.layout.slot_class, resamples(N_DRAWS, len(values), seed=seed)
    for name, prediction in (("cloze", predicted), ("linear_gaussian", in_turn(linear_gaussian, values))):
        draws, dealt = r2_draws(values, prediction, kinds, weights), dealt_r2(values, prediction, kinds, seed=seed)
        yield name, row_of(target, "masked_r2", spread(draws[:, -1], dealt[:, -1]))


def row_of(target: Target, metric: str, figures: dict[str, float]) -> dict:
    """A row (target, metric, value, low, high, null_p95, n): the figure, its 95 % bootstrap interval over networks, and what it
    reaches in 95 of 100 draws when predictions are dealt out to other networks of the target.
    """
    columns = {name: figures[name] for name in ("value", "low", "high", "null_p95")}
    return {"target": target.name, "metric": metric, **columns, "n": len(target.params)}


def summary(rows: list[dict], targets: list[Target], config: TransferConfig) -> dict:
    """metrics.json: which modes each target holds, and its figures by representation and metric, as far as they are defined."""
    names = ("value", "low", "high", "null_p95")
    figures: dict[str, dict] = {target.name: {} for target in targets}
    for row in rows:
        if np.isfinite([row[name] for name in names]).all():
            entry = figures[row["target"]].setdefault(row["representation"], {})
            entry[row["metric"]] = {name: row[name] for name in names}
    modes = {t.name: {mode: int((t.mode == mode).sum()) for mode in sorted(set(t.mode))} for t in targets}
    return {"embeddings": list(config.kinds), "k": config.k, "control": RANDOM, "modes": modes, "targets": figures}
