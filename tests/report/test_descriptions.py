"""Sentences on clusters follow from their rows, whichever way these fall; figures show every cluster and property."""

import pytest
from synthetic_run import description_tables, effect_row, rule_row, unexplained_rows

from metarep.report.descriptions import (
    apart,
    effects_figure,
    f1,
    ladder,
    rule_sentence,
    rules_text,
    shown_properties,
    split_rows,
    unexplained_figure,
    unexplained_text,
)


def test_what_sets_apart_says_direction_and_facts_as_shares():
    rows = [effect_row(0, "output bias", 0.8), effect_row(0, "a unit is off everywhere", 0.8, is_fact=1)]
    text = apart(rows)
    assert text.startswith("A unit is off everywhere (90% of its networks, 10% of the others)")
    assert "output bias higher (median 0.9, others −0.2)" in text
    assert "Output bias lower" in apart([effect_row(0, "output bias", -0.8)])


def test_what_does_not_hold_on_test_networks_is_not_said():
    assert "No property" in apart([effect_row(0, "output bias", 0.05)])  # its interval holds 0
    assert "No property" in apart([effect_row(0, "output bias", 0.8) | {"said": 0}])
    assert "No property" in apart([effect_row(0, "output bias", 0.8) | {"effect_train": -0.8}])
    assert "No test network" in apart([effect_row(0, "output bias", 0.8, n=0)])


def test_a_rule_comes_with_its_intervals_and_the_base_rate():
    text = rule_sentence(rule_row(0, "the output bias is above -0.5", 0.6))
    assert "above −0.5" in text
    assert "30 test networks that meet it, 60% [50%, 70%] are in the cluster (of all networks 30%)" in text
    assert "finds 90% [80%, 95%]" in text
    nobody = rule_row(0, "never", float("nan"), n_caught=0)
    assert rule_sentence(nobody) == rule_sentence(rule_row(0, "poor", 0.1)) == "No simple rule describes it."
    assert f1(nobody) == 0
    assert f1(rule_row(0, "x", 0.9)) == pytest.approx(0.9)


def test_rules_are_counted_by_how_well_they_fit():
    text = rules_text([rule_row(0, "good", 0.9), rule_row(1, "poor", 0.2)])
    assert "describe 1 of 2 clusters well" in text
    assert "these hold 50% of the networks" in text
    assert "cluster 0 (F1 0.90): good." in text
    assert "worst is that of cluster 1" in text
    assert "worst" not in rules_text([rule_row(0, "good", 0.9)])
    assert rules_text([]) == ""
    assert rules_text([rule_row(0, "poor", 0.2)]).startswith("No rule of at most three conditions describes a cluster well")


def test_the_ladder_adds_what_steps_tell_of_the_rest():
    steps = ladder(unexplained_rows())
    assert [round(share, 3) for _, share, _ in steps] == [0.4, 0.5, 0.65, 0.685, 0.9]
    assert [kind for _, _, kind in steps] == ["labels", "labels", "step", "step", "everything"]


def test_the_rest_is_called_structure_only_where_it_is():
    text = unexplained_text(unexplained_rows())
    assert "40% (mode) and 50% (mode and quadrant code)" in text
    assert "not chance: 1 of 2 properties" in text
    assert "“error” most: 30%" in text
    assert "No property of initialisation explains any" in text
    assert "raise this to 68%" in text or "raise this to 69%" in text
    assert "90% [88%, 92%] on unseen networks, so at most 10%" in text
    assert "“output bias at the start” of initialisation (10%)" in unexplained_text(unexplained_rows(start_p=0.01))
    nothing = [row for row in unexplained_rows(p=0.4) if row["what"] != "step"]
    assert "None of 2 properties explains any of the rest" in unexplained_text(nothing)
    assert "one after the other" not in unexplained_text(nothing)
    assert unexplained_text([]) == ""
    worse = [row | {"share": -0.2, "low": -0.4} if row["what"] == "everything" else row for row in unexplained_rows()]
    nothing = [row | {"share": -0.02} for row in worse]
    assert "explain 0% (mode)" in unexplained_text(nothing)
    assert unexplained_text(nothing).endswith("at most 100% is due to what was not looked at.")
    assert "A forest of all properties explains none of it on unseen networks" in unexplained_text(worse)


def test_modes_that_clusters_split_are_listed():
    (row,) = split_rows(unexplained_rows())
    assert row["scope"] == "mode 3"
    assert row["kinds"] == pytest.approx(2**1.5)
    assert row["best"]["property"] == "error"
    assert row["labels"] is None


def test_the_figures_show_every_cluster_and_every_property():
    rows = description_tables(range(3))["descriptions.csv"]
    assert shown_properties(rows) == ["both units are off everywhere", "output bias"]
    (ax, _) = effects_figure(rows, {0: "mode 1"}).axes
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0\nmode 1", "1\n", "2\n"]
    assert {text.get_text() for text in ax.texts} == {"1.0", "−0.8", "0.8"}
    left, right = unexplained_figure(unexplained_rows()).axes
    assert [label.get_text() for label in left.get_yticklabels()][:2] == ["Mode", "+ quadrant code"]
    assert "68%" in {text.get_text() for text in left.texts} or "69%" in {text.get_text() for text in left.texts}
    assert [label.get_text() for label in right.get_yticklabels()] == ["Error", "Output bias at the start"]
