"""What a graph says of its tensors: layers in the nodes' order, weight beside bias, output axes, and units."""

import json
from dataclasses import replace

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_models import axes, layers, node, read, write

from metarep.formats.readers import read_checkpoint
from metarep.networks.architecture import Architecture
from metarep.networks.inference import symmetries_of
from metarep.networks.naming import split_name
from metarep.zoos.importing import import_networks
from metarep.zoos.settings import ImportConfig
from metarep.zoos.zoo import open_zoo


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
    found = read(tmp_path, MLP, MLP_SHAPES, ["c"])
    assert layers(found) == [["onnx::9", "onnx::2"], ["onnx::3", "onnx::4"], ["onnx::5", "onnx::6"]]
    assert [(tensor.kind, tensor.role) for tensor in found.tensors] == [("linear", "weight"), ("linear", "bias")] * 3
    assert [(units.n, units.interchangeable) for units in symmetries_of(found).groups] == [
        (5, False),
        (9, True),
        (7, True),
        (3, False),
    ]


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
    found = read(tmp_path, CNN, CNN_SHAPES, ["d"], x=(1, 1, 9, 9))
    assert layers(found) == [
        ["onnx::Conv_10", "onnx::Conv_11"],
        ["onnx::Conv_14", "onnx::Conv_13"],
        ["onnx::MatMul_15", "fc.bias"],
    ]
    assert [tensor.kind for tensor in found.tensors] == ["conv2d"] * 4 + ["linear"] * 2
    assert [tensor.role for tensor in found.tensors] == ["weight", "bias"] * 3
    assert axes(found) == {"onnx::Conv_10": (0, 1), "onnx::Conv_14": (0, 1), "onnx::MatMul_15": (1, 0)}
    assert [units.n for units in found.groups if units.interchangeable] == [6, 8]


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
    assert found.tensors[0].kind == "embedding"


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
    assert not any(units.interchangeable for units in found.groups)


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
    assert (order[0], order[-1], len(order), found.n_layers) == ("w0", "w1", 4, 4)
    assert set(axes(found).values()) == {(1, 0)}


def test_axes_and_units_are_kept(tmp_path):
    path = write(tmp_path / "x.onnx", CNN, CNN_SHAPES, ["d"], x=(1, 1, 9, 9))
    zoo = open_zoo(import_networks(ImportConfig(), [path], tmp_path / "zoo"))
    found = zoo.architecture_of(zoo.row_of("x"))
    assert replace(found, evidence=()) == read_checkpoint(tmp_path / "x.onnx").architecture
    assert Architecture.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert [units.n for units in symmetries_of(found).groups if units.interchangeable] == [6, 8]
    assert list(zoo.network("x")) == [tensor.name for tensor in found.tensors]
