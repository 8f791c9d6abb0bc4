"""Few networks: folds by run, nothing fitted on what is measured, intervals that say how little is known."""

import csv

import numpy as np
import pytest
import torch
from test_imported import write_embeddings

from metarep.artefact import open_artefact
from metarep.errors import MetarepError
from metarep.evaluation.agreement import agreement
from metarep.evaluation.clusters import sweep
from metarep.evaluation.compare import cluster
from metarep.evaluation.folds import CROSS_VALIDATED, folds_of, gathered, measured_rows, same_names, split_off, why_not
from metarep.evaluation.predict import metric_rows, predict
from metarep.evaluation.probes import Draw, probe_rows
from metarep.evaluation.resampling import class_metric, r2_metric
from metarep.evaluation.settings import ClusterConfig, PredictConfig
from metarep.tables import read_csv
from metarep.zoos.columns import FEW_RUNS, split_of, splits_of
from metarep.zoos.importing import import_networks
from metarep.zoos.settings import ImportConfig
from metarep.zoos.zoo import open_zoo

RNG = np.random.default_rng(0)


def runs_of(n, per_run=1):
    return np.array([f"run{i // per_run}" for i in range(n)])


@pytest.mark.parametrize(("n", "per_run"), [(10, 1), (24, 3), (7, 2), (39, 1)])
def test_every_network_is_measured_once_and_never_beside_its_run(n, per_run):
    run = runs_of(n, per_run)
    folds = folds_of(np.full(n, "train"), run, seed=3)
    assert sorted(measured_rows(folds)) == list(range(n))
    for fold in folds:
        assert not set(run[fold.train]) & set(run[fold.test])
        assert len(fold.train) + len(fold.test) == n
    kept, again = gathered(folds)
    assert [set(one.probe_train) for one in folds] == [set(kept[one.probe_train]) for one in again]
    assert [set(one.test) for one in folds] == [set(kept[one.test]) for one in again]


def test_networks_that_probes_alone_are_fitted_on_keep_their_rows():
    n = 4 * FEW_RUNS
    split = np.array([split_of(f"run{i}") for i in range(n)])
    folds = folds_of(split, runs_of(n), most_fit=5, most_test=8, most_probe=40)
    kept, (fold,) = gathered(folds)
    assert set(split[kept[fold.probe_train]]) == {"train"}
    assert len(fold.probe_train) == 40
    without, (fold,) = gathered(folds, probes=False)
    assert len(without) == 5 + 8
    assert set(split[without[fold.test]]) == {"test"}


def test_many_runs_keep_their_split_and_one_run_is_refused():
    split = np.array([split_of(f"run{i}") for i in range(FEW_RUNS)])
    (fold,) = folds_of(split, runs_of(FEW_RUNS), most_fit=10)
    assert (set(split[fold.train]), set(split[fold.test]), len(fold.train)) == ({"train"}, {"test"}, 10)
    with pytest.raises(MetarepError, match="of one run"):
        folds_of(split, runs_of(FEW_RUNS, FEW_RUNS))


@pytest.mark.parametrize("n", [6, 10, 25, 39])
def test_few_runs_have_networks_in_every_split(n):
    found = splits_of([f"n{i // 2}" for i in range(2 * n)])
    assert found[::2] == found[1::2]
    counts = {name: found[::2].count(name) for name in ("train", "valid", "test")}
    assert min(counts.values()) >= 2
    assert counts["train"] >= n / 3
    assert splits_of([f"n{i}" for i in range(FEW_RUNS)]) == [split_of(f"n{i}") for i in range(FEW_RUNS)]


def test_what_is_planted_in_few_networks_is_found_and_noise_is_not():
    n, run = 12, runs_of(12)
    labels = np.array(["a", "b"], dtype=object)[np.arange(n) % 2]
    x = RNG.standard_normal((n, 4)) * 0.2
    planted = x + 4.0 * (labels == "b")[:, None]
    number = planted[:, 0] + 0.01 * np.arange(n)
    folds = folds_of(np.full(n, "train"), run)
    targets = [("l", labels), ("y", number)]
    found = {}
    for name, vectors in (("planted", planted), ("noise", RNG.standard_normal((n, 4)))):
        rows = probe_rows([vectors] * len(folds), folds, targets, run, n_seeds=2, seed=0)
        found[name] = {(row["target"], row["probe"]): row for row in rows}
    for row in found["planted"].values():
        assert row["value"] > 0.9
        assert (row["n"], row["n_runs"]) == (n, n)
    right = found["planted"]["l", "linear"]
    assert right["value"] == 1
    assert 0.4 < right["low"] < 0.9  # 12 right answers of 12 are no certainty: Wilson's interval begins at 0.76
    assert found["noise"]["l", "linear"]["low"] < 0.5
    assert found["noise"]["y", "linear"]["value"] < 0.5


def test_networks_that_are_measured_fit_nothing():
    """What networks of a fold are changes nothing that is fitted for it; what a training network is does."""
    n, run = 15, runs_of(15)
    x = RNG.standard_normal((n, 3)) + 3 * (np.arange(n) % 3)[:, None]
    folds = folds_of(np.full(n, "train"), run)
    fold = folds[0]
    moved, trained = x.copy(), x.copy()
    moved[fold.test] += 100
    trained[fold.train[0]] += 100
    draw, other, control = (Draw(one, fold, seed=0, number=number) for one, number in ((x, 0), (moved, 0), (trained, 0)))
    assert set(draw.rows) <= set(fold.train)
    np.testing.assert_array_equal(draw.x, other.x)
    assert fold.train[0] not in draw.rows or (draw.x != control.x).any()
    fitted = [sweep("kmeans", [one[fold.train]], (3,), n_bootstraps=2, seed=0).curve for one in (x, moved)]
    assert fitted[0] == fitted[1]


def test_clusters_of_folds_get_the_names_of_the_first():
    truth = np.arange(30) % 3
    folds = folds_of(np.full(30, "train"), runs_of(30))
    shuffled = [np.array(order)[truth] for order in ([0, 1, 2], [2, 0, 1], [1, 0, 2], [0, 2, 1], [2, 1, 0])]
    for own in same_names(folds, shuffled):
        np.testing.assert_array_equal(own, truth)
    noise = [truth, np.where(truth == 0, -1, truth + 4), *[truth] * 3]
    assert set(same_names(folds, noise)[1][truth == 0]) == {-1}


def test_intervals_of_few_runs_are_wide_and_finite():
    truth = np.array(["a", "b"] * 5)
    for score in (class_metric(truth, truth, seed=0), agreement(truth, truth, seed=0, n_permutations=50)["ari"]):
        assert score["value"] == 1
        assert -0.5 < score["low"] < 0.9
    many = np.tile(truth, 30)
    assert class_metric(many, many, seed=0)["low"] == 1
    assert agreement(many, many, seed=0, n_permutations=50)["ari"]["low"] == 1
    within = class_metric(many, many, seed=0, groups=runs_of(300, 30))  # 300 networks, ten runs
    assert within["low"] < 0.95
    y = RNG.standard_normal(10)
    narrow = r2_metric(np.tile(y, 30), np.tile(y + 0.3, 30), seed=0)
    wide = r2_metric(y, y + 0.3, seed=0)
    assert wide["high"] - wide["low"] > 2 * (narrow["high"] - narrow["low"])


def test_metrics_without_a_denominator_stay_finite_or_empty():
    y = np.array([0.5, 0.5, 0.7])
    found = r2_metric(y, y + 0.01, seed=0)
    assert found["low"] > -100
    constant = r2_metric(np.full(8, 0.1), RNG.standard_normal(8), seed=0)
    assert np.isnan([constant[name] for name in ("value", "low", "high", "null")]).all()
    outlier = np.r_[RNG.standard_normal(60) * 1e-6, 1.0]
    assert r2_metric(outlier, outlier + 0.1, seed=0)["low"] > -1e6
    config = PredictConfig(n_bootstraps=100)
    for row in metric_rows(y, np.zeros(3), [np.zeros(3)], runs_of(3), config):
        assert row["metric"] != "kendall_tau" or row["value"] == 0
        assert not abs(row["low"]) > 1e3


def test_nulls_are_the_best_that_chance_gives():
    """The largest R² and the smallest error of permuted fits, of which the first is by far the best."""
    y = RNG.standard_normal(40)
    nulls = [y + offset for offset in (0.1, *(2.0,) * 10)]
    found = {row["metric"]: row["null"] for row in metric_rows(y, y, nulls, runs_of(40), PredictConfig(n_bootstraps=20))}
    assert found["mse"] < 3
    assert found["r2"] > 1 - 3 / y.var()


def test_why_something_cannot_be_measured():
    folds = folds_of(np.full(12, "train"), runs_of(12))
    few, constant = np.full(12, np.nan), np.full(12, 0.1)
    few[:4] = [1.0, 2.0, 3.0, 4.0]
    assert "known for" in why_not(few, folds)
    assert "the same in all 12" in why_not(constant, folds)
    assert "known for" in why_not(np.array(["a", "b", *[""] * 10], dtype=object), folds)
    assert why_not(np.arange(12.0), folds) is None


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Ten networks of two kinds, with a property, one that does not vary, and one that three have."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "files").mkdir()
    rng = np.random.default_rng(1)
    rows = [["file", "kind", "acc", "beta", "gap", "huge"]]
    for number in range(10):
        scale = (0.5, 4.0)[number % 2]
        weight = torch.tensor(rng.normal(0, scale, (6, 5)))
        torch.save({"fc.weight": weight, "fc.bias": torch.zeros(6)}, folder / "files" / f"n{number}.pt")
        rows.append([f"n{number}.pt", ("low", "high")[number % 2], scale + number / 50, 0.9, number if number < 3 else ""])
        rows[-1].append((scale + number / 50) * 1e300)
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    zoo = import_networks(ImportConfig(), [folder / "files"], folder / "zoo", labels=folder / "labels.csv")
    networks = open_zoo(zoo)
    vectors = np.asarray(networks["acc"])[:, None] + rng.normal(0, 0.05, (10, 3))
    return write_embeddings(folder / "e", zoo, networks.network_id, vectors)


def test_ten_networks_are_compared(small, tmp_path):
    few = {"clusterers": ("kmeans",), "ks": (2, 3, 4, 5, 16), "baselines": ("pca",), "n_probe_seeds": 1}
    config = ClusterConfig(umap=False, n_bootstraps=2, n_permutations=20, **few)
    path = cluster(config, [small], tmp_path / "clusters")
    rows = [row for row in read_csv(path / "agreement.csv") if row["representation"] == "made"]
    assert {row["k"] for row in rows if row["clusterer"] == "kmeans"} == {2, 3, 4}
    assert {(row["evaluation_split"], row["n"], row["n_runs"]) for row in rows} == {(CROSS_VALIDATED, 10, 10)}
    (ari,) = [r for r in rows if (r["clusterer"], r["k"], r["label"], r["metric"]) == ("kmeans", 2, "kind", "ari")]
    assert ari["value"] == 1
    assert ari["null"] < ari["value"]
    assert ari["low"] < 0.9
    left = {row["name"] for row in read_csv(path / "left_out.csv")}
    assert {"5", "16"} <= {str(name) for name in left}
    assigned = [row for row in read_csv(path / "assignments.csv") if row["representation"] == "made"]
    assert sorted(row["network_id"] for row in assigned) == [f"n{i}" for i in range(10)]
    assert {row["split"] for row in assigned} == {"test"}


def test_ten_networks_are_predicted_and_what_has_no_r2_is_left_out(small, tmp_path):
    zoo = open_zoo(open_artefact(small).input_path("zoo"))
    assert zoo.properties == ("acc", "huge")
    path = predict(PredictConfig(n_bootstraps=50, n_permutations=3, n_trees=5), [small], tmp_path / "p")
    known = read_csv(path / "predictions.csv")
    assert {r["metric"] for r in known if r["target"] == "huge"} == {"r2", "kendall_tau"}  # its square is beyond all numbers
    rows = {(r["representation"], r["regressor"], r["metric"]): r for r in known if r["target"] == "acc"}
    good = rows["made", "linear", "r2"]
    assert good["value"] > 0.8
    assert (good["n_networks"], good["n_runs"], good["evaluation_split"]) == (10, 10, CROSS_VALIDATED)


@pytest.mark.parametrize("scale", [1e300, 1e-300, 5e-324 * 2**60, -1e307])
def test_what_is_explained_does_not_depend_on_units(scale):
    """Squares of such numbers overflow or vanish."""
    draw = np.random.default_rng(3)
    x = draw.normal(size=(120, 4))
    y = x @ draw.normal(size=4) + 0.3 * draw.normal(size=120)
    run, folds = runs_of(120), folds_of(np.where(np.arange(120) % 4, "train", "test"), runs_of(120))
    found = []
    for values in (y, y * scale, np.round(y) * scale, 1 + 1e-9 * y):
        targets, rows = split_off({"y": values}, folds, "property", print)
        assert not rows
        found.append(next(probe_rows([x], folds, targets.items(), run, n_seeds=2, seed=0)))
    assert found[0]["value"] > 0.8
    for name in ("value", "low", "high", "null"):
        assert found[1][name] == pytest.approx(found[0][name], abs=1e-6)
        assert found[3][name] == pytest.approx(found[0][name], abs=1e-4)
    assert np.isfinite([found[2][name] for name in ("value", "low", "high", "null")]).all()
