"""Files of other programs: their names and order, their numbers, and what in them is no network."""

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from other_files import (
    array,
    layer,
    packed,
    saved,
    stepped,
    write_flax,
    write_gguf,
    write_keras2,
    write_keras3,
    write_other_formats,
    write_qdq,
    write_zip,
)

from metarep.errors import MetarepError
from metarep.formats.readers import read_checkpoint, read_contents


def only(path):
    """The one network's tensors as arrays."""
    (held,) = read_contents(path).networks
    assert held.member == ""
    return {name: value.numpy() for name, value in held.checkpoint.tensors.items()}


def same(found, wanted, **tolerance):
    assert list(found) == list(wanted)
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, **tolerance)


def test_a_zip_of_stable_baselines(tmp_path):
    write_zip(tmp_path / "x.zip")
    same(only(tmp_path / "x.zip"), {name: value.numpy() for name, value in stepped()[0].state_dict().items()})
    entries = read_contents(tmp_path / "x.zip").entries
    assert {(entry.where, entry.what) for entry in entries} >= {("policy.optimizer", "the state of an optimiser")}
    assert any("log_ent_coef" in entry.what for entry in entries)
    assert not any(entry.doubt for entry in entries)


def test_a_zip_with_two_networks_and_one_with_none(tmp_path):
    state = stepped()[0].state_dict()
    write_zip(tmp_path / "x.zip", {"actor.pth": saved(state), "sub/critic.pth": saved({"model": state})})
    assert [held.member for held in read_contents(tmp_path / "x.zip").networks] == ["actor", "sub/critic"]
    assert read_checkpoint(tmp_path / "x.zip", member="sub/critic").tensors.keys() == state.keys()
    with pytest.raises(MetarepError, match="several networks; met actor, sub/critic"):
        read_checkpoint(tmp_path / "x.zip")
    write_zip(tmp_path / "y.zip", {"data.csv": b"1,2"})
    assert not read_contents(tmp_path / "y.zip").networks
    (tmp_path / "z.zip").write_bytes(saved(state))  # a state dict under another name
    assert only(tmp_path / "z.zip").keys() == state.keys()


def test_keras_keeps_the_order_of_layers(tmp_path):
    write_keras2(tmp_path / "x.h5")
    same(
        only(tmp_path / "x.h5"),
        {"wide/kernel": array(3, 5), "wide/bias": array(5), "exit/kernel": array(5, 2), "exit/bias": array(2)},
    )
    contents = read_contents(tmp_path / "x.h5")
    assert contents.networks[0].checkpoint.ordered
    assert [entry.where for entry in contents.entries] == ["optimizer_weights"]
    write_keras3(tmp_path / "x.keras")
    norm = {f"bn/{role}": array(5, seed=i) for i, role in enumerate(("gamma", "beta", "moving_mean", "moving_variance"))}
    memory = {
        f"memory/cell/{role}": array(*shape)
        for role, shape in (("kernel", (2, 8)), ("recurrent_kernel", (2, 8)), ("bias", (8,)))
    }
    dense = {"wide/kernel": array(3, 5), "wide/bias": array(5)}
    same(only(tmp_path / "x.keras"), dense | norm | memory | {"exit/kernel": array(5, 2), "exit/bias": array(2)})


def test_weights_of_keras_without_a_config_are_in_no_order(tmp_path):
    import zipfile

    write_keras3(tmp_path / "x.keras")
    with zipfile.ZipFile(tmp_path / "x.keras") as archive:
        (tmp_path / "x.weights.h5").write_bytes(archive.read("model.weights.h5"))
    (held,) = read_contents(tmp_path / "x.weights.h5").networks
    assert not held.checkpoint.ordered
    assert {"dense/kernel", "dense_1/bias", "batch_normalization/gamma", "lstm/cell/bias"} < set(held.checkpoint.tensors)


def test_flax_without_jax(tmp_path):
    write_flax(tmp_path / "x.msgpack")
    found = only(tmp_path / "x.msgpack")
    assert set(found) == {"Dense_0/kernel", "Dense_0/bias", "Dense_1/kernel", "Dense_1/bias", "Conv_0/kernel"}
    np.testing.assert_array_equal(found["Conv_0/kernel"], array(4, 3))
    assert [entry.what for entry in read_contents(tmp_path / "x.msgpack").entries] == ["the state of an optimiser"]
    write_flax(tmp_path / "x.msgpack", {"params": {"a": layer(2, 2)}, "batch_stats": {"n": {"mean": packed(array(2))}}})
    assert set(only(tmp_path / "x.msgpack")) == {"params/a/kernel", "params/a/bias", "batch_stats/n/mean"}
    agents = {"actor": {"params": {"a": layer(2, 2)}, "step": 3}, "critic": {"params": {"a": layer(2, 1)}, "step": 3}}
    write_flax(tmp_path / "x.msgpack", agents)
    assert [held.member for held in read_contents(tmp_path / "x.msgpack").networks] == ["actor", "critic"]


def test_gguf_and_its_blocks(tmp_path):
    wanted = write_gguf(tmp_path / "x.gguf")
    same(only(tmp_path / "x.gguf"), {"blk.0.ffn_up.weight": wanted, "output_norm.weight": array(4)})
    assert "Q8_0" in read_contents(tmp_path / "x.gguf").entries[0].what
    write_gguf(tmp_path / "y.gguf", kind=99)
    (entry,) = read_contents(tmp_path / "y.gguf").entries
    assert entry.doubt
    assert "type 99" in entry.what


def test_onnx_with_quantised_weights_is_the_network_that_it_stands_for(tmp_path):
    wanted = write_qdq(tmp_path / "x.onnx")
    found = only(tmp_path / "x.onnx")
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-6)
    contents = read_contents(tmp_path / "x.onnx")
    assert [(entry.what, entry.doubt) for entry in contents.entries] == [("quantised weights: 2", False)]
    assert any(units.interchangeable for units in contents.networks[0].checkpoint.graph.groups)
    assert [tensor.role for tensor in contents.networks[0].checkpoint.architecture.tensors] == ["weight", "bias"] * 2


def test_operators_of_whole_numbers_become_those_that_they_stand_for(tmp_path):
    rng = np.random.default_rng(1)
    weight, scale, bias = (
        rng.integers(-99, 99, (4, 3, 2, 2)).astype("i1"),
        rng.uniform(0.1, 1, 4).astype("f"),
        np.arange(4, dtype="i4"),
    )
    held = {"w": weight, "sw": scale, "zw": np.zeros(4, "i1"), "b": bias, "sx": np.float32(0.5), "zx": np.uint8(3)}
    nodes = [helper.make_node("QLinearConv", ["x", "sx", "zx", "w", "sw", "zw", "sx", "zx", "b"], ["y"])]
    protos = [numpy_helper.from_array(np.asarray(value), name) for name, value in held.items()]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [], [], protos)), tmp_path / "x.onnx")
    found = only(tmp_path / "x.onnx")
    same(found, {"w/dequantised": weight * scale[:, None, None, None], "b/dequantised": bias * 0.5 * scale}, rtol=1e-6)
    tensors = read_checkpoint(tmp_path / "x.onnx").architecture.tensors
    assert [(tensor.kind, tensor.role) for tensor in tensors] == [("conv2d", "weight"), ("conv2d", "bias")]


def test_whole_numbers_of_onnx_without_a_scale_are_said(tmp_path):
    weight = numpy_helper.from_array(np.ones((3, 4), "i1"), "w")
    nodes = [helper.make_node("MatMulInteger", ["x", "w"], ["y"])]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [], [], [weight])), tmp_path / "x.onnx")
    (entry,) = read_contents(tmp_path / "x.onnx").entries
    assert entry.doubt
    assert "not read" in entry.why


def test_weights_in_functions_of_onnx(tmp_path):
    weight = numpy_helper.from_array(array(3, 4))
    inside = [helper.make_node("Constant", [], ["w"], value=weight), helper.make_node("MatMul", ["x", "w"], ["y"])]
    opset = helper.make_opsetid("", 17)
    function = helper.make_function("mine", "Layer", ["x"], ["y"], inside, [opset])
    nodes = [helper.make_node("Layer", ["x"], ["z"], domain="mine")]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", 1, [1, 3])], [helper.make_tensor_value_info("z", 1, [1, 4])]
    )
    model = helper.make_model(graph, functions=[function], opset_imports=[opset, helper.make_opsetid("mine", 1)])
    onnx.save(model, tmp_path / "x.onnx")
    (value,) = only(tmp_path / "x.onnx").values()
    np.testing.assert_array_equal(value, array(3, 4))
    loop = helper.make_function(
        "mine", "Layer", ["x"], ["y"], [helper.make_node("Layer", ["x"], ["y"], domain="mine")], [opset]
    )
    del model.functions[:]
    model.functions.append(loop)
    onnx.save(model, tmp_path / "x.onnx")
    with pytest.raises(MetarepError, match="grow without end"):
        read_contents(tmp_path / "x.onnx")


def test_an_adapter_is_a_network_of_its_own(tmp_path):
    state = {f"base_model.model.q.lora_{one}.weight": torch.randn(*shape) for one, shape in (("A", (2, 8)), ("B", (8, 2)))}
    torch.save(state, tmp_path / "adapter_model.bin")
    assert list(only(tmp_path / "adapter_model.bin")) == list(state)


def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch):
    import importlib

    def missing(name, *rest):
        raise ImportError(name)

    write_other_formats(tmp_path)
    monkeypatch.setattr(importlib, "import_module", missing)
    for name, extra in (("two.h5", "keras"), ("state.msgpack", "flax"), ("blocks.gguf", "gguf"), ("quantised.onnx", "onnx")):
        with pytest.raises(MetarepError, match=rf"pip install 'metarep\[{extra}\]'"):
            read_contents(tmp_path / name)
