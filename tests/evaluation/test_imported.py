"""Clusters and predictions on imported zoos: what is planted is found, what is permuted is not, runs are never cut."""

import csv
import json

import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingRegressor

from metarep.artefact import open_artefact, writing
from metarep.embeddings.store import FILE, KIND, EmbeddingWriter
from metarep.errors import MetarepError
from metarep.evaluation.compare import cluster
from metarep.evaluation.predict import MIN_LEAF, TREE_CHOICES, predict
from metarep.evaluation.settings import ClusterConfig, PredictConfig
from metarep.zoos.importing import import_networks
from metarep.zoos.settings import ImportConfig
from metarep.zoos.zoo import open_zoo

N = 150


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """Networks of one layer whose weights say their family, and their accuracy by their spread; three files a run."""
    folder = tmp_path_factory.mktemp("imported")
    (folder / "files").mkdir()
    rng = np.random.default_rng(0)
    rows = []
    for number in range(N):
        family, scale = number // 3 % 3, float(rng.uniform(0.5, 2))
        weight = rng.normal(3 * family, scale, (6, 5))
        torch.save({"fc.weight": torch.tensor(weight), "fc.bias": torch.zeros(6)}, folder / "files" / f"n{number}.pt")
        rows.append([f"n{number}.pt", f"run{number // 3}", number % 3, "abc"[family], scale, rng.normal()])
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "run_id", "epoch", "family", "accuracy", "noise"], *rows])
    return import_networks(ImportConfig(), [folder / "files"], folder / "zoo", labels=folder / "labels.csv")


@pytest.fixture(scope="module")
def embeddings(zoo, tmp_path_factory):
    """Vectors that hold the family and the accuracy, beside noise."""
    path = tmp_path_factory.mktemp("embeddings") / "made"
    networks = open_zoo(zoo)
    rng = np.random.default_rng(1)
    family = np.array(["abc".index(one) for one in networks["family"]])
    accuracy = np.array(networks["accuracy"])
    vectors = np.stack([6.0 * family, 2 * accuracy, *rng.normal(size=(3, N))], axis=1) + 0.05 * rng.normal(size=(N, 5))
    return write_embeddings(path, zoo, networks.network_id, vectors)


def write_embeddings(path, zoo, names, vectors):
    """An embeddings artefact with one vector a network, made from `zoo`."""
    config = {"kind": "made", "untrained": False, "name": None, "max_per_split": None}
    with (
        writing(path, KIND, config=config, seed=0, inputs={"zoo": open_artefact(zoo)}) as folder,
        EmbeddingWriter(folder / FILE, "made") as writer,
    ):
        for name, vector in zip(names, vectors.astype(np.float32), strict=True):
            writer.add(name, "network", vector[None])
    return path


def test_planted_families_are_found(zoo, embeddings, tmp_path):
    config = ClusterConfig(ks=(2, 3, 4), clusterers=("kmeans",), umap=False, n_bootstraps=2, n_permutations=20)
    path = cluster(config, [embeddings], tmp_path / "clusters")
    metrics = json.loads((path / "metrics.json").read_text())
    assert metrics["label"] == "family"
    rows = list(csv.DictReader((path / "representations.csv").open()))
    assert {row["representation"] for row in rows} == {"made", "weight_statistics", "raw", "pca"}
    rows = list(csv.DictReader((path / "agreement.csv").open()))
    wanted = {"k": "3", "label": "family", "metric": "ari", "representation": "raw"}
    (at_three,) = [row for row in rows if wanted.items() <= row.items()]
    assert float(at_three["value"]) > 0.8
    assert float(at_three["null"]) < 0.2
    said = list(csv.DictReader((path / "descriptions.csv").open()))
    assert any(row["said"] == "1" and row["property"].startswith("family is") for row in said)
    probes = {(r["target"], r["representation"]) for r in csv.DictReader((path / "probes.csv").open())}
    assert {("family", "made"), ("accuracy", "made"), ("noise", "made")} <= probes


def test_what_is_there_is_predicted_and_noise_is_not(embeddings, tmp_path):
    config = PredictConfig(targets=("accuracy", "noise"), n_bootstraps=50, n_permutations=5, n_trees=60)
    path = predict(config, [embeddings], tmp_path / "predictions")
    rows = {
        (r["target"], r["representation"], r["regressor"], r["metric"]): r
        for r in csv.DictReader((path / "predictions.csv").open())
    }
    for representation in ("made", "weight_statistics"):
        for regressor in ("linear", "trees"):
            good, bad = (rows[target, representation, regressor, "r2"] for target in ("accuracy", "noise"))
            assert float(good["value"]) > 0.6
            assert float(good["low"]) > float(good["null"])
            error = rows["accuracy", representation, regressor, "mse"]
            assert float(error["low"]) < float(error["value"]) < float(error["high"]) < float(error["null"])
            assert float(bad["value"]) < 0.2
    assert float(rows["accuracy", "made", "linear", "kendall_tau"]["value"]) > 0.8
    split, run = (np.array(open_zoo(open_artefact(embeddings).input_path("zoo"))[name]) for name in ("split", "run_id"))
    assert not set(run[split == "train"]) & set(run[split == "test"])
    assert int(rows["accuracy", "made", "linear", "r2"]["n_runs"]) == len(set(run[split == "test"]))


def test_networks_that_diverged_are_in_no_comparison(tmp_path):
    """Rows of embeddings, baselines and labels go together where some networks of the zoo are left out."""
    (tmp_path / "files").mkdir()
    rng = np.random.default_rng(0)
    rows = [["file", "accuracy", "kind"]]
    for number in range(120):
        scale, bad = float(rng.uniform(0.5, 2)), number % 7 == 0
        weight = torch.tensor(rng.normal(0, scale, (6, 5)))
        weight[0, 0] = float("nan") if bad else weight[0, 0]
        torch.save({"fc.weight": weight}, tmp_path / "files" / f"n{number}.pt")
        rows.append([f"n{number}", "" if bad else scale, "ab"[number % 2]])
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    zoo = import_networks(ImportConfig(), [tmp_path / "files"], tmp_path / "zoo", labels=tmp_path / "labels.csv")
    networks = open_zoo(zoo).finite()
    assert (networks.n_left_out, len(networks)) == (18, 102)
    vectors = np.array(networks["accuracy"])[:, None] + rng.normal(0, 0.02, (102, 3))
    write_embeddings(tmp_path / "e", zoo, networks.network_id, vectors)
    path = predict(PredictConfig(n_bootstraps=20, n_permutations=3, n_trees=20), [tmp_path / "e"], tmp_path / "p")
    rows = [r for r in csv.DictReader((path / "predictions.csv").open()) if r["metric"] == "r2"]
    found = {(r["representation"], r["regressor"]): r for r in rows}
    assert all(float(found[name, "linear"]["value"]) > 0.5 for name in ("made", "weight_statistics"))
    config = ClusterConfig(ks=(2,), clusterers=("kmeans",), umap=False, n_bootstraps=2, n_permutations=10)
    metrics = json.loads((cluster(config, [tmp_path / "e"], tmp_path / "c") / "metrics.json").read_text())
    assert metrics["n_train"] + metrics["n_test"] < 102


def test_unknown_targets_are_refused(embeddings, tmp_path):
    with pytest.raises(MetarepError, match=r"no numeric property.*accuracy"):
        predict(PredictConfig(targets=("family",)), [embeddings], tmp_path / "predictions")


def test_of_few_networks_the_sizes_of_trees_are_one():
    x = np.random.default_rng(0).normal(size=(400, 3))
    y = x[:, 0] * x[:, 1]
    bound = MIN_LEAF * (1 + TREE_CHOICES[0]["max_leaf_nodes"])
    for n, are_one in ((bound - 1, True), (len(x), False)):
        how = {"max_iter": 20, "early_stopping": False, "random_state": 0, "min_samples_leaf": MIN_LEAF}
        fits = (HistGradientBoostingRegressor(**how, **choice).fit(x[:n], y[:n]) for choice in TREE_CHOICES)
        one, other = (fit.predict(x) for fit in fits)
        assert np.array_equal(one, other) == are_one
