"""ONNX graphs become networks of a zoo: where they keep numbers, what their operators say, and which package they need."""

import numpy as np
import onnx
import pytest
import torch
from checkpoint_files import floats, write_onnx
from onnx import TensorProto, helper, numpy_helper

from metarep.errors import MetarepError
from metarep.zoos.importing import import_networks
from metarep.zoos.settings import ImportConfig
from metarep.zoos.zoo import open_zoo


def imported(path, out):
    return open_zoo(import_networks(ImportConfig(), [path], out))


def test_onnx_in_all_its_ways_of_keeping_numbers(tmp_path):
    content = np.arange(4, dtype=np.float32).tobytes()
    (tmp_path / "x.data").write_bytes(b"####" + content)
    outside = TensorProto(name="out", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "x.data"), ("offset", "4"), ("length", "16")):
        outside.external_data.add(key=key, value=value)
    half = helper.make_tensor("half", TensorProto.FLOAT16, [2], [1.0, -2.0])
    brain = helper.make_tensor("brain", TensorProto.BFLOAT16, [2], [1.0, -2.0])
    whole = helper.make_tensor("whole", TensorProto.INT64, [], [5])
    onnx.save(helper.make_model(helper.make_graph([], "g", [], [], [outside, half, brain, whole])), tmp_path / "x.onnx")
    network = imported(tmp_path / "x.onnx", tmp_path / "zoo").network("x")
    assert network["out"].tolist() == [0, 1, 2, 3]
    assert (network["half"].dtype, network["half"].tolist()) == (torch.float16, [1, -2])
    assert (network["brain"].dtype, network["brain"].tolist()) == (torch.bfloat16, [1, -2])
    assert network["whole"].item() == 5


def test_operators_of_onnx_say_what_names_do_not(tmp_path):
    shapes = {"w0": (4, 3, 5, 5), "onnx::1": (4,), "onnx::2": (8, 4), "q": (1, 16, 4), "fc.weight": (2, 4), "table": (9, 4)}
    nodes = [
        helper.make_node("Conv", ["x", "w0", "onnx::1"], ["a"]),
        helper.make_node("MatMul", ["a", "onnx::2"], ["b"]),
        helper.make_node("LSTM", ["b", "q"], ["c"]),
        helper.make_node("Gemm", ["c", "fc.weight"], ["d"]),
        helper.make_node("Gather", ["table", "d"], ["e"]),
    ]
    protos = [helper.make_tensor(name, TensorProto.FLOAT, shape, np.zeros(shape).ravel()) for name, shape in shapes.items()]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [], [], protos)), tmp_path / "x.onnx")
    found = imported(tmp_path / "x.onnx", tmp_path / "zoo").architecture_of(0).tensors
    assert [(tensor.kind, tensor.role) for tensor in found] == [
        ("conv2d", "weight"),
        ("conv2d", "bias"),
        ("linear", "weight"),
        ("lstm", "input"),
        ("linear", "weight"),
        ("embedding", "weight"),
    ]


def test_onnx_constants_are_weights_in_branches_too(tmp_path):
    """As PaddlePaddle and some converters write models: no initialiser anywhere."""

    def constant(name: str, values: np.ndarray):
        return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(values))

    weight, inside = np.arange(12, dtype=np.float32).reshape(3, 4), np.ones((2, 2), np.float16)
    branch = helper.make_graph([constant("w", inside)], "then", [], [])
    other = helper.make_graph([constant("w", 2 * inside)], "else", [], [])
    nodes = [constant("w", weight), constant("axes", np.array([0, 1])), constant("eps", np.array(1e-5, np.float32))]
    nodes += [helper.make_node("MatMul", ["x", "w"], ["y"])]
    nodes += [helper.make_node("If", ["c"], ["z"], then_branch=branch, else_branch=other)]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [], [])), tmp_path / "x.onnx")
    zoo = imported(tmp_path / "x.onnx", tmp_path / "zoo")
    network = zoo.network("x")
    assert set(network) == {"w", "If_4/then_branch/w", "If_4/else_branch/w"}
    np.testing.assert_array_equal(network["w"].numpy(), weight)
    np.testing.assert_array_equal(network["If_4/else_branch/w"].numpy(), 2 * inside)
    assert zoo.architecture_of(zoo.row_of("x")).tensors[0].kind == "linear"


def test_onnx_asks_for_its_package(tmp_path, monkeypatch):
    write_onnx(tmp_path / "x.onnx", floats())
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(MetarepError, match=r"pip install 'metarep\[onnx\]'"):
        imported(tmp_path / "x.onnx", tmp_path / "zoo")
