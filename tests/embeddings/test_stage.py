"""The stage and its file: rows of every part under their own names, the same in any batch; large networks in little memory."""

import os
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from small_networks import TINY, imported_zoo, model_for, parts_of, plan_for, random_tensors

from metarep.artefact import open_artefact, writing
from metarep.embeddings.readout import read_networks
from metarep.embeddings.settings import EmbedConfig
from metarep.embeddings.stage import embed
from metarep.embeddings.store import FILE, EmbeddingWriter, load_embeddings
from metarep.errors import MetarepError
from metarep.model.pretraining import pretrain
from metarep.model.settings import PretrainConfig
from metarep.networks.architecture import Architecture
from metarep.zoos.importing import import_networks
from metarep.zoos.settings import ImportConfig

PARTS = ("network", "layer", "unit", "window")


@pytest.fixture(scope="module")
def zoos(tmp_path_factory):
    """Small and larger networks, and the larger ones once more with their units reversed."""
    folder = tmp_path_factory.mktemp("zoos")
    both = imported_zoo(folder / "both", ["2-3-1", "3-12-2"], 20)
    return both, imported_zoo(folder / "same", ["3-12-2"], 6), imported_zoo(folder / "reversed", ["3-12-2"], 6, reverse=True)


@pytest.fixture(scope="module")
def model(zoos, tmp_path_factory):
    settings = TINY | {"n_steps": 6, "eval_every": 6, "n_layers": 1, "context": 32, "chunk": 2}
    return pretrain(PretrainConfig(**settings), zoos[0], tmp_path_factory.mktemp("model") / "model")


def vectors(path) -> dict[str, np.ndarray]:
    found = load_embeddings(path)
    return dict(zip(found.network_id.astype(str), found.vectors, strict=True))


@pytest.mark.parametrize("kind", ["layers", "pooled", "predictability", "states"])
def test_networks_with_reversed_units_have_the_same_vectors(zoos, model, tmp_path, kind):
    first, second = (vectors(embed(EmbedConfig(kind=kind), model, zoo, tmp_path / str(i))) for i, zoo in enumerate(zoos[1:]))
    assert len(first) == 6
    for name, vector in first.items():
        np.testing.assert_allclose(vector, second[name], atol=2e-5)
    assert np.std(list(second.values()), axis=0).max() > 1e-3


def test_vectors_do_not_depend_on_what_is_read_with_them(zoos, model, tmp_path):
    config = EmbedConfig(kind="layers")
    together = vectors(embed(config, model, zoos[0], tmp_path / "a"))
    alone = vectors(embed(config.model_copy(update={"tokens_per_batch": 64}), model, zoos[0], tmp_path / "b"))
    assert len(together) == 40
    for name, vector in together.items():
        np.testing.assert_allclose(vector, alone[name], atol=2e-5)


def test_every_part_has_a_row_under_its_own_number(zoos, model, tmp_path):
    paths = [embed(EmbedConfig(kind="layers", parts=PARTS), model, zoo, tmp_path / str(i)) for i, zoo in enumerate(zoos[1:])]
    tables = [pq.read_table(path / FILE).to_pylist() for path in paths]
    own = [row for row in tables[0] if row["network_id"] == tables[0][0]["network_id"]]
    assert [sum(row["part"] == part for row in own) for part in PARTS][:3] == [1, 2, 12 + 2]
    assert sum(row["part"] == "window" for row in own) > 2
    units = [{(r["network_id"], r["index"]): r["embedding"] for r in t if r["group"] == "units of 0"} for t in tables]
    assert {index for _, index in units[0]} == set(range(12))
    for (name, index), vector in units[0].items():
        np.testing.assert_allclose(vector, units[1][name, 11 - index], atol=2e-5)
    first = next(iter(units[0]))
    assert np.abs(np.subtract(units[0][first], units[1][first])).max() > 1e-3
    assert len(load_embeddings(paths[0], part="unit")) == 6 * 14
    with pytest.raises(MetarepError, match="holds no windows"):
        load_embeddings(embed(EmbedConfig(kind="layers"), model, zoos[1], tmp_path / "c"), part="window")


def test_the_untrained_control_differs_and_has_a_name(zoos, model, tmp_path):
    trained = vectors(embed(EmbedConfig(kind="layers"), model, zoos[1], tmp_path / "a"))
    path = embed(EmbedConfig(kind="layers", untrained=True, name="control"), model, zoos[1], tmp_path / "b")
    found = load_embeddings(path)
    assert (found.name, found.untrained, found.kind) == ("control", True, "layers")
    assert np.abs(trained[str(found.network_id[0])] - found.vectors[0]).max() > 0.05
    assert set(open_artefact(path).manifest["inputs"]) == {"model", "zoo"}


def test_kinds_of_different_lengths_are_written_and_refused_together(zoos, model, tmp_path):
    path = embed(EmbedConfig(kind="layers", parts=("layer",)), model, zoos[0], tmp_path / "a")
    assert len(load_embeddings(path, part="layer")) == 40 * 2
    with pytest.raises(MetarepError, match="needs a token a value"):
        embed(EmbedConfig(kind="certainty"), model, zoos[0], tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_the_file_gives_back_what_was_written(tmp_path):
    rng = np.random.default_rng(0)
    written = {"a": rng.random((3, 4)).astype(np.float32), "b": rng.random((2, 4)).astype(np.float32)}
    config = {"kind": "k", "untrained": False, "name": None}
    with writing(tmp_path / "out", "embeddings", config=config, seed=0) as folder:
        writer = EmbeddingWriter(folder / FILE, "k")
        with writer:
            writer.N_ROWS = 2
            for name, values in written.items():
                writer.add(name, "unit", values, group=f"group {name}", index=np.arange(len(values))[::-1])
                writer.add(name, "network", values[:1, :3])
    found = load_embeddings(tmp_path / "out", part="unit")
    np.testing.assert_array_equal(found.vectors, np.concatenate(list(written.values())))
    assert found.network_id.tolist() == ["a"] * 3 + ["b"] * 2
    assert found.group.tolist() == ["group a"] * 3 + ["group b"] * 2
    assert found.index.tolist() == [2, 1, 0, 1, 0]
    assert found.name == "k"
    assert load_embeddings(tmp_path / "out").vectors.shape == (2, 3)


def test_networks_with_nan_are_left_out(model, tmp_path, capsys):
    from metarep.progress import Progress

    (tmp_path / "files").mkdir()
    for number in range(4):
        tensors = {name: value[0] for name, value in random_tensors("3-12-2", 1, seed=number).items()}
        tensors["0.bias"][0] = float("nan") if number == 2 else 0.0
        torch.save(tensors, tmp_path / "files" / f"n{number}.pt")
    zoo = import_networks(ImportConfig(), [tmp_path / "files"], tmp_path / "zoo")
    found = vectors(embed(EmbedConfig(kind="layers"), model, zoo, tmp_path / "out", progress=Progress("plain")))
    assert set(found) == {"n0", "n1", "n3"}
    assert "1 networks with NaN or infinity" in capsys.readouterr().err


def n_tokens(architecture: Architecture | str) -> int:
    """Tokens of all windows of a network."""
    plan = plan_for(architecture, chunk=4, context=128)
    return sum(shape.n_windows * shape.layout.n_tokens for shape in plan.shapes)


def test_work_is_linear_in_size_and_memory_in_units():
    sizes = [(32, 64), (64, 128), (128, 256)]
    each = []
    for width, hidden in sizes:
        spec = f"{width}-{hidden}-{hidden}-10"
        each.append(n_tokens(spec) / parts_of(spec)[0].n_params)
    assert max(each) < 1.6 * min(each)
    assert max(each) < 1.5
    spec = "32-64-64-10"
    model = model_for(PretrainConfig(**TINY, chunk=4), plans=[plan_for(spec, chunk=4)])
    readout = read_networks(model, plan_for(spec, chunk=4), random_tensors(spec, 1))
    assert {group: tuple(one.shape) for group, one in readout.units.items()} == {1: (1, 64, 16), 2: (1, 64, 16), 3: (1, 10, 16)}
    assert readout.windows is None


LARGE = """
import resource
from small_networks import TINY, model_for, parts_of, plan_for, random_tensors
from metarep.embeddings.stage import embed_tensors
from metarep.model.settings import PretrainConfig
name = "1000-2500-2500-500"
architecture, symmetries = parts_of(name)
model = model_for(PretrainConfig(chunk=16, context=256), plans=[plan_for("10-20-5", chunk=16, context=256)])
plan = plan_for(name, chunk=16, context=256)
found = embed_tensors(model, plan, random_tensors(name, 1), symmetries, "layers", tokens_per_batch=16384)
print(architecture.n_params, found.shape[1], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.skipif("METAREP_SLOW" not in os.environ, reason="takes a minute: set METAREP_SLOW=1")
def test_ten_million_parameters_are_embedded_within_a_gibibyte():
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    said = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, check=True, env=env).stdout
    n_params, width, mebibytes = map(int, said.split())
    assert n_params > 10_000_000
    assert width == 6 * 64
    assert mebibytes < 1024
