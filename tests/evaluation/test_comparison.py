"""Agreement, clusters, probes and baselines: what must be chance is chance, and nothing is fitted on test networks."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

from metarep.domains.multiplier.geometry import active_area, quadrant_area
from metarep.evaluation.agreement import adjusted_rand, agreement, contingency, null_ari
from metarep.evaluation.clusters import best_jaccard, bootstrap_stability, choose_k, fit_clusterer, fit_umap, umap_start
from metarep.evaluation.probes import balanced_accuracy, probe_rows
from metarep.evaluation.representations import baselines, outputs_on_grid, weight_statistics
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import all_unit_orders
from metarep.zoos.zoo import Zoo

SPEC = NetworkSpec.parse("2-2-1")
RNG = np.random.default_rng(0)


def blobs(n=300, k=3, distance=8.0, d=4, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, n)
    return rng.standard_normal((n, d)) + distance * np.eye(k, d)[labels], labels.astype(str).astype(object)


def zoo_of(params):
    n = len(params)
    columns = {
        "network_id": np.array([f"e09-{i}" for i in range(n)], dtype=object),
        "spec": np.array(["2-2-1"] * n, dtype=object),
        "params": params.astype(np.float32),
        "valid_mse": np.full(n, 0.01),
        "active_area": active_area(SPEC, params),
        "quadrant_area": quadrant_area(SPEC, params),
    }
    return Zoo(columns)


@pytest.mark.parametrize("seed", range(5))
def test_the_fast_ari_is_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    labels, clusters = rng.integers(0, 4, 200), rng.integers(0, 3, 200)
    assert adjusted_rand(contingency(labels, clusters)) == pytest.approx(adjusted_rand_score(labels, clusters))


def test_the_fast_null_is_that_of_permuted_labels():
    labels, clusters = RNG.integers(0, 4, 300), RNG.integers(0, 5, 300)
    slow = [adjusted_rand_score(RNG.permutation(labels), clusters) for _ in range(300)]
    fast = null_ari(contingency(labels, clusters), seed=0, n_permutations=300)
    assert fast.mean() == pytest.approx(np.mean(slow), abs=0.002)
    assert np.quantile(fast, 0.95) == pytest.approx(np.quantile(slow, 0.95), abs=0.005)


def test_random_clusters_score_chance_and_true_ones_one():
    labels = RNG.integers(0, 4, 1000).astype(str)
    noise = agreement(labels, RNG.integers(0, 5, 1000), seed=0, n_permutations=200)
    assert abs(noise["ari"]) < 0.02
    assert noise["ari_low"] < noise["null_ari_p95"]
    right = agreement(labels, labels.astype(int) + 7, seed=0, n_permutations=200)
    assert right["ari"] == right["ami"] == pytest.approx(1)
    assert right["null_ari_p95"] < 0.02


@pytest.mark.parametrize("name", ["kmeans", "gmm", "hdbscan"])
def test_clusterers_find_blobs_in_new_rows_and_nothing_in_noise(name):
    x, labels = blobs(600)
    clusters = fit_clusterer(name, x[:300], 3, seed=0).predict(x[300:])
    assert adjusted_rand_score(labels[300:], clusters) > 0.9
    noise = RNG.standard_normal((600, 4))
    assert abs(adjusted_rand_score(labels[300:], fit_clusterer(name, noise[:300], 3, seed=0).predict(noise[300:]))) < 0.05


@pytest.mark.parametrize("name", ["kmeans", "gmm", "hdbscan"])
def test_a_prediction_does_not_depend_on_the_other_rows(name):
    x, _ = blobs(400)
    clustering = fit_clusterer(name, x[:200], 3, seed=0)
    shifted = np.concatenate([x[200:300], 100 + x[300:]])
    np.testing.assert_array_equal(clustering.predict(x[200:300]), clustering.predict(shifted)[:100])


def test_stability_tells_blobs_from_noise_and_the_rule_takes_the_best_separated_stable_k():
    x, _ = blobs(300)
    assert min(bootstrap_stability("kmeans", x, 3, n_bootstraps=3, seed=0)) > 0.95
    assert max(bootstrap_stability("kmeans", RNG.standard_normal((300, 4)), 6, n_bootstraps=3, seed=0)) < 0.8
    silhouettes = {2: 0.3, 3: 0.5, 4: 0.9, 5: 0.4, 6: 0.6}
    assert choose_k({2: 1.0, 3: 0.95, 4: 0.6, 5: 0.91, 6: 0.2}, silhouettes) == 3
    assert choose_k({2: 0.9, 3: 0.9}, {2: float("nan"), 3: -0.2}) == 3
    assert choose_k({2: 0.5, 3: 0.7, 4: 0.7}, silhouettes) == 3


def test_probes_read_what_is_there_and_score_chance_on_noise():
    x, labels = blobs(600)
    y = x[:, 0] + 0.1 * x[:, 1]
    targets = {"label": (labels[:400], labels[400:]), "number": (y[:400], y[400:])}
    right = probe_rows(x[:400], x[400:], targets, n_seeds=2, seed=0)
    assert min(row["mean"] for row in right) > 0.9
    assert max(row["null_mean"] for row in right) < 0.5
    noise = RNG.standard_normal((600, 4))
    wrong = {(r["target"], r["metric"]): r["mean"] for r in probe_rows(noise[:400], noise[400:], targets, n_seeds=2, seed=0)}
    assert wrong["label", "linear_balanced_accuracy"] == pytest.approx(1 / 3, abs=0.1)
    assert wrong["number", "linear_r2"] < 0.1


def test_balanced_accuracy_counts_the_classes_that_occur():
    truth = np.array(["a", "a", "a", "b"])
    assert balanced_accuracy(truth, np.array(["a", "a", "a", "c"])) == 0.5


def test_unit_symmetric_baselines_do_not_see_the_order_of_units_and_raw_does():
    params = RNG.standard_normal((50, 9))
    swapped = params[:, all_unit_orders(SPEC)[1]]
    train = np.arange(50) < 30
    one, other = baselines(zoo_of(params), train), baselines(zoo_of(swapped), train)
    for name in ("canonical", "weight_statistics", "oracle", "loss"):
        np.testing.assert_allclose(other[name], one[name], atol=1e-9, err_msg=name)
    np.testing.assert_allclose(other["outputs"], one["outputs"], atol=1e-6)
    assert np.abs(one["raw"] - other["raw"]).max() > 0.1


def test_what_a_baseline_fits_does_not_look_at_test_rows():
    params = RNG.standard_normal((80, 9))
    changed = params.copy()
    changed[60:] = 50 * RNG.standard_normal((20, 9))
    train = np.arange(80) < 60
    one, other = baselines(zoo_of(params), train), baselines(zoo_of(changed), train)
    for name in one:
        np.testing.assert_allclose(other[name][:60], one[name][:60], atol=1e-9, err_msg=name)


def test_outputs_are_those_of_the_network():
    linear = np.array([[1.0, 0, 0, 1, 0, 0, 1, 1, 0.5]])  # relu(x1) + relu(x2) + 1/2
    grid = (np.arange(8) + 0.5) / 8
    np.testing.assert_allclose(outputs_on_grid(SPEC, linear)[0], (grid[:, None] + grid[None, :] + 0.5).ravel())
    assert weight_statistics(SPEC, linear).shape == (1, 28)


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


def test_one_lump_over_and_over_is_not_stable():
    x, _ = blobs(240)
    assert bootstrap_stability("hdbscan", x, 4, n_bootstraps=3, seed=0).ari > 0.9
    assert bootstrap_stability("hdbscan", np.zeros((60, 2)), 4, n_bootstraps=3, seed=0).ari == 0
