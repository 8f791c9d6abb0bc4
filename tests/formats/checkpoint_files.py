"""Small networks in files of every format that `metarep import` reads."""

import json
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file
from torch import nn


def tensors(seed: int = 0) -> dict[str, torch.Tensor]:
    """A state dict of three dtypes with a scalar in it."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2).bfloat16())
    return dict(net.state_dict())


def floats(seed: int = 0) -> dict[str, torch.Tensor]:
    """A state dict of float32 alone, in names that sort as they stand."""
    generator = torch.Generator().manual_seed(seed)
    return {"0.weight": torch.randn(4, 3, generator=generator), "0.bias": torch.randn(4, generator=generator)}


def write_sharded(folder: Path, first: dict, second: dict, name: str = "model") -> Path:
    """Two shards and their index."""
    folder.mkdir(parents=True, exist_ok=True)
    shards = {f"{name}-00001-of-00002.safetensors": first, f"{name}-00002-of-00002.safetensors": second}
    for file, content in shards.items():
        save_file(content, folder / file)
    index = folder / f"{name}.safetensors.index.json"
    places = {key: file for file, content in shards.items() for key in content}
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
    return index


def write_onnx(path: Path, content: dict[str, torch.Tensor]) -> None:
    """A model without nodes whose initialisers are float tensors; the last as typed numbers in place of raw bytes."""
    *raw, (name, last) = content.items()
    protos = [numpy_helper.from_array(value.numpy(), key) for key, value in raw]
    protos.append(helper.make_tensor(name, TensorProto.FLOAT, last.shape, last.flatten().tolist()))
    onnx.save(helper.make_model(helper.make_graph([], "g", [], [], protos)), path)


def write_every_format(folder: Path) -> list[Path]:
    """One file a format, and those that belong to it."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(tensors(), folder / "new.pt")
    torch.save({"state_dict": tensors(), "epoch": 3, "lr": [0.1]}, folder / "old.pth", _use_new_zipfile_serialization=False)
    save_file(tensors(), folder / "one.safetensors")
    np.savez(folder / "plain.npz", **{name: value.numpy() for name, value in floats().items()})
    np.savez_compressed(folder / "packed.npz", **{name: value.numpy() for name, value in floats().items()})
    write_onnx(folder / "graph.onnx", floats())
    write_sharded(folder, {"a.weight": torch.ones(2, 3)}, {"b.weight": torch.ones(2, 2)})
    return sorted(file for file in folder.iterdir() if file.is_file())


def write_runs(folder: Path, n_runs: int = 2) -> None:
    """Runs with per-epoch checkpoints and a JSON of results."""
    for number in range(n_runs):
        run = folder / f"NN_tune_trainable_{number:05d}"
        run.mkdir(parents=True)
        (run / "params.json").write_text(json.dumps({"lr": 0.1, "seed": number, "act": "relu", "file": "x", "layers": [1, 2]}))
        lines = [{"training_iteration": i, "test_acc": i / 10, "done": i == 5, "config": {"lr": 1}} for i in range(6)]
        (run / "result.json").write_text("\n".join(map(json.dumps, lines)) + "\n")
        for epoch in (0, 5, 10):
            (run / f"checkpoint_{epoch:06d}").mkdir()
            torch.save(floats(100 * number + epoch), run / f"checkpoint_{epoch:06d}" / "checkpoints")


def write_flat(folder: Path, n_networks: int = 5, *, layout: bool = True) -> np.ndarray:
    """One array of flattened parameters with metrics and, unless left out, a layout."""
    folder.mkdir(parents=True)
    values = np.random.default_rng(0).normal(size=(n_networks, 20)).astype(np.float32)
    np.save(folder / "weights.npy", values)
    rows = [f"run{i // 2},{i % 2},{i / 10},relu" for i in range(n_networks)]
    (folder / "metrics.csv").write_text("\n".join(["modeldir,step,test_accuracy,config.activation", *rows]) + "\n")
    if layout:
        names = ['seq/conv2d/bias:0,0,2,2,"(2,)"', 'seq/conv2d/kernel:0,2,20,18,"(3, 3, 1, 2)"']
        (folder / "layout.csv").write_text("\n".join(["varname,start_idx,end_idx,size,shape", *names]) + "\n")
    return values
