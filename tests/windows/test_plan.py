"""Views and windows: every parameter is seen, counted once, and told where it stands."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metarep.networks.architecture import Architecture, read_architecture
from metarep.networks.inference import symmetries_of
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry_groups import Member, Symmetries, SymmetryGroup
from metarep.windows.plan import Plan, build_plan, most_central, stretch_starts
from metarep.windows.tokens import NUMBERS
from metarep.zoos.parameters import architecture_of_spec


def numbered(architecture: Architecture) -> dict[str, torch.Tensor]:
    """A network whose parameters are 1, 2, 3 …"""
    tensors, at = {}, 1
    for tensor in architecture.tensors:
        tensors[tensor.name] = torch.arange(at, at + tensor.size, dtype=torch.float32).reshape(tensor.shape)
        at += tensor.size
    return tensors


def counted_values(plan: Plan, tensors: dict[str, torch.Tensor]) -> list[float]:
    """What all windows speak for."""
    values, found = plan.values(tensors), []
    for window in plan.windows:
        counted = plan.counted(window)
        shown = plan.window_values(window, values)[torch.from_numpy(counted)]
        found += shown[torch.from_numpy(plan.places(window).present[counted])].tolist()
    return sorted(found)


def small_cnn() -> Architecture:
    shapes = {
        "conv1.weight": (6, 1, 3, 3),
        "conv1.bias": (6,),
        "bn1.weight": (6,),
        "bn1.bias": (6,),
        "bn1.running_mean": (6,),
        "bn1.running_var": (6,),
        "conv2.weight": (8, 6, 3, 3),
        "conv2.bias": (8,),
        "fc.weight": (10, 32),
        "fc.bias": (10,),
        "odd.thing": (3, 2, 2, 2, 2),
        "odd.scalar": (),
    }
    return read_architecture([(name, shape, "float32") for name, shape in shapes.items()])


@given(
    widths=st.lists(st.integers(1, 9), min_size=2, max_size=5),
    chunk=st.sampled_from([1, 2, 4, 7]),
    context=st.sampled_from([8, 16, 64]),
    overlap=st.sampled_from([0.0, 0.25, 0.6]),
)
@settings(max_examples=60, deadline=None)
def test_every_parameter_of_a_chain_counts_once(widths, chunk, context, overlap):
    architecture = architecture_of_spec(NetworkSpec(tuple(widths)))
    plan = build_plan(architecture, symmetries_of(architecture), chunk=chunk, context=context, overlap=overlap)
    assert counted_values(plan, numbered(architecture)) == list(range(1, architecture.n_params + 1))
    assert all(len(plan.counted(window)) <= context for window in plan.windows)


@pytest.mark.parametrize("context", [16, 64, 4096])
@pytest.mark.parametrize("chunk", [1, 4, 16])
def test_every_parameter_of_a_convolutional_network_counts_once(chunk, context):
    architecture = small_cnn()
    plan = build_plan(architecture, symmetries_of(architecture), chunk=chunk, context=context, overlap=0.25)
    n_values = sum(tensor.size for tensor in architecture.tensors)
    assert counted_values(plan, numbered(architecture)) == list(range(1, n_values + 1))
    assert plan.whole == (context == 4096)


def test_a_network_without_any_symmetries_is_read_by_rows():
    architecture = small_cnn()
    plan = build_plan(architecture, Symmetries(()), chunk=4, context=32, overlap=0.0)
    n_values = sum(tensor.size for tensor in architecture.tensors)
    assert counted_values(plan, numbered(architecture)) == list(range(1, n_values + 1))


def test_a_unit_stands_with_all_that_feeds_and_reads_it():
    architecture = architecture_of_spec(NetworkSpec.parse("3-20-2"))
    plan = build_plan(architecture, symmetries_of(architecture), chunk=1, context=24, overlap=0.0)
    tensors = numbered(architecture)
    (hidden,) = [view for view in plan.views if view.n_units == 20]
    seen = hidden.values(tensors)[7].flatten().tolist()
    expected = [*tensors["0.weight"][7].tolist(), float(tensors["0.bias"][7]), *tensors["2.weight"][:, 7].tolist()]
    assert sorted(seen) == sorted(expected)


def test_places_tell_rows_columns_and_units():
    architecture = architecture_of_spec(NetworkSpec.parse("3-4-2"))
    plan = build_plan(architecture, symmetries_of(architecture), chunk=1, context=64, overlap=0.0)
    (window,) = plan.windows
    places, values = plan.places(window), plan.window_values(window, plan.values(numbered(architecture))).flatten()
    at = int(torch.where(values == 1 + 3 * 2 + 1)[0][0])  # 0.weight[2, 1]
    row, column = (NUMBERS.index(name) for name in ("row share", "column share"))
    assert places.numbers[at, row] == pytest.approx(2 / 3)
    assert places.numbers[at, column] == pytest.approx(1 / 2)
    assert places.feeds[at, 1:].tolist() == [2, 3]
    assert places.reads[at, 1:].tolist() == [1, 2]
    assert places.scale[at] == pytest.approx(np.sqrt(3))


def test_flattened_channels_read_as_units():
    """The positions of a channel behind a flatten all belong to that channel."""
    architecture = read_architecture(
        [("conv.weight", (4, 1, 3, 3), "float32"), ("conv.bias", (4,), "float32"), ("fc.weight", (5, 16), "float32")]
    )
    channels = SymmetryGroup(
        "c", 4, (Member("conv.weight", 0, "in"), Member("conv.bias", 0, "in"), Member("fc.weight", 1, "out", inner=4))
    )
    plan = build_plan(architecture, Symmetries((channels,)), chunk=4, context=4096, overlap=0.0)
    (window,) = plan.windows
    places = plan.places(window)
    fc = places.kind == places.kind[-1]
    group = places.reads[:, 0] == 0
    assert sorted(map(tuple, places.reads[fc & group, 1:].tolist())) == sorted([(u, u + 1) for u in range(4)] * 5)


@given(n=st.integers(1, 40), share=st.floats(0.05, 1), overlap=st.floats(0, 0.9))
@settings(deadline=None)
def test_stretches_cover_and_homes_are_inside(n, share, overlap):
    length = max(1, int(n * share))
    starts = stretch_starts(n, length, overlap)
    home = most_central(starts, length, n)
    place = np.arange(n)
    assert set(home) <= set(starts)
    assert ((place >= home) & (place < home + length)).all()
