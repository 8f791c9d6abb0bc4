"""The stage that asks whether what was learned on one zoo holds on others.

Probes, clusters and the linear-Gaussian imputer are fitted on training networks of the source (the zoo of the pretraining) and
carried over as they are: to its test networks, to other zoos, and to random initialisations, the control that must fail.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
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
from metarep.evaluation.folds import MIN_TEST, SAID, Fold, folds_of, gathered, measured_rows, out_of_fold, same_names, split_off
from metarep.evaluation.masked_r2 import masked_r2_rows
from metarep.evaluation.probes import Predict, fit_probe, linear_classifier, linear_regressor, neighbour_classifier
from metarep.evaluation.resampling import accuracy, class_metric, r2_metric
from metarep.evaluation.settings import MaskedR2Config, TransferConfig
from metarep.model.pretraining import load_model
from metarep.model.transformer import ClozeModel
from metarep.progress import Progress
from metarep.tables import to_csv
from metarep.zoos.domain import domain_of
from metarep.zoos.readings import is_known, varies
from metarep.zoos.zoo import Zoo, open_zoo

UNSEEN_SEEDS, RANDOM = "unseen_seeds", "random_initialisations"
N_PERMUTATIONS = 200
PREDICTORS = ("cloze", "linear_gaussian")
ACCURACY, R2 = "balanced_accuracy", "r2"


@dataclass(frozen=True)
class Target:
    """Networks to carry over to, and what is known of them: texts and numbers (N,)."""

    name: str
    zoo: Zoo
    labels: Mapping[str, np.ndarray]
    numbers: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Carried:
    """What was fitted on the source's vectors of one representation: probes by (label or property, probe, metric), clusters."""

    probes: Mapping[tuple[str, str, str], Predict]
    clusters: Predict
    main_label: str | None

    def to(self, x: np.ndarray) -> Found:
        """What it says of vectors x (N, D)."""
        return Found({key: predict(x) for key, predict in self.probes.items()}, self.clusters(x), self.main_label)


@dataclass(frozen=True)
class Found:
    """What was carried over to N networks of a target: by (label or property, probe, metric) what is predicted (N,), and
    clusters (N,).
    """

    predicted: Mapping[tuple[str, str, str], np.ndarray]
    clusters: np.ndarray
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
    the folder `out`, which it returns. The model's own zoo may be among them.

    Of a source of few runs every network counts as an unseen one in its turn (`folds`), though the model was pretrained on
    most of them. Raises MetarepError for zoos whose networks are embedded differently.
    """
    progress = progress or Progress()
    artefact, network_model = open_artefact(model, "model"), load_model(model, device=device)
    source = open_zoo(artefact.input_path("zoo"))
    artefact.require_input("zoo", source.artefact)
    loaded = load_targets(zoos, source)
    own = source_of(source, config)
    for note in own.notes:
        progress.say(note)
    targets = list(gather_targets(own, loaded, config))
    inputs = {"model": artefact, "source": source.artefact, **{f"target_{n}": z.artefact for n, z in loaded.items()}}
    with (
        threadpool_limits(1, user_api="openmp"),
        writing(out, "transfer", config=config.resolved(), seed=config.seed, inputs=inputs, overwrite=overwrite) as folder,
    ):
        with progress.task("transfer", len(targets), "targets") as task:
            rows = list(carry_over(network_model, artefact.path.name, own, targets, config, task))
        write_whole(folder / "transfer.csv", to_csv(rows))
        about = summary(targets, own.main_label, config) | {"notes": own.notes}
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


@dataclass(frozen=True)
class Origin:
    """The networks of the source, in which folds they are fitted on and held out, and what of them can be measured."""

    zoo: Zoo
    folds: tuple[Fold, ...]
    labels: Mapping[str, np.ndarray]
    numbers: Mapping[str, np.ndarray]
    notes: list[str]

    @property
    def main_label(self) -> str | None:
        """The label by which clusters are judged."""
        return next(iter(self.labels), None)

    @property
    def fitted_on(self) -> np.ndarray:
        """The rows that are fitted on for other zoos: the training networks, or all where there are several folds."""
        return np.unique(np.concatenate([fold.train for fold in self.folds]))

    @property
    def held_out(self) -> Zoo:
        """Its networks that are measured, fold by fold."""
        return self.zoo.select(measured_rows(self.folds))


def source_of(zoo: Zoo, config: TransferConfig) -> Origin:
    """The finished networks of the source, a seeded choice. Labels and properties that its folds cannot measure are left out
    with a note. Raises MetarepError where they are of one run.
    """
    final, notes = zoo.final(), []
    most = {"most_fit": config.max_fit_networks, "most_test": config.max_test_networks}
    folds = folds_of(final.split, final.run_id, seed=config.seed, **most)
    notes += [SAID] if len(folds) > 1 else []
    labels, _ = split_off(labels_of(final), folds, "label", notes.append)
    numbers, _ = split_off(numbers_of(final), folds, "property", notes.append)
    rows, folds = gathered(folds)
    some = ({name: values[rows] for name, values in known.items()} for known in (labels, numbers))
    return Origin(final.select(rows), folds, *some, notes)


def few(zoo: Zoo, most: int, seed: int) -> Zoo:
    """At most so many networks, a seeded choice in the zoo's order."""
    return zoo.select(np.sort(np.random.default_rng(seed).permutation(len(zoo))[:most]))


def gather_targets(source: Origin, zoos: Mapping[str, Zoo], config: TransferConfig) -> Iterator[Target]:
    """Unseen seeds of the source, every other zoo's finished networks, and the source's own random initialisations."""
    test = source.held_out
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
    return Target(name, zoo, {label: zoo.label(label) for label in zoo.labels}, numbers_of(zoo))


def untrained_networks(zoo: Zoo) -> Zoo:
    """The networks of a zoo as training found them, with the labels that they have there."""
    domain = domain_of(zoo)
    columns = dict(zoo.columns) | {"params": zoo.init_params}
    if domain is not None and domain.columns_of is not None:
        columns |= domain.columns_of(zoo.spec, zoo.init_params)
    return replace(zoo, columns=columns)


def carry_over(
    model: ClozeModel, model_name: str, source: Origin, targets: list[Target], config: TransferConfig, task
) -> Iterator[dict]:
    """Fits everything on the source's training networks; rows of every target."""
    kinds = {kind: EmbedConfig(kind=kind, seed=config.seed) for kind in config.kinds}
    rows = np.arange(len(source.zoo))
    vectors = {kind: embed_networks(model, source.zoo, rows, how).astype(float) for kind, how in kinds.items()}
    if NEEDS["one architecture"](source.zoo):
        vectors["raw"] = BASELINES["raw"].make(source.zoo, np.ones(len(rows), dtype=bool))
    train, test = (source.zoo.where(split=split) for split in ("train", "test"))
    most = {"max_fit_windows": max(10, len(train)), "max_test_windows": config.max_test_networks}
    masking = MaskedR2Config(seed=config.seed, maskings=("leave one out", "one in eight"), **most)
    carried = {name: fit(x, source, source.fitted_on, config) for name, x in vectors.items()}
    for target in targets:
        never_seen = replace(target, zoo=test) if target.name == UNSEEN_SEEDS else target
        for row in masked_rows(model, train, never_seen, masking):
            whose = {"representation": row.pop("predictor"), "model": model_name, "kind": "", "untrained": 0}
            yield whose | {"target": target.name, **row}
        for name, one in carried.items():
            if target.name == UNSEEN_SEEDS:
                found = held_out(vectors[name], source, config)
            elif (x := vectors_in(target, name, kinds, model, source.zoo)) is None:
                continue
            elif x.shape[1] != vectors[name].shape[1]:
                lengths = {"met": f"{x.shape[1]} numbers a network", "expected": f"{vectors[name].shape[1]}"}
                fix = "choose kinds whose vectors are as long for every architecture, such as layers"
                raise MetarepError(f"target {target.name} is embedded differently by {name}", fix=fix, **lengths)
            else:
                found = one.to(x)
            whose = {"representation": name, "model": model_name if name in kinds else "", "kind": name, "untrained": 0}
            for row in found_rows(found, target, config):
                yield whose | {"target": target.name} | row
        task.advance(1, target.name)


def vectors_in(
    target: Target, name: str, kinds: Mapping[str, EmbedConfig], model: ClozeModel, source: Zoo
) -> np.ndarray | None:
    """The vectors (N, D) of a target's networks; None for raw parameters of another architecture than the source's."""
    zoo = target.zoo
    if name in kinds:
        return embed_networks(model, zoo, np.arange(len(zoo)), kinds[name]).astype(float)
    same = NEEDS["one architecture"](zoo) and zoo.architectures == source.architectures
    return BASELINES["raw"].make(zoo, np.ones(len(zoo), dtype=bool)) if same else None


def fit(x: np.ndarray, source: Origin, rows: np.ndarray, config: TransferConfig) -> Carried:
    """Probes for every label and property, and a k-means clustering, fitted on some rows of the source's vectors x (N, D)."""
    probes = {}
    for label, values in source.labels.items():
        own = rows[is_known(values[rows])]
        for probe, build in (("linear", linear_classifier), ("nearest_neighbours", partial(neighbour_classifier, len(own)))):
            probes[label, probe, ACCURACY] = fit_probe(build, x[own], values[own])
    for name, values in source.numbers.items():
        own = rows[is_known(values[rows])]
        probes[name, "linear", R2] = fit_probe(linear_regressor, x[own], values[own])
    k = min(config.k, max(2, len(rows) // 2))
    return Carried(probes, fit_kmeans(x[rows], k, seed=config.seed).predict, source.main_label)


def held_out(x: np.ndarray, source: Origin, config: TransferConfig) -> Found:
    """What is found of the source's own networks x (N, D), each by what was fitted on the training networks of its fold."""
    fits = [fit(x, source, fold.train, config) for fold in source.folds]
    predicted = {
        key: np.concatenate([one.probes[key](x[fold.test]) for one, fold in zip(fits, source.folds, strict=True)])
        for key in fits[0].probes
    }
    clusters = same_names(source.folds, [one.clusters(x) for one in fits])
    return Found(predicted, out_of_fold(source.folds, clusters), source.main_label)


def found_rows(found: Found, target: Target, config: TransferConfig) -> Iterator[dict]:
    """Rows (label, probe, metric, value, low, high, null, n, n_runs): what was carried over against what is known."""
    runs = target.zoo.run_id.astype(str)

    def about(known: np.ndarray) -> dict[str, int]:
        return {"n": int(known.sum()), "n_runs": len(set(runs[known].tolist()))}

    for (label, probe, metric), predicted in found.predicted.items():
        truth = (target.labels if metric == ACCURACY else target.numbers).get(label)
        known = np.zeros(0, dtype=bool) if truth is None else is_known(truth)
        if not known.any() or (metric == R2 and not can_vary(truth)):
            continue
        how = {"seed": config.seed, "groups": runs[known]}
        if metric == R2:
            row = r2_metric(truth[known], predicted[known], **how)
            yield {"label": label, "probe": probe, "metric": R2, **row, **about(known)}
            continue
        for name, score in ((ACCURACY, None), ("accuracy", accuracy)):
            row = class_metric(truth[known].astype(str), predicted[known], score=score, **how)
            yield {"label": label, "probe": probe, "metric": name, **row, **about(known)}
    main = found.main_label
    if main in target.labels and varies(target.labels[main]):
        known = is_known(target.labels[main])
        how = {"seed": config.seed, "n_permutations": N_PERMUTATIONS, "groups": runs[known]}
        rows = agreement(target.labels[main][known], found.clusters[known], **how)
        for metric in ("ari", "ami"):
            yield {"label": main, "probe": "clusters", "metric": metric, **rows[metric], **about(known)}


def can_vary(truth: np.ndarray) -> bool:
    """Whether the numbers (N,) of a target have an R²: they vary, and enough of its networks have one."""
    return int(is_known(truth).sum()) >= MIN_TEST and varies(truth)


def masked_rows(model: ClozeModel, train: Zoo, target: Target, masking: MaskedR2Config) -> Iterator[dict]:
    """Masked R² of the model and of the imputer fitted on the source; none for a model that predicts no values."""
    if model.head is None:
        return
    rows = [row for row in masked_r2_rows(masking, model, train, target.zoo) if row["group"] == "all"]
    for row in rows:
        if row["masking"] == rows[0]["masking"] and row["predictor"] in PREDICTORS:
            found = {"value": row["r2"], "low": row["low"], "high": row["high"], "null": row["null_p95"]}
            about = {"predictor": row["predictor"], "label": "", "probe": "", "metric": "masked_r2"}
            yield about | found | {"n": len(target.zoo), "n_runs": row["n_runs"]}


def summary(targets: list[Target], label: str | None, config: TransferConfig) -> dict:
    """metrics.json: what was carried over, and how often each value of the source's first label occurs in each target."""
    counts = {}
    for target in targets:
        texts = target.labels.get(label, np.array([], str)).astype(str)
        names, n = np.unique(texts[texts != ""], return_counts=True)
        counts[target.name] = dict(zip(names.tolist(), n.tolist(), strict=True))
    return {"embeddings": list(config.kinds), "k": config.k, "control": RANDOM, "label": label, "targets": counts}
