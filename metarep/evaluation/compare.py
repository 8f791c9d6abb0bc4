"""The stage that compares representations, fitted on training and measured on test networks: clusters, labels, probes."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from metarep.artefact import canonical_json, open_artefact, sha256_of, writing
from metarep.embeddings.store import Embeddings, load_embeddings
from metarep.errors import MetarepError
from metarep.evaluation.agreement import agreement
from metarep.evaluation.arena import (
    EMBEDDING,
    Arena,
    Representation,
    arena_of,
    embedded_in_all,
    representations_of,
)
from metarep.evaluation.baselines import asked_for
from metarep.evaluation.clusters import RULE, Clustering, fit_umap, sweep
from metarep.evaluation.describe import describe
from metarep.evaluation.folds import SAID, out_of_fold, same_names
from metarep.evaluation.probes import probe_rows
from metarep.evaluation.settings import ClusterConfig
from metarep.evaluation.units import Units, units_of, within_rows
from metarep.progress import Progress
from metarep.tables import write_tables
from metarep.work import spread
from metarep.zoos.zoo import open_zoo

NATIVE, UMAP = "native", "umap"
"""The two arms of clustering: on the vectors themselves, and on their UMAP coordinates."""

MIN_PLACES = 5
"""Of fewer different networks there is no map."""

NOT_DESCRIBED = f"{SAID}; too few to say what sets clusters apart, and to test it on others"

MAPPED_BASELINES = ("raw", "oracle")
"""Beside embeddings, what has a UMAP where the settings name nothing."""


@dataclass
class Tables:
    """The rows of every table, the clusters of the measured networks by (representation, clusterer, space, k), and sentences
    for the user.
    """

    rows: dict[str, list[dict]] = field(default_factory=lambda: defaultdict(list))
    clusters: dict[tuple, np.ndarray] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def extend(self, other: Tables) -> None:
        """Adds the rows of another."""
        self.clusters |= other.clusters
        self.notes += other.notes
        for name, rows in other.rows.items():
            self.rows[name] += rows


def cluster(
    config: ClusterConfig,
    embeddings: list[Path],
    out: Path | str,
    *,
    zoo: Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Compares embeddings of one zoo with each other and with baselines, into the folder `out`, which it returns.

    `zoo` may be left out where the embeddings say where it lies. Raises MetarepError for embeddings that do not belong to the
    zoo or cannot be told apart, and for a zoo with too few training or test networks.
    """
    progress = progress or Progress()
    loaded = [load_embeddings(path, part=config.part) for path in embeddings]
    if zoo is None and not loaded:
        raise MetarepError("nothing to cluster", expected="at least one embeddings folder, or --zoo")
    networks = open_zoo(zoo if zoo is not None else loaded[0].artefact.input_path("zoo"))
    subjects = embedded_in_all(loaded, networks.final())
    arena = arena_of(units_of(subjects) if config.part == "unit" else subjects, config, progress.say)
    how = {"baselines": asked_for(config.baselines, config.further), "joint": config.joint}
    representations = representations_of(arena.zoo, loaded, arena.folds, **how)
    if isinstance(arena.zoo, Units):
        arena = replace(arena, zoo=arena.zoo.alone())
    inputs = {"zoo": networks.artefact, **{f"embeddings_{i}": e.artefact for i, e in enumerate(loaded)}}
    with writing(out, "clusters", config=config.resolved(), seed=config.seed, inputs=inputs, overwrite=overwrite) as folder:
        tables = Tables()
        with progress.task("compare", len(representations), "representations") as task:
            first = next((one.name for one in representations if one.origin == EMBEDDING), None)
            given = (arena, config, config.described or (first,))
            found = spread(compare_one, representations, *given, n_networks=len(arena.zoo))
            for one, part in zip(representations, found, strict=True):
                tables.extend(part)
                task.advance(1, one.name)
        for note in dict.fromkeys(tables.notes):
            progress.say(note)
        tables.rows["left_out"] = list(arena.left_out)
        tables.rows["representations"] = [
            one.columns | {"origin": one.origin, "description": one.description, "n_dimensions": one.vectors.shape[1]}
            for one in representations
        ]
        for group in replicates(loaded):
            tables.rows["seeds"] += seed_rows(group, tables, config)
        sides = {"n_train": "train", "n_probe_train": "probe_train"}
        counts = {name: min(len(getattr(fold, side)) for fold in arena.folds) for name, side in sides.items()}
        counts |= {"n_test": len(arena.measured), "n_folds": len(arena.folds), **arena.columns}
        counts |= {"notes": list(dict.fromkeys(tables.notes)), "further": further_files(config)}
        known = {"label": arena.main_label, "labels": list(arena.labels), "properties": list(arena.numbers)}
        write_tables(folder, tables.rows, {"rule_for_k": RULE} | counts | known)
    return Path(out)


def further_files(config: ClusterConfig) -> dict[str, str]:
    """The files of further baselines, by their path, and the hash of each; "" of one that is not there."""
    return {file: sha256_of(Path(file)) if Path(file).is_file() else "" for file in config.further}


def baselines_unchanged(comparison: Path, config: ClusterConfig) -> bool:
    """Whether the files of further baselines are those that a comparison was made with."""
    return json.loads((comparison / "metrics.json").read_text()).get("further", {}) == further_files(config)


def compare_one(one: Representation, arena: Arena, config: ClusterConfig, described: Sequence[str | None]) -> Tables:
    """Everything about one representation; its clusters are described if it is among those named."""
    known, how = [*arena.labels.items(), *arena.numbers.items()], {"n_seeds": config.n_probe_seeds, "seed": config.seed}
    probes = probe_rows(one.in_folds(arena.folds), arena.folds, known, arena.run, **how)
    tables = Clustered(one, arena, config).tables(described=not one.untrained and one.name in described)
    tables.rows["probes"] += [one.columns | row | arena.columns for row in probes]
    return tables


class Clustered:
    """One representation of those networks that clusters are fitted or measured on, and what is found of it."""

    def __init__(self, one: Representation, arena: Arena, config: ClusterConfig):
        rows, self.arena = arena.narrowed(probes=False)
        self.one, self.config, self.found = one.select(rows), config, Tables()
        self.folds, self.xs = self.arena.folds, self.one.in_folds(self.arena.folds)

    def add(self, table: str, rows: Iterable[dict]) -> None:
        """Rows of a table, with the columns that say which representation it is."""
        self.found.rows[table] += [self.one.columns | row for row in rows]

    def tables(self, *, described: bool) -> Tables:
        """Clusters by every clusterer, of k-means also which network is in which and, if `described`, what sets these apart;
        units by network; clusters on the coordinates of UMAP.
        """
        for clusterer in self.config.clusterers:
            chosen = self.sweep_k(clusterer, NATIVE, self.xs)
            if clusterer == "kmeans":
                clusters = same_names(self.folds, [fit.predict(x) for fit, x in zip(chosen, self.xs, strict=True)])
                self.assign(chosen, clusters)
                if described and len(self.folds) == 1:
                    (fold,), zoo, labels = self.folds, self.arena.zoo, self.arena.labels
                    found = describe(zoo, fold.train, fold.test, clusters[0], labels, seed=self.config.seed)
                    for table, rows in found.items():
                        self.add(table, rows)
                elif described:
                    self.found.notes.append(NOT_DESCRIBED)
        if isinstance(self.arena.zoo, Units):
            self.within_networks()
        if self.is_mapped:
            self.map()
        return self.found

    @property
    def is_mapped(self) -> bool:
        """Whether a UMAP is made of it: of those that the settings name, or of embeddings, raw and the oracle."""
        if isinstance(self.config.umap, tuple):
            return self.one.name in self.config.umap
        return self.config.umap and (self.one.name in MAPPED_BASELINES or self.one.origin == EMBEDDING)

    def sweep_k(self, clusterer: str, space: str, xs: Sequence[np.ndarray]) -> list[Clustering]:
        """One clusterer over every k: rows of k_curve and agreement; returns the clustering of each fold at the chosen k.

        Of several folds the curve is their mean, and the clusters of the networks that each measures are pooled under the names
        that those of the first fold have.
        """
        arena, how = self.arena, {"n_bootstraps": self.config.n_bootstraps, "seed": self.config.seed}
        known = {label: np.flatnonzero(values[arena.measured] != "") for label, values in arena.labels.items()}
        truth = {label: _numbered(arena.labels[label][arena.measured][rows]) for label, rows in known.items()}
        found = sweep(clusterer, [x[fold.train] for x, fold in zip(xs, self.folds, strict=True)], arena.ks, **how)
        key = {"clusterer": clusterer, "space": space}
        self.add("k_curve", (key | row for row in found.curve))
        for clusterings, row in zip(found.clusterings, found.curve, strict=True):
            named = same_names(self.folds, [fit.predict(x) for fit, x in zip(clusterings, xs, strict=True)])
            test = out_of_fold(self.folds, named)
            self.found.clusters[*self.one.columns.values(), clusterer, space, row["k"]] = test
            at = key | {"k": row["k"], "chosen": row["chosen"]}
            for label, rows in known.items():
                run = arena.run[arena.measured][rows]
                how = {"seed": self.config.seed, "n_permutations": self.config.n_permutations, "groups": run}
                about = {"n": len(rows), "n_runs": len(set(run.tolist())), **arena.columns}
                metrics = agreement(truth[label], test[rows], **how).items()
                self.add("agreement", (at | {"label": label, "metric": name, **columns, **about} for name, columns in metrics))
        return found.chosen

    def assign(self, chosen: Sequence[Clustering], clusters: Sequence[np.ndarray]) -> None:
        """Which network is in which k-means cluster, how far from its centre, and how clusters and each label meet.

        Networks that are fitted on are listed where there is one fold; of several, each is measured in its own.
        """
        distances = []
        for x, fold, fit in zip(self.xs, self.folds, chosen, strict=True):
            spread = x[fold.train].std(axis=0)
            distances.append(np.linalg.norm((x - fit.centres[fit.predict(x)]) / np.where(spread > 0, spread, 1), axis=1))
        measured = [out_of_fold(self.folds, some) for some in (clusters, distances)]
        listed = {"test": (self.arena.measured, *measured)}
        if len(self.folds) == 1:
            train = self.folds[0].train
            listed = {"train": (train, clusters[0][train], distances[0][train])} | listed
        for split, (rows, *values) in listed.items():
            keys = zip(self.arena.keys(rows), *values, strict=True)
            own = (key | {"cluster": int(number), "distance_to_centre": float(d), "split": split} for key, number, d in keys)
            self.add("assignments", own)
        for label, texts in self.arena.labels.items():
            own = texts[self.arena.measured].astype(str)
            for number in np.unique(measured[0]):
                pairs = zip(*np.unique(own[(measured[0] == number) & (own != "")], return_counts=True), strict=True)
                about = {"cluster": int(number), "label": label}
                self.add("contingency", (about | {"value": str(name), "n": int(n)} for name, n in pairs))

    def within_networks(self) -> None:
        """How the units of each measured network fall into clusters of their own, by each label: rows of within.csv."""
        arena, x = self.arena, out_of_fold(self.folds, self.xs)
        network, run = arena.zoo.network_id[arena.measured], arena.run[arena.measured]
        how = {"seed": self.config.seed, "n_permutations": self.config.n_permutations}
        for label, values in arena.labels.items():
            rows = within_rows(x, network, run, values[arena.measured], arena.ks, **how)
            self.add("within", ({"label": label} | row | arena.columns for row in rows))

    def map(self) -> None:
        """UMAP of the networks that are fitted on, the others placed in it; clusters on its coordinates as a second arm.

        The map that is drawn is that of the one fold. Where there are several it is fitted on all networks: a picture, on which
        nothing is measured.
        """
        n_places = min(len(np.unique(x[fold.train], axis=0)) for x, fold in zip(self.xs, self.folds, strict=True))
        n_neighbors = min(self.config.umap_neighbors, n_places - 1)
        if n_places < MIN_PLACES:
            self.found.notes.append(f"no map of {n_places} different networks; {MIN_PLACES} are the least")
            return
        if n_neighbors < self.config.umap_neighbors:
            what = f"{n_neighbors} neighbours in place of {self.config.umap_neighbors} (umap_neighbors)"
            self.found.notes.append(f"UMAP with {what}, since {n_places} networks that are fitted on differ")
        how = {"n_neighbors": n_neighbors, "seed": self.config.seed}
        placed = [fit_umap(x[fold.train], **how)(x) for x, fold in zip(self.xs, self.folds, strict=True)]
        drawn = placed[0] if len(placed) == 1 else fit_umap(self.one.vectors, **how)(self.one.vectors)
        places = zip(self.arena.keys(self.arena.measured), drawn[self.arena.measured], strict=True)
        self.add("umap", (key | {"x": x, "y": y, "n_neighbors": n_neighbors} for key, (x, y) in places))
        for clusterer in ("kmeans", "hdbscan"):
            if clusterer in self.config.clusterers:
                self.sweep_k(clusterer, UMAP, placed)


def _numbered(texts: np.ndarray) -> np.ndarray:
    """(N,): the number of each text in their order, from 0."""
    return np.unique(texts.astype(str), return_inverse=True)[1]


def replicates(embeddings: Sequence[Embeddings]) -> list[list[tuple]]:
    """The keys of embeddings that differ by nothing but the seed of the pretraining, in groups of two and more."""
    groups: dict[str, list[tuple]] = {}
    for one in embeddings:
        if not one.model or one.untrained:
            continue
        model = open_artefact(one.artefact.input_path("model"))
        settings = {"model": model.config | {"seed": None}, "embedding": dict(one.artefact.config) | {"name": None}}
        groups.setdefault(canonical_json(settings), []).append((one.name, one.model, one.kind, int(one.untrained)))
    return [keys for keys in groups.values() if len(keys) > 1]


def seed_rows(group: Sequence[tuple], tables: Tables, config: ClusterConfig) -> list[dict]:
    """Rows of seeds.csv: for each two of these representations, how far their clusters of the test networks agree.

    At every k that both have, and at the k that each chose for itself: k of the first, other_k of the other.
    """
    names = ("representation", "model", "kind", "untrained", "clusterer", "space")
    chosen = {tuple(row[name] for name in names): row["k"] for row in tables.rows["k_curve"] if row["chosen"]}
    rows = []
    for first, second in combinations(group, 2):
        for arm in dict.fromkeys(key[4:6] for key in tables.clusters if key[:4] == first):
            ks = {one: [key[6] for key in tables.clusters if key[:6] == (*one, *arm)] for one in (first, second)}
            own = tuple(chosen.get((*one, *arm)) for one in (first, second))
            pairs = [(k, k) for k in ks[first] if k in ks[second]]
            for k, other_k in pairs if own in pairs or None in own else [*pairs, own]:
                clusters, others = tables.clusters[*first, *arm, k], tables.clusters[*second, *arm, other_k]
                found = agreement(others, clusters, seed=config.seed, n_permutations=config.n_permutations)["ari"]
                row = {"representation": first[0], "model": first[1], "other": second[0], "other_model": second[1]}
                row |= {"clusterer": arm[0], "space": arm[1], "k": k, "other_k": other_k, "chosen": int((k, other_k) == own)}
                rows.append(row | {"metric": "ari", **found, "n": len(clusters)})
    return rows
