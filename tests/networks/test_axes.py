"""Which axis of a weight is its output, by names and shapes, and that tokens do not hang on how axes lie."""

import math

import numpy as np
import pytest
import torch
from checkpoint_files import write_flat
from torch import nn

from metarep.errors import MetarepError
from metarep.model.layout import NUMBERS, Stretch, layout_of
from metarep.model.tokens import axis_ends, build_views, fans_in, unit_slices
from metarep.networks.architecture import Architecture, read_architecture
from metarep.networks.symmetry_groups import Member, Symmetries, SymmetryGroup
from metarep.zoos.importing import import_networks
from metarep.zoos.settings import ImportConfig
from metarep.zoos.zoo import open_zoo

BY_NAME = {
    "keras": [
        ("conv2d/kernel:0", (3, 3, 1, 16), (3, 2)),
        ("conv2d/bias:0", (16,), None),
        ("conv1d/kernel:0", (5, 4, 8), (2, 1)),
        ("conv1d/bias:0", (8,), None),
        ("conv2d_1/kernel:0", (3, 3, 16, 16), (3, 2)),
        ("dense/kernel:0", (4, 6), (1, 0)),
        ("dense/bias:0", (6,), None),
        ("square/kernel", (6, 6), (1, 0)),
        ("conv2d_transpose/kernel:0", (3, 3, 8, 16), (2, 3)),
        ("conv2d_transpose_1/kernel:0", (3, 3, 8, 8), (2, 3)),
        ("conv2d_transpose/bias:0", (8,), None),
        ("depthwise_conv2d/depthwise_kernel:0", (3, 3, 8, 1), (2, 3)),
        ("lstm/lstm_cell/kernel:0", (3, 16), (1, 0)),
        ("lstm/lstm_cell/recurrent_kernel:0", (4, 16), (1, 0)),
        ("lstm/lstm_cell/bias:0", (16,), None),
    ],
    "flax": [
        ("params/Conv_0/kernel", (3, 3, 4, 8), (3, 2)),
        ("params/Conv_0/bias", (8,), None),
        ("params/ConvTranspose_0/kernel", (3, 3, 4, 8), (3, 2)),
        ("params/depthwise/kernel", (3, 3, 1, 8), (3, 2)),
        ("params/attention/query/kernel", (8, 2, 4), None),
        ("params/attention/query/bias", (2, 4), None),
        ("params/attention/out/kernel", (2, 4, 8), (2, 1)),
        ("params/attention/out/bias", (8,), None),
    ],
    "haiku and numpy": [
        ("net/conv2d/w", (3, 3, 4, 8), (3, 2)),
        ("net/conv2d/b", (8,), None),
        ("W1", (3, 4), (1, 0)),
        ("b1", (4,), None),
        ("W2", (4, 4), (1, 0)),
        ("b2", (4,), None),
    ],
    "pytorch": [
        ("up.weight", (16, 8, 3, 3), (1, 0)),
        ("up.bias", (8,), None),
        ("last.weight", (16, 3, 3, 3), (1, 0)),
        ("last.bias", (3,), None),
        ("conv.weight", (8, 3, 3, 3), None),
        ("conv.bias", (8,), None),
        ("fc.weight", (4, 8), None),
        ("h.0.attn.c_attn.weight", (8, 24), (1, 0)),
        ("h.0.attn.c_attn.bias", (24,), None),
        ("h.0.attn.c_proj.weight", (8, 8), (1, 0)),
        ("emb.weight", (9, 4), None),
        ("odd.kernel", (8, 3, 3, 3), (0, 1)),
        ("odd.bias", (8,), None),
    ],
}


@pytest.mark.parametrize("scheme", BY_NAME)
def test_names_and_shapes_say_which_axis_is_the_output(scheme):
    entries = [(name, shape, "float32") for name, shape, _ in BY_NAME[scheme]]
    found = {tensor.name: tensor.axes for tensor in read_architecture(entries).tensors}
    assert found == {name: expected for name, _, expected in BY_NAME[scheme]}


def test_pytorch_is_read_as_ever():
    net = nn.Sequential(nn.Conv2d(3, 3, 3), nn.Conv1d(4, 3, 3), nn.Linear(7, 7), nn.LSTM(4, 4), nn.MultiheadAttention(8, 2))
    entries = [(name, tuple(value.shape), "float32") for name, value in net.state_dict().items()]
    assert {tensor.axes for tensor in read_architecture(entries).tensors} == {None}


def test_a_flat_array_of_keras_kernels_knows_their_axes(tmp_path):
    write_flat(tmp_path / "in")
    zoo = open_zoo(import_networks(ImportConfig(), [tmp_path / "in"], tmp_path / "zoo"))
    bias, kernel = zoo.architecture_of(zoo.row_of("in/0")).tensors
    assert (kernel.axes, bias.axes, kernel.layer) == ((3, 2), None, bias.layer)


def test_old_architectures_load_and_keep_their_digest():
    entries = [("0.weight", (4, 3), "float32"), ("0.bias", (4,), "float32")]
    old = [{"name": n, "shape": list(s), "dtype": d, "kind": "linear", "role": n[2:], "layer": 0} for n, s, d in entries]
    found = Architecture.from_json({"tensors": old})
    assert (found, found.groups, found.tensors[0].axes) == (read_architecture(entries), None, None)
    assert found.to_json() == {"tensors": old}


def test_a_person_says_the_axes(tmp_path):
    torch.save({"w": torch.zeros(4, 3)}, tmp_path / "x.pt")
    options = {"architecture": tmp_path / "a.yaml", "overwrite": True}
    (tmp_path / "a.yaml").write_text("tensors: {w: {axes: [1, 0]}}")
    zoo = open_zoo(import_networks(ImportConfig(), [tmp_path / "x.pt"], tmp_path / "zoo", **options))
    assert zoo.architecture_of(zoo.row_of("x")).tensors[0].axes == (1, 0)
    for text in ("[0, 2]", "[1, 1]", "[-1, 0]"):
        (tmp_path / "a.yaml").write_text(f"tensors: {{w: {{axes: {text}}}}}")
        with pytest.raises(MetarepError, match=r"no such axes.*two of 2 axes"):
            import_networks(ImportConfig(), [tmp_path / "x.pt"], tmp_path / "zoo", **options)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (2, 3, 1, 0), (1, 0, 2, 3)])
def test_tokens_do_not_hang_on_how_axes_lie(order):
    """A convolution (out, in, row, column) kept in another order of axes gives the same tokens in the same places."""
    shape, names = (4, 3, 2, 5), ("k/kernel", "k/bias")
    values = torch.arange(math.prod(shape), dtype=torch.float32).reshape(shape)
    at = tuple(order.index(axis) for axis in (0, 1))

    def view(kept, ends):
        entries = [(names[0], tuple(kept.shape), "float32"), (names[1], (shape[0],), "float32")]
        read = read_architecture(entries)
        units = SymmetryGroup(
            "units", shape[0], (Member(names[0], ends[0], "in"), Member(names[1], 0, "in")), interchangeable=False
        )
        inputs = SymmetryGroup("inputs", shape[1], (Member(names[0], ends[1], "out"),), interchangeable=False)
        found = read.changed({names[0]: {"axes": ends}})
        symmetries = Symmetries((inputs, units))
        (one,) = build_views(found, symmetries, chunk=2, context=512)
        known = {tensor.name: tensor for tensor in found.tensors}
        (reading,) = unit_slices(known, inputs, axis_ends(known, symmetries), 0)
        tensors = {names[0]: kept, names[1]: torch.zeros(shape[0])}
        layout = layout_of((one,), (Stretch(0, 0, one.n_units, 0, one.n_tokens),))
        return one.values(tensors), layout, reading.values(tensors, 2), fans_in(known, symmetries)

    plain, turned = view(values, (0, 1)), view(values.permute(order).contiguous(), at)
    assert torch.equal(plain[0], turned[0])
    assert torch.equal(plain[2], turned[2])
    assert plain[3] == turned[3] == {names[0]: 30, names[1]: 30}
    for name in ("kind", "role", "side", "numbers", "scale", "relation", "coordinate_index", "slot", "units"):
        torch.testing.assert_close(getattr(plain[1], name), getattr(turned[1], name), msg=name)
    assert plain[1].axes == turned[1].axes


def test_a_kernel_that_no_group_names_is_read_by_its_output_axis():
    read = read_architecture([("conv/kernel", (3, 2, 4, 8), "float32"), ("conv/bias", (8,), "float32")])
    views = build_views(read, Symmetries(()), chunk=4, context=64)
    number, kernel = next((i, view) for i, view in enumerate(views) if view.slices[0].tensor.name == "conv/kernel")
    assert (kernel.n_units, kernel.n_tokens) == (8, 6)
    numbers = layout_of(views, (Stretch(number, 0, 1, 0, 6),)).numbers
    assert np.allclose(numbers[:, NUMBERS.index("columns")], np.log2(1 + 4) / 10)
    assert np.allclose(numbers[:, NUMBERS.index("kernel size")], np.log2(1 + 6) / 10)
