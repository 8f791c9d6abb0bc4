"""Small networks in files of other programs: zips of Stable-Baselines3, Keras, Flax, GGUF, quantised ONNX."""

import json
import struct
import zipfile
from io import BytesIO
from pathlib import Path

import gguf
import h5py
import msgpack
import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn


def saved(content) -> bytes:
    """What torch.save writes."""
    file = BytesIO()
    torch.save(content, file)
    return file.getvalue()


def stepped() -> tuple[nn.Module, torch.optim.Optimizer]:
    """A network and its optimiser after one step."""
    torch.manual_seed(3)
    network = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.randn(5, 4)).sum().backward()
    optimizer.step()
    return network, optimizer


def write_zip(path: Path, parts: dict[str, bytes] | None = None) -> None:
    """An archive as Stable-Baselines3 writes it, or of other parts."""
    network, optimizer = stepped()
    usual = {"data": b"{}", "policy.pth": saved(network.state_dict()), "policy.optimizer.pth": saved(optimizer.state_dict())}
    usual |= {"pytorch_variables.pth": saved({"log_ent_coef": torch.zeros(1)}), "system_info.txt": b"Python"}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (usual if parts is None else parts).items():
            archive.writestr(name, content)


def array(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def write_keras2(path: Path) -> None:
    """An HDF5 file of a whole model, as Keras 2 writes it; the alphabet has its layers in another order."""
    layers = {"wide": {"wide/kernel:0": array(3, 5), "wide/bias:0": array(5)}, "act": {}}
    layers |= {"exit": {"exit/kernel:0": array(5, 2), "exit/bias:0": array(2)}}
    with h5py.File(path, "w") as file:
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in layers]
        for layer, weights in layers.items():
            inner = group.create_group(layer)
            inner.attrs["weight_names"] = [name.encode() for name in weights]
            for name, value in weights.items():
                inner[name] = value
        file.create_group("optimizer_weights")["Adam/m:0"] = array(5)


def write_keras3(path: Path) -> None:
    """A .keras archive whose groups are named by class; the config tells the layers' names."""
    content = BytesIO()
    with h5py.File(content, "w") as file:
        groups = {"layers/dense/vars": (array(3, 5), array(5)), "layers/dense_1/vars": (array(5, 2), array(2))}
        groups |= {"layers/batch_normalization/vars": tuple(array(5, seed=i) for i in range(4))}
        groups |= {"layers/lstm/cell/vars": (array(2, 8), array(2, 8), array(8)), "optimizer/vars": (array(4),)}
        groups |= {"layers/dropout/seed_generator/vars": (np.zeros(2, np.uint32),)}
        for name, values in groups.items():
            group = file.create_group(name)
            for number, value in enumerate(values):
                group[str(number)] = value
    kinds = [("InputLayer", "x"), ("Dense", "wide"), ("BatchNormalization", "bn"), ("LSTM", "memory"), ("Dense", "exit")]
    config = {"class_name": "Functional", "config": {"layers": [{"class_name": k, "config": {"name": n}} for k, n in kinds]}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", "{}")
        archive.writestr("model.weights.h5", content.getvalue())


def packed(value) -> msgpack.ExtType:
    """An array in Flax's extension type."""
    return msgpack.ExtType(1, msgpack.packb((value.shape, value.dtype.name, value.tobytes())))


def layer(n_in: int, n_out: int, seed: int = 0) -> dict:
    return {"kernel": packed(array(n_in, n_out, seed=seed)), "bias": packed(array(n_out, seed=seed + 1))}


def write_flax(path: Path, content: dict | None = None) -> None:
    """A train state of Flax, or other content."""
    tree = {"Dense_0": layer(3, 5), "Dense_1": layer(5, 2, 5)}
    whole = array(4, 3)
    tree["Conv_0"] = {
        "kernel": {
            "__msgpack_chunked_array__": True,
            "shape": {"0": 4, "1": 3},
            "chunks": {"0": packed(whole.reshape(-1)[:7]), "1": packed(whole.reshape(-1)[7:])},
        }
    }
    usual = {
        "step": 7,
        "params": tree,
        "opt_state": {"0": {"count": packed(np.int32(3)[None]), "mu": tree, "nu": tree}, "1": {}},
    }
    path.write_bytes(msgpack.packb(usual if content is None else content))


def write_gguf(path: Path, kind: int = 8) -> np.ndarray:
    """A file of two tensors, one of a quantised type, in blocks of eight bits; its numbers are returned."""
    text = lambda word: struct.pack("<Q", len(word)) + word.encode()  # noqa: E731
    values = gguf.quants.quantize(array(4, 64), gguf.GGMLQuantizationType.Q8_0)
    plain = array(4)
    head = b"GGUF" + struct.pack("<IQQ", 3, 2, 3)
    head += text("general.architecture") + struct.pack("<I", 8) + text("llama")
    head += text("llama.block_count") + struct.pack("<II", 4, 1)
    head += text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("bc")
    head += text("blk.0.ffn_up.weight") + struct.pack("<IQQIQ", 2, 64, 4, kind, 0)
    head += text("output_norm.weight") + struct.pack("<IQIQ", 1, 4, 0, -(-values.nbytes // 32) * 32)
    content = values.tobytes() + bytes(-values.nbytes % 32) + plain.tobytes()
    path.write_bytes(head + bytes(-len(head) % 32) + content)
    return gguf.quants.dequantize(values, gguf.GGMLQuantizationType.Q8_0)


def write_qdq(path: Path) -> dict[str, np.ndarray]:
    """A quantised ONNX model of two layers with quantised activations; its weights by name."""
    rng = np.random.default_rng(0)
    first, second = rng.integers(-127, 127, (6, 3)).astype("i1"), rng.integers(0, 255, (2, 6)).astype("u1")
    scales, zeros = rng.uniform(0.01, 0.1, 6).astype("f"), np.zeros(6, "i1")
    held = {"w0q": first, "s0": scales, "z0": zeros, "w1q": second, "s1": np.float32(0.02), "z1": np.uint8(100)}
    held |= {"b0": array(6), "b1": array(2), "sa": np.float32(0.1), "za": np.int8(3)}
    node = helper.make_node
    nodes = [
        node("QuantizeLinear", ["x", "sa", "za"], ["xq"]),
        node("DequantizeLinear", ["xq", "sa", "za"], ["xd"]),
        node("DequantizeLinear", ["w0q", "s0", "z0"], ["w0"], axis=0),
        node("Gemm", ["xd", "w0", "b0"], ["a"], transB=1),
        node("Relu", ["a"], ["r"]),
        node("Identity", ["r"], ["i"]),
        node("DequantizeLinear", ["w1q", "s1", "z1"], ["w1"]),
        node("Gemm", ["i", "w1", "b1"], ["y"], transB=1),
    ]
    value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, None)  # noqa: E731
    protos = [numpy_helper.from_array(np.asarray(one), name) for name, one in held.items()]
    graph = helper.make_graph(nodes, "g", [value("x")], [value("y")], protos)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return {
        "w0": first * scales[:, None],
        "b0": held["b0"],
        "w1": (second - np.float32(100)) * np.float32(0.02),
        "b1": held["b1"],
    }


def write_other_formats(folder: Path) -> list[Path]:
    """One file a format."""
    folder.mkdir(parents=True, exist_ok=True)
    write_zip(folder / "agent.zip")
    write_keras2(folder / "two.h5")
    write_keras3(folder / "three.keras")
    write_flax(folder / "state.msgpack")
    write_gguf(folder / "blocks.gguf")
    write_qdq(folder / "quantised.onnx")
    return sorted(folder.iterdir())
