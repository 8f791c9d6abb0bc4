"""Claims are checked by outputs: true ones pass, false ones are dropped and said, what no input reaches stays assumed."""

import json
from dataclasses import replace

import pytest
import torch
from many_networks import ARCHITECTURES, NUMBERS, SERIES, WORDS, Hooked, Wired, checked, of_module, recurrent
from residual_networks import subject
from torch import nn

from metarep.errors import MetarepError
from metarep.formats.onnx_forward import of_onnx
from metarep.networks.architecture import Architecture, read_architecture
from metarep.networks.chain_forward import chain_forward
from metarep.networks.check import with_checks
from metarep.networks.forward_passes import forward_pass, numbers
from metarep.networks.further_inference import with_further
from metarep.networks.further_symmetries import Signs
from metarep.networks.inference import symmetries_of
from metarep.networks.structure import Declared, Steps
from metarep.networks.symmetry_groups import Member, Symmetries, SymmetryGroup


def of(module: nn.Module, x: torch.Tensor, **stated):
    """The network, its architecture, its symmetries, and its forward pass from the registry."""
    torch.manual_seed(0)
    one = subject(module, x)
    architecture = read_architecture([(name, tuple(value.shape), "float32") for name, value in one.tensors.items()])
    symmetries = symmetries_of(architecture, relu=stated.get("activation") == "relu")
    return one, architecture, symmetries, forward_pass(architecture, symmetries, Declared(**stated))


def mlp() -> tuple[nn.Module, torch.Tensor]:
    make, x = ARCHITECTURES["mlp"]
    return make(), x


def test_a_false_scale_and_a_false_sign_are_dropped_and_a_true_order_stays():
    one, architecture, symmetries, forward = of(*mlp(), activation="relu")
    true = checked(symmetries, one.tensors, forward)
    assert [units.evidence for units in true.groups] == ["assumed", "checked", "checked", "assumed"]
    assert [units.positive_scale for units in true.groups] == [False, True, True, False]
    tanh = forward_pass(architecture, symmetries, Declared(activation="tanh"))
    false = checked(with_further(architecture, symmetries, activation="tanh"), one.tensors, tanh)
    assert [units.positive_scale for units in false.groups] == [False] * 4
    assert [units.evidence for units in false.groups[1:3]] == ["checked"] * 2
    assert [further.evidence for further in false.further] == ["checked"] * 2
    signs = checked(with_further(architecture, symmetries, activation="tanh"), one.tensors, forward)
    assert signs.further == ()


def test_a_false_order_is_refuted():
    one, _, symmetries, forward = of(*mlp(), activation="relu")
    first = symmetries.groups[1]
    false = Symmetries((replace(first, members=first.members[:-1]), symmetries.groups[2]))
    found = checked(false, one.tensors, forward)
    assert [(units.interchangeable, units.evidence) for units in found.groups] == [(False, "refuted"), (True, "checked")]


def test_units_that_no_input_reaches_stay_assumed():
    one, _, symmetries, forward = of(*mlp(), activation="relu")
    one.tensors["2.bias"].fill_(-1e6)
    found = checked(symmetries, one.tensors, forward)
    assert [units.evidence for units in found.groups[1:3]] == ["assumed", "assumed"]
    assert all(units.interchangeable for units in found.groups[1:3])


def test_evidence_is_kept_with_the_architecture():
    one, architecture, symmetries, forward = of(*mlp())
    assert forward is None
    assert with_checks(architecture, one.tensors) == architecture  # no activation is stated
    known = with_checks(replace(architecture, declared=Declared(activation="tanh")), one.tensors)
    again = Architecture.from_json(json.loads(json.dumps(known.to_json())))
    assert again == known
    found = with_further(again, symmetries_of(again), activation="tanh")
    assert [units.evidence for units in found.groups] == ["assumed", "checked", "checked", "assumed"]
    assert [further.evidence for further in found.further] == ["checked", "checked"]
    false = replace(again, evidence=((symmetries.groups[1].name, "refuted"),))
    dropped = with_further(false, symmetries_of(false))
    assert [units.interchangeable for units in dropped.groups] == [False, False, True, False]


@pytest.mark.parametrize("module", [recurrent(), mlp()[0]])
def test_shifts_of_logits_are_checked_behind_their_softmax(module):
    x = SERIES if isinstance(module, Wired) else NUMBERS
    one, architecture, _, _ = of(module, x)
    stated = Declared(activation="relu", output_activation="softmax")
    found = dict(with_checks(replace(architecture, declared=stated), one.tensors).evidence)
    assert [found[name] for name in found if name.startswith("shift")] == ["checked"]


def test_layouts_that_only_look_known_give_no_evidence():
    one, architecture, _, forward = of(recurrent(), SERIES)
    assert forward is not None
    broken = {name: value for name, value in one.tensors.items() if "bias_hh" not in name}
    assert with_checks(architecture, broken).evidence == ()
    assert with_checks(architecture, one.tensors).evidence != ()


def cnn() -> nn.Module:
    first = (nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    return nn.Sequential(*first, nn.Conv2d(4, 6, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))


def normed(*order: nn.Module) -> nn.Module:
    """A convolution, a norm that has seen something, and what else is given, with a linear layer behind."""
    module = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), *order, nn.Flatten(), nn.Linear(4 * 16, 3))
    norm = next(part for part in order if isinstance(part, nn.BatchNorm2d))
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return module.eval()


PICTURES = torch.randn(2, 1, 8, 8)
POOLED = {"activation": "tanh", "input_shape": (1, 8, 8), "steps": {"0": Steps(pool=2)}}
LAYERS = {"0": Steps(stride=2, padding=1, pool=2), "3": Steps(pool=0, pooling="average")}
KNOWN = {
    "mlp": (*mlp(), {"activation": "relu"}),
    "strides and pools": (cnn(), torch.randn(2, 1, 8, 8), {"activation": "relu", "input_shape": (1, 8, 8), "steps": LAYERS}),
    "norms before": (normed(nn.BatchNorm2d(4), nn.Tanh(), nn.MaxPool2d(2)), PICTURES, POOLED | {"norms": "before"}),
    "norms behind": (normed(nn.Tanh(), nn.BatchNorm2d(4), nn.MaxPool2d(2)), PICTURES, POOLED | {"norms": "behind"}),
    "lstm": (recurrent(num_layers=2), SERIES, {}),
    "gru, both ways": (recurrent(nn.GRU, bidirectional=True), SERIES, {}),
    "transformer lens": (Hooked(), WORDS, {"activation": "relu"}),
}
"""A module, an input, and what is stated of it."""


@pytest.mark.parametrize("name", KNOWN)
def test_forward_passes_are_those_of_the_modules(name):
    module, x, stated = KNOWN[name]
    one, _, symmetries, forward = of(module, x, **stated)
    torch.testing.assert_close(forward.outputs(one.tensors, one.x), one.outputs(one.tensors), atol=1e-9, rtol=1e-9)
    claimed = [units for units in checked(symmetries, one.tensors, forward).groups if units.interchangeable]
    assert claimed
    assert {units.evidence for units in claimed} == {"checked"}


def test_a_stride_without_a_padding_is_refused_and_sizes_that_do_not_fit_are_none():
    with pytest.raises(MetarepError, match="padding"):
        Steps(stride=2)
    _, architecture, symmetries, _ = of(cnn(), torch.randn(2, 1, 8, 8))
    how = {"activation": "relu", "input_shape": (1, 8, 8)}
    assert chain_forward(architecture, symmetries, **how) is None
    assert chain_forward(architecture, symmetries, **how, steps=LAYERS) is not None


def test_where_norms_stand_is_stated_or_nothing_is_known():
    module = normed(nn.BatchNorm2d(4), nn.Tanh(), nn.MaxPool2d(2))
    assert of(module, PICTURES, **POOLED)[3] is None
    assert of(module, PICTURES, **POOLED, norms="before")[3] is not None


def test_an_onnx_graph_checks_itself():
    pytest.importorskip("onnx")
    from onnx import helper, numpy_helper

    module, x = mlp()
    one, _, symmetries, _ = of(module, x)
    nodes, last = [], "x"
    for layer in ("0", "2", "4"):
        nodes.append(helper.make_node("Gemm", [last, f"{layer}.weight", f"{layer}.bias"], [f"h{layer}"], transB=1))
        last = f"h{layer}"
        if layer != "4":
            nodes.append(helper.make_node("Relu", [last], [last := f"a{layer}"]))
    ends = [helper.make_tensor_value_info(n, 1, ["n", w]) for n, w in (("x", 5), (last, 3))]
    own = [numpy_helper.from_array(value.float().numpy(), name) for name, value in one.tensors.items()]
    forward = of_onnx(helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:], own)).SerializeToString())
    torch.testing.assert_close(forward.outputs(one.tensors, x), one.outputs(one.tensors), atol=1e-4, rtol=1e-4)
    found = checked(symmetries, one.tensors, forward)
    assert [units.evidence for units in found.groups if units.interchangeable] == ["checked"] * 2
    false = Symmetries((), (), (Signs("s", 9, symmetries.groups[1].members),))
    assert checked(false, one.tensors, forward).further == ()
    with pytest.raises(KeyError):
        forward.outputs(one.tensors | {"9.weight": x}, x)
    grown = helper.make_node("Expand", ["x", "0.bias"], [last])
    assert of_onnx(helper.make_model(helper.make_graph([grown], "g", ends[:1], ends[1:], own)).SerializeToString()) is None


def test_a_users_module_is_run_as_it_is():
    one, _, symmetries, _ = of(*mlp())
    forward = of_module(one.module, numbers(5))
    assert {u.evidence for u in checked(symmetries, one.tensors, forward).groups if u.interchangeable} == {"checked"}
    inputs = SymmetryGroup("inputs", 5, (Member("0.weight", 1, "out"),))
    assert checked(Symmetries((inputs,)), one.tensors, forward).groups[0].evidence == "refuted"
