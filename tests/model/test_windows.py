"""Tokens, layouts and windows: 2-2-1 is the special case, every parameter is seen and counts once, units stay whole."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import architecture_with, numbered, parts_of, plan_for, small_cnn, window_segments

from metarep.model.data import Cohort, cut_windows
from metarep.model.settings import PretrainConfig
from metarep.model.windows import build_plan, most_central, stretches
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry_groups import Member, Symmetries, SymmetryGroup
from metarep.progress import Progress
from metarep.zoos.parameters import architecture_of_spec

# Golden values of the layout that read 2-2-1 networks alone, a token a parameter (version 0.1.0), by parameter in the order
# w0 w1 w2 w3 (rows of the hidden weight), b0 b1, v0 v1, c.
RELATION_2_2_1 = [
    [16, 1, 2, 0, 1, 0, 4, 0, 0],
    [1, 16, 0, 2, 1, 0, 4, 0, 0],
    [2, 0, 16, 1, 0, 1, 0, 4, 0],
    [0, 2, 1, 16, 0, 1, 0, 4, 0],
    [1, 1, 0, 0, 16, 0, 4, 0, 0],
    [0, 0, 1, 1, 0, 16, 0, 4, 0],
    [8, 8, 0, 0, 8, 0, 16, 1, 1],
    [0, 0, 8, 8, 0, 8, 1, 16, 1],
    [0, 0, 0, 0, 0, 0, 1, 1, 16],
]
RELATION_2_1 = [[16, 1, 1], [1, 16, 1], [1, 1, 16]]
SLOTS_2_2_1 = [0, 1, 0, 1, 2, 2, 3, 3, 4]
SLOTS_2_4_3_1 = [0, 1] * 4 + [2] * 4 + [3] * 12 + [4] * 3 + [5] * 3 + [6]
SLOTS_2_16_1 = [0, 1] * 16 + [2] * 16 + [3] * 16 + [4]
HIDDEN_UNITS_2_4_3_1 = [[0, 1, 8, 12, 16, 20], [2, 3, 9, 13, 17, 21], [4, 5, 10, 14, 18, 22], [6, 7, 11, 15, 19, 23]]
HIDDEN_UNITS_2_4_3_1 += [[12, 13, 14, 15, 24, 27], [16, 17, 18, 19, 25, 28], [20, 21, 22, 23, 26, 29]]
HIDDEN_UNITS_2_16_1 = [[2 * unit, 2 * unit + 1, 32 + unit, 48 + unit] for unit in range(16)]
COUNTS_2_16_1 = {0: 3216, 1: 368, 2: 480, 4: 48, 8: 48, 16: 65}
COUNTS_2_4_3_1 = {0: 684, 1: 96, 2: 48, 4: 51, 8: 51, 16: 31}


def param_of_token(plan) -> np.ndarray:
    """(T,): the parameter that each token of a network of one window holds, tensors one behind the other."""
    return plan.whole_values(numbered(plan.views[0].architecture))[0, :, 0].numpy().astype(int) - 1


def by_parameter(name: str):
    """Relations (P, P) and slot classes (P,) of a spec in the order of its parameters, and the layout's own."""
    plan = plan_for(name)
    layout, back = plan.shapes[0].layout, np.argsort(param_of_token(plan))
    return layout.relation.numpy()[np.ix_(back, back)], layout.slot_class[back, 0], layout


def renumbered(classes: np.ndarray) -> list[int]:
    """The same classes, counted from 0 in the order in which they appear."""
    first = list(dict.fromkeys(classes.tolist()))
    return [first.index(number) for number in classes]


@pytest.mark.parametrize(("name", "expected"), [("2-2-1", RELATION_2_2_1), ("2-1", RELATION_2_1)])
def test_small_networks_have_the_relations_of_the_layout_made_for_them(name, expected):
    assert by_parameter(name)[0].tolist() == expected


@pytest.mark.parametrize(("name", "expected"), [("2-16-1", COUNTS_2_16_1), ("2-4-3-1", COUNTS_2_4_3_1)])
def test_larger_specs_have_as_many_pairs_of_each_relation(name, expected):
    relation = by_parameter(name)[0]
    assert Counter(relation.ravel().tolist()) == expected
    np.testing.assert_array_equal(relation == 4, relation.T == 8)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("2-2-1", SLOTS_2_2_1), ("2-16-1", SLOTS_2_16_1), ("2-4-3-1", SLOTS_2_4_3_1), ("2-1", [0, 1, 2])],
)
def test_specs_have_the_normalisation_classes_of_the_layout_made_for_them(name, expected):
    assert renumbered(by_parameter(name)[1]) == expected


@pytest.mark.parametrize(("name", "expected"), [("2-16-1", HIDDEN_UNITS_2_16_1), ("2-4-3-1", HIDDEN_UNITS_2_4_3_1)])
def test_hidden_units_have_the_tokens_that_feed_and_read_them(name, expected):
    at, layout = param_of_token(plan_for(name)), by_parameter(name)[2]
    assert [sorted(at[unit].tolist()) for unit in layout.units.numpy()] == expected


def test_slots_have_names_with_dots_for_what_is_interchangeable():
    names = plan_for("2-16-1").shapes[0].layout.slot_names
    assert names[:3] == ("0.weight[·,0]", "0.weight[·,1]", "0.bias[·]")
    assert len(names) == 5


def counted_values(plan, tensors) -> list[float]:
    """The values of one network that all windows speak for."""
    found = []
    for shape, segment in zip(plan.shapes, window_segments(plan, tensors), strict=True):
        counted = torch.from_numpy(plan.counted(shape, shape.firsts)).unsqueeze(-1) & shape.layout.present
        found += segment.values[counted].tolist()
    return sorted(found)


@given(
    widths=st.lists(st.integers(1, 9), min_size=2, max_size=5),
    chunk=st.sampled_from([1, 2, 4, 7]),
    context=st.sampled_from([8, 16, 64]),
    overlap=st.sampled_from([0.0, 0.25, 0.6]),
)
@settings(max_examples=40, deadline=None)
def test_every_parameter_of_a_chain_counts_once(widths, chunk, context, overlap):
    architecture, symmetries = parts_of(architecture_of_spec(NetworkSpec(tuple(widths))))
    plan = build_plan(architecture, symmetries, chunk=chunk, context=context, overlap=overlap)
    assert counted_values(plan, numbered(architecture)) == list(range(1, architecture.n_params + 1))
    assert all(shape.layout.n_tokens <= context for shape in plan.shapes)


@pytest.mark.parametrize("context", [16, 64, 4096])
@pytest.mark.parametrize("chunk", [1, 4, 16])
def test_every_parameter_of_a_convolutional_network_counts_once(chunk, context):
    architecture = small_cnn()
    plan = plan_for(architecture, chunk=chunk, context=context)
    assert counted_values(plan, numbered(architecture)) == list(range(1, sum(t.size for t in architecture.tensors) + 1))
    assert plan.whole == (context == 4096)


@pytest.mark.parametrize("bias", [False, True])
def test_models_learn_from_windows_that_speak_for_some_parameter(bias):
    """The windows of outputs show what those of hidden units show; a bias of an output is shown by them alone."""
    architecture = architecture_with({"0.weight": (64, 48), "2.weight": (24, 64)} | ({"2.bias": (24,)} if bias else {}))
    plan, network = plan_for(architecture, chunk=24, context=9), numbered(architecture)
    subjects = SimpleNamespace(raw_tensors=lambda row: {name: value[0] for name, value in network.items()})
    config = PretrainConfig(units="raw", behaviour_weight=0.0, max_windows=1000)
    drawn = cut_windows([Cohort(subjects, np.arange(1), plan, None)], config, split="train", spaces={}, progress=Progress())
    learned = {plan.views[one.shape.stretches[0].view].n_units: len(one) for one in drawn}
    windows = {plan.views[shape.stretches[0].view].n_units: shape.n_windows for shape in plan.shapes}
    assert windows.keys() == {64, 24}
    assert learned == (windows if bias else {64: windows[64]})


def test_a_network_without_known_symmetries_is_read_by_rows():
    architecture = small_cnn()
    plan = build_plan(architecture, Symmetries(()), chunk=4, context=32, overlap=0.0)
    assert counted_values(plan, numbered(architecture)) == list(range(1, sum(t.size for t in architecture.tensors) + 1))


@pytest.mark.parametrize(("name", "context"), [("3-20-2", 24), ("5-40-40-3", 96), ("2-2-1", 8)])
def test_units_are_whole_wherever_they_fit(name, context):
    plan = plan_for(name, context=context)
    assert not plan.whole
    for shape in plan.shapes:
        (stretch,) = shape.stretches
        view = plan.views[stretch.view]
        assert view.n_tokens <= context
        assert (stretch.start, stretch.stop) == (0, view.n_tokens)
        assert context // view.n_tokens // 2 <= stretch.n_units <= context // view.n_tokens


def test_a_unit_is_shown_with_all_that_feeds_and_reads_it():
    plan, tensors = plan_for("3-20-2", context=24), numbered(architecture_of_spec(NetworkSpec.parse("3-20-2")))
    (hidden,) = [view for view in plan.views if view.n_units == 20]
    seen = hidden.values(tensors)[0, 7].flatten().tolist()
    one = {name: value[0] for name, value in tensors.items()}
    assert sorted(seen) == sorted([*one["0.weight"][7].tolist(), float(one["0.bias"][7]), *one["2.weight"][:, 7].tolist()])


def known_coordinates(layout, token: int) -> dict[str, int]:
    """Where a token is on each fixed axis."""
    pairs = zip(layout.coordinate_axis[:, token].tolist(), layout.coordinate_index[:, token].tolist(), strict=True)
    return {str(layout.axes[axis]): index for axis, index in pairs if axis >= 0}


def test_fixed_axes_are_known_exactly_and_interchangeable_ones_not_at_all():
    layout, at = plan_for("3-4-2").shapes[0].layout, param_of_token(plan_for("3-4-2"))
    token = int(np.flatnonzero(at == 2 * 3 + 1)[0])  # 0.weight[2, 1]
    assert known_coordinates(layout, token) == {"inputs:3": 1}
    token = int(np.flatnonzero(at == 12 + 4 + 1 * 4 + 3)[0])  # 2.weight[1, 3]
    assert known_coordinates(layout, token) == {"outputs:2": 1}
    assert float(layout.scale[token]) == pytest.approx(2.0)


def test_the_positions_of_a_flattened_channel_belong_to_its_unit():
    architecture = architecture_with({"conv.weight": (4, 1, 3, 3), "conv.bias": (4,), "fc.weight": (5, 16)})
    members = (Member("conv.weight", 0, "in"), Member("conv.bias", 0, "in"), Member("fc.weight", 1, "out", inner=4))
    plan = build_plan(architecture, Symmetries((SymmetryGroup("c", 4, members),)), chunk=1, context=4096, overlap=0.0)
    values = plan.whole_values(numbered(architecture))[0, :, 0]
    unit = plan.shapes[0].layout.units[2]
    first = 4 * 9 + 4 + 1  # of fc.weight
    columns = [first + 16 * row + 8 + pixel for row in range(5) for pixel in range(4)]
    expected = [*range(2 * 9 + 1, 3 * 9 + 1), 36 + 2 + 1, *columns]
    assert sorted(values[unit].tolist()) == sorted(expected)


@given(n=st.integers(1, 60), most=st.integers(1, 60), overlap=st.floats(0, 0.9))
@settings(max_examples=80, deadline=None)
def test_stretches_cover_overlap_and_homes_are_inside(n, most, overlap):
    starts, length = stretches(n, most, overlap)
    home, position = most_central(starts.tolist(), length, n), np.arange(n)
    assert length <= most
    assert (starts[0], starts[-1] + length) == (0, n)
    assert (np.diff(starts) <= length).all()
    assert set(home) <= set(starts)
    assert ((position >= home) & (position < home + length)).all()
