"""What clusters are said to do: planted properties are found, noise is not, and unit order never matters."""

import numpy as np
import pytest

from metarep.analysis.describe import (
    Property,
    cliffs_delta,
    description_rows,
    eta_squared,
    properties,
    remaining_entropy,
    rule_rows,
    unexplained_rows,
)
from metarep.networks.modes import label_modes
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import all_unit_orders, random_scales
from metarep.zoo.store import Zoo

SPEC = NetworkSpec((2, 2, 1))
RNG = np.random.default_rng(0)


def zoo_of(params: np.ndarray) -> Zoo:
    labels = label_modes(SPEC, params)
    n = len(params)
    columns = {
        "network_id": np.array([f"n{i}" for i in range(n)], dtype=object),
        "spec": np.array(["2-2-1"] * n, dtype=object),
        "params": params.astype(np.float32),
        "valid_mse": np.linspace(1e-3, 1e-1, n),
        "active_area": labels.active_area,
        "quadrant_area": labels.quadrant_area,
    }
    return Zoo(columns)


def planted(n=600):
    """A fact and a number that say the cluster, and a number that says nothing."""
    clusters = RNG.integers(0, 3, n)
    fact = Property("it is the second", (clusters == 1).astype(float), True)
    number = Property("height", clusters + 0.1 * RNG.standard_normal(n), False)
    noise = Property("noise", RNG.standard_normal(n), False)
    return clusters, [noise, fact, number]


def test_no_property_knows_the_order_or_the_scale_of_units():
    params = RNG.normal(size=(40, 9))
    moved = params[:, all_unit_orders(SPEC)[1]] * random_scales(SPEC, 0.5, 40, rng=RNG)
    for one, other in zip(properties(zoo_of(params)), properties(zoo_of(moved)), strict=True):
        np.testing.assert_allclose(other.values, one.values, atol=1e-5, err_msg=one.name)
    changed = properties(zoo_of(params + 0.3))
    assert any(not np.allclose(a.values, b.values) for a, b in zip(properties(zoo_of(params)), changed, strict=True))


def test_cliffs_delta_is_the_difference_of_shares_and_one_for_what_is_apart():
    assert cliffs_delta(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 1
    assert cliffs_delta(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.0, 0.0, 0.0, 1.0])) == pytest.approx(0.5 - 0.25)
    assert cliffs_delta(np.ones(3), np.ones(5)) == 0


def test_what_sets_a_cluster_apart_comes_first_and_is_measured_on_test_networks():
    clusters, found = planted()
    test_clusters, of_test = planted()
    rows = [row for row in description_rows(found, clusters, of_test, test_clusters) if row["cluster"] == 1]
    assert rows[0]["property"] == "it is the second"
    assert rows[0]["effect"] == 1
    assert rows[0]["n"] == (test_clusters == 1).sum()
    assert rows[-1]["property"] == "noise"
    assert abs(rows[-1]["effect"]) < 0.2


def test_rules_catch_planted_clusters_and_promise_nothing_on_noise():
    clusters, found = planted()
    test_clusters, of_test = planted()
    rules = {row["cluster"]: row for row in rule_rows(found, clusters, of_test, test_clusters)}
    assert "it is the second" in rules[1]["rule"] or "height between" in rules[1]["rule"]
    assert min(min(row["precision"], row["recall"]) for row in rules.values()) > 0.95
    shuffled = rule_rows(found, RNG.permutation(clusters), of_test, RNG.permutation(test_clusters))
    assert max(row["precision"] for row in shuffled) < 0.6


def test_labels_that_say_the_cluster_leave_nothing_and_shuffled_ones_leave_all():
    clusters = RNG.integers(0, 4, 2000)
    assert remaining_entropy(clusters, clusters) == pytest.approx(0, abs=1e-12)
    assert remaining_entropy(clusters, RNG.integers(0, 3, 2000)) > 0.99
    halves = remaining_entropy(clusters, clusters // 2)  # one bit of two is known
    assert halves == pytest.approx(0.5, abs=0.01)


def test_structure_within_labels_is_found_where_it_is_and_only_there():
    label = RNG.integers(0, 2, 800)
    hidden = RNG.integers(0, 2, 800)
    clusters = 2 * label + hidden
    explains = Property("explains", hidden + 0.5 * RNG.standard_normal(800), False)
    follows_label = Property("follows the label", label + 0.1 * RNG.standard_normal(800), False)
    rows = unexplained_rows(clusters, {"mode": label.astype(str)}, [follows_label, explains], seed=0)
    assert rows[0]["property"] == "clusters"
    assert rows[0]["share"] == pytest.approx(0.5, abs=0.02)
    by_name = {row["property"]: row for row in rows[1:]}
    assert rows[1]["property"] == "explains"
    assert by_name["explains"]["p_holm"] < 0.05
    assert by_name["explains"]["share"] > 0.4 > by_name["explains"]["null"]
    assert by_name["follows the label"]["p_holm"] > 0.05


def test_eta_squared_is_one_where_clusters_say_everything_within_a_label():
    cell, clusters = np.repeat([0, 1], 50), np.tile([0, 1], 50)
    assert eta_squared(clusters + 10.0 * cell, clusters, cell) == pytest.approx(1)
    assert eta_squared(10.0 * cell, clusters, cell) == 0
