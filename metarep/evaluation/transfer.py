"""The stage that asks whether what was learned on one zoo holds on others.

Probes, clusters and the linear-Gaussian imputer are fitted on training networks of the source (the zoo of the pretraining) and
carried over as they are: to its test networks, to other zoos, and to random initialisations, the control that must fail.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from metarep.artefact import canonical_json, open_artefact, write_whole, writing
from metarep.embeddings.settings import EmbedConfig
from metarep.embeddings.stage import embed_networks
from metarep.errors import MetarepError
from metarep.evaluation.agreement import agreement
from metarep.evaluation.arena import labels_of, numbers_of
from metarep.evaluation.baselines import BASELINES, NEEDS
from metarep.evaluation.clusters import fit_kmeans
from metarep.evaluation.masked_r2 import masked_r2_rows
from metarep.evaluation.probes import Predict, fit_probe, linear_classifier, linear_regressor, neighbour_classifier
from metarep.evaluation.resampling import accuracy, class_metric, r2_metric
from metarep.evaluation.settings import MaskedR2Config, TransferConfig
from metarep.model.pretraining import load_model
from metarep.model.transformer import ClozeModel
from metarep.progress import Progress
from metarep.tables import to_csv
from metarep.zoos.domain import domain_of
from metarep.zoos.zoo import Zoo, open_zoo

UNSEEN_SEEDS, RANDOM = "unseen_seeds", "random_initialisations"
N_PERMUTATIONS = 200
PREDICTORS = ("cloze", "linear_gaussian")


@dataclass(frozen=True)
class Target:
    """Networks to carry over to, and what is known of them: texts and numbers (N,)."""

    name: str
    zoo: Zoo
    labels: Mapping[str, np.ndarray]
    numbers: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Carried:
    """What was fitted on the source's vectors of one representation: probes by (label, probe), and clusters."""

    probes: Mapping[tuple[str, str], Predict]
    clusters: Predict
    main_label: str | None


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
    the folder `out`, which it returns. The model's own zoo may be among them. Raises MetarepError for zoos whose networks
    are embedded differently.
    """
    progress = progress or Progress()
    artefact, network_model = open_artefact(model, "model"), load_model(model, device=device)
    source = open_zoo(artefact.input_path("zoo"))
    artefact.require_input("zoo", source.artefact)
    loaded = load_targets(zoos, source)
    train = few(source.final().where(split="train"), config.max_fit_networks, config.seed)
    targets = list(gather_targets(source, loaded, config))
    inputs = {"model": artefact, "source": source.artefact, **{f"target_{n}": z.artefact for n, z in loaded.items()}}
    with (
        threadpool_limits(1, user_api="openmp"),
        writing(out, "transfer", config=config.resolved(), seed=config.seed, inputs=inputs, overwrite=overwrite) as folder,
    ):
        with progress.task("transfer", len(targets), "targets") as task:
            rows = list(carry_over(network_model, artefact.path.name, train, targets, config, task))
        write_whole(folder / "transfer.csv", to_csv(rows))
        about = summary(targets, next(iter(labels_of(train)), None), config)
        write_whole(folder / "metrics.json", canonical_json(about) + "\n")
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


def gather_targets(source: Zoo, zoos: Mapping[str, Zoo], config: TransferConfig) -> Iterator[Target]:
    """Unseen seeds of the source, every other zoo's finished networks, and the source's own random initialisations."""
    test = few(source.final().where(split="test"), config.max_test_networks, config.seed)
    yield target_of(UNSEEN_SEEDS, test)
    for name, zoo in zoos.items():
        final = zoo.final()
        if "variant" in final and name in set(final["variant"]):  # the others are there to descend from
            final = final.where(variant=name)
        yield target_of(name, few(final, config.max_test_networks, config.seed))
    if "init_params" in test:
        yield replace(target_of(RANDOM, untrained_networks(test)), numbers={})


def target_of(name: str, zoo: Zoo) -> Target:
    """A zoo with its labels and numbers."""
    return Target(name, zoo, {label: zoo[label] for label in zoo.labels}, numbers_of(zoo))


def untrained_networks(zoo: Zoo) -> Zoo:
    """The networks of a zoo as training found them, with the labels that they have there."""
    domain = domain_of(zoo)
    columns = dict(zoo.columns) | {"params": zoo.init_params}
    if domain is not None and domain.columns_of is not None:
        columns |= domain.columns_of(zoo.spec, zoo.init_params)
    return replace(zoo, columns=columns)


def carry_over(
    model: ClozeModel, model_name: str, train: Zoo, targets: list[Target], config: TransferConfig, task
) -> Iterator[dict]:
    """Fits everything on the source's training networks; rows of every target."""
    kinds = {kind: EmbedConfig(kind=kind, seed=config.seed) for kind in config.kinds}
    vectors = {kind: embed_networks(model, train, np.arange(len(train)), how).astype(float) for kind, how in kinds.items()}
    with_raw = NEEDS["one architecture"](train)
    if with_raw:
        vectors["raw"] = BASELINES["raw"].make(train, np.ones(len(train), dtype=bool))
    source = replace(target_of("source", train), labels=labels_of(train))
    carried = {name: fit(x, source, config) for name, x in vectors.items()}
    most = {"max_fit_windows": len(train), "max_test_windows": config.max_test_networks}
    masking = MaskedR2Config(seed=config.seed, maskings=("leave one out", "one in eight"), **most)
    for target in targets:
        for row in masked_rows(model, train, target, masking):
            whose = {"representation": row.pop("predictor"), "model": model_name, "kind": "", "untrained": 0}
            yield whose | {"target": target.name, **row}
        for name, one in carried.items():
            x = vectors_in(target, name, kinds, model, train)
            if x is None:
                continue
            if x.shape[1] != vectors[name].shape[1]:
                lengths = {"met": f"{x.shape[1]} numbers a network", "expected": f"{vectors[name].shape[1]}"}
                fix = "choose kinds whose vectors are as long for every architecture, such as layers"
                raise MetarepError(f"target {target.name} is embedded differently by {name}", fix=fix, **lengths)
            whose = {"representation": name, "model": model_name if name in kinds else "", "kind": name, "untrained": 0}
            for row in carried_rows(one, x, target, config):
                yield whose | {"target": target.name} | row
        task.advance(1, target.name)


def vectors_in(target: Target, name: str, kinds: Mapping[str, EmbedConfig], model: ClozeModel, train: Zoo) -> np.ndarray | None:
    """The vectors (N, D) of a target's networks; None for raw parameters of another architecture than the source's."""
    zoo = target.zoo
    if name in kinds:
        return embed_networks(model, zoo, np.arange(len(zoo)), kinds[name]).astype(float)
    same = NEEDS["one architecture"](zoo) and zoo.architectures == train.architectures
    return BASELINES["raw"].make(zoo, np.ones(len(zoo), dtype=bool)) if same else None


def fit(x: np.ndarray, source: Target, config: TransferConfig) -> Carried:
    """Probes for every label and number, and a k-means clustering, fitted on the source's vectors x (N, D)."""
    probes = {}
    for label, values in source.labels.items():
        known = values != ""
        if len(set(values[known])) > 1:
            for probe, build in (("linear", linear_classifier), ("nearest_neighbours", neighbour_classifier)):
                probes[label, probe] = fit_probe(build, x[known], values[known])
    for name, values in source.numbers.items():
        known = np.isfinite(values)
        probes[name, "linear"] = fit_probe(linear_regressor, x[known], values[known])
    return Carried(probes, fit_kmeans(x, config.k, seed=config.seed).predict, next(iter(source.labels), None))


def carried_rows(carried: Carried, x: np.ndarray, target: Target, config: TransferConfig) -> Iterator[dict]:
    """Rows (label, probe, metric, value, low, high, null, n): probes and clusters carried over to x (N, D)."""
    for (label, probe), predict in carried.probes.items():
        if label in target.labels:
            truth = target.labels[label]
            known = truth != ""
            predicted, scores = predict(x)[known], {"balanced_accuracy": None, "accuracy": accuracy}
            for metric, score in scores.items() if known.any() else ():
                found = class_metric(truth[known].astype(str), predicted, seed=config.seed, score=score)
                yield {"label": label, "probe": probe, "metric": metric, **found, "n": int(known.sum())}
        elif label in target.numbers:
            known = np.isfinite(target.numbers[label])
            found = r2_metric(target.numbers[label][known], predict(x)[known], seed=config.seed)
            yield {"label": label, "probe": probe, "metric": "r2", **found, "n": int(known.sum())}
    main = carried.main_label
    if main in target.labels and (known := target.labels[main] != "").any():
        how = {"seed": config.seed, "n_permutations": N_PERMUTATIONS}
        found = agreement(target.labels[main][known], carried.clusters(x)[known], **how)
        for metric in ("ari", "ami"):
            yield {"label": main, "probe": "clusters", "metric": metric, **found[metric], "n": int(known.sum())}


def masked_rows(model: ClozeModel, train: Zoo, target: Target, masking: MaskedR2Config) -> Iterator[dict]:
    """Masked R² of the model and of the imputer fitted on the source; none for a model that predicts no values."""
    if model.head is None:
        return
    rows = [row for row in masked_r2_rows(masking, model, train, target.zoo) if row["group"] == "all"]
    for row in rows:
        if row["masking"] == rows[0]["masking"] and row["predictor"] in PREDICTORS:
            found = {"value": row["r2"], "low": row["low"], "high": row["high"], "null": row["null_p95"]}
            about = {"predictor": row["predictor"], "label": "", "probe": "", "metric": "masked_r2"}
            yield about | found | {"n": len(target.zoo)}


def summary(targets: list[Target], label: str | None, config: TransferConfig) -> dict:
    """metrics.json: what was carried over, and how often each value of the source's first label occurs in each target."""
    counts = {}
    for target in targets:
        names, n = np.unique(target.labels.get(label, np.array([], str)).astype(str), return_counts=True)
        counts[target.name] = dict(zip(names.tolist(), n.tolist(), strict=True))
    return {"embeddings": list(config.kinds), "k": config.k, "control": RANDOM, "label": label, "targets": counts}
