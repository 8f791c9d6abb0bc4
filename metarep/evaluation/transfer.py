"""The stage that asks whether what was learned on one zoo holds on others.

Probes, clusters and the linear-Gaussian imputer are fitted on training networks of the source (the zoo of the pretraining) and
carried over as they are: to its test networks, to other zoos, and to random initialisations, the control that must fail.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from metarep.artefact import open_artefact, writing
from metarep.embeddings.settings import EmbedConfig
from metarep.embeddings.stage import embed_networks
from metarep.errors import MetarepError
from metarep.evaluation.agreement import agreement
from metarep.evaluation.arena import Arena, measurable, numbers_of
from metarep.evaluation.baselines import BASELINES, NEEDS
from metarep.evaluation.clusters import fit_kmeans
from metarep.evaluation.folds import MIN_TEST, out_of_fold, same_names
from metarep.evaluation.masked_r2 import masked_r2_rows
from metarep.evaluation.probes import Predict, fit_probe, linear_classifier, linear_regressor, neighbour_classifier
from metarep.evaluation.resampling import accuracy, class_metric, r2_metric
from metarep.evaluation.settings import MaskedR2Config, TransferConfig
from metarep.model.pretraining import load_model
from metarep.model.transformer import ClozeModel
from metarep.progress import Progress
from metarep.tables import write_tables
from metarep.zoos.domain import domain_of
from metarep.zoos.readings import is_known, varies
from metarep.zoos.zoo import Zoo, open_zoo

UNSEEN_SEEDS, RANDOM = "unseen_seeds", "random_initialisations"
N_PERMUTATIONS = 200
PREDICTORS = ("cloze", "linear_gaussian")
CLUSTERS, ACCURACY, R2 = "clusters", "balanced_accuracy", "r2"


Fitted = Mapping[tuple[str, str, str], Predict]
"""Probes and clusters that were fitted on a source's vectors, by (label or property, probe, metric)."""

Found = Mapping[tuple[str, str, str], np.ndarray]
"""What they say of N networks, (N,) each."""


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
    the folder `out`, which it returns. The model's own zoo may be among them.

    Of a source of few runs every network counts as an unseen one in its turn (`folds`), though the model was pretrained on
    most of them. Raises MetarepError for zoos whose networks are embedded differently.
    """
    progress = progress or Progress()
    artefact, network_model = open_artefact(model, "model"), load_model(model, device=device)
    source = open_zoo(artefact.input_path("zoo"))
    artefact.require_input("zoo", source.artefact)
    loaded, notes = load_targets(zoos, source), []
    most = {"most_fit": config.max_fit_networks, "most_test": config.max_test_networks}
    own = measurable(source.final(), notes.append, seed=config.seed, **most)
    for note in notes:
        progress.say(note)
    targets = gather_targets(own, loaded, config)
    inputs = {"model": artefact, "source": source.artefact, **{f"target_{n}": z.artefact for n, z in loaded.items()}}
    with (
        threadpool_limits(1, user_api="openmp"),
        writing(out, "transfer", config=config.resolved(), seed=config.seed, inputs=inputs, overwrite=overwrite) as folder,
    ):
        with progress.task("transfer", len(targets), "targets") as task:
            rows = list(carry_over(network_model, artefact.path.name, own, targets, config, task))
        write_tables(folder, {"transfer": rows}, summary(targets, own.main_label, config) | {"notes": notes})
    return Path(out)


def load_targets(paths: list[Path], source: Zoo) -> dict[str, Zoo]:
    """The zoos by the names of their folders, without the source. Raises MetarepError where two have one name."""
    zoos: dict[str, Zoo] = {}
    for name, zoo in ((Path(path).name, open_zoo(path)) for path in paths):
        if zoo.artefact.digest == source.artefact.digest:
            continue
        if name in zoos:
            raise MetarepError("two target zoos have one name", met=name, fix="rename one folder")
        zoos[name] = zoo
    return zoos


def few(zoo: Zoo, most: int, seed: int) -> Zoo:
    """At most so many networks, a seeded choice in the zoo's order."""
    return zoo.select(np.sort(np.random.default_rng(seed).permutation(len(zoo))[:most]))


def gather_targets(source: Arena, zoos: Mapping[str, Zoo], config: TransferConfig) -> dict[str, Arena]:
    """Unseen seeds of the source, every other zoo's finished networks, and the source's own random initialisations."""
    test = source.zoo.select(source.measured)
    found = {UNSEEN_SEEDS: everything_of(test)}
    for name, zoo in zoos.items():
        final = zoo.final()
        if "variant" in final and name in set(final["variant"]):  # the others are there to descend from
            final = final.where(variant=name)
        found[name] = everything_of(few(final, config.max_test_networks, config.seed))
    if "init_params" in test:
        found[RANDOM] = replace(everything_of(untrained_networks(test)), numbers={})
    return found


def everything_of(zoo: Zoo) -> Arena:
    """A zoo that nothing is fitted on, with its labels and numbers."""
    return Arena(zoo, (), {label: zoo.label(label) for label in zoo.labels}, numbers_of(zoo))


def untrained_networks(zoo: Zoo) -> Zoo:
    """The networks of a zoo as training found them, with the labels that they have there."""
    domain = domain_of(zoo)
    columns = dict(zoo.columns) | {"params": zoo.init_params}
    if domain is not None and domain.columns_of is not None:
        columns |= domain.columns_of(zoo.spec, zoo.init_params)
    return replace(zoo, columns=columns)


def carry_over(
    model: ClozeModel, model_name: str, source: Arena, targets: Mapping[str, Arena], config: TransferConfig, task
) -> Iterator[dict]:
    """Fits everything on the source's training networks, of several folds on all; rows of every target."""
    kinds = {kind: EmbedConfig(kind=kind, seed=config.seed) for kind in config.kinds}
    vectors = {name: vectors_in(source.zoo, name, kinds, model, source.zoo) for name in (*kinds, "raw")}
    vectors = {name: x for name, x in vectors.items() if x is not None}
    train, test = (source.zoo.where(split=split) for split in ("train", "test"))
    most = {"max_fit_windows": max(10, len(train)), "max_test_windows": config.max_test_networks}
    masking = MaskedR2Config(seed=config.seed, maskings=("leave one out", "one in eight"), n_gaussians=0, **most)
    rows = np.unique(np.concatenate([fold.train for fold in source.folds]))
    carried = {name: fit(x, source, rows, config) for name, x in vectors.items()}
    for name, target in targets.items():
        for row in masked_rows(model, train, test if name == UNSEEN_SEEDS else target.zoo, masking):
            whose = {"representation": row.pop("predictor"), "model": model_name, "kind": "", "untrained": 0}
            yield whose | {"target": name, **row}
        for kind, fitted in carried.items():
            if name == UNSEEN_SEEDS:
                found = held_out(vectors[kind], source, config)
            elif (x := vectors_in(target.zoo, kind, kinds, model, source.zoo)) is None:
                continue
            elif x.shape[1] != vectors[kind].shape[1]:
                lengths = {"met": f"{x.shape[1]} numbers a network", "expected": f"{vectors[kind].shape[1]}"}
                fix = "choose kinds whose vectors are as long for every architecture, such as layers"
                raise MetarepError(f"target {name} is embedded differently by {kind}", fix=fix, **lengths)
            else:
                found = {key: predict(x) for key, predict in fitted.items()}
            whose = {"representation": kind, "model": model_name if kind in kinds else "", "kind": kind, "untrained": 0}
            for row in found_rows(found, target, config):
                yield whose | {"target": name} | row
        task.advance(1, name)


def vectors_in(zoo: Zoo, name: str, kinds: Mapping[str, EmbedConfig], model: ClozeModel, source: Zoo) -> np.ndarray | None:
    """The vectors (N, D) of a zoo's networks; None for raw parameters where these are not of the source's one architecture."""
    rows = np.arange(len(zoo))
    if name in kinds:
        return embed_networks(model, zoo, rows, kinds[name]).astype(float)
    same = NEEDS["one architecture"](zoo) and zoo.architectures == source.architectures
    return BASELINES["raw"].make(zoo, rows >= 0) if same else None


def fit(x: np.ndarray, source: Arena, rows: np.ndarray, config: TransferConfig) -> Fitted:
    """Probes for every label and property, and a k-means clustering, fitted on some rows of the source's vectors x (N, D)."""
    found = {}
    for label, values in source.labels.items():
        own = rows[is_known(values[rows])]
        for probe, build in (("linear", linear_classifier), ("nearest_neighbours", partial(neighbour_classifier, len(own)))):
            found[label, probe, ACCURACY] = fit_probe(build, x[own], values[own])
    for name, values in source.numbers.items():
        own = rows[is_known(values[rows])]
        found[name, "linear", R2] = fit_probe(linear_regressor, x[own], values[own])
    k = min(config.k, max(2, len(rows) // 2))
    return found | {(source.main_label or "", CLUSTERS, "ari"): fit_kmeans(x[rows], k, seed=config.seed).predict}


def held_out(x: np.ndarray, source: Arena, config: TransferConfig) -> Found:
    """What is found of the source's own networks x (N, D), each by what was fitted on the training networks of its fold."""
    fits, found = [fit(x, source, fold.train, config) for fold in source.folds], {}
    for key in fits[0]:
        of_folds = [fitted[key](x) for fitted in fits]
        found[key] = out_of_fold(source.folds, same_names(source.folds, of_folds) if key[1] == CLUSTERS else of_folds)
    return found


def found_rows(found: Found, target: Arena, config: TransferConfig) -> Iterator[dict]:
    """Rows (label, probe, metric, value, low, high, null, n, n_runs): what was carried over against what is known."""
    runs = target.zoo.run_id.astype(str)
    for (label, probe, metric), predicted in found.items():
        truth = (target.numbers if metric == R2 else target.labels).get(label)
        if truth is None or not (known := is_known(truth)).any():
            continue
        if (metric == R2 and known.sum() < MIN_TEST) or (metric != ACCURACY and not varies(truth)):
            continue
        truth, predicted, how = truth[known], predicted[known], {"seed": config.seed, "groups": runs[known]}
        if metric == R2:
            rows = {R2: r2_metric(truth, predicted, **how)}
        elif probe == CLUSTERS:
            agreed = agreement(truth, predicted, n_permutations=N_PERMUTATIONS, **how)
            rows = {name: agreed[name] for name in ("ari", "ami")}
        else:
            scores = {ACCURACY: None, "accuracy": accuracy}
            rows = {name: class_metric(truth.astype(str), predicted, score=score, **how) for name, score in scores.items()}
        about = {"n": len(truth), "n_runs": len(set(how["groups"].tolist()))}
        for name, row in rows.items():
            yield {"label": label, "probe": probe, "metric": name, **row, **about}


def masked_rows(model: ClozeModel, train: Zoo, test: Zoo, masking: MaskedR2Config) -> Iterator[dict]:
    """Masked R² of the model and of the imputer fitted on the source; none for a model that predicts no values."""
    if model.head is None:
        return
    rows = [row for row in masked_r2_rows(masking, model, train, test) if row["group"] == "all"]
    for row in rows:
        if row["masking"] == rows[0]["masking"] and row["predictor"] in PREDICTORS:
            found = {name: row[name] for name in ("value", "low", "high", "null")}
            about = {"predictor": row["predictor"], "label": "", "probe": "", "metric": "masked_r2"}
            yield about | found | {"n": len(test), "n_runs": row["n_runs"]}


def summary(targets: Mapping[str, Arena], label: str | None, config: TransferConfig) -> dict:
    """metrics.json: what was carried over, and how often each value of the source's first label occurs in each target."""
    counts = {}
    for target, known in targets.items():
        texts = known.labels.get(label, np.array([], str)).astype(str)
        names, n = np.unique(texts[texts != ""], return_counts=True)
        counts[target] = dict(zip(names.tolist(), n.tolist(), strict=True))
    return {"embeddings": list(config.kinds), "k": config.k, "control": RANDOM, "label": label, "targets": counts}
