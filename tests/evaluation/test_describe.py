"""What clusters are said to do: planted properties are found, noise is not, and unit order never matters."""

import numpy as np
import pytest

from metarep.domains.multiplier.modes import label_modes
from metarep.domains.multiplier.properties import linear_pieces, properties, to_diagonal
from metarep.evaluation.describe import best_rule, cliffs_delta, describe, description_rows, rule_rows, rule_words
from metarep.evaluation.unexplained import Side
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import all_unit_orders, random_scales
from metarep.zoos.columns import Contents
from metarep.zoos.domain import Property
from metarep.zoos.zoo import Zoo

SPEC = NetworkSpec((2, 2, 1))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def zoo_of(params: np.ndarray, start: np.ndarray | None = None) -> Zoo:
    n, labels = len(params), label_modes(SPEC, params.astype(np.float32))
    columns = {
        "active_area": labels.active_area,
        "quadrant_area": labels.quadrant_area,
        "network_id": np.array([f"n{i}" for i in range(n)], dtype=object),
        "spec": np.array(["2-2-1"] * n, dtype=object),
        "params": params.astype(np.float32),
        "log_error": np.log10(np.linspace(1e-3, 1e-1, n)),
    }
    return Zoo(
        columns if start is None else columns | {"init_params": start.astype(np.float32)}, contents=Contents("multiplier")
    )


def planted(rng, n=600):
    """A fact and a number that say the cluster, the number once more, and a number that says nothing."""
    clusters = rng.integers(0, 3, n)
    fact = Property("it is the second", (clusters == 1).astype(float), "signs", "it is not the second")
    number = Property("height", clusters + 0.1 * rng.standard_normal(n), "areas")
    again = Property("height in feet", 3.3 * number.values, "areas")
    return Side([Property("noise", rng.standard_normal(n), "error"), fact, number, again], clusters, {})


def test_no_property_knows_the_order_of_units_and_few_their_scale(rng):
    params, start = rng.normal(size=(2, 60, 9))
    swap = all_unit_orders(SPEC)[1]
    before = properties(zoo_of(params, start))
    for one, other in zip(before, properties(zoo_of(params[:, swap], start[:, swap])), strict=True):
        np.testing.assert_allclose(other.values, one.values, atol=1e-4, err_msg=one.name)
    scaled = properties(zoo_of(params * random_scales(SPEC, 0.5, 60, rng=rng), start))
    moved = {a.name for a, b in zip(before, scaled, strict=True) if not np.allclose(a.values, b.values, atol=1e-3)}
    assert {name.split(" ")[0] for name in moved} == {"norm", "lesser", "greater", "distance"}
    broken = params.copy()
    broken[:, 0] += 0.3  # the control: one weight of one unit
    assert any(not np.allclose(a.values, b.values) for a, b in zip(before, properties(zoo_of(broken, start)), strict=True))


def test_properties_agree_with_the_modes_and_are_left_out_where_the_start_is_unknown(rng):
    params = rng.normal(size=(200, 9))
    found, labels = {p.name: p.values for p in properties(zoo_of(params))}, label_modes(SPEC, params.astype(np.float32))
    np.testing.assert_array_equal(found["both units are off everywhere"] == 1, labels.mode == "1")
    np.testing.assert_array_equal(found["both units are on everywhere"] == 1, labels.mode == "2.5")
    np.testing.assert_array_equal(found["both output weights are positive"] == 1, labels.sign_pattern == "++")
    np.testing.assert_allclose(found["share of the square where both units are on"], labels.quadrant_area[:, 3], atol=1e-6)
    assert not any("start" in name for name in found)
    assert any("start" in p.name for p in properties(zoo_of(params, params)))
    assert not any("start" in p.name for p in properties(zoo_of(params, params * np.nan)))


def test_pieces_are_counted_by_gradient_not_by_quadrant():
    straddling = np.array([1.0, 0, 0, 1, -0.5, -0.5, 1, 1, 0])  # relu(x − ½) + relu(y − ½): four pieces
    linear = np.array([1.0, 0, -1, 0, -0.5, 0.5, 1, -1, 0])  # relu(x − ½) − relu(½ − x) = x − ½: two quadrants, one slope
    dead = np.array([1.0, 0, 0, 1, -2, -2, 1, 1, 0.3])
    cut_off = np.array([1.0, 0, 0, 1, -0.5, -0.5, 0, 0, 0.3])  # both straddle, neither reaches the output
    pieces, constant = linear_pieces(np.stack([straddling, linear, dead, cut_off]))
    assert pieces.tolist() == [4, 1, 1, 1]
    assert constant.tolist() == [False, False, True, True]


def test_angles_to_the_diagonal_are_those_of_a_protractor():
    rows = np.array([[[2.0, 2], [-1, -1], [1, 0], [0, 3], [1, -1], [0, 0]]])
    np.testing.assert_allclose(to_diagonal(rows)[0], [0, 180, 45, 45, 90, 90], atol=1e-9)


def test_cliffs_delta_is_that_of_all_pairs_and_its_error_that_of_resamples(rng):
    inside, outside = rng.integers(0, 6, (40, 2)).astype(float), rng.integers(1, 7, (70, 2)).astype(float)
    delta, error = cliffs_delta(inside, outside)
    pairs = np.sign(inside[:, None] - outside[None]).mean(axis=(0, 1))
    np.testing.assert_allclose(delta, pairs)
    draws = [cliffs_delta(inside[rng.integers(0, 40, 40)], outside[rng.integers(0, 70, 70)])[0] for _ in range(200)]
    np.testing.assert_allclose(error, np.std(draws, axis=0), rtol=0.25)
    facts = cliffs_delta(np.array([[0.0], [0], [1], [1]]), np.array([[0.0], [0], [0], [1]]))[0]
    assert facts == pytest.approx(0.5 - 0.25)
    assert np.isnan(cliffs_delta(inside[:0], outside)[0]).all()


def test_what_sets_a_cluster_apart_comes_first_and_is_said_once(rng):
    train, test = planted(rng), planted(rng)
    rows = [row for row in description_rows(train, test) if row["cluster"] == 1]
    assert rows[0]["property"] == "it is the second"
    assert rows[0]["effect"] == 1
    assert rows[0]["n"] == (test.clusters == 1).sum()
    assert rows[0]["inside"] == 1 > rows[0]["inside_low"] > 0.9
    assert rows[-1]["said"] == 0
    third = {row["property"]: row for row in description_rows(train, test) if row["cluster"] == 2}
    assert third["height"]["said"] + third["height in feet"]["said"] == 1  # the same in other words is not said again
    assert third["noise"]["effect_low"] < 0 < third["noise"]["effect_high"]


def test_rules_catch_planted_clusters_and_promise_nothing_on_noise(rng):
    train, test = planted(rng), planted(rng)
    rules = {row["cluster"]: row for row in rule_rows(train, test)}
    assert rules[1]["rule"] == "it is the second"
    assert rules[0]["rule"].startswith("the height")
    assert " and " not in rules[0]["rule"]  # a second condition would add nothing
    assert min(min(row["precision"], row["recall"]) for row in rules.values()) > 0.95
    shuffled = [Side(side.found, rng.permutation(side.clusters), {}) for side in (train, test)]
    assert max(row["precision_low"] for row in rule_rows(*shuffled)) < 0.45


def test_a_middle_cluster_needs_two_conditions_on_one_number_said_together(rng):
    x = rng.uniform(0, 1, (900, 2))
    member = (x[:, 0] > 0.3) & (x[:, 0] <= 0.6)
    conditions, f1 = best_rule(x, member, [False, False])
    assert f1 > 0.97
    assert {c.index for c in conditions} == {0}
    words = rule_words(conditions, [Property("height", x[:, 0]), Property("noise", x[:, 1])])
    assert words == [f"the height is above {conditions[0].cut:g} and at most 0.6"]


def test_describe_holds_every_cluster_and_is_the_same_again(rng):
    params, start = rng.normal(size=(2, 160, 9))
    zoo, assigned = zoo_of(params, start), (params[:, 8] > 0).astype(int)
    labels = {"mode": label_modes(SPEC, params).mode}
    sides = np.arange(80), np.arange(80, 160)
    tables = describe(zoo, *sides, assigned, labels, seed=0)
    assert tables.keys() == {"descriptions", "rules", "unexplained"}
    assert all(row["rule"].startswith("the output bias") for row in tables["rules"])
    assert repr(describe(zoo, *sides, assigned, labels, seed=0)) == repr(tables)
