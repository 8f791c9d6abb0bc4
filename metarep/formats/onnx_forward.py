"""The forward pass of an ONNX graph with other weights, for the package `onnx`, which is optional."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch

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
"""What a graph may consist of to be run: none makes more values than inputs and weights have by far."""

MAX_INPUT = 1_000_000


def of_onnx(model: bytes) -> ForwardPass | None:
    """An ONNX graph, run by the reference evaluator of the package `onnx`, with tensors in place of its initialisers.

    None where it has an operator that is not of OPERATORS, or no single input of numbers. Open lengths are 1. `outputs` raises
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
    if math.prod(shape) > MAX_INPUT:
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
