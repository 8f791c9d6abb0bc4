"""Small ONNX models, node by node: with units that can change places, and without."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from metarep.formats.readers import read_checkpoint
from metarep.networks.architecture import Architecture

node = helper.make_node


def write(path, nodes, shapes, outputs=(), more=(), x=None):
    """A model of some nodes with float tensors of these shapes, which reads an `x` of such a shape; returns its path."""
    rng = np.random.default_rng(0)
    protos = [numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name) for name, shape in shapes.items()]
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, x)]
    shown = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    graph = helper.make_graph(nodes, "g", given, shown, [*protos, *more])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def read(tmp_path, nodes, shapes, outputs=(), more=(), x=None) -> Architecture:
    return read_checkpoint(write(tmp_path / "x.onnx", nodes, shapes, outputs, more, x)).architecture


def layers(architecture: Architecture) -> list[list[str]]:
    """The names of the tensors of each layer."""
    found = [[] for _ in range(architecture.n_layers)]
    for tensor in architecture.tensors:
        found[tensor.layer].append(tensor.name)
    return found


def axes(architecture: Architecture) -> dict:
    return {tensor.name: tensor.axes for tensor in architecture.tensors if tensor.axes is not None}


def mlp(**changed):
    """Two layers with something changed."""
    nodes = {
        "first": node("Gemm", ["x", "w0", "b0"], ["a"]),
        "relu": node("Relu", ["a"], ["r"]),
        "second": node("Gemm", ["r", "w1", "b1"], ["y"]),
    } | changed
    return [one for part in nodes.values() for one in (part if isinstance(part, list) else [part])]


def conv(*between, last="u"):
    """A convolution of two pixels, and a linear layer on what becomes of them."""
    return [node("Conv", ["x", "k", "c"], ["a"]), *between, node("Gemm", ["f", last], ["y"])]


SHAPES = {
    **{"w0": (6, 6), "b0": (6,), "w1": (6, 6), "b1": (6,), "w": (6,), "s": (6,)},
    **{"k": (6, 6, 1, 1), "c": (6,), "u": (12, 6), "v": (6, 6)},
}
INPUTS = {
    **dict.fromkeys(("flattened", "normed", "reshaped", "channels last"), (4, 6, 2, 1)),
    **{"pixels in the rows": (1, 6, 2, 3), "over pixels": (4, 6, 1, 6), "tokens flattened": (4, 2, 6)},
}
"""The shape of what a model reads, (4, 6) for those that are not named."""

MODELS = {
    "mlp": mlp(),
    "swish": mlp(relu=[node("Sigmoid", ["a"], ["s0"]), node("Mul", ["a", "s0"], ["r"])]),
    "flattened": conv(node("MaxPool", ["a"], ["p"], kernel_shape=[1, 1]), node("Flatten", ["p"], ["f"])),
    "normed": conv(node("BatchNormalization", ["a", "s", "b0", "b1", "w"], ["n"]), node("Flatten", ["n"], ["f"])),
    "reshaped": conv(
        node("Constant", [], ["to"], value=numpy_helper.from_array(np.array([-1, 12]))), node("Reshape", ["a", "to"], ["f"])
    ),
    "scaled": mlp(relu=[node("Constant", [], ["two"], value_float=2.0), node("Mul", ["a", "two"], ["r"])]),
    "residual": mlp(
        second=[node("Gemm", ["r", "w1", "b1"], ["z"]), node("Add", ["z", "r"], ["z2"]), node("Gemm", ["z2", "v"], ["y"])]
    ),
    "around": mlp(second=[node("Gemm", ["r", "w1", "b1"], ["z"]), node("Add", ["z", "x"], ["y"])]),
    "two heads": [*mlp(), node("Gemm", ["r", "v"], ["y2"])],
    "shown inside": [*mlp(relu=node("Relu", ["a"], ["r"])), node("Identity", ["r"], ["y2"])],
    "shared weight": mlp(second=node("Gemm", ["r", "w0", "b1"], ["y"])),
    "shared bias": mlp(second=node("Gemm", ["r", "w1", "b0"], ["y"])),
    "scaled unit by unit": mlp(relu=node("Mul", ["a", "s"], ["r"])),
    "hidden constant": mlp(
        relu=[node("Constant", [], ["h"], value_floats=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), node("Mul", ["a", "h"], ["r"])]
    ),
    "channels last": conv(node("Transpose", ["a"], ["t"], perm=[0, 2, 3, 1]), node("Flatten", ["t"], ["f"])),
    "kernel turned": [node("Transpose", ["k"], ["t"], perm=[3, 2, 0, 1]), node("Conv", ["x", "t"], ["y"])],
    "pixels in the rows": conv(
        node("Constant", [], ["to"], value=numpy_helper.from_array(np.array([6, 6]))),
        node("Reshape", ["a", "to"], ["f"]),
        last="v",
    ),
    "over pixels": [node("Conv", ["x", "k", "c"], ["a"]), node("MatMul", ["a", "v"], ["y"])],
    "tokens flattened": [node("MatMul", ["x", "w0"], ["a"]), node("Flatten", ["a"], ["f"]), node("Gemm", ["f", "u"], ["y"])],
    "of another domain": mlp(relu=node("Relu", ["a"], ["r"], domain="mine")),
    "unknown": mlp(relu=node("CumSum", ["a"], ["r"])),
    "nothing": [node("Relu", ["x"], ["y"])],
}
WITHOUT_UNITS = {
    *("shown inside", "shared weight", "shared bias", "kernel turned", "pixels in the rows", "over pixels"),
    *("of another domain", "unknown", "nothing", "hidden constant"),
}
"""Models whose units keep their order."""


def tensors_of(nodes) -> dict:
    """{name: shape} of what some nodes of these read."""
    names = {name for one in nodes for name in one.input}
    return {name: shape for name, shape in SHAPES.items() if name in names} or {"s": (6,)}


def outputs_of(nodes) -> list[str]:
    """What some nodes of these put out in the end."""
    return [one.output[0] for one in nodes if one.output[0] in ("y", "y2")]
