"""Networks of every format and layout become a zoo, and come back from it bit for bit."""

import gzip
import hashlib
import json
from itertools import cycle

import numpy as np
import pytest
import torch
from checkpoint_files import floats, tensors, write_every_format, write_flat, write_runs, write_sharded
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn

from metarep.artefact import open_artefact
from metarep.errors import MetarepError
from metarep.formats.safetensors_files import DTYPES
from metarep.zoos.columns import splits_of
from metarep.zoos.exporting import export_network
from metarep.zoos.importing import import_networks
from metarep.zoos.memory import zoo_of
from metarep.zoos.settings import ImportConfig
from metarep.zoos.zoo import open_zoo


def imported(paths, out, config=None, **options):
    paths = paths if isinstance(paths, list) else [paths]
    return open_zoo(import_networks(config or ImportConfig(), paths, out, **options))


def same(one: dict, other: dict, *, order: bool = True) -> bool:
    """Names, their order, dtypes, shapes and every bit."""
    assert set(one) == set(other)
    assert not order or list(one) == list(other)
    for name, value in one.items():
        assert (value.dtype, value.shape) == (other[name].dtype, other[name].shape), name
        assert raw(value) == raw(other[name]), name
    return True


def raw(value: torch.Tensor) -> bytes:
    return value.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if value.numel() else b""


def test_every_format_is_read_exactly(tmp_path):
    write_every_format(tmp_path / "in")
    zoo = imported(tmp_path / "in", tmp_path / "zoo")
    assert sorted(zoo["network_id"]) == ["graph", "model", "new", "old", "one", "packed", "plain"]
    for name in ("new", "old"):
        assert same(tensors(), zoo.network(name))
    assert same(tensors(), zoo.network("one"), order=False)
    for name in ("plain", "packed", "graph"):
        assert same(floats(), zoo.network(name))
    assert [t.kind for t in zoo.architecture_of(zoo.row_of("model")).tensors] == ["linear", "linear"]
    row = zoo.row_of("new")
    assert zoo["sha256"][row] == hashlib.sha256((tmp_path / "in" / "new.pt").read_bytes()).hexdigest()
    assert (zoo["file"][row], zoo["run_id"][row], zoo["snapshot_of"][row]) == ("new.pt", "new", "")
    assert np.isnan(zoo["epoch"][row])
    assert zoo["split"].tolist() == splits_of(zoo["run_id"])
    assert zoo["n_params"][row] == 4 * 3 + 4 + 8 + 2 * 4 + 2


def test_networks_of_one_architecture_share_a_shard_until_it_is_full(tmp_path):
    for seed in range(6):
        torch.save(floats(seed), tmp_path / f"{seed}.pt")
    assert len(imported(tmp_path, tmp_path / "zoo" / "a").artefact.manifest["files"]) == 4
    small = imported([tmp_path / f"{i}.pt" for i in range(6)], tmp_path / "zoo" / "b", ImportConfig(shard_mb=3 * 64 / 2**20))
    assert small["shard"].tolist() == [0, 0, 0, 1, 1, 1]
    tiny = imported([tmp_path / f"{i}.pt" for i in range(6)], tmp_path / "zoo" / "c", ImportConfig(shard_mb=1e-6))
    assert tiny["shard"].tolist() == list(range(6))
    for seed in range(6):
        assert same(floats(seed), small.network(str(seed)))
        assert same(floats(seed), tiny.network(str(seed)))


def test_what_a_wrapper_puts_before_all_names_makes_no_second_architecture(tmp_path):
    def save(name, *befores):
        torch.manual_seed(len(name))
        state = nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 2)).state_dict()
        named = zip(cycle(befores), state.items(), strict=False)
        torch.save({"state_dict": {before + key: value for before, (key, value) in named}, "epoch": 1}, tmp_path / name)
        return state

    befores = {"a.pt": "", "lit.ckpt": "model.", "three.pt": "_orig_mod.module."}
    states = {name: save(name, before) for name, before in befores.items()}
    zoo = imported(tmp_path, tmp_path / "zoo" / "one")
    assert len(zoo.architectures) == 1
    for name, state in states.items():
        assert same(dict(state), zoo.network(name.partition(".")[0]))
    account = (tmp_path / "zoo" / "one" / "account.csv").read_text()
    assert "model.0.weight is read as 0.weight, and so are all names" in account
    assert "a.pt" not in account
    like = zoo_of([tmp_path / "lit.ckpt"], like=zoo)
    assert like.architectures == zoo.architectures
    assert same(dict(states["lit.ckpt"]), like.network(str(tmp_path / "lit.ckpt")))
    save("halves.pt", "model.", "net.")
    torch.save({"embed.weight": torch.ones(6, 3)}, tmp_path / "embedding.pt")
    torch.save({"fc.weight": torch.ones(6, 3)}, tmp_path / "linear.pt")
    assert len(imported(tmp_path, tmp_path / "zoo" / "other").architectures) == 4


def test_the_same_files_give_the_same_bytes(tmp_path):
    write_every_format(tmp_path / "in")
    assert len({imported(tmp_path / "in", tmp_path / name).artefact.digest for name in "ab"}) == 1


EXTREMES = [*sorted(DTYPES - {torch.bool, torch.float4_e2m1fn_x2}, key=str), torch.complex128]  # float4: two values a byte


def noise(dtype: torch.dtype, shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Random bits as a tensor."""
    n_values = int(np.prod(shape))
    if not n_values:
        return torch.empty(shape, dtype=dtype)
    bits = np.random.default_rng(seed).integers(0, 256, n_values * dtype.itemsize, dtype=np.uint8)
    return torch.from_numpy(bits).view(dtype).reshape(shape)


TENSOR = st.builds(noise, st.sampled_from(EXTREMES), st.lists(st.integers(0, 3), max_size=4).map(tuple), st.integers(0, 2**31))
STATE = st.lists(st.tuples(st.from_regex(r"[a-z0-9_.]{1,12}", fullmatch=True), TENSOR), max_size=5).map(
    lambda pairs: {**dict(pairs), "fc.weight": torch.eye(3)}
)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STATE, st.booleans())
def test_there_and_back_is_exact(tmp_path, state, big):
    """Random bits of every dtype, NaN payloads among them, scalars and empty tensors, in a shard of its own or not."""
    torch.save(state, tmp_path / "x.pt")
    config = ImportConfig(shard_mb=1e-6 if big else 64)
    imported(tmp_path / "x.pt", tmp_path / "zoo", config, overwrite=True)
    export_network(tmp_path / "zoo", "x", tmp_path / "back.pt", overwrite=True)
    assert same(state, torch.load(tmp_path / "back.pt", weights_only=True))
    if not any(value.dtype == torch.complex128 for value in state.values()):
        export_network(tmp_path / "zoo", "x", tmp_path / "back.safetensors", overwrite=True)
        assert same(state, load_file(tmp_path / "back.safetensors"), order=False)
        again = imported(tmp_path / "back.safetensors", tmp_path / "again", overwrite=True)
        assert same(state, again.network("back"))  # the order too


@pytest.mark.parametrize(
    ("value", "finite"),
    [
        (torch.tensor([[1.0, 2.0], [3.0, float("nan")]]), False),
        (torch.tensor(float("-inf")), False),
        (torch.tensor([1e300], dtype=torch.float64), False),
        (torch.tensor([1.0, float("inf")]).half(), False),
        (torch.tensor([float("nan"), 1.0]).bfloat16(), False),
        (torch.tensor([float("nan"), 1.0]).to(torch.float8_e4m3fn), False),
        (torch.tensor([1e30], dtype=torch.float64), True),
        (torch.zeros(0, 3), True),
        (torch.tensor([complex(float("nan"), 0)]), True),
    ],
)
def test_what_is_finite_is_noted(tmp_path, value, finite):
    torch.save({"fc.weight": torch.ones(2, 2), "x": value}, tmp_path / "x.pt")
    assert imported(tmp_path / "x.pt", tmp_path / "zoo")["finite"].tolist() == [finite]


def test_views_ties_and_transposes_are_values(tmp_path):
    base = torch.arange(12.0).reshape(3, 4)
    state = {"a": base.T, "b": base[1:, ::2], "c": base, "d": nn.Parameter(base), "e": torch.tensor(1j).conj()}
    torch.save(state, tmp_path / "x.pt")
    zoo = imported(tmp_path / "x.pt", tmp_path / "zoo")
    assert same({k: v.detach().resolve_conj() for k, v in state.items()}, zoo.network("x"))


def test_numpy_orders_and_bytes(tmp_path):
    arrays = {"f": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "big": np.arange(3, dtype=">f4"), "n": np.array(7)}
    np.savez(tmp_path / "x.npz", **arrays)
    network = imported(tmp_path / "x.npz", tmp_path / "zoo").network("x")
    assert list(network) == ["f", "big", "n"]
    for name, value in arrays.items():
        np.testing.assert_array_equal(network[name].numpy(), value)


def test_shards_come_together(tmp_path):
    first, second = {"layers.10.fc.weight": torch.ones(2, 2)}, {"layers.2.fc.weight": torch.zeros(2, 2).half()}
    write_sharded(tmp_path / "in" / "llm", first, second)
    zoo = imported(tmp_path / "in", tmp_path / "zoo")
    assert zoo["network_id"].tolist() == ["llm/model"]
    assert same(second | first, zoo.network("llm/model"))
    assert [tensor.layer for tensor in zoo.architecture_of(zoo.row_of("llm/model")).tensors] == [0, 1]


def test_shards_of_pytorch_come_together(tmp_path):
    first, second = {"layers.10.fc.weight": torch.ones(2, 2)}, {"layers.2.fc.weight": torch.zeros(2, 2).half()}
    index = write_sharded(tmp_path / "in", first, second, name="pytorch_model")
    places = {}
    for file, content in zip(sorted((tmp_path / "in").glob("*.safetensors")), (first, second), strict=True):
        torch.save(content, file.with_suffix(".bin"))
        places |= dict.fromkeys(content, file.with_suffix(".bin").name)
        file.unlink()
    index.rename(tmp_path / "in" / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": places}))
    zoo = imported(tmp_path / "in", tmp_path / "zoo")
    assert zoo["network_id"].tolist() == ["pytorch_model"]
    assert same(second | first, zoo.network("pytorch_model"))


def test_an_index_takes_its_shards_however_they_are_named(tmp_path):
    index = write_sharded(tmp_path / "in", {"a.weight": torch.ones(2, 2)}, {"b.weight": torch.ones(2, 2)})
    assert imported([index, *(tmp_path / "in").glob("*.safetensors")], tmp_path / "1")["network_id"].tolist() == ["model"]
    assert imported([str(tmp_path / "in" / "*.safetensors"), index], tmp_path / "2")["network_id"].tolist() == ["model"]
    save_file(floats(), tmp_path / "only-00001-of-00001.safetensors")
    whole = imported(tmp_path / "only-00001-of-00001.safetensors", tmp_path / "3")
    assert whole["network_id"].tolist() == ["only-00001-of-00001"]


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", ["x.bin", "x.ckpt", "x.pth.tar", "x.PT.TAR"])
def test_other_names_of_what_pytorch_saves(tmp_path, name, zipped):
    (tmp_path / "in").mkdir()
    torch.save({"state_dict": tensors(), "epoch": 3}, tmp_path / "in" / name, _use_new_zipfile_serialization=zipped)
    (tmp_path / "in" / "other.bin").write_bytes(b"the file of another program")
    torch.save(nn.Linear(1, 1), tmp_path / "in" / "training_args.bin")
    zoo = imported(tmp_path / "in", tmp_path / "zoo")
    assert zoo["network_id"].tolist() == ["x"]
    assert same(tensors(), zoo.network("x"))


def test_runs_with_checkpoints_and_results(tmp_path):
    write_runs(tmp_path / "in")
    zoo = imported(tmp_path / "in", tmp_path / "zoo")
    assert len(zoo) == 6
    assert zoo["network_id"][2] == "NN_tune_trainable_00000/checkpoint_000010"
    assert zoo["run_id"][3:].tolist() == ["NN_tune_trainable_00001"] * 3
    assert zoo["epoch"].tolist() == [0, 5, 10] * 2
    np.testing.assert_array_equal(zoo["test_acc"], [0.0, 0.5, np.nan] * 2)
    np.testing.assert_array_equal(zoo.number("done"), [0.0, 1.0, np.nan] * 2)
    assert (zoo["act"][0], zoo["seed"][3], zoo["params.file"][0]) == ("relu", 1.0, "x")
    assert not {"config", "layers"} & set(zoo.columns)
    assert len(set(zoo["split"][:3])) == 1
    assert same(floats(105), zoo.network("NN_tune_trainable_00001/checkpoint_000005"))
    one = imported(tmp_path / "in" / "NN_tune_trainable_00001", tmp_path / "one")
    assert (one["network_id"][0], one["run_id"][0]) == ("checkpoint_000000", "NN_tune_trainable_00001")


@pytest.mark.parametrize("packed", [False, True])
def test_one_array_of_flattened_parameters(tmp_path, packed):
    values = write_flat(tmp_path / "in" / "mnist")
    metrics = tmp_path / "in" / "mnist" / "metrics.csv"
    if packed:
        (metrics.parent / "metrics.csv.gz").write_bytes(gzip.compress(metrics.read_bytes()))
        metrics.unlink()
    zoo = imported(tmp_path / "in", tmp_path / "zoo")
    assert zoo["network_id"].tolist() == [f"mnist/{i}" for i in range(5)]
    assert zoo["run_id"].tolist() == ["run0", "run0", "run1", "run1", "run2"]
    assert zoo["epoch"].tolist() == [0, 1, 0, 1, 0]
    assert zoo["test_accuracy"][3] == 0.3
    assert zoo["config.activation"][0] == "relu"
    network = zoo.network("mnist/3")
    np.testing.assert_array_equal(network["seq/conv2d/kernel:0"].numpy(), values[3, 2:].reshape(3, 3, 1, 2))
    assert [tensor.kind for tensor in zoo.architecture_of(zoo.row_of("mnist/3")).tensors] == ["conv2d", "conv2d"]


def test_a_flat_array_without_a_layout_asks_for_a_yaml(tmp_path):
    values = write_flat(tmp_path / "in", layout=False)
    with pytest.raises(MetarepError, match=r"--architecture with a YAML that lists `tensors`"):
        imported(tmp_path / "in", tmp_path / "zoo")
    (tmp_path / "a.yaml").write_text("tensors: {w: {shape: [6, 3], kind: linear, role: weight}, b: {shape: [2], kind: gru}}")
    zoo = imported(tmp_path / "in" / "weights.npy", tmp_path / "zoo", architecture=tmp_path / "a.yaml")
    np.testing.assert_array_equal(zoo.network("in/4")["w"].numpy(), values[4, :18].reshape(6, 3))
    assert [tensor.kind for tensor in zoo.architecture_of(zoo.row_of("in/4")).tensors] == ["linear", "gru"]
    (tmp_path / "a.yaml").write_text("tensors: {w: {shape: [6, 3]}, b: {shape: [3]}}")
    with pytest.raises(MetarepError, match="met 21 values; expected 20"):
        imported(tmp_path / "in", tmp_path / "other", architecture=tmp_path / "a.yaml")


def test_globs_take_what_fits(tmp_path):
    for name in ("a/x.pt", "b/x.pt", "b/y.pt", "b/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        torch.save(floats(), tmp_path / name)
    assert imported(str(tmp_path / "*" / "x.pt"), tmp_path / "1")["network_id"].tolist() == ["a/x", "b/x"]
    assert imported(str(tmp_path / "b" / "*"), tmp_path / "2")["network_id"].tolist() == ["x", "y"]
    assert imported([tmp_path / "a", tmp_path / "b"], tmp_path / "3")["network_id"].tolist() == ["a/x", "b/x", "b/y"]


def labelled(tmp_path, text, **options):
    (tmp_path / "in" / "sub").mkdir(parents=True, exist_ok=True)
    for name in ("a.pt", "sub/b.pt"):
        torch.save(floats(), tmp_path / "in" / name)
    (tmp_path / "labels.csv").write_text(text)
    config = ImportConfig(partial_labels=options.pop("partial", False))
    return imported(tmp_path / "in", tmp_path / "zoo", config, labels=tmp_path / "labels.csv", overwrite=True)


@pytest.mark.parametrize(("one", "other"), [("a.pt", "sub/b.pt"), ("a", "sub/b"), ("./a.pt", "b"), ("a", "b.pt")])
def test_labels_join_by_file_name(tmp_path, one, other):
    zoo = labelled(tmp_path, f"file,task,accuracy,run_id,epoch\n{other},mnist,,r7,3\n{one},cifar,0.5,r7,4\n")
    assert (zoo["task"].tolist(), zoo["accuracy"][0], np.isnan(zoo["accuracy"][1])) == (["cifar", "mnist"], 0.5, True)
    assert (zoo["run_id"].tolist(), zoo["epoch"].tolist()) == (["r7", "r7"], [4, 3])
    assert (zoo.labels, zoo.properties, zoo.domain) == (("task",), ("epoch",), None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file,y\na,1\n", r"1 networks without a row \(sub/b.pt\)"),
        ("file,y\na,1\nb,2\nc,3\n", r"1 rows without a network \(c\)"),
        ("name,y\nz,1\n", "no column `file`"),
        ("file,y\na,1\na.pt,2\nb,2\n", "two rows for one network"),
        ("file,y\na,1,2\n", "3 cells in place of 2"),
        ("file,y,y\na,1,2\n", "repeat"),
        ("", "no column `file`"),
    ],
)
def test_labels_that_do_not_fit_are_named(tmp_path, text, said):
    with pytest.raises(MetarepError, match=said):
        labelled(tmp_path, text)
    assert not (tmp_path / "zoo").exists()


def test_labels_may_be_partial(tmp_path):
    np.testing.assert_array_equal(labelled(tmp_path, "file,y\na,1\nc,3\n", partial=True)["y"], [1.0, np.nan])


def test_the_built_zoo_is_exported_as_a_sequential(tmp_path):
    from metarep.artefact import writing
    from metarep.networks.forward import forward
    from metarep.networks.spec import NetworkSpec
    from metarep.zoos.columns import Contents, write_columns

    spec = NetworkSpec.parse("2-3-1")
    params = np.random.default_rng(0).normal(size=spec.n_params).astype(np.float32)
    columns = {"network_id": ["n"], "run_id": ["n"], "split": ["test"], "snapshot_of": [""], "finite": [True]}
    with writing(tmp_path / "zoo", "zoo", config={}, seed=0) as folder:
        write_columns(folder / "any.parquet", columns | {"spec": ["2-3-1"], "params": params[None]}, Contents())
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    x = torch.rand(50, 2)
    for name in ("n.pt", "n.safetensors"):
        file = export_network(tmp_path / "zoo", "n", tmp_path / name)
        net.load_state_dict(load_file(file) if name.endswith("tensors") else torch.load(file, weights_only=True))
        np.testing.assert_allclose(
            net(x).detach().numpy()[:, 0], np.ravel(forward(spec, params, x.numpy())), rtol=1e-5, atol=1e-6
        )
    with pytest.raises(MetarepError, match="no network 'm'; expected an id such as n"):
        export_network(tmp_path / "zoo", "m", tmp_path / "m.pt")
    with pytest.raises(MetarepError, match="--overwrite"):
        export_network(tmp_path / "zoo", "n", tmp_path / "n.pt")
    with pytest.raises(MetarepError, match=r"\.safetensors"):
        export_network(tmp_path / "zoo", "n", tmp_path / "n.onnx")


def test_the_zoo_can_be_read_without_metarep(tmp_path):
    import pyarrow.parquet as pq

    save_file(floats(), tmp_path / "x.safetensors")
    zoo = imported(tmp_path / "x.safetensors", tmp_path / "zoo")
    assert load_file(zoo.artefact.path / "shard-00000.safetensors")["0.weight"].shape == (1, 4, 3)
    assert pq.read_table(zoo.artefact.path / "networks.parquet").num_rows == 1
    assert json.loads((zoo.artefact.path / "architectures.json").read_text())[0]["tensors"][0]["kind"] == "linear"
    assert open_artefact(zoo.artefact.path, check_hashes=True).kind == "zoo"
