"""Units of graphs that are no plain chain: claims hold by outputs and break with one member alone, and traps claim nothing."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from onnx_models import node, write

from metarep.formats.onnx_forward import of_onnx
from metarep.formats.readers import read_checkpoint
from metarep.networks.check import Check, evidence_of
from metarep.networks.further_inference import scale_of
from metarep.networks.inference import symmetries_of
from metarep.networks.symmetry_groups import Symmetries

IMAGE, TOKENS, ROW = (1, 3, 6, 6), (1, 5, 4), (1, 4)
SAME = {"pads": [1, 1, 1, 1]}


def conv(x, name, y, **how):
    return node("Conv", [x, f"{name}.w", f"{name}.b"], [y], **how)


def norm(x, name, y):
    return node("BatchNormalization", [x, *(f"{name}.{part}" for part in "sbmv")], [y])


def relu(x, y):
    return node("Relu", [x], [y])


def whole(name, *values):
    return node("Constant", [], [name], value=numpy_helper.from_array(np.array(values)))


def dense(x, name, y):
    return node("Gemm", [x, f"{name}.w", f"{name}.b"], [y], transB=1)


def convs(**sizes):
    """The tensors of layers (out, in, …): a weight and a bias each."""
    return {f"{name}.{part}": at for name, shape in sizes.items() for part, at in (("w", shape), ("b", shape[:1]))}


def norms(**sizes):
    return {f"{name}.{part}": (n,) for name, n in sizes.items() for part in "sbmv"}


STEM = [conv("x", "c", "a"), relu("a", "r")]
HEAD = [node("GlobalAveragePool", ["z"], ["p"]), node("Flatten", ["p"], ["f"]), dense("f", "d", "y")]
ONE = convs(c=(6, 3, 1, 1))

FOUND = {
    "residual, with norms": (
        IMAGE,
        [
            *(conv("x", "c", "c0"), norm("c0", "n", "n0"), relu("n0", "s")),
            *(conv("s", "e", "e0", **SAME), norm("e0", "m", "m0"), relu("m0", "e1"), conv("e1", "g", "g0")),
            *(node("Add", ["g0", "s"], ["t"]), relu("t", "z"), *HEAD),
        ],
        ONE | convs(e=(5, 6, 3, 3), g=(6, 5, 1, 1), d=(2, 6)) | norms(n=6, m=5),
        {6: True, 5: True},
    ),
    "depthwise, with two heads": (
        IMAGE,
        [
            *(*STEM, conv("r", "e", "e0", group=6, **SAME), relu("e0", "e1"), conv("e1", "g", "g0"), relu("g0", "z")),
            *(conv("e1", "h", "h0"), node("Flatten", ["h0"], ["h1"]), *HEAD[:2], dense("f", "d", "d0")),
            node("Concat", ["h1", "d0"], ["y"], axis=1),
        ],
        ONE | convs(e=(6, 1, 3, 3), g=(7, 6, 1, 1), h=(1, 6, 1, 1), d=(2, 7)),
        {6: True, 7: True},
    ),
    "skip that is concatenated": (
        IMAGE,
        [
            *(*STEM, conv("r", "e", "e0"), node("Tanh", ["e0"], ["e1"]), node("Concat", ["e1", "x", "r"], ["o"], axis=1)),
            *(conv("o", "g", "z"), *HEAD),
        ],
        ONE | convs(e=(5, 6, 1, 1), g=(7, 14, 1, 1), d=(2, 7)),
        {6: True, 5: False, 7: True},
    ),
    "flattened behind a pool": (
        IMAGE,
        [*STEM, node("MaxPool", ["r"], ["q"], kernel_shape=[2, 2], strides=[2, 2]), node("Flatten", ["q"], ["f"]), HEAD[2]],
        ONE | convs(d=(2, 54)),
        {6: True},
    ),
    "flattened with channels last": (
        IMAGE,
        [*STEM, node("Transpose", ["r"], ["q"], perm=[0, 2, 3, 1]), node("Flatten", ["q"], ["f"]), HEAD[2]],
        ONE | convs(d=(2, 216)),
        {6: True},
    ),
    "channels out of a linear layer": (
        ROW,
        [dense("x", "i", "i0"), whole("to", -1, 6, 2, 2), node("Reshape", ["i0", "to"], ["i1"]), conv("i1", "c", "z"), *HEAD],
        convs(i=(24, 4), c=(5, 6, 1, 1), d=(2, 5)),
        {6: True, 5: True},
    ),
    "towers": (
        ROW,
        [
            *(dense("x", "i", "i0"), relu("i0", "i1"), dense("i1", "e", "e0"), dense("x", "j", "j0")),
            *(node("Sigmoid", ["j0"], ["j1"]), dense("j1", "g", "g0"), node("Add", ["e0", "g0"], ["y"])),
        ],
        convs(i=(6, 4), e=(2, 6), j=(5, 4), g=(2, 5)),
        {6: True, 5: False},
    ),
    "a weight that is used twice": (
        ROW,
        [
            *(dense("x", "i", "i0"), node("Tanh", ["i0"], ["i1"]), node("Neg", ["x"], ["x1"]), dense("x1", "i", "j0")),
            *(relu("j0", "j1"), node("Mul", ["i1", "j1"], ["m"]), dense("m", "d", "y")),
        ],
        convs(i=(6, 4), d=(2, 6)),
        {6: False},
    ),
    "gate over channels": (
        IMAGE,
        [
            *(*STEM, node("GlobalAveragePool", ["r"], ["q"]), conv("q", "e", "e0"), relu("e0", "e1"), conv("e1", "g", "g0")),
            *(node("Sigmoid", ["g0"], ["g1"]), node("Mul", ["r", "g1"], ["z"]), *HEAD),
        ],
        ONE | convs(e=(4, 6, 1, 1), g=(6, 4, 1, 1), d=(2, 6)),
        {6: True, 4: True},
    ),
    "norm in its parts": (
        TOKENS,
        [
            *(node("MatMul", ["x", "i.w"], ["a"]), node("ReduceMean", ["a"], ["mean"], axes=[-1])),
            *(node("Sub", ["a", "mean"], ["b"]), node("Mul", ["b", "scale"], ["z"]), node("MatMul", ["z", "d.w"], ["y"])),
        ],
        {"i.w": (4, 6), "scale": (6,), "d.w": (6, 2)},
        {6: False},
    ),
    "recurrent": (
        TOKENS,
        [
            *(node("Transpose", ["x"], ["t"], perm=[1, 0, 2]), node("LSTM", ["t", "W", "R", "B"], ["l"], hidden_size=6)),
            *(whole("one", 1), node("Squeeze", ["l", "one"], ["s"]), node("GRU", ["s", "V", "Q"], ["", "h"], hidden_size=5)),
            *(whole("none", 0), node("Squeeze", ["h", "none"], ["f"]), HEAD[2]),
        ],
        {"W": (1, 24, 4), "R": (1, 24, 6), "B": (1, 48), "V": (1, 15, 6), "Q": (1, 15, 5)} | convs(d=(2, 5)),
        {6: False, 5: False},
    ),
}
"""{name: (input, nodes, tensors, {units: whether they have a positive scale})}."""

ROWS = [dense("x", "i", "a"), relu("a", "r")]
TWO = convs(i=(6, 4), d=(2, 6))
TRAPS = {
    "pool over channels": (
        IMAGE,
        [
            *(*STEM, whole("at", 1), node("Unsqueeze", ["r", "at"], ["u"])),
            node("MaxPool", ["u"], ["q"], kernel_shape=[2, 1, 1], strides=[2, 1, 1]),
            *(node("Squeeze", ["q", "at"], ["z"]), *HEAD),
        ],
        ONE | convs(d=(2, 3)),
    ),
    "softmax over channels": (IMAGE, [*STEM, node("Softmax", ["r"], ["z"], axis=1), *HEAD], ONE | convs(d=(2, 6))),
    "split in unequal parts": (
        ROW,
        [*ROWS, whole("parts", 2, 4), node("Split", ["r", "parts"], ["u", "f"], axis=1), dense("f", "d", "y")],
        convs(i=(6, 4), d=(2, 4)),
    ),
    "halves that gate each other": (
        ROW,
        [
            *(*ROWS, whole("parts", 3, 3), node("Split", ["r", "parts"], ["u", "v"], axis=1)),
            *(node("Mul", ["u", "v"], ["f"]), dense("f", "d", "y")),
        ],
        convs(i=(6, 4), d=(2, 3)),
    ),
    "an operator that is not known": (ROW, [*ROWS, node("CumSum", ["r"], ["f"]), dense("f", "d", "y")], TWO),
    "shown as an output": (ROW, [*ROWS, dense("r", "d", "d0"), node("Concat", ["d0", "r"], ["y"], axis=1)], TWO),
    "added to inputs": (ROW, [*ROWS, node("Add", ["r", "x"], ["f"]), dense("f", "d", "y")], convs(i=(4, 4), d=(2, 4))),
    "channels into groups": (
        IMAGE,
        [*STEM, conv("r", "e", "z", group=2), *HEAD],
        ONE | convs(e=(4, 3, 1, 1), d=(2, 4)),
    ),
    "channels moved by padding": (
        IMAGE,
        [*STEM, whole("by", 0, 1, 0, 0, 0, -1, 0, 0), node("Pad", ["r", "by"], ["z"]), *HEAD],
        ONE | convs(d=(2, 6)),
    ),
    "read as its own weight": (
        ROW,
        [dense("x", "i", "a"), node("MatMul", ["a", "i.w"], ["f"]), dense("f", "i", "y")],
        convs(i=(4, 4)),
    ),
}  # fmt: skip
"""Networks of which no unit can change its place, or of which that is not known."""


def opened(tmp_path, shape, nodes, tensors):
    """The symmetries, the tensors and the forward pass of a model; variances are above 0."""
    path = write(tmp_path / "x.onnx", nodes, tensors, ["y"], x=shape)
    found = read_checkpoint(path)
    held = {name: value.abs() + 0.5 if name.endswith(".v") else value for name, value in found.tensors.items()}
    return symmetries_of(found.architecture), held, of_onnx(path.read_bytes())


@pytest.mark.parametrize("name", FOUND)
def test_units_are_found_and_outputs_stay(tmp_path, name):
    *model, expected = FOUND[name]
    symmetries, tensors, forward = opened(tmp_path, *model)
    claimed = [units for units in symmetries.groups if units.interchangeable]
    assert {units.n: units.positive_scale for units in claimed} == expected
    evidence = dict(evidence_of(symmetries, tensors, forward))
    assert evidence == {
        name: "checked" for units in claimed for name in (units.name, *([scale_of(units)] if units.positive_scale else []))
    }


@pytest.mark.parametrize("name", FOUND)
def test_one_member_alone_moves_the_outputs(tmp_path, name):
    """The control, for each member of each group."""
    symmetries, tensors, forward = opened(tmp_path, *FOUND[name][:3])
    check = Check(tensors, forward, 0)
    for units in symmetries.groups:
        for member in units.members if units.interchangeable else ():
            alone = replace(units, members=(member,), positive_scale=False)
            assert check.evidence(Symmetries((alone,))) == "refuted", member


@pytest.mark.parametrize("name", TRAPS)
def test_what_is_not_understood_keeps_its_units(tmp_path, name):
    shape, nodes, tensors = TRAPS[name]
    path = write(tmp_path / "x.onnx", nodes, tensors, ["y"], x=shape)
    assert [units.name for units in symmetries_of(read_checkpoint(path).architecture).groups if units.interchangeable] == []


def test_units_are_the_same_for_any_weights(tmp_path):
    """Values of tensors are not looked at: zoos of one graph share their symmetries."""
    shape, nodes, tensors, _ = FOUND["towers"]
    path = write(tmp_path / "x.onnx", nodes, tensors, ["y"], x=shape)
    model = onnx.load(path)
    for proto in model.graph.initializer:
        proto.CopyFrom(numpy_helper.from_array(torch.zeros(*proto.dims).numpy(), proto.name))
    onnx.save(model, tmp_path / "z.onnx")
    assert read_checkpoint(tmp_path / "z.onnx").architecture == read_checkpoint(path).architecture


def test_values_joined_without_end_are_neither_followed_nor_made(tmp_path):
    """40 times with themselves: a graph of them has no forward pass, and units in front of it keep their places."""
    nodes = [node("Gemm", ["x", "w0", "b0"], ["v0"])]
    nodes += [node("Concat", [f"v{i}"] * 2, [f"v{i + 1}"], axis=1) for i in range(40)]
    for n, known in ((3, True), (40, False)):
        path = write(tmp_path / f"{n}.onnx", nodes[: n + 1], {"w0": (6, 6), "b0": (6,)}, outputs=[f"v{n}"], x=(1, 6))
        assert (of_onnx(path.read_bytes()) is not None) == known
        found = symmetries_of(read_checkpoint(path).architecture)
        assert not any(units.interchangeable for units in found.groups)
