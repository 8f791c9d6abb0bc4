"""Where tokens stand: what a permutation of hidden units leaves as it is, and what it changes."""

import numpy as np
import pytest

from metarep.cloze.tokens import TokenLayout
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import all_unit_orders


def layout(text):
    return TokenLayout(NetworkSpec.parse(text))


def test_the_nine_tokens_of_a_multiplier():
    tokens = layout("2-2-1")
    assert [s.name for s in tokens.spec.slots] == [
        "w0[0,0]", "w0[0,1]", "w0[1,0]", "w0[1,1]", "b0[0]", "b0[1]", "w1[0,0]", "w1[0,1]", "b1[0]",
    ]  # fmt: skip
    assert tokens.class_names == ("w0[·,0]", "w0[·,1]", "b0[·]", "w1[0,·]", "b1[0]")
    assert tokens.slot_class.tolist() == [0, 1, 0, 1, 2, 2, 3, 3, 4]
    assert [u.tolist() for u in tokens.hidden_units] == [[0, 1, 4, 6], [2, 3, 5, 7]]


@pytest.mark.parametrize("text", ["2-2-1", "2-3-1", "2-2-2-1"])
def test_classes_and_relations_know_no_unit_order(text):
    tokens = layout(text)
    for order in all_unit_orders(tokens.spec):
        np.testing.assert_array_equal(tokens.slot_class[order], tokens.slot_class)
        np.testing.assert_array_equal(tokens.relation[np.ix_(order, order)], tokens.relation)


def test_rows_do_know_the_unit_order():
    tokens = layout("2-2-1")
    swap = all_unit_orders(tokens.spec)[1]
    assert not np.array_equal(tokens.row[swap], tokens.row)


def test_inputs_are_told_apart():
    tokens = layout("2-2-1")
    swapped_inputs = np.array([1, 0, 3, 2, 4, 5, 6, 7, 8])
    assert not np.array_equal(tokens.slot_class[swapped_inputs], tokens.slot_class)
