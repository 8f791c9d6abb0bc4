"""The way that the README names for networks that others trained, command by command, and what damaged files do to it."""

import csv
import pickle

import numpy as np
import pytest
import torch
from test_cli import invoke, snapshot

from metarep.artefact import open_artefact
from metarep.embeddings.store import load_embeddings

TINY = ("n_steps=3", "eval_every=3", "batch_size=8", "context=32", "chunk=4", "d_model=8", "n_layers=1", "n_heads=1")
N = 90


def run(*words, settings=()):
    """The stdout of a command that ends well."""
    chosen = [word for setting in settings for word in ("--set", setting)]
    result = invoke(*map(str, words), *chosen, "--quiet")
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Networks of one hidden layer in files, their zoo, and a model that was pretrained on it."""
    path = tmp_path_factory.mktemp("import")
    (path / "files").mkdir()
    rng = np.random.default_rng(0)
    rows = [["file", "accuracy"]]
    for number in range(N):
        scale = float(rng.uniform(0.5, 2))
        shapes = {"0.weight": (6, 3), "0.bias": (6,), "2.weight": (2, 6), "2.bias": (2,)}
        tensors = {name: torch.tensor(rng.normal(0, scale, shape), dtype=torch.float32) for name, shape in shapes.items()}
        tensors["0.bias"][0] = float("nan") if number == 7 else 0.0
        torch.save(tensors, path / "files" / f"n{number}.pt")
        rows.append([f"n{number}", scale])
    with (path / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    said = run("import", path / "files", "--labels", path / "labels.csv", "--out", path / "zoo")
    assert "networks with NaN or infinity: 1, which pretraining and embedding leave out" in said
    said = run("pretrain", path / "zoo", "--out", path / "model", settings=TINY)
    assert said.startswith(f"model: {path / 'model'}")
    return path


def test_the_way_from_files_to_predictions(folder):
    said = run(
        "embed", folder / "model", folder / "zoo", "--kind", "layers", "--parts", "network", "--out", folder / "embeddings"
    )
    assert said == f"embeddings: {folder / 'embeddings'}\n"
    assert len(load_embeddings(folder / "embeddings").network_id) == N - 1
    few = ("n_bootstraps=20", "n_permutations=2", "n_trees=10")
    said = run("predict", folder / "embeddings", "--targets", "accuracy", "--out", folder / "predictions", settings=few)
    assert "statistics" in said
    assert open_artefact(folder / "predictions", "predictions")
    result = invoke("report", str(folder / "predictions"))
    assert result.exit_code == 1
    assert "expected a folder that `metarep run` wrote" in result.stderr


@pytest.mark.parametrize("words", [("zoo", "--network", "n0"), ("files/n0.pt",)])
def test_a_network_is_taken_apart(folder, tmp_path, words):
    few = ("n_shuffles=4", "n_bootstraps=2", "ks=[2]", "dpi=40")
    said = run("parts", folder / "model", folder / words[0], *words[1:], "--out", tmp_path / "parts", settings=few)
    assert f"page: {tmp_path / 'parts' / 'report.html'}" in said
    assert "mean similarity of the nearest part" in said
    assert not [line for line in said.splitlines() if line.split()[-4:] == ["0", "0", "0", "1"]]
    assert (tmp_path / "parts" / "report.html").is_file()


class Payload:
    """Unpickling this creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return exec, (f"open({str(self.path)!r}, 'w').close()",)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("truncated", "damaged"),
        ("hostile", "holds more than tensors"),
        ("pickle", "save it with torch.save"),
        ("empty", "is empty"),
        ("nan", "NaN or infinity"),
        ("shard", "one shard of several"),
        ("network", "is no zoo; met --network n0"),
        ("folder", "holds no networks"),
    ],
)
def test_parts_of_a_bad_file_is_one_line_and_nothing_else(folder, tmp_path, kind, said):
    path, good = tmp_path / "x.pt", folder / "files" / "n0.pt"
    match kind:
        case "truncated":
            path.write_bytes(good.read_bytes()[:-200])
        case "hostile":
            torch.save({"w": torch.ones(2), "x": Payload(tmp_path / "boom")}, path)
        case "pickle":
            path.write_bytes(pickle.dumps(Payload(tmp_path / "boom")))
        case "empty":
            path.write_bytes(b"")
        case "nan":
            path.write_bytes((folder / "files" / "n7.pt").read_bytes())
        case "shard":
            path = tmp_path / "model-00001-of-00003.safetensors"
            path.write_bytes(b"x")
        case "network":
            path.write_bytes(good.read_bytes())
        case "folder":
            path.mkdir()
    before = snapshot(tmp_path)
    words = ("--network", "n0") if kind == "network" else ()
    result = invoke("parts", str(folder / "model"), str(path), *words, "--out", str(tmp_path / "parts"), "--quiet")
    assert (result.exit_code, result.stdout) == (1, "")
    (message,) = result.stderr.splitlines()
    assert message.startswith("metarep: ")
    assert said in message
    assert snapshot(tmp_path) == before
