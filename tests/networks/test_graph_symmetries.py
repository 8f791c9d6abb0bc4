"""ONNX models run as they were once their units have changed places, those that are taken for interchangeable."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx_models import INPUTS, MODELS, WITHOUT_UNITS, node, outputs_of, read, tensors_of

from metarep.formats.readers import read_checkpoint
from metarep.networks.inference import symmetries_of
from metarep.networks.symmetry_groups import Member, Symmetries, SymmetryGroup
from metarep.networks.tensor_symmetry import permuted

NOT_RUN = {"unknown", "of another domain", "nothing", "kernel turned"}


def answers(nodes, tensors, x):
    """What a model with these tensors answers."""
    protos = [numpy_helper.from_array(value.numpy(), name) for name, value in tensors.items()]
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)]
    shown = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs_of(nodes)]
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(helper.make_graph(nodes, "g", given, shown, protos), opset_imports=opset)
    return ReferenceEvaluator(model).run(None, {"x": x})


def shuffled(tensors, symmetries):
    """The tensors with the units of every interchangeable group in reverse order."""
    return permuted(
        tensors, symmetries, [np.arange(units.n)[::-1].copy() if units.interchangeable else None for units in symmetries.groups]
    )


@pytest.mark.parametrize("name", [name for name in MODELS if name not in NOT_RUN])
def test_units_change_places_and_the_answers_stay(tmp_path, name):
    nodes = MODELS[name]
    symmetries = symmetries_of(read(tmp_path, nodes, tensors_of(nodes), outputs_of(nodes), x=INPUTS.get(name, (4, 6))))
    tensors = {key: value.abs() + 0.1 for key, value in read_checkpoint(tmp_path / "x.onnx").tensors.items()}
    x = np.random.default_rng(1).normal(size=INPUTS.get(name, (4, 6))).astype(np.float32)
    before, after = (answers(nodes, values, x) for values in (tensors, shuffled(tensors, symmetries)))
    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
    assert any(units.interchangeable for units in symmetries.groups) is (name not in WITHOUT_UNITS)


@pytest.mark.parametrize(
    "name", ["residual", "shown inside", "shared weight", "channels last", "tokens flattened", "hidden constant"]
)
def test_the_answers_of_no_chain_would_change(tmp_path, name):
    """The control: units changing places where something goes around them, that moves with them or keeps them in place."""
    nodes = MODELS[name]
    read(tmp_path, nodes, tensors_of(nodes), outputs_of(nodes), x=INPUTS.get(name, (4, 6)))
    tensors = dict(read_checkpoint(tmp_path / "x.onnx").tensors)
    x = np.random.default_rng(1).normal(size=INPUTS.get(name, (4, 6))).astype(np.float32)
    before = answers(nodes, tensors, x)
    first, bias, second, axis = ("k", "c", "u", 0) if "k" in tensors else ("w0", "b0", "u" if "u" in tensors else "w1", 1)
    inner = 2 if second == "u" else 1
    members = [Member(first, axis, "in"), Member(bias, 0, "in"), Member(second, 0, "out", inner=inner)]
    units = SymmetryGroup("units", 6, tuple(member for member in members if member.tensor in tensors))
    after = answers(nodes, shuffled(tensors, Symmetries((units,))), x)
    assert not all(np.allclose(one, other, rtol=1e-3, atol=1e-4) for one, other in zip(before, after, strict=True))


def test_the_axes_of_square_weights_are_known(tmp_path):
    nodes = [node("Gemm", ["x", "w0", "b0"], ["a"], transB=1), node("Relu", ["a"], ["r"]), node("MatMul", ["r", "w1"], ["y"])]
    found = read(tmp_path, nodes, {"w0": (6, 6), "b0": (6,), "w1": (6, 6)})
    assert [tensor.axes for tensor in found.tensors] == [(0, 1), None, (1, 0)]
