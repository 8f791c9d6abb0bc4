"""What a graph says of its tensors: layers in the nodes' order, weight beside bias, output axes, and whether it is a chain."""

import json
import math

import numpy as np
import onnx
import pytest
import torch
from checkpoint_files import write_flat
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from metarep.checkpoints.architecture import Architecture, read_architecture
from metarep.checkpoints.importing import import_networks
from metarep.checkpoints.naming import split_name
from metarep.checkpoints.readers import read_checkpoint
from metarep.checkpoints.store import load_imported
from metarep.config import ImportConfig
from metarep.errors import MetarepError
from metarep.windows.named import wiring_of
from metarep.windows.tokens import NUMBERS, Slice, build_views, fans_in
from metarep.windows.wiring import Member, Units, Wiring

node = helper.make_node


def write(path, nodes, shapes, outputs=(), more=()):
    """A model of some nodes with float tensors of these shapes; returns its path."""
    rng = np.random.default_rng(0)
    protos = [numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name) for name, shape in shapes.items()]
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)]
    shown = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", given, shown, [*protos, *more])), path)
    return path


def read(tmp_path, nodes, shapes, outputs=(), more=()) -> Architecture:
    return read_checkpoint(write(tmp_path / "x.onnx", nodes, shapes, outputs, more)).architecture


def layers(architecture: Architecture) -> list[list[str]]:
    """The names of the tensors of each layer."""
    found = [[] for _ in range(architecture.n_layers)]
    for tensor in architecture.tensors:
        found[tensor.layer].append(tensor.name)
    return found


def axes(architecture: Architecture) -> dict:
    return {tensor.name: tensor.axes for tensor in architecture.tensors if tensor.axes is not None}


def test_only_the_number_of_tensorflow_is_cut_off():
    assert split_name("dense/kernel:0") == split_name("dense/kernel")
    assert split_name("onnx::1") != split_name("onnx::2")
    assert split_name("onnx::MatMul_12").leaf == "onnx::matmul_12"
    assert split_name("a::b:0").leaf == "a::b:0"
    assert split_name("a:1:0").leaf == "a:1:0"


MLP = [
    node("Gemm", ["x", "onnx::9", "onnx::2"], ["a"], transB=1),
    node("Relu", ["a"], ["ar"]),
    node("Gemm", ["ar", "onnx::3", "onnx::4"], ["b"], transB=1),
    node("Relu", ["b"], ["br"]),
    node("Gemm", ["br", "onnx::5", "onnx::6"], ["c"], transB=1),
]
MLP_SHAPES = {
    "onnx::2": (9,),
    "onnx::3": (7, 9),
    "onnx::4": (7,),
    "onnx::5": (3, 7),
    "onnx::6": (3,),
    "onnx::9": (9, 5),
}


def test_a_perceptron_without_names(tmp_path):
    found = read(tmp_path, MLP, MLP_SHAPES)
    assert layers(found) == [["onnx::9", "onnx::2"], ["onnx::3", "onnx::4"], ["onnx::5", "onnx::6"]]
    assert [(tensor.kind, tensor.role) for tensor in found.tensors] == [("linear", "weight"), ("linear", "bias")] * 3
    assert found.chain
    assert [(units.n, units.free) for units in wiring_of(found).groups] == [(5, False), (9, True), (7, True), (3, False)]


CNN = [
    node("Conv", ["x", "onnx::Conv_10", "onnx::Conv_11"], ["a"]),
    node("Relu", ["a"], ["ar"]),
    node("Conv", ["ar", "onnx::Conv_14", "onnx::Conv_13"], ["b"]),
    node("GlobalAveragePool", ["b"], ["p"]),
    node("Flatten", ["p"], ["f"]),
    node("MatMul", ["f", "onnx::MatMul_15"], ["c"]),
    node("Add", ["fc.bias", "c"], ["d"]),
]
CNN_SHAPES = {
    "fc.bias": (4,),
    "onnx::Conv_10": (6, 1, 3, 3),
    "onnx::Conv_11": (6,),
    "onnx::Conv_13": (8,),
    "onnx::Conv_14": (8, 6, 3, 3),
    "onnx::MatMul_15": (8, 4),
}


def test_a_convolutional_network_as_pytorch_writes_it(tmp_path):
    found = read(tmp_path, CNN, CNN_SHAPES)
    assert layers(found) == [
        ["onnx::Conv_10", "onnx::Conv_11"],
        ["onnx::Conv_14", "onnx::Conv_13"],
        ["onnx::MatMul_15", "fc.bias"],
    ]
    assert [tensor.kind for tensor in found.tensors] == ["conv2d"] * 4 + ["linear"] * 2
    assert [tensor.role for tensor in found.tensors] == ["weight", "bias"] * 3
    assert axes(found) == {"onnx::Conv_10": (0, 1), "onnx::Conv_14": (0, 1), "onnx::MatMul_15": (1, 0)}
    assert found.chain


@pytest.mark.parametrize(
    ("op", "attributes", "shape", "expected"),
    [
        ("Gemm", {}, (6, 4), (1, 0)),
        ("Gemm", {"transB": 0}, (6, 4), (1, 0)),
        ("Gemm", {"transB": 1}, (4, 6), (0, 1)),
        ("Gemm", {"transB": 1}, (4, 4), (0, 1)),
        ("MatMul", {}, (4, 4), (1, 0)),
        ("MatMul", {}, (2, 6, 4), (2, 1)),
        ("MatMul", {}, (6,), None),
        ("Conv", {}, (4, 3, 5, 5), (0, 1)),
        ("Conv", {}, (4, 3, 5), (0, 1)),
        ("ConvTranspose", {}, (3, 4, 5, 5), (1, 0)),
    ],
)
def test_operators_say_which_axis_is_the_output(tmp_path, op, attributes, shape, expected):
    found = read(tmp_path, [node(op, ["x", "dense/kernel:0"], ["y"], **attributes)], {"dense/kernel:0": shape})
    assert found.tensors[0].axes == expected
    assert len(shape) == 1 or found.tensors[0].role == "weight"


def test_weights_in_front_and_turned(tmp_path):
    nodes = [
        node("Transpose", ["w"], ["wt"], perm=[1, 0]),
        node("Cast", ["wt"], ["wc"], to=1),
        node("MatMul", ["x", "wc"], ["a"]),
        node("Identity", ["b"], ["bi"]),
        node("Add", ["a", "bi"], ["c"]),
        node("MatMul", ["front", "c"], ["d"]),
        node("Transpose", ["k"], ["kt"], perm=[3, 2, 0, 1]),
        node("Conv", ["d", "kt"], ["e"]),
        node("LSTM", ["e", "w_ih", "w_hh", "both"], ["f"]),
    ]
    shapes = {
        "w": (7, 5),
        "b": (7,),
        "front": (3, 2),
        "k": (3, 3, 4, 8),
        "w_ih": (1, 16, 8),
        "w_hh": (1, 16, 4),
        "both": (1, 32),
    }
    found = read(tmp_path, nodes, shapes)
    assert axes(found) == {"w": (0, 1), "front": (0, 1), "k": (3, 2), "w_ih": (1, 2), "w_hh": (1, 2)}
    assert layers(found) == [["w", "b"], ["front"], ["k"], ["w_ih", "w_hh", "both"]]


@pytest.mark.parametrize(
    ("op", "weight", "added", "together"),
    [
        ("MatMul", (5, 7), (7,), True),
        ("MatMul", (5, 7), (1, 7), True),
        ("MatMul", (5, 7), (7, 1), False),
        ("MatMul", (5, 7), (5,), False),
        ("Conv", (7, 5, 3, 3), (1, 7, 1, 1), True),
        ("Conv", (7, 5, 3, 3), (7, 1, 1), True),
        ("Conv", (7, 5, 3, 3), (7,), False),
    ],
)
def test_what_is_added_is_a_bias_where_it_has_one_value_a_unit(tmp_path, op, weight, added, together):
    nodes = [node(op, ["x", "p"], ["y"]), node("Add", ["y", "q"], ["z"]), node("Add", ["z", "r"], ["end"])]
    found = read(tmp_path, nodes, {"p": weight, "q": added, "r": added})
    assert found.n_layers == (2 if together else 3)
    assert (found.tensors[1].role == "bias") is together
    assert found.tensors[2].role == "other"


def test_attention_keeps_together_what_names_say(tmp_path):
    """As PyTorch writes linear layers on sequences: biases keep their names, weights lose them."""
    nodes, shapes = [], {}
    for number, (name, key) in enumerate({"q": "query", "k": "key", "v": "value"}.items()):
        nodes += [
            node("MatMul", ["x", f"onnx::MatMul_{number}"], [f"{name}0"]),
            node("Add", [f"a.self.{key}.bias", f"{name}0"], [name]),
        ]
        shapes |= {f"onnx::MatMul_{number}": (8, 8), f"a.self.{key}.bias": (8,)}
    names = {name.replace("a.self", "layer.0.attention.self"): shape for name, shape in shapes.items()}
    for one in nodes:
        one.input[:] = [name.replace("a.self", "layer.0.attention.self") for name in one.input]
    nodes += [node("MatMul", ["v", "onnx::MatMul_9"], ["m"]), node("Add", ["layer.0.intermediate.dense.bias", "m"], ["n"])]
    found = read(tmp_path, nodes, names | {"onnx::MatMul_9": (8, 16), "layer.0.intermediate.dense.bias": (16,)})
    assert found.n_layers == 2
    assert [(tensor.kind, tensor.role) for tensor in found.tensors] == [
        *[("attention", role + end) for role in ("query", "key", "value") for end in ("", "_bias")],
        ("linear", "weight"),
        ("linear", "bias"),
    ]


def test_a_tied_weight_belongs_to_the_first_that_reads_it_and_what_nobody_reads_stands_last(tmp_path):
    nodes = [
        node("Gather", ["table", "x"], ["a"]),
        node("Gemm", ["a", "w", "b"], ["c"]),
        node("Transpose", ["table"], ["back"]),
        node("MatMul", ["c", "back"], ["d"]),
    ]
    found = read(tmp_path, nodes, {"spare": (2, 2), "b": (4,), "table": (9, 4), "w": (4, 4)})
    assert layers(found) == [["table"], ["w", "b"], ["spare"]]
    assert (found.tensors[0].kind, found.chain) == ("embedding", False)


def mlp(**changed):
    """Two layers with something changed."""
    nodes = {
        "first": node("Gemm", ["x", "w0", "b0"], ["a"]),
        "relu": node("Relu", ["a"], ["r"]),
        "second": node("Gemm", ["r", "w1", "b1"], ["y"]),
    } | changed
    return [one for part in nodes.values() for one in (part if isinstance(part, list) else [part])]


def conv(*between):
    return [node("Conv", ["x", "k", "c"], ["a"]), *between, node("Gemm", ["f", "v"], ["y"])]


SHAPES = {"w0": (6, 6), "b0": (6,), "w1": (6, 6), "b1": (6,), "k": (6, 6, 1, 1), "c": (6,), "v": (6, 6), "s": (6,)}
PLAIN = {
    "mlp": mlp(),
    "swish": mlp(relu=[node("Sigmoid", ["a"], ["s0"]), node("Mul", ["a", "s0"], ["r"])]),
    "flattened": conv(node("MaxPool", ["a"], ["p"], kernel_shape=[1, 1]), node("Flatten", ["p"], ["f"])),
    "normed": conv(node("BatchNormalization", ["a", "s", "b0", "b1", "w"], ["n"]), node("Flatten", ["n"], ["f"])),
    "reshaped": conv(
        node("Constant", [], ["to"], value=numpy_helper.from_array(np.array([-1, 6]))), node("Reshape", ["a", "to"], ["f"])
    ),
    "scaled": mlp(relu=[node("Constant", [], ["two"], value_float=2.0), node("Mul", ["a", "two"], ["r"])]),
}
NOT_PLAIN = {
    "residual": mlp(
        second=[node("Gemm", ["r", "w1", "b1"], ["z"]), node("Add", ["z", "r"], ["z2"]), node("Gemm", ["z2", "v"], ["y"])]
    ),
    "around": mlp(second=[node("Gemm", ["r", "w1", "b1"], ["z"]), node("Add", ["z", "x"], ["y"])]),
    "two heads": [*mlp(), node("Gemm", ["r", "v"], ["y2"])],
    "shown inside": [*mlp(relu=node("Relu", ["a"], ["r"])), node("Identity", ["r"], ["y2"])],
    "shared weight": mlp(second=node("Gemm", ["r", "w0", "b1"], ["y"])),
    "shared bias": mlp(second=node("Gemm", ["r", "w1", "b0"], ["y"])),
    "scaled unit by unit": mlp(relu=node("Mul", ["a", "s"], ["r"])),
    "hidden constant": mlp(relu=[node("Constant", [], ["h"], value_floats=[1.0] * 6), node("Mul", ["a", "h"], ["r"])]),
    "channels last": conv(node("Transpose", ["a"], ["t"], perm=[0, 2, 3, 1]), node("Flatten", ["t"], ["f"])),
    "pixels in the rows": conv(
        node("Constant", [], ["to"], value=numpy_helper.from_array(np.array([6, 6]))), node("Reshape", ["a", "to"], ["f"])
    ),
    "over pixels": [node("Conv", ["x", "k", "c"], ["a"]), node("MatMul", ["a", "v"], ["y"])],
    "tokens flattened": [node("MatMul", ["x", "w0"], ["a"]), node("Flatten", ["a"], ["f"]), node("Gemm", ["f", "v"], ["y"])],
    "of another domain": mlp(relu=node("Relu", ["a"], ["r"], domain="mine")),
    "unknown": mlp(relu=node("CumSum", ["a"], ["r"])),
    "nothing": [node("Relu", ["x"], ["y"])],
}


@pytest.mark.parametrize("name", [*PLAIN, *NOT_PLAIN])
def test_chains_and_what_is_none(tmp_path, name):
    nodes = (PLAIN | NOT_PLAIN)[name]
    read_by = {name for one in nodes for name in one.input}
    shapes = {key: shape for key, shape in (SHAPES | {"w": (6,)}).items() if key in read_by} or {"w": (6,)}
    outputs = [one.output[0] for one in nodes if one.output[0] in ("y", "y2")]
    assert read(tmp_path, nodes, shapes, outputs).chain is (name in PLAIN)


def test_a_node_may_be_anything(tmp_path):
    """Graphs that the ONNX checker would refuse are read all the same."""
    nodes = [
        node("Transpose", ["w"], ["t"], perm=[0, 0]),
        node("Transpose", [], []),
        node("Gemm", ["w", "w", "w"], ["w"], transB=7),
        node("Gemm", ["x", "t"], []),
        node("Conv", ["", "b"], ["a"]),
        node("Conv", ["x"], ["a"]),
        node("Add", ["a", "b"], ["a"]),
        node("MatMul", ["y", "scalar"], ["y"]),
        node("Reshape", ["a"], ["z"]),
        node("Constant", [], ["q"], value=TensorProto(data_type=TensorProto.INT64, dims=[2], raw_data=b"1")),
        node("Reshape", ["a", "q"], ["z"]),
        node("", ["b", "scalar"], [""]),
    ]
    found = read(tmp_path, nodes, {"w": (3, 3), "b": (3,), "scalar": (), "empty": (0, 4)})
    assert {tensor.name for tensor in found.tensors} == {"w", "b", "scalar", "empty"}
    assert found.chain is False


def test_tensors_of_a_branch_stand_where_the_branch_does(tmp_path):
    def branch(name: str):
        inside = numpy_helper.from_array(np.ones((4, 4), np.float32), "w")
        return helper.make_graph([node("MatMul", ["a", "w"], ["o"])], name, [], [], [inside])

    nodes = [
        node("MatMul", ["x", "w0"], ["a"]),
        node("If", ["c"], ["b"], then_branch=branch("then"), else_branch=branch("else")),
        node("MatMul", ["b", "w1"], ["y"]),
    ]
    found = read(tmp_path, nodes, {"w1": (4, 2), "w0": (3, 4)})
    order = [tensor.name for tensor in found.tensors]
    assert (order[0], order[-1], len(order), found.n_layers, found.chain) == ("w0", "w1", 4, 4, False)
    assert set(axes(found).values()) == {(1, 0)}


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
        ("W2", (4, 4), None),
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
    zoo = load_imported(import_networks(ImportConfig(), [tmp_path / "in"], tmp_path / "zoo"))
    bias, kernel = zoo.architecture("in/0").tensors
    assert (kernel.axes, bias.axes, kernel.layer) == ((3, 2), None, bias.layer)


def test_old_architectures_load_and_keep_their_digest():
    entries = [("0.weight", (4, 3), "float32"), ("0.bias", (4,), "float32")]
    old = [{"name": n, "shape": list(s), "dtype": d, "kind": "linear", "role": n[2:], "layer": 0} for n, s, d in entries]
    found = Architecture.from_json({"tensors": old})
    assert (found, found.chain, found.tensors[0].axes) == (read_architecture(entries), None, None)
    assert found.to_json() == {"tensors": old}


def test_axes_and_chain_are_kept(tmp_path):
    zoo = load_imported(import_networks(ImportConfig(), [write(tmp_path / "x.onnx", CNN, CNN_SHAPES)], tmp_path / "zoo"))
    found = zoo.architecture("x")
    assert found == read_checkpoint(tmp_path / "x.onnx").architecture
    assert Architecture.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert found.chain
    assert list(zoo.network("x")) == [tensor.name for tensor in found.tensors]


def test_a_person_says_the_axes(tmp_path):
    torch.save({"w": torch.zeros(4, 3)}, tmp_path / "x.pt")
    options = {"architecture": tmp_path / "a.yaml", "overwrite": True}
    (tmp_path / "a.yaml").write_text("tensors: {w: {axes: [1, 0]}}")
    zoo = load_imported(import_networks(ImportConfig(), [tmp_path / "x.pt"], tmp_path / "zoo", **options))
    assert zoo.architecture("x").tensors[0].axes == (1, 0)
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
        units = Units("units", shape[0], (Member(names[0], ends[0], "in"), Member(names[1], 0, "in")), free=False)
        inputs = Units("inputs", shape[1], (Member(names[0], ends[1], "out"),), free=False)
        found = read.changed({names[0]: {"axes": ends}})
        wiring = Wiring((inputs, units))
        (one,) = build_views(found, wiring, chunk=2, context=512)
        reading = Slice(found.tensors[0], inputs.members[0], shape[1])
        tensors = {names[0]: kept, names[1]: torch.zeros(shape[0])}
        fans = fans_in({tensor.name: tensor for tensor in found.tensors}, wiring)
        return one.values(tensors), one.places(0, shape[0], 0, one.n_tokens), reading.values(tensors, 2), fans

    plain, turned = view(values, (0, 1)), view(values.permute(order).contiguous(), at)
    assert torch.equal(plain[0], turned[0])
    assert torch.equal(plain[2], turned[2])
    assert plain[3] == turned[3] == {names[0]: 30, names[1]: 30}
    for one, other in zip(plain[1], turned[1], strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_kernel_that_no_group_names_is_read_by_its_output_axis():
    read = read_architecture([("conv/kernel", (3, 2, 4, 8), "float32"), ("conv/bias", (8,), "float32")])
    kernel = next(
        view for view in build_views(read, Wiring(()), chunk=4, context=64) if view.slices[0].tensor.name == "conv/kernel"
    )
    assert (kernel.n_units, kernel.n_tokens) == (8, 6)
    numbers = kernel.places(0, 1, 0, 6).numbers
    columns = numbers[:, NUMBERS.index("columns")]
    assert np.allclose(columns, np.log2(1 + 4) / 10)
    assert np.allclose(numbers[:, NUMBERS.index("kernel size")], np.log2(1 + 6) / 10)


def test_wiring_reads_the_axes(tmp_path):
    nodes = [node("Gemm", ["x", "w0", "b0"], ["a"], transB=1), node("Relu", ["a"], ["r"]), node("MatMul", ["r", "w1"], ["y"])]
    groups = wiring_of(read(tmp_path, nodes, {"w0": (6, 6), "b0": (6,), "w1": (6, 6)})).groups
    assert groups[1].members == (Member("w0", 0, "in"), Member("b0", 0, "in"), Member("w1", 0, "out"))


def test_a_graph_with_something_around_its_layers_is_not_wired_as_a_chain(tmp_path):
    nodes = NOT_PLAIN["residual"]
    found = read(tmp_path, nodes, {name: SHAPES[name] for name in ("w0", "b0", "w1", "b1", "v")})
    assert not any(units.free for units in wiring_of(found).groups)
