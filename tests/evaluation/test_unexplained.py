"""What labels leave of clusters: shares with known answers, structure found where it was put and only there."""

import numpy as np
import pytest

from metarep.evaluation.unexplained import Side, binned, cells, entropy, shares, unexplained_rows, within
from metarep.zoos.domain import Property


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def two_bits(rng, n=1200, *, found=True):
    """Clusters of a label and of something hidden, of which one property tells; three that tell nothing."""
    label, hidden = rng.integers(0, 2, (2, n))
    explains = Property("explains", hidden + 0.3 * rng.standard_normal(n), "error")
    follows = Property("follows the label", label + 0.1 * rng.standard_normal(n), "areas")
    noise = [Property(f"noise {i}", rng.standard_normal(n), "initialisation") for i in range(2)]
    return Side([follows, *noise, *([explains] if found else [])], 2 * label + hidden, {"mode": label.astype(str)})


def rows_of(rows, kind, scope="all"):
    return [row for row in rows if row["what"] == kind and row["scope"] == scope]


def test_shares_are_those_of_bits_and_chance_is_zero(rng):
    clusters = rng.integers(0, 4, 3000)
    columns = np.stack([clusters, clusters // 2, rng.integers(0, 50, 3000)], axis=1)
    share, _, p = shares(columns, clusters, np.zeros(3000, int), rng)
    np.testing.assert_allclose(share, [1, 0.5, 0], atol=0.01)
    assert p[0] < 0.01
    assert p[2] > 0.05
    assert abs(share[2]) < 0.01 < 50 * 4 / 3000  # without the correction so many bins would seem to tell a lot
    nothing_left, _, _ = shares(columns, clusters, clusters, rng)
    np.testing.assert_allclose(nothing_left, 0, atol=1e-9)


def test_entropy_and_information_are_those_of_the_textbook(rng):
    assert entropy(np.array([0, 1, 2, 3])) == pytest.approx(np.log(4))
    assert entropy(np.zeros(5, int)) == pytest.approx(0)
    from sklearn.metrics import mutual_info_score

    clusters, column, cell = rng.integers(0, 3, (3, 400))
    column = np.where(rng.random(400) < 0.5, clusters, column)
    own = cell * 3 + clusters
    joint = entropy(cell * 3 + column) + entropy(own) - entropy(cell * 9 + column * 3 + clusters) - entropy(cell)
    by_cell = sum((cell == c).mean() * mutual_info_score(clusters[cell == c], column[cell == c]) for c in range(3))
    assert joint == pytest.approx(by_cell)


def test_shuffles_stay_within_their_cell(rng):
    cell = rng.integers(0, 5, 200)
    order = within(cell, rng)
    assert sorted(order) == list(range(200))
    np.testing.assert_array_equal(cell[order], cell)
    assert (order != np.arange(200)).mean() > 0.9


def test_bins_are_fifths_of_a_cell_and_facts_stay_facts(rng):
    cell = np.repeat([0, 1], 100)
    number, fact = (
        Property("n", rng.standard_normal(200) + 9 * cell),
        Property("f", 1.0 * (np.arange(200) % 4 == 0), "", "not f"),
    )
    bins = binned([number, fact], cell)
    for own in (cell == 0, cell == 1):
        np.testing.assert_array_equal(np.bincount(bins[own, 0]), [20] * 5)
    np.testing.assert_array_equal(bins[:, 1], fact.values)
    assert len(np.unique(cells({"a": cell, "b": cell.astype(str)}, 200))) == 2
    assert cells({}, 3).tolist() == [0, 0, 0]


def test_structure_within_labels_is_found_and_named(rng):
    rows = unexplained_rows(two_bits(rng), two_bits(rng), seed=0)
    (known,) = rows_of(rows, "labels")
    assert known["share"] == pytest.approx(0.5, abs=0.02)
    assert known["null"] < 0.01
    assert known["bits"] == pytest.approx(2, abs=0.01)
    best = rows_of(rows, "property")[0]
    assert best["property"] == "explains"
    assert best["share"] > 0.4 > best["null"]
    assert best["p"] < 0.05
    assert all(row["p"] > 0.05 for row in rows_of(rows, "property")[1:])
    assert [row["property"] for row in rows_of(rows, "step")] == ["explains"]
    (everything,) = rows_of(rows, "everything")
    assert everything["low"] < everything["share"] < everything["high"]
    assert everything["share"] > known["share"] + 0.2
    assert rows_of(rows, "property", "mode 0")[0]["property"] == "explains"


def test_nothing_is_found_where_nothing_known_tells_of_the_rest(rng):
    rows = unexplained_rows(two_bits(rng, found=False), two_bits(rng, found=False), seed=0)
    assert rows_of(rows, "step") == []
    assert all(row["p"] > 0.05 and abs(row["share"]) < 0.05 for row in rows_of(rows, "property"))
    assert rows_of(rows, "everything")[0]["share"] < 0.6  # the label, by the property that follows it, and no more


def test_a_false_find_among_many_properties_is_as_rare_as_the_level_says(rng):
    clusters, cell = rng.integers(0, 3, (2, 150))
    hits = sum(shares(rng.integers(0, 5, (150, 12)), clusters, cell, rng)[2].min() < 0.05 for _ in range(10))
    assert hits <= 2


def test_clusters_that_the_labels_say_leave_nothing_to_explain(rng):
    side = two_bits(rng)
    told = Side(side.found, side.clusters, {"mode": side.clusters.astype(str)})
    rows = unexplained_rows(told, told, seed=0)
    assert rows_of(rows, "labels")[0]["share"] == pytest.approx(1)
    assert all(abs(row["share"]) < 1e-6 for row in rows_of(rows, "property"))
    assert {row["scope"] for row in rows} == {"all"}  # no mode stands in two clusters
