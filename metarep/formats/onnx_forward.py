"""The forward pass of an ONNX graph with other weights, for the package `onnx`, which is optional."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from metarep.formats.onnx_units import shapes_of
from metarep.formats.refusals import DAMAGE
from metarep.networks.forward_passes import ForwardPass, numbers

Tensors = Mapping[str, torch.Tensor]
OPERATORS = frozenset(
    {
        *("Add", "AveragePool", "BatchNormalization", "Clip", "Concat", "Constant", "Conv", "Div", "Dropout", "Elu", "Erf"),
        *("Flatten", "GRU", "Gather", "GlobalAveragePool", "Gemm", "Identity", "LSTM", "LayerNormalization", "LeakyRelu"),
        *("MatMul", "MaxPool", "Mul", "Neg", "PRelu", "Pow", "ReduceMean", "Relu", "Reshape", "Shape", "Sigmoid", "Sin"),
        *("Softmax", "Softplus", "Softsign", "Split", "Sqrt", "Squeeze", "Sub", "Tanh", "Transpose", "Unsqueeze"),
    }
)
"""What a graph may consist of to be run."""

KEEPING = frozenset(
    {"Concat", "Flatten", "Identity", "Relu", "Reshape", "Softmax", "Split", "Squeeze", "Transpose", "Unsqueeze"}
)
"""Those that put out no more values than they read."""

MAX_INPUT, MAX_VALUES = 1_000_000, 30_000_000
"""Numbers in the input of a graph that is run, and in each value on the way: joined again and again they would have no end."""


def of_onnx(model: bytes) -> ForwardPass | None:
    """An ONNX graph, run by the reference evaluator of the package `onnx`, with tensors in place of its initialisers.

    None where it has an operator that is not of OPERATORS, no single input of numbers, or values that may be
    too large. Open lengths are 1. `outputs` raises
    KeyError for tensors that are no initialisers, RuntimeError for a graph that cannot be run.
    """
    import onnx
    from onnx import numpy_helper
    from onnx.reference import ReferenceEvaluator

    graph = onnx.load_from_string(model)
    if any(one.data_location == onnx.TensorProto.EXTERNAL for one in graph.graph.initializer):
        return None
    try:
        own = {one.name: numpy_helper.to_array(one) for one in graph.graph.initializer}
    except (TypeError, ValueError):
        return None
    inputs = [one for one in graph.graph.input if one.name not in own]
    plain = all(node.op_type in OPERATORS and node.domain in ("", "ai.onnx") for node in graph.graph.node)
    if len(inputs) != 1 or inputs[0].type.tensor_type.elem_type != onnx.TensorProto.FLOAT or not plain:
        return None
    shape = tuple(max(1, axis.dim_value) for axis in inputs[0].type.tensor_type.shape.dim)
    for axis, n in zip(inputs[0].type.tensor_type.shape.dim, shape, strict=True):
        axis.dim_value = n
    if math.prod(shape) > MAX_INPUT or not _is_bounded(graph, onnx):
        return None

    def outputs(tensors: Tensors, values: torch.Tensor) -> torch.Tensor:
        evaluator = ReferenceEvaluator(graph)
        evaluator.rt_inits_ |= {name: value.numpy().astype(own[name].dtype) for name, value in tensors.items()}
        try:
            rows = [evaluator.run(None, {inputs[0].name: row[None].numpy().astype(np.float32)})[0] for row in values]
        except Exception as error:  # of any kind, from NumPy and from within the evaluator
            raise RuntimeError(f"the graph cannot be run: {error}") from error
        return torch.from_numpy(np.concatenate(rows)).double()

    return ForwardPass("an ONNX graph", outputs, numbers(*shape[1:]), exact=False)


def _is_bounded(model: Any, onnx: Any) -> bool:
    """Whether all values of a graph are known to have at most MAX_VALUES numbers."""
    stated = onnx.ModelProto.FromString(model.SerializeToString())
    del stated.graph.value_info[:]
    for one in stated.graph.output:
        one.type.tensor_type.ClearField("shape")
    try:
        sizes = shapes_of(onnx.shape_inference.infer_shapes(stated, data_prop=True).graph)
    except (onnx.shape_inference.InferenceError, *DAMAGE):
        return False
    most: dict[str, int] = {one.name: math.prod(one.dims) for one in model.graph.initializer}
    most |= {name: math.prod(size) for name, size in sizes.items() if None not in size}
    for node in model.graph.node:
        inputs = sum(most.get(name, MAX_VALUES) for name in node.input if name)
        most |= {name: inputs for name in node.output if name not in most and node.op_type in KEEPING}
    return all(most.get(name, MAX_VALUES + 1) <= MAX_VALUES for node in model.graph.node for name in node.output if name)
