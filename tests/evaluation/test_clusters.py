"""Agreement, clusters and probes: what must be chance is chance, and the fast ones are scikit-learn's."""

import numpy as np
import pytest
from sklearn.metrics import (
    adjusted_mutual_info_score,
    adjusted_rand_score,
    completeness_score,
    homogeneity_score,
    silhouette_score,
)
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler

from metarep.evaluation.agreement import adjusted_rand, agreement, contingency
from metarep.evaluation.clusters import (
    CLUSTERERS,
    Silhouette,
    best_jaccard,
    bootstrap_stability,
    choose_k,
    fit_umap,
    sweep,
    umap_start,
)
from metarep.evaluation.folds import Fold
from metarep.evaluation.mixture import fit_mixture
from metarep.evaluation.probes import PROBES, linear_classifier, neighbour_classifier, probe_rows
from metarep.evaluation.resampling import balanced_accuracy, permuted_tables

RNG = np.random.default_rng(0)


def blobs(n=300, k=3, distance=8.0, d=4, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, n)
    return rng.standard_normal((n, d)) + distance * np.eye(k, d)[labels], labels.astype(str).astype(object)


@pytest.mark.parametrize("seed", range(5))
def test_the_fast_ari_is_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    labels, clusters = rng.integers(0, 4, 200), rng.integers(0, 3, 200)
    assert adjusted_rand(contingency(labels, clusters)) == pytest.approx(adjusted_rand_score(labels, clusters))


def test_the_fast_null_is_that_of_permuted_labels():
    labels, clusters = RNG.integers(0, 4, 300), RNG.integers(0, 5, 300)
    slow = [adjusted_rand_score(RNG.permutation(labels), clusters) for _ in range(300)]
    fast = adjusted_rand(permuted_tables(contingency(labels, clusters), 300, seed=0))
    assert fast.mean() == pytest.approx(np.mean(slow), abs=0.002)
    assert np.quantile(fast, 0.95) == pytest.approx(np.quantile(slow, 0.95), abs=0.005)


def test_random_clusters_score_chance_and_true_ones_one():
    labels = RNG.integers(0, 4, 1000).astype(str)
    noise = agreement(labels, RNG.integers(0, 5, 1000), seed=0, n_permutations=200)
    for metric in ("ari", "ami"):
        assert abs(noise[metric]["value"]) < 0.02
        assert noise[metric]["low"] < noise[metric]["null"]
    right = agreement(labels, labels.astype(int) + 7, seed=0, n_permutations=200)
    for row in right.values():
        assert row["value"] == pytest.approx(1)
        assert row["null"] < 0.02
    assert set(agreement(labels, np.zeros(1000), seed=0, n_permutations=20)["ari"].values()) == {0}


@pytest.mark.parametrize("seed", range(3))
def test_information_is_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, 200)
    clusters = np.where(rng.random(200) < 0.5, labels, rng.integers(0, 6, 200))
    found = agreement(labels, clusters, seed=0, n_permutations=20)
    assert found["ami"]["value"] == pytest.approx(adjusted_mutual_info_score(labels, clusters))
    assert found["homogeneity"]["value"] == pytest.approx(homogeneity_score(labels, clusters))
    assert found["completeness"]["value"] == pytest.approx(completeness_score(labels, clusters))
    for row in found.values():
        assert row["low"] - 0.05 <= row["value"] <= row["high"] + 0.05  # a bootstrap of these indices is a little biased


@pytest.mark.parametrize("d", [1, 5])
def test_the_fast_mixture_is_scikit_learns(d):
    x = blobs(400, distance=2.0, d=5)[0][:, :d] + 3
    slow = GaussianMixture(4, reg_covar=1e-3, tol=1e-2, max_iter=60, n_init=2, random_state=1).fit(x)
    fast = fit_mixture(x, 4, n_starts=2, seed=1).predict(x)
    assert adjusted_rand_score(slow.predict(x), fast) == 1
    assert adjusted_rand_score(slow.predict(x), fit_mixture(x, 3, n_starts=2, seed=1).predict(x)) < 0.95


@pytest.mark.parametrize("name", ["kmeans", "gmm", "hdbscan"])
def test_clusterers_find_blobs_in_new_rows_and_nothing_in_noise(name):
    x, labels = blobs(600)
    clusters = CLUSTERERS[name](x[:300], 3, seed=0).predict(x[300:])
    assert adjusted_rand_score(labels[300:], clusters) > 0.9
    noise = RNG.standard_normal((600, 4))
    assert abs(adjusted_rand_score(labels[300:], CLUSTERERS[name](noise[:300], 3, seed=0).predict(noise[300:]))) < 0.05


@pytest.mark.parametrize("name", ["kmeans", "gmm", "hdbscan"])
def test_a_prediction_does_not_depend_on_the_other_rows(name):
    x, _ = blobs(400)
    clustering = CLUSTERERS[name](x[:200], 3, seed=0)
    shifted = np.concatenate([x[200:300], 100 + x[300:]])
    np.testing.assert_array_equal(clustering.predict(x[200:300]), clustering.predict(shifted)[:100])


def test_stability_tells_blobs_from_noise_and_the_rule_takes_the_best_separated_stable_k():
    x, _ = blobs(300)
    found = sweep("kmeans", [x], (2, 3, 6), n_bootstraps=3, seed=0)
    (chosen,) = found.chosen
    assert chosen.n_clusters == 3
    assert [row["k"] for row in found.curve if row["chosen"]] == [3]
    assert min(found.curve[1]["stability"], found.curve[1]["least_jaccard"]) > 0.95
    scaled = StandardScaler().fit_transform(x)
    clusters = chosen.predict(x)
    assert Silhouette(x, seed=0)(clusters) == pytest.approx(silhouette_score(scaled, clusters))
    noise = sweep("kmeans", [RNG.standard_normal((300, 4))], (6,), n_bootstraps=3, seed=0).curve[0]
    assert max(noise["stability"], noise["least_jaccard"]) < 0.8
    silhouettes = {2: 0.3, 3: 0.5, 4: 0.9, 5: 0.4, 6: 0.6}
    assert choose_k({2: 1.0, 3: 0.95, 4: 0.6, 5: 0.91, 6: 0.2}, silhouettes) == 3
    assert choose_k({2: 0.9, 3: 0.9}, {2: float("nan"), 3: -0.2}) == 3
    assert choose_k({2: 0.5, 3: 0.7, 4: 0.7}, silhouettes) == 3


def probed(x, targets, n_train=400, n_seeds=1):
    """The rows of probes fitted on the first rows and measured on the others."""
    fold = Fold(np.arange(n_train), np.arange(n_train, len(x)), np.arange(n_train))
    return list(probe_rows([x], [fold], targets, np.arange(len(x)).astype(str), n_seeds=n_seeds, seed=0))


def test_probes_read_what_is_there_and_score_chance_on_noise():
    x, labels = blobs(600)
    y = x[:, 0] + 0.1 * x[:, 1]
    targets = [("label", labels), ("number", y)]
    right = probed(x, targets, n_seeds=2)
    assert [row["probe"] for row in right] == 2 * list(PROBES)
    assert min(row["value"] for row in right) > 0.9
    assert max(row["null_fit"] for row in right) < 0.5
    noise = RNG.standard_normal((600, 4))
    wrong = {(r["target"], r["probe"]): r["value"] for r in probed(noise, targets, n_seeds=2)}
    assert wrong["label", "linear"] == pytest.approx(1 / 3, abs=0.1)
    assert wrong["number", "linear"] < 0.1


def test_probes_are_scikit_learns_pipelines():
    x, labels = blobs(500, distance=1.5)
    draw = np.random.default_rng([0, 0]).permutation(400)[:320]
    found = {r["probe"]: r for r in probed(x, [("y", labels)])}
    for name, build in (("linear", linear_classifier), ("nearest_neighbours", neighbour_classifier)):
        slow = build().fit(x[draw], labels[draw].astype(str)).predict(x[400:])
        assert found[name]["value"] == pytest.approx(balanced_accuracy(labels[400:], slow))


def test_networks_without_a_label_are_left_out_of_its_probe():
    x, labels = blobs(600)
    unknown = labels.copy()
    unknown[::3] = ""
    rows = probed(x, [("label", unknown)])
    assert all(row["value"] > 0.95 and row["n"] == (unknown[400:] != "").sum() for row in rows)


def test_balanced_accuracy_counts_the_classes_that_occur():
    truth = np.array(["a", "a", "a", "b"])
    assert balanced_accuracy(truth, np.array(["a", "a", "a", "c"])) == 0.5


def test_umap_places_new_rows_by_the_rows_it_was_fitted_on():
    x, labels = blobs(240)
    place = fit_umap(x[:160], n_neighbors=10, seed=0)
    xy = place(x[160:])
    centres = {label: place(x[:160])[labels[:160] == label].mean(axis=0) for label in set(labels)}
    nearest = [min(centres, key=lambda label, point=point: np.linalg.norm(point - centres[label])) for point in xy]
    assert np.mean(np.array(nearest) == labels[160:]) > 0.95


def test_umap_does_not_hang_on_the_last_bit_where_many_rows_are_alike():
    rng = np.random.default_rng(0)
    x = rng.random((150, 2)).round(1)
    x[:60] = [0.0, 1.0]
    nudged = x * (1 + 1e-15 * rng.standard_normal(x.shape))
    start = umap_start(StandardScaler().fit_transform(x))
    np.testing.assert_array_equal(start, umap_start(StandardScaler().fit_transform(nudged)))
    np.testing.assert_array_equal(np.unique(start[:60], axis=0), start[:1])
    column = umap_start(StandardScaler().fit_transform(x[:, :1]))
    assert column.shape == (150, 2)
    assert np.ptp(column[:, 1]) == 0


def test_a_cluster_that_is_not_found_again_lowers_the_least_jaccard_alone():
    clusters = np.array([0] * 90 + [1] * 6 + [2] * 4)
    merged = np.where(clusters == 2, 1, clusters)  # the small one is gone: the ARI hardly notices
    np.testing.assert_allclose(best_jaccard(clusters, merged), [1.0, 0.6, 0.4])
    np.testing.assert_allclose(best_jaccard(clusters, (clusters + 1) % 3), [1.0, 1.0, 1.0])


def stability_of(x):
    whole = CLUSTERERS["hdbscan"](x, 4, seed=0).predict(x)
    return bootstrap_stability("hdbscan", x, 4, whole, n_bootstraps=3, seed=0)


def test_one_lump_over_and_over_is_not_stable():
    x, _ = blobs(240)
    assert stability_of(x)[0] > 0.9
    assert stability_of(np.zeros((60, 2)))[0] == 0


def test_a_mixture_finds_clusters_of_few_wide_rows():
    """More columns than rows: the principal components come from the rows, and are those of the covariances."""
    rng, label = np.random.default_rng(0), np.repeat([0, 1], 30)
    wide = rng.standard_normal((60, 200)) + 3 * label[:, None] * (np.arange(200) < 20)
    assert adjusted_rand_score(label, CLUSTERERS["gmm"](wide, 2, seed=0).predict(wide)) == 1
    new = rng.standard_normal((40, 200)) + 3 * (np.arange(40) % 2)[:, None] * (np.arange(200) < 20)
    assert adjusted_rand_score(np.arange(40) % 2, CLUSTERERS["gmm"](wide, 2, seed=0).predict(new)) == 1
