"""The stage that compares representations: clusters, agreement with labels, probes.

Everything is fitted on training networks and measured on test networks. Tables are tidy CSV.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from joblib import Parallel, cpu_count, delayed, parallel_config

from metarep.artefact import Artefact, canonical_json, open_artefact, write_whole, writing
from metarep.cloze.embed import NETWORK, Embeddings, load_embeddings
from metarep.domains.multiplier.modes import compositions, sign_patterns
from metarep.errors import MetarepError
from metarep.evaluation.agreement import agreement
from metarep.evaluation.clusters import RULE, Clustering, bootstrap_stability, choose_k, fit_clusterer, fit_umap, silhouette
from metarep.evaluation.comparison_tables import Tables
from metarep.evaluation.describe import describe
from metarep.evaluation.imported import imported_baselines, is_imported, labels_of, numbers_of
from metarep.evaluation.probes import MSE_TARGET, probe_rows
from metarep.evaluation.representations import DESCRIPTIONS, baselines
from metarep.evaluation.settings import ClusterConfig
from metarep.progress import Progress
from metarep.zoos.zoo import Zoo, open_zoo

HDBSCAN_K = 8
"""HDBSCAN takes no k; its smallest cluster is a tenth of what eight equal ones would hold."""
UMAP_BASELINES = ("raw", "oracle")
MIN_FIT_NETWORKS = 10
"""Below this a probe's share of them is no longer enough for its five neighbours."""


@dataclass(frozen=True)
class Arena:
    """What every representation is fitted and measured on: row numbers of training and test networks, and what is known of all.

    Clusters are fitted on the networks `train`, probes on `probe_train`. `labels` are texts (N,), the first of them the one
    that figures lead with; `numbers` (N,) are probed too. `zoo` is None for an imported one, whose clusters are not described.
    """

    train: np.ndarray
    probe_train: np.ndarray
    test: np.ndarray
    network_id: np.ndarray
    labels: dict[str, np.ndarray]
    numbers: dict[str, np.ndarray]
    zoo: Zoo | None

    @property
    def main_label(self) -> str | None:
        """The label that figures lead with; None where there is none."""
        return next(iter(self.labels), None)


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

    `zoo` may be left out where the embeddings say where it lies. Raises MetarepError for
    embeddings that do not belong to the zoo or share a name, and for a zoo with too few training or test networks.
    """
    progress = progress or Progress()
    loaded = [load_embeddings(path) for path in embeddings]
    require_different_names(loaded)
    if zoo is None and not loaded:
        raise MetarepError("nothing to cluster", expected="at least one embeddings folder, or --zoo")
    path = zoo if zoo is not None else loaded[0].artefact.input_path("zoo")
    arena, representations, artefact = _imported(path, loaded, config) if is_imported(path) else _built(path, loaded, config)
    for name, parts in config.joint.items():
        representations[name] = np.concatenate([known(representations, part, name) for part in parts], axis=1)
    inputs = {"zoo": artefact, **{e.name: e.artefact for e in loaded}}
    with writing(out, "clusters", config=config.resolved(), seed=config.seed, inputs=inputs, overwrite=overwrite) as folder:
        tables = Tables()
        described = (config.described or tuple(e.name for e in loaded[:1])) if arena.zoo is not None else ()
        with progress.task("compare", len(representations), "representations") as task:
            parts = compare_all(representations, arena, config.model_copy(update={"described": described}))
            for name, part in zip(representations, parts, strict=True):
                tables.extend(part)
                task.advance(1, name)
        for names in replicates(loaded):
            tables.seeds += seed_rows(names, tables, config)
        tables.write(folder)
        write_whole(folder / "metrics.json", canonical_json(headline(tables, arena, config)) + "\n")
    return Path(out)


def _built(path: Path, loaded: list[Embeddings], config: ClusterConfig) -> tuple[Arena, dict[str, np.ndarray], Artefact]:
    networks = open_zoo(path)
    final = networks.final()
    final = final.select((final["mode"] != "") & embedded_in_all(loaded, final["network_id"]))
    arena = build_arena(final, config)
    representations = {e.name: vectors_of(e, networks.artefact, final["network_id"]) for e in loaded}
    if config.baselines:
        representations |= baselines(final, np.isin(np.arange(len(final)), arena.train))
    return arena, representations, networks.artefact


def _imported(path: Path, loaded: list[Embeddings], config: ClusterConfig) -> tuple[Arena, dict[str, np.ndarray], Artefact]:
    zoo = open_zoo(path).finite()
    ids = np.array(zoo["network_id"], dtype=object)
    split = np.array(zoo["split"], dtype=object).astype(str)
    arena = Arena(**chosen_rows(split, config), network_id=ids, labels=labels_of(zoo), numbers=numbers_of(zoo), zoo=None)
    representations = {e.name: vectors_of(e, zoo.artefact, ids) for e in loaded}
    if config.baselines:
        representations |= imported_baselines(zoo, arena.train)
    return arena, representations, zoo.artefact


def require_different_names(embeddings: list[Embeddings]) -> None:
    """Raises MetarepError where two embeddings would share a row name in every table."""
    folders: dict[str, Path] = {}
    for e in embeddings:
        if e.name in folders:
            raise MetarepError(
                f"{folders[e.name]} and {e.artefact.path} are both called {e.name}",
                expected="embeddings of different kinds",
                fix="compare them in two runs",
            )
        folders[e.name] = e.artefact.path


def embedded_in_all(embeddings: list[Embeddings], network_ids: np.ndarray) -> np.ndarray:
    """(N,) bool: the networks that every embedding holds which was made of some of each split on purpose."""
    held = np.ones(len(network_ids), dtype=bool)
    for one in (e for e in embeddings if e.artefact.config.get("max_per_split")):
        held &= np.isin(network_ids.astype(str), one.network_id[one.part == NETWORK].astype(str))
    return held


def known(representations: dict[str, np.ndarray], part: str, name: str) -> np.ndarray:
    """The representation `part`; MetarepError where the joint one `name` asks for what is not there."""
    if part not in representations:
        raise MetarepError(f"joint.{name}: no representation {part}", expected="one of " + ", ".join(representations))
    return representations[part]


def build_arena(zoo: Zoo, config: ClusterConfig) -> Arena:
    """The rows and labels of the finished networks of a built zoo."""
    labels = {
        "mode": zoo["mode"],
        "unit_states": compositions(zoo["active_area"]),
        "quadrant_code": zoo["quadrant_code"],
        "sign_pattern": sign_patterns(zoo.spec, zoo.params),
    }
    numbers = {MSE_TARGET: zoo["log_error"]}
    return Arena(**chosen_rows(zoo["split"], config), network_id=zoo["network_id"], labels=labels, numbers=numbers, zoo=zoo)


def chosen_rows(split: np.ndarray, config: ClusterConfig) -> dict[str, np.ndarray]:
    """The rows "train", "probe_train" and "test", a seeded choice where there are more than the config admits."""
    rng = np.random.default_rng(config.seed)
    most_k = max(config.ks)
    if config.max_fit_networks <= most_k:
        raise MetarepError(
            f"max_fit_networks is too small for {most_k} clusters",
            met=config.max_fit_networks,
            expected=f"more than {most_k}",
            fix="raise it, or set ks to smaller numbers",
        )
    least = {"train": max(most_k + 1, MIN_FIT_NETWORKS), "test": most_k + 1}
    rows = {}
    for name, most in (("train", config.max_fit_networks), ("test", config.max_test_networks)):
        found = np.flatnonzero(split == name)
        if len(found) < least[name]:
            raise MetarepError(
                f"too few {name} networks for up to {most_k} clusters",
                met=len(found),
                expected=f"at least {least[name]}",
                fix="build a larger zoo, or set ks to smaller numbers",
            )
        drawn = rng.permutation(found)
        rows[name] = np.sort(drawn[:most])
        if name == "train":
            rows["probe_train"] = np.sort(drawn[: config.max_probe_networks or most])
    return rows


def replicates(embeddings: list[Embeddings]) -> list[list[str]]:
    """The names of embeddings that differ by nothing but the seed of the pretraining, in groups of two and more."""
    groups: dict[str, list[str]] = {}
    for one in embeddings:
        if "model" not in one.artefact.manifest["inputs"] or one.artefact.config["untrained"]:
            continue
        model = open_artefact(one.artefact.input_path("model"))
        settings = {"model": model.config | {"seed": None}, "embedding": dict(one.artefact.config) | {"name": None}}
        groups.setdefault(canonical_json(settings), []).append(one.name)
    return [names for names in groups.values() if len(names) > 1]


def seed_rows(names: list[str], tables: Tables, config: ClusterConfig) -> list[dict]:
    """Rows of seeds.csv: for each two of these representations, how far their clusters of the test networks agree.

    At every k that both have, and at the k that each chose for itself: k of the first, other_k of the other.
    """
    chosen = {(row["representation"], row["clusterer"]): row["k"] for row in tables.chosen_k}
    rows = []
    for first, second in combinations(names, 2):
        for clusterer in dict.fromkeys(clusterer for _, clusterer, _ in tables.test_clusters):
            ks = {name: [k for n, c, k in tables.test_clusters if (n, c) == (name, clusterer)] for name in (first, second)}
            own = tuple(chosen.get((name, clusterer)) for name in (first, second))
            pairs = [(k, k) for k in ks[first] if k in ks[second]]
            for k, other_k in pairs if own in pairs or None in own else [*pairs, own]:
                clusters, others = tables.test_clusters[first, clusterer, k], tables.test_clusters[second, clusterer, other_k]
                figures = agreement(others, clusters, seed=config.seed, n_permutations=config.n_permutations)
                row = {"representation": first, "other": second, "clusterer": clusterer, "k": k, "other_k": other_k}
                row |= {"chosen": int((k, other_k) == own)}
                rows.append(row | {name: figures[name] for name in ("ari", "ari_low", "ari_high", "null_ari_p95", "n")})
    return rows


def vectors_of(embeddings: Embeddings, zoo: Artefact, network_ids: np.ndarray) -> np.ndarray:
    """The vectors (N, D) float64 of networks of a zoo, in the order of their ids. Raises MetarepError where one is missing."""
    embeddings.artefact.require_input("zoo", zoo)
    whole = embeddings.part == NETWORK
    row = {name: i for i, name in zip(np.flatnonzero(whole), embeddings.network_id[whole], strict=True)}
    missing = [name for name in network_ids if name not in row]
    if missing:
        raise MetarepError(
            f"{embeddings.artefact.path} lacks networks of the zoo", met=f"no {missing[0]}", fix="embed the zoo again"
        )
    return embeddings.vectors[[row[name] for name in network_ids]].astype(np.float64)


def compare_all(representations: dict[str, np.ndarray], arena: Arena, config: ClusterConfig) -> Iterator[Tables]:
    """The tables of each representation in turn, computed in as many processes as there are cores.

    Each process keeps to one thread: the problems are small, and the OpenMP runtimes of scikit-learn,
    torch and numba would wait for each other by spinning. No figure depends on the number of processes.
    """
    jobs = (
        delayed(compare_one)(name, x, arena, config, with_umap=has_umap(name, config)) for name, x in representations.items()
    )
    n_jobs = min(cpu_count(), len(representations))
    with parallel_config("loky", inner_max_num_threads=1):
        yield from Parallel(n_jobs=n_jobs, return_as="generator")(jobs)


def has_umap(name: str, config: ClusterConfig) -> bool:
    """Whether a UMAP is made of the representation: of those that the settings name, or of embeddings, raw and the oracle."""
    if isinstance(config.umap, tuple):
        return name in config.umap
    return config.umap and (name in UMAP_BASELINES or name not in DESCRIPTIONS)


def compare_one(name: str, x: np.ndarray, arena: Arena, config: ClusterConfig, *, with_umap: bool) -> Tables:
    """Everything about one representation x (N, D)."""
    tables = Tables()
    x_train, x_test = x[arena.train], x[arena.test]
    for clusterer in config.clusterers:
        chosen = sweep_k(tables, name, clusterer, x_train, x_test, arena, config)
        if clusterer == "kmeans":
            assign_clusters(tables, name, chosen, x, arena)
            if name in config.described:
                found = describe(arena.zoo, arena.train, arena.test, chosen.predict(x), arena.labels, seed=config.seed)
                for table, rows in found.items():
                    getattr(tables, table).extend({"representation": name, **row} for row in rows)
    probed = arena.probe_train
    targets = {target: (values[probed], values[arena.test]) for target, values in arena.labels.items()}
    targets |= {target: (values[probed], values[arena.test]) for target, values in arena.numbers.items()}
    for row in probe_rows(x[probed], x_test, targets, n_seeds=config.n_probe_seeds, seed=config.seed):
        tables.probes.append({"representation": name, **row})
    if with_umap:
        umap_arm(tables, name, x_train, x_test, arena, config)
    return tables


def sweep_k(tables: Tables, name: str, clusterer: str, x_train, x_test, arena: Arena, config: ClusterConfig) -> Clustering:
    """One clusterer over every k; returns the clustering at the chosen k."""
    fitted, stability, silhouettes = {}, {}, {}
    for k in (HDBSCAN_K,) if clusterer.endswith("hdbscan") else config.ks:
        fitted[k] = fit_clusterer(clusterer, x_train, k, seed=config.seed)
        stability[k] = bootstrap_stability(clusterer, x_train, k, n_bootstraps=config.n_bootstraps, seed=config.seed)
        silhouettes[k] = silhouette(x_train, fitted[k].predict(x_train), seed=config.seed)
        tables.k_curve.append(
            {
                "representation": name,
                "clusterer": clusterer,
                "k": fitted[k].n_clusters,
                "stability": stability[k].ari,
                "least_jaccard": stability[k].least_jaccard,
                "silhouette": silhouettes[k],
            }
        )
        test = fitted[k].predict(x_test)
        tables.test_clusters[name, clusterer, fitted[k].n_clusters] = test
        add_agreement(tables, name, clusterer, fitted[k].n_clusters, test, stability[k].ari, arena, config)
    k = choose_k({k: found.least_jaccard for k, found in stability.items()}, silhouettes)
    row = {"representation": name, "clusterer": clusterer, "k": fitted[k].n_clusters, "stability": stability[k].ari}
    tables.chosen_k.append(row | {"least_jaccard": stability[k].least_jaccard})
    return fitted[k]


def add_agreement(tables: Tables, name: str, clusterer: str, k: int, assigned, stability, arena: Arena, config) -> None:
    """One row of agreement.csv for each label, on test networks."""
    for label, values in arena.labels.items():
        figures = agreement(values[arena.test], assigned, seed=config.seed, n_permutations=config.n_permutations)
        row = {"representation": name, "clusterer": clusterer, "k": k, "label": label}
        tables.agreement.append({**row, **figures, "stability_ari": stability})


def assign_clusters(tables: Tables, name: str, clustering: Clustering, x: np.ndarray, arena: Arena) -> None:
    """Which network is in which k-means cluster, how far from its centre, and how clusters and modes meet."""
    spread = x[arena.train].std(axis=0)
    spread = np.where(spread > 0, spread, 1)
    for split, rows in (("train", arena.train), ("test", arena.test)):
        assigned = clustering.predict(x[rows])
        distance = np.linalg.norm((x[rows] - clustering.centres[assigned]) / spread, axis=1)
        for row, number, d in zip(rows, assigned, distance, strict=True):
            tables.assignments.append(
                {
                    "representation": name,
                    "network_id": arena.network_id[row],
                    "cluster": int(number),
                    "distance_to_centre": float(d),
                    "split": split,
                }
            )
        if split == "test" and (main := arena.main_label):
            labels = arena.labels[main][rows].astype(str)
            for number in np.unique(assigned):
                for label in np.unique(labels):
                    n = int(((assigned == number) & (labels == label)).sum())
                    tables.contingency.append({"representation": name, "cluster": int(number), main: label, "n": n})


def umap_arm(tables: Tables, name: str, x_train, x_test, arena: Arena, config: ClusterConfig) -> None:
    """UMAP of the training networks, test networks placed in it; clusters on its coordinates as a second arm."""
    if len(np.unique(x_train, axis=0)) <= config.umap_neighbors:
        return  # a map needs more places than neighbours
    place = fit_umap(x_train, n_neighbors=config.umap_neighbors, seed=config.seed)
    train_xy, test_xy = place(x_train), place(x_test)
    for row, (x, y) in zip(arena.test, test_xy, strict=True):
        tables.umap.append({"representation": name, "network_id": arena.network_id[row], "x": x, "y": y})
    for clusterer in ("kmeans", "hdbscan"):
        if clusterer in config.clusterers:
            sweep_k(tables, name, f"umap+{clusterer}", train_xy, test_xy, arena, config)


def headline(tables: Tables, arena: Arena, config: ClusterConfig) -> dict:
    """metrics.json: the rule for k, how many networks, and for each representation its figures at the chosen k."""
    representations: dict[str, dict] = {}
    for choice in tables.chosen_k:
        key = {name: choice[name] for name in ("representation", "clusterer", "k")}
        same = (r for r in tables.agreement if r["label"] == arena.main_label and all(r[n] == v for n, v in key.items()))
        row = next(same, {"k": choice["k"], "stability_ari": choice["stability"]})
        entry = representations.setdefault(choice["representation"], {"clusterers": {}, "probes": {}})
        figures = ("k", "ari", "ari_low", "ari_high", "ami", "homogeneity", "null_ari_p95", "stability_ari")
        entry["clusterers"][choice["clusterer"]] = {name: row[name] for name in figures if name in row}
    for row in tables.probes:
        entry = representations.setdefault(row["representation"], {"clusterers": {}, "probes": {}})["probes"].setdefault(
            row["target"], {}
        )
        entry[row["metric"]] = {name: row[name] for name in ("mean", "std", "low", "high", "null_mean", "null_p95")}
    both = [arena.labels[name][arena.test] for name in ("mode", "unit_states") if name in arena.labels]
    known = {"unit_states_with_mode": agreement(*both, seed=config.seed, n_permutations=config.n_permutations)} if both else {}
    return json.loads(
        json.dumps(
            {
                "rule_for_k": RULE,
                **known,
                "label": arena.main_label,
                "n_train": len(arena.train),
                "n_probe_train": len(arena.probe_train),
                "n_test": len(arena.test),
                "seed": config.seed,
                "representations": representations,
            }
        )
    )
