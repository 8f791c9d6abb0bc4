"""The stage that compares representations: its tables, what it refuses, and that test networks fit nothing."""

import json
from pathlib import Path

import numpy as np
import pytest

from metarep.artefact import open_artefact, writing
from metarep.domains.multiplier.domain import DOMAIN
from metarep.domains.multiplier.modes import label_modes
from metarep.embeddings.store import FILE, KIND, EmbeddingWriter
from metarep.errors import MetarepError
from metarep.evaluation import compare as compare_module
from metarep.evaluation.arena import BASELINE, Representation, arena_of
from metarep.evaluation.baselines import BASELINES, FURTHER
from metarep.evaluation.clusters import RULE
from metarep.evaluation.compare import Tables, baselines_unchanged, cluster, compare_one, seed_rows
from metarep.evaluation.settings import ClusterConfig
from metarep.networks.spec import NetworkSpec
from metarep.tables import read_csv
from metarep.training.build import contents_of
from metarep.zoos.columns import write_columns
from metarep.zoos.zoo import open_zoo

SPEC = NetworkSpec.parse("2-2-1")
N_TRAIN, N_TEST = 160, 120
RNG = np.random.default_rng(0)
QUICK = ClusterConfig(ks=(2, 3), umap=False, n_bootstraps=2, n_permutations=50, n_probe_seeds=1)


def parameters(seed, n=N_TRAIN + N_TEST):
    """Random networks (n, 9) float32 with every mode among them."""
    return (1.2 * np.random.default_rng(seed).standard_normal((n, 9))).astype(np.float32)


def write_zoo(path, params, n_train=N_TRAIN, spec=SPEC):
    """A finished zoo of these networks, the first n_train of them for training and the rest for testing."""
    n = len(params)
    names = [f"e09-{i}" for i in range(n)]
    constants = {"variant": "e09", "spec": str(spec), "step": 10, "snapshot_of": "", "finite": True}
    columns = {name: [value] * n for name, value in constants.items()}
    columns |= {"network_id": names, "run_id": names, "seed": np.arange(n), "params": params, "init_params": params}
    error = 0.01 + np.square(params).sum(axis=1)
    columns |= {"train_mse": error, "valid_mse": error, "split": ["train"] * n_train + ["test"] * (n - n_train)}
    columns |= {"log_error": np.log10(error), **DOMAIN.columns_of(spec, params)}
    with writing(path, "zoo", config={}, seed=0) as folder:
        write_columns(folder / "shard-00000.parquet", columns, contents_of(DOMAIN, columns))
    return path


def write_embeddings(path, zoo, vectors, kind="profile"):
    """An embeddings artefact with one vector a network, made from `zoo`."""
    names = [f"e09-{i}" for i in range(len(vectors))]
    config = {"kind": kind, "untrained": False, "name": None, "max_per_split": None}
    with (
        writing(path, KIND, config=config, seed=0, inputs={"zoo": open_artefact(zoo)}) as folder,
        EmbeddingWriter(folder / FILE, kind) as writer,
    ):
        for name, vector in zip(names, vectors.astype(np.float32), strict=True):
            writer.add(name, "network", vector[None])
    return path


def compare(folder, params, vectors, config=QUICK):
    """A zoo, one embedding of it and their comparison, all in `folder`; returns the comparison's path."""
    zoo = write_zoo(folder / "zoo", params)
    return cluster(config, [write_embeddings(folder / "profile", zoo, vectors)], folder / "clusters")


@pytest.fixture(scope="module")
def noise(tmp_path_factory) -> Path:
    """The comparison of a zoo with an embedding that knows nothing of it."""
    vectors = np.random.default_rng(1).standard_normal((N_TRAIN + N_TEST, 5))
    return compare(tmp_path_factory.mktemp("noise"), parameters(0), vectors)


@pytest.fixture(scope="module")
def other_test(tmp_path_factory) -> Path:
    """As `noise`, with other test networks and other vectors for them, far from the training ones."""
    params, vectors = parameters(0), np.random.default_rng(1).standard_normal((N_TRAIN + N_TEST, 5))
    params[N_TRAIN:] = 3 * parameters(9)[N_TRAIN:]
    vectors[N_TRAIN:] = 20 + 5 * vectors[N_TRAIN:]
    return compare(tmp_path_factory.mktemp("other"), params, vectors)


def test_a_comparison_stands_while_the_files_of_its_baselines_do(tmp_path):
    file = tmp_path / "own.py"
    text = "from metarep.evaluation.baselines import baseline\n\n"
    file.write_text(text + "@baseline('ones', 'ones')\ndef ones(zoo, train):\n    return zoo.params[:, :2] * 0.0 + 1.0\n")
    config = QUICK.model_copy(update={"further": (str(file),), "baselines": ("raw",)})
    made = compare(tmp_path, parameters(0), np.random.default_rng(1).standard_normal((N_TRAIN + N_TEST, 5)), config)
    assert {row["representation"] for row in read_csv(made / "representations.csv")} == {"profile", "raw", "ones"}
    assert baselines_unchanged(made, config)
    file.write_text(file.read_text().replace("1.0", "2.0"))
    assert not baselines_unchanged(made, config)
    BASELINES.pop("ones")
    FURTHER.discard("ones")


def test_every_table_is_there_for_every_representation(noise):
    names = {"profile", *(name for name, one in BASELINES.items() if one.part == "network"), *DOMAIN.oracles}
    for table in ("representations", "agreement", "probes", "k_curve", "assignments", "contingency"):
        assert {row["representation"] for row in read_csv(noise / f"{table}.csv")} == names, table
    n = {row["n"] for row in read_csv(noise / "agreement.csv")}
    assert n == {N_TEST}
    rows = read_csv(noise / "contingency.csv")
    assert sum(row["n"] for row in rows if (row["representation"], row["label"]) == ("profile", "mode")) == N_TEST
    assert RULE in (noise / "metrics.json").read_text()


def test_agreement_lies_in_its_interval_and_has_one_row_a_key(noise):
    rows = read_csv(noise / "agreement.csv")
    keys = {(r["representation"], r["clusterer"], r["k"], r["label"], r["metric"]) for r in rows}
    assert len(keys) == len(rows)
    # A bootstrap of these indices is a little biased, so a margin.
    assert all(row["low"] - 0.1 <= float(row["value"]) <= row["high"] + 0.1 for row in rows)


def test_hdbscan_takes_no_k_on_umap_either(noise, monkeypatch):
    monkeypatch.setattr(compare_module, "fit_umap", lambda x, **_: lambda y: y[:, :2])  # compiling UMAP takes long
    zoo = open_zoo(noise.parent / "zoo").final()
    config = QUICK.model_copy(update={"umap": True})
    raw = Representation("raw", BASELINE, "", "raw", False, "", zoo.params.astype(float))
    tables = compare_one(raw, arena_of(zoo, config), config, ())
    swept = [(row["clusterer"], row["space"]) for row in tables.rows["k_curve"]]
    counts = {("kmeans", "native"): 2, ("gmm", "native"): 2, ("hdbscan", "native"): 1}
    counts |= {("kmeans", "umap"): 2, ("hdbscan", "umap"): 1}
    assert {name: swept.count(name) for name in swept} == counts
    keys = {(r["clusterer"], r["space"], r["k"], r["label"], r["metric"]) for r in tables.rows["agreement"]}
    assert len(keys) == len(tables.rows["agreement"])


def test_an_embedding_of_noise_scores_chance_and_the_oracle_does_not(noise):
    ari = {(r["representation"], r["k"]): float(r["value"]) for r in kmeans_on_modes(noise)}
    assert max(abs(ari["profile", k]) for k in QUICK.ks) < 0.06
    assert max(ari["oracle", k] for k in QUICK.ks) > 0.15
    probes = {(r["representation"], r["target"], r["probe"]): float(r["value"]) for r in read_csv(noise / "probes.csv")}
    modes = len(set(label_modes(SPEC, parameters(0)[N_TRAIN:]).mode))
    assert probes["profile", "mode", "linear"] == pytest.approx(1 / modes, abs=0.12)
    assert probes["profile", "log_error", "linear"] < 0.05
    assert probes["loss", "log_error", "linear"] == pytest.approx(1, abs=1e-3)


def kmeans_on_modes(path):
    wanted = {"clusterer": "kmeans", "label": "mode", "metric": "ari"}
    return [r for r in read_csv(path / "agreement.csv") if wanted.items() <= r.items()]


def test_other_test_networks_change_nothing_that_is_fitted(noise, other_test):
    assert (noise / "k_curve.csv").read_bytes() == (other_test / "k_curve.csv").read_bytes()

    def fitted(path):
        rows = read_csv(path / "assignments.csv")
        return [tuple(row.values()) for row in rows if row["split"] == "train"]

    assert fitted(noise) == fitted(other_test)


def test_other_test_networks_change_what_is_measured(noise, other_test):
    one, other = ({r["representation"]: r["value"] for r in kmeans_on_modes(path)} for path in (noise, other_test))
    assert all(one[name] != other[name] for name in one)


def test_the_same_seed_gives_the_same_bytes(noise, tmp_path):
    alone = QUICK.model_copy(update={"baselines": False})
    paths = [cluster(alone, [noise.parent / "profile"], tmp_path / name) for name in ("one", "other")]
    one, other = (open_artefact(path, "clusters", check_hashes=True).manifest["files"] for path in paths)
    assert one == other


def test_embeddings_of_another_zoo_are_refused(noise, tmp_path):
    foreign = write_zoo(tmp_path / "zoo", parameters(3))
    with pytest.raises(MetarepError, match="was not made from"):
        cluster(QUICK, [noise.parent / "profile"], tmp_path / "clusters", zoo=foreign)
    assert not (tmp_path / "clusters").exists()


def test_seeds_are_compared_at_every_k_and_at_what_each_chose():
    clusters = np.arange(400) % 4
    a, b = ("a", "", "states", 0), ("b", "", "states", 0)
    kmeans, hdbscan = ("kmeans", "native"), ("hdbscan", "native")
    tables = Tables()
    tables.clusters = {(*a, *kmeans, 2): clusters // 2, (*a, *kmeans, 4): clusters, (*b, *kmeans, 2): clusters // 2}
    tables.clusters |= {(*b, *kmeans, 4): RNG.permutation(clusters), (*a, *hdbscan, 3): clusters // 2}
    tables.clusters[*b, *hdbscan, 5] = clusters // 2
    names = ("representation", "model", "kind", "untrained", "clusterer", "space", "k")
    chosen = [(*a, *kmeans, 4), (*b, *kmeans, 2), (*a, *hdbscan, 3), (*b, *hdbscan, 5)]
    tables.rows["k_curve"] = [dict(zip(names, key, strict=True)) | {"chosen": 1} for key in chosen]
    rows = {(row["clusterer"], row["k"], row["other_k"]): row for row in seed_rows([a, b], tables, QUICK)}
    assert {key: row["chosen"] for key, row in rows.items()} == {
        ("kmeans", 2, 2): 0, ("kmeans", 4, 4): 0, ("kmeans", 4, 2): 1, ("hdbscan", 3, 5): 1,
    }  # fmt: skip
    assert rows["kmeans", 2, 2]["value"] == rows["hdbscan", 3, 5]["value"] == 1
    assert abs(rows["kmeans", 4, 4]["value"]) < 0.05
    found = rows["kmeans", 4, 2]  # halves of which one clustering knows the quarters
    assert found["null"] < 0.05 < found["low"] <= found["value"] <= found["high"] < 0.6
    tables.rows["k_curve"][1]["k"] = 4
    rows = seed_rows([a, b], tables, QUICK)
    assert [(row["k"], row["other_k"]) for row in rows if row["chosen"]] == [(4, 4), (3, 5)]


def test_embeddings_without_some_networks_are_refused(noise, tmp_path):
    few = write_embeddings(tmp_path / "few", noise.parent / "zoo", np.zeros((10, 2)))
    with pytest.raises(MetarepError, match=r"every network of the zoo.*e09-10"):
        cluster(QUICK, [few], tmp_path / "clusters")


def test_two_embeddings_of_one_name_are_refused(noise, tmp_path):
    zoo = noise.parent / "zoo"
    second = write_embeddings(tmp_path / "second", zoo, np.ones((N_TRAIN + N_TEST, 2)))
    with pytest.raises(MetarepError, match="profile"):
        cluster(QUICK, [noise.parent / "profile", second], tmp_path / "clusters")


@pytest.mark.parametrize(("n_train", "n_test"), [(9, 40), (40, 3)])
def test_too_few_networks_are_refused(tmp_path, n_train, n_test):
    zoo = write_zoo(tmp_path / "zoo", parameters(0, n_train + n_test), n_train)
    with pytest.raises(MetarepError, match="too few"):
        cluster(QUICK, [], tmp_path / "clusters", zoo=zoo)


def test_fewer_networks_to_fit_on_than_clusters_are_refused(noise, tmp_path):
    config = QUICK.model_copy(update={"max_fit_networks": 12, "ks": (2, 20)})
    with pytest.raises(MetarepError, match="max_fit_networks"):
        cluster(config, [], tmp_path / "clusters", zoo=noise.parent / "zoo")


def test_the_least_that_is_admitted_runs(tmp_path):
    zoo = write_zoo(tmp_path / "zoo", parameters(0, 20), 10)
    assert (cluster(QUICK, [], tmp_path / "clusters", zoo=zoo) / "metrics.json").is_file()


def test_a_zoo_without_modes_is_compared_as_any_other(tmp_path):
    """Wide networks have no mode: what labels there are lead, and baselines are those that such networks allow."""
    spec = NetworkSpec.parse("2-5-1")
    params = np.random.default_rng(0).standard_normal((90, spec.n_params)).astype(np.float32)
    zoo = write_zoo(tmp_path / "zoo", params, 50, spec=spec)
    config = QUICK.model_copy(update={"clusterers": ("kmeans",), "baselines": ("raw", "weight_statistics", "oracle_activity")})
    path = cluster(config, [], tmp_path / "clusters", zoo=zoo)
    metrics = json.loads((path / "metrics.json").read_text())
    assert metrics["label"] in DOMAIN.labels
    assert "mode" not in metrics["labels"]
    assert {row["representation"] for row in read_csv(path / "agreement.csv")} == set(config.baselines)
