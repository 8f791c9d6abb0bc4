"""Residual streams: all that touches them changes places together, and where there is a doubt, nothing does."""

import re

import numpy as np
import pytest
import torch
from residual_networks import DenseNet, ResidualMLP, ResNet, Subject, subject
from residual_transformers import GPT2, Bert, Encoder, Llama, Mixer, ViT
from torch import nn

from metarep.embeddings.readout import read_networks
from metarep.model.transformer import ClozeModel
from metarep.model.windows import build_plan
from metarep.networks.architecture import Architecture, read_architecture, readable, readable_tensors
from metarep.networks.inference import symmetries_of
from metarep.networks.symmetry_groups import Symmetries, SymmetryGroup
from metarep.networks.tensor_symmetry import canonical, permuted, random_symmetry

DRAW = torch.Generator().manual_seed(0)
PICTURES, NUMBERS = torch.randn(3, 1, 8, 8, generator=DRAW), torch.randn(4, 5, generator=DRAW)
WORDS = torch.arange(18).reshape(3, 6) * 7 % 11

FREE = {
    "basic blocks": (lambda: ResNet([[(4, 4), (4, 4)]]), PICTURES, [4]),
    "basic blocks, wider": (lambda: ResNet([[(4, 4)], [(6, 6), (6, 6)], [(9, 9)]]), PICTURES, [4, 6, 9]),
    "shortcut": (lambda: ResNet([[(4, 4)], [(6, 6)]], across="shortcut"), PICTURES, [4, 6]),
    "bottlenecks": (lambda: ResNet([[(5, 6, 10), (5, 6, 10)], [(7, 8, 12)]]), PICTURES, [4, 10, 12]),
    "norms before": (lambda: ResNet([[(4, 4)], [(6, 6), (6, 6)]], before=True), PICTURES, [4, 6]),
    "norms before, one width": (lambda: ResNet([[(4, 4), (4, 4)]], before=True), PICTURES, [4]),
    "residual mlp": (ResidualMLP, NUMBERS, [7]),
    "encoder": (Encoder, WORDS, [8]),
    "encoder, norms first": (lambda: Encoder(norm_first=True, places="buffer"), WORDS, [8]),
    "vit": (ViT, PICTURES, [8]),
    "gpt-2": (GPT2, WORDS, [8]),
    "gpt-2, linear": (lambda: GPT2(layer=nn.Linear), WORDS, [8]),
    "gpt-2, tied": (lambda: GPT2(head="tied"), WORDS, [8]),
    "gpt-2, head left out": (lambda: GPT2(head="left out"), WORDS, [8]),
    "llama": (Llama, WORDS, [8]),
    "bert, words": (Bert, WORDS, [8]),
    "bert, classes": (lambda: Bert(head="class"), WORDS, [8]),
}
"""A network, an input, and the widths of its streams."""

DOUBTS = {
    "padded with zeros": (lambda: ResNet([[(4, 4)], [(6, 6)]], across=""), PICTURES, {4, 6}),
    "dense": (DenseNet, PICTURES, {6}),
    "group norms": (lambda: ResNet([[(4, 4)], [(6, 6)]], norm=lambda n: nn.GroupNorm(2, n)), PICTURES, set()),
    "a gain more": (lambda: ResNet([[(4, 4)]], extra=("gain", nn.Parameter(torch.ones(4)))), PICTURES, set()),
    "a second head": (lambda: ResNet([[(4, 4)], [(6, 6)]], extra=("head", nn.Linear(4, 2))), PICTURES, {4, 6}),
    "two kinds of pools": (lambda: ResNet([[(4, 4)], [(6, 6)]], n_pools=2), PICTURES, {4, 6}),
    "no head": (lambda: ResNet([[(4, 4)], [(6, 6)]], head=False), PICTURES, {4, 6}),
    "norm of hidden units": (lambda: ResidualMLP(norm_of_hidden=True), NUMBERS, set()),
    "norm of either": (lambda: ResidualMLP(7, 7), NUMBERS, set()),
    "an mlp, a layer more": (lambda: ResidualMLP(extra=("adapter", nn.Linear(7, 7))), NUMBERS, {11}),
    "mixed places": (lambda: Mixer("mlp_tokens"), PICTURES, {6, 11}),
    "mixed places by another name": (lambda: Mixer("columns"), PICTURES, {6, 11}),
    "an encoder, a gain more": (lambda: Encoder(extra=("gain", nn.Parameter(torch.ones(8)))), WORDS, {12}),
    "places by formula": (lambda: Encoder(places="sines"), WORDS, {12}),
    "an encoder without head": (lambda: Encoder(head=False), WORDS, {12}),
    "a pooler without head": (lambda: Bert(head="none"), WORDS, {20}),
}
"""A network, an input, and the widths of all its interchangeable groups: none of them is a stream."""

INSIDE_HEADS = re.compile(
    r"(out_proj|attn\.proj|layers\.\d\.self_attn\.o_proj|attention\.output\.dense)\.weight 1|q_proj\.weight 0"
    r"|self\.(query|key|value)\.(weight|bias) 0|attn\.c_proj\.weight [01]"
)
"""Axes as long as a stream that run over queries, keys and values."""


def made(case) -> tuple[Subject, Architecture, Symmetries]:
    torch.manual_seed(0)
    found = subject(case[0](), case[1])
    architecture = architecture_of(found)
    return found, architecture, symmetries_of(architecture)


def architecture_of(one: Subject, *, ordered: bool = True) -> Architecture:
    named = [(name, tuple(value.shape), str(value.dtype).removeprefix("torch.")) for name, value in one.tensors.items()]
    return read_architecture(named, ordered=ordered)


def streams(symmetries: Symmetries) -> list[SymmetryGroup]:
    return [units for units in symmetries.groups if "stream" in units.name]


def change(one: Subject, tensors) -> float:
    """How far the outputs move, in standard deviations of the outputs."""
    before = one.outputs(one.tensors)
    return float((one.outputs(tensors) - before).abs().max() / before.std())


@pytest.mark.parametrize("name", FREE)
def test_every_axis_along_a_stream_is_wired(name):
    one, _, symmetries = made(FREE[name])
    assert [units.n for units in streams(symmetries)] == FREE[name][2]
    assert all(units.interchangeable for units in streams(symmetries))
    places = [(member.tensor, member.axis) for units in symmetries.groups if units.interchangeable for member in units.members]
    assert len(set(places)) == len(places)
    widths = {units.n for units in symmetries.groups if units.interchangeable}
    for tensor, value in one.tensors.items():
        for axis, n in enumerate(value.shape):
            if n in widths and (tensor, axis) not in places:
                assert INSIDE_HEADS.search(f"{tensor} {axis}"), (tensor, axis)


@pytest.mark.parametrize("name", [*FREE, *DOUBTS])
def test_random_orders_of_all_free_units_leave_the_outputs(name):
    one, _, symmetries = made((FREE | DOUBTS)[name])
    changed = random_symmetry(one.tensors, symmetries, generator=torch.Generator().manual_seed(1))
    assert change(one, changed) < 1e-12
    moved = {n for n, value in one.tensors.items() if not torch.equal(value, changed[n])}
    assert bool(moved) == any(units.interchangeable for units in symmetries.groups)


@pytest.mark.parametrize("name", FREE)
def test_any_member_left_out_breaks_it(name):
    """The control."""
    one, _, symmetries = made(FREE[name])
    for units in streams(symmetries):
        for member in units.members:
            rest = SymmetryGroup("rest", units.n, tuple(m for m in units.members if m != member))
            broken = permuted(one.tensors, Symmetries((rest,)), [np.roll(np.arange(units.n), 1)])
            assert change(one, broken) > 1e-4, member


@pytest.mark.parametrize("name", DOUBTS)
def test_doubts_are_not_free(name):
    _, _, symmetries = made(DOUBTS[name])
    assert {units.n for units in symmetries.groups if units.interchangeable} == DOUBTS[name][2]
    assert not any(units.interchangeable for units in streams(symmetries))


@pytest.mark.parametrize(
    ("doubt", "free"),
    [
        ("group norms", "shortcut"),
        ("no head", "basic blocks, wider"),
        ("places by formula", "encoder"),
        ("an encoder without head", "encoder"),
        ("a pooler without head", "bert, classes"),
        ("norm of hidden units", "residual mlp"),
    ],
)
def test_doubts_have_a_reason(doubt, free):
    """The symmetries of a network that is named alike, but for what is doubted, would change the outputs."""
    one, _, _ = made(DOUBTS[doubt])
    _, _, symmetries = made(FREE[free])
    shapes = {tensor: tuple(value.shape) for tensor, value in one.tensors.items()}
    fitting = []
    for units in (units for units in symmetries.groups if units.interchangeable):
        here = tuple(m for m in units.members if shapes.get(m.tensor, ())[m.axis : m.axis + 1] == (units.n,))
        fitting.append(SymmetryGroup(units.name, units.n, here))
    changed = random_symmetry(one.tensors, Symmetries(tuple(fitting)), generator=torch.Generator().manual_seed(1))
    assert change(one, changed) > 1e-3


@pytest.mark.parametrize("name", FREE)
def test_files_sorted_by_name_are_wired_alike(name):
    """Where sizes leave open on which side of a convolution its norm stands, a sorted file leaves it open for good."""
    one, _, symmetries = made(FREE[name])
    again = symmetries_of(architecture_of(one, ordered=False))
    expected = [] if name == "norms before, one width" else [set(units.members) for units in streams(symmetries)]
    assert [set(units.members) for units in streams(again)] == expected


def test_numbered_blocks_are_no_chain():
    """Were each layer's output taken for a group of its own, skips would be cut."""
    _, _, symmetries = made(FREE["residual mlp"])
    assert sorted(units.n for units in symmetries.groups if units.interchangeable) == [7, 11, 11]
    shapes = {"blocks.0.fc1.weight": (6, 6), "blocks.0.fc3.weight": (6, 6), "blocks.1.fc1.weight": (6, 6)}
    plain = symmetries_of(read_architecture([(name, shape, "float32") for name, shape in shapes.items()]))
    assert not any(units.interchangeable for units in plain.groups)


def test_a_norm_that_may_be_a_group_norm_ends_a_chain_of_convolutions():
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.Conv2d(4, 2, 3))
    _, _, symmetries = made((lambda: module, PICTURES))
    assert not any(units.interchangeable for units in symmetries.groups)


def states(model: ClozeModel, tensors, architecture: Architecture, symmetries: Symmetries, context: int) -> np.ndarray:
    """What the model makes of the layers of a network."""
    plan = build_plan(architecture, symmetries, chunk=model.chunk, context=context, overlap=model.overlap)
    ordered = canonical(readable_tensors(architecture, tensors, where="here"), symmetries)
    alone = {name: value.unsqueeze(0) for name, value in ordered.items()}
    return read_networks(model, plan, alone, with_units=False).layer_states.numpy()


@pytest.mark.parametrize("context", [48, 512])
@pytest.mark.parametrize("name", ["basic blocks, wider", "bottlenecks", "encoder", "gpt-2", "bert, words"])
def test_the_embedding_does_not_depend_on_the_order_of_a_stream(name, context):
    """Down to the last bit; and it does where one tensor alone is in another order."""
    one, architecture, symmetries = made(FREE[name])
    torch.manual_seed(0)
    model = ClozeModel(chunk=4, context=512, d_model=8, n_layers=1, n_heads=2).eval()
    nn.init.normal_(model.relation_bias)
    first = states(model, one.tensors, architecture, symmetries, context)
    shuffled = random_symmetry(one.tensors, symmetries, generator=torch.Generator().manual_seed(3))
    np.testing.assert_array_equal(states(model, shuffled, architecture, symmetries, context), first)
    stream = streams(symmetries)[-1]
    alone = SymmetryGroup("one", stream.n, stream.members[:1])
    broken = permuted(one.tensors, Symmetries((alone,)), [np.roll(np.arange(stream.n), 1)])
    assert np.abs(states(model, broken, architecture, symmetries, context) - first).max() > 1e-5


@pytest.mark.parametrize("name", FREE)
def test_canonical_copies_are_the_same_bits(name):
    one, _, symmetries = made(FREE[name])
    first = canonical(one.tensors, symmetries)
    for seed in range(3):
        again = canonical(random_symmetry(one.tensors, symmetries, generator=torch.Generator().manual_seed(seed)), symmetries)
        assert all(torch.equal(value, again[tensor]) for tensor, value in first.items())


@pytest.mark.parametrize("context", [16, 128, 8192])
@pytest.mark.parametrize("name", ["basic blocks, wider", "gpt-2", "bert, words"])
def test_every_parameter_on_a_stream_counts_once(name, context):
    _, architecture, symmetries = made(FREE[name])
    plan = build_plan(architecture, symmetries, chunk=4, context=context, overlap=0.25)
    tensors, at = {}, 1
    for tensor in architecture.tensors:
        tensors[tensor.name] = torch.arange(at, at + tensor.size, dtype=torch.float64).reshape(tensor.shape)
        at += tensor.size if readable(tensor) else 0
    values, counted = plan.view_values(tensors), []
    for shape in plan.shapes:
        here = torch.from_numpy(plan.counted(shape, shape.firsts)).unsqueeze(-1) & shape.layout.present
        counted += plan.window_values(shape, values, shape.firsts)[here].tolist()
    assert sorted(counted) == list(range(1, at))


def test_windows_grow_with_the_network_and_no_faster():
    """A stream that fits the context is read along; one that does not leaves its tensors to their other ends."""
    counts = {}
    for n_blocks in (2, 4, 8):
        architecture = architecture_of(subject(ResNet([[(16, 16)] * n_blocks]), PICTURES))
        for context in (48, 512):
            plan = build_plan(architecture, symmetries_of(architecture), chunk=8, context=context, overlap=0.25)
            assert not plan.whole
            assert any("stream" in view.units.name for view in plan.views) == (context == 512)
            counts[n_blocks, context] = sum(shape.n_windows * shape.layout.n_tokens for shape in plan.shapes)
    for context in (48, 512):
        assert counts[8, context] - counts[4, context] < 2.6 * (counts[4, context] - counts[2, context])
        assert counts[8, context] * 8 < 4 * architecture.n_params
