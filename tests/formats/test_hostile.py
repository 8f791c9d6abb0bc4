"""Damaged, hostile and foreign files: one line for what is wrong, nothing executed, nothing half-written."""

import io
import json
import pickle
import random
import shutil
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from checkpoint_files import floats, tensors, write_every_format, write_flat, write_onnx, write_runs, write_sharded
from onnx import TensorProto, helper
from safetensors.torch import save_file
from torch import nn

from metarep.artefact import partial_path
from metarep.errors import MetarepError
from metarep.zoos.importing import import_networks
from metarep.zoos.settings import ImportConfig
from metarep.zoos.zoo import open_zoo

STRICT, LENIENT = ImportConfig(), ImportConfig(skip_damaged=True)


def refused(path: Path, said: str) -> None:
    """Importing the path is one MetarepError of one line that says so, and leaves nothing behind."""
    out = path.parent / "zoo-of-refused"
    with pytest.raises(MetarepError, match=said) as error:
        import_networks(STRICT, [path], out)
    assert len(str(error.value).splitlines()) == 1
    assert not out.exists()
    assert not partial_path(out).exists()


class Payload:
    """Unpickling this creates a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return exec, (f"open({str(self.path)!r}, 'w').close()",)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("wrap", [lambda bomb: bomb, lambda bomb: {"w": torch.ones(2), "x": bomb}])
def test_nothing_is_executed(tmp_path, zipped, wrap):
    torch.save(wrap(Payload(tmp_path / "boom")), tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    refused(tmp_path / "x.pt", r"more than tensors.*torch.save\(model.state_dict\(\), path\)")
    (tmp_path / "y.pt").write_bytes(pickle.dumps(Payload(tmp_path / "boom")))
    refused(tmp_path / "y.pt", "save it with torch.save")
    np.savez(tmp_path / "z.npz", x=np.array([Payload(tmp_path / "boom")], dtype=object))
    refused(tmp_path / "z.npz", "more than numbers")
    assert not (tmp_path / "boom").exists()


def test_whole_modules_are_refused_with_what_to_do(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "x.pt")
    refused(tmp_path / "x.pt", r"met torch.nn.modules.linear.Linear.*save it with torch.save\(model.state_dict\(\), path\)")
    torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "y.pt"))
    refused(tmp_path / "y.pt", "TorchScript")


class Hungry:
    def __reduce__(self):
        return bytearray, (10**12,)


def test_pickles_that_ask_for_memory(tmp_path):
    for zipped in (True, False):
        torch.save({"w": torch.ones(2), "x": Hungry()}, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
        refused(tmp_path / "x.pt", "bytearray")
    torch.save({"w": torch.ones(1).expand(10**6, 10**6)}, tmp_path / "y.pt")
    refused(tmp_path / "y.pt", "larger than the file")
    torch.save({"w": torch.ones(3).to_sparse()}, tmp_path / "z.pt")
    refused(tmp_path / "z.pt", "no plain tensor; met torch.sparse_coo")
    torch.save(nn.Linear(2, 2, device="meta").state_dict(), tmp_path / "m.pt")
    refused(tmp_path / "m.pt", "without values")


def test_an_archive_is_one_where_pytorch_takes_it_for_one(tmp_path):
    """Its end decides for Python's zipfile, its start for torch.load: lengths are checked wherever PyTorch trusts them."""
    torch.save(floats(), tmp_path / "x.pt")
    content = (tmp_path / "x.pt").read_bytes()
    (tmp_path / "x.pt").write_bytes(content[:-22] + bytes(22))
    refused(tmp_path / "x.pt", "damaged")
    (tmp_path / "y.pt").write_bytes(b"junk" + content)
    refused(tmp_path / "y.pt", "damaged")


def repacked(path: Path, change) -> None:
    """A zip archive written again with every (name, content) changed."""
    with zipfile.ZipFile(path) as archive:
        members = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members:
            archive.writestr(name, change(name, content))


def test_archives_of_pytorch_that_do_not_fit(tmp_path):
    torch.save(floats(), tmp_path / "x.pt")
    content = bytearray((tmp_path / "x.pt").read_bytes())
    at = bytes(content).index(floats()["0.weight"].numpy().tobytes())
    content[at] ^= 1
    (tmp_path / "x.pt").write_bytes(content)
    refused(tmp_path / "x.pt", "a checksum does not hold")
    torch.save(floats(), tmp_path / "y.pt")
    with zipfile.ZipFile(tmp_path / "y.pt") as archive:
        members = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    with zipfile.ZipFile(tmp_path / "y.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    refused(tmp_path / "y.pt", "compressed inside")
    torch.save(floats(), tmp_path / "z.pt")
    repacked(tmp_path / "z.pt", lambda name, data: data[:-4] if name.endswith("data/0") else data)
    refused(tmp_path / "z.pt", "not as long as its record")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1, 2], "no state dict; met list"),
        ({}, "holds no tensors; met nothing"),
        ({"epoch": 3}, "holds no tensors; met epoch"),
        ({"generator": floats(), "discriminator": floats()}, "such as that under 'generator'"),
        ({"a\nb": torch.ones(1)}, "no name for a tensor"),
        ({("a", 1): torch.ones(1)}, "no name for a tensor"),
        ({1: torch.ones(1), "1": torch.ones(1)}, "no name for a tensor"),
        ({"__metadata__": torch.ones(1)}, "reserved"),
    ],
)
def test_what_is_no_state_dict(tmp_path, content, said):
    torch.save(content, tmp_path / "x.pt")
    refused(tmp_path / "x.pt", said)


def head_changed(path: Path, change) -> None:
    """A safetensors file with another head."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    head = json.dumps(change(json.loads(content[8 : 8 + length]))).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + content[8 + length :])


@pytest.mark.parametrize(
    "change",
    [
        lambda head: {"a": {"dtype": "F32", "shape": [10**18], "data_offsets": [0, 4 * 10**18]}},
        lambda head: {"a": {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 0]}},
        lambda head: {"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 64]}},
        lambda head: {"a": {"dtype": "X9", "shape": [16], "data_offsets": [0, 64]}},
        lambda head: {"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 64]}},
        lambda head: {"a": 3},
        lambda head: [],
        lambda head: {name: entry | {"data_offsets": [0, 16]} for name, entry in head.items()},
        lambda head: {},
    ],
)
def test_heads_of_safetensors_that_lie(tmp_path, change):
    save_file(floats(), tmp_path / "x.safetensors")
    head_changed(tmp_path / "x.safetensors", change)
    refused(tmp_path / "x.safetensors", "x.safetensors")


@pytest.mark.parametrize("size", [10**18, 2**64 - 1, 10**7])
def test_a_head_longer_than_the_file(tmp_path, size):
    (tmp_path / "x.safetensors").write_bytes(size.to_bytes(8, "little") + b"{}")
    refused(tmp_path / "x.safetensors", "damaged or no safetensors")


@pytest.mark.parametrize(
    ("shard", "said"),
    [
        ("../secret.safetensors", "names a file elsewhere"),
        ("/etc/passwd", "names a file elsewhere"),
        ("a\\b.safetensors", "names a file elsewhere"),
        ("..", "names a file elsewhere"),
        ("", "names a file elsewhere"),
        (3, "names a file elsewhere"),
        (None, "names a file elsewhere"),
        ("gone.safetensors", "shards are missing; met gone.safetensors"),
        ("model-00002-of-00002.safetensors", "lacks a tensor; met 0.weight"),
    ],
)
def test_an_index_names_whole_shards_of_its_own_folder(tmp_path, shard, said):
    save_file(floats(), tmp_path / "secret.safetensors")
    index = write_sharded(tmp_path / "in", floats(), {"z": torch.ones(1)})
    places = json.loads(index.read_text())["weight_map"] | {"0.weight": shard}
    index.write_text(json.dumps({"weight_map": places}))
    refused(index, said)


@pytest.mark.parametrize("where", ["*.safetensors", "model-00001-of-00002.safetensors", ""])
def test_shards_without_their_index_are_no_networks(tmp_path, where):
    index = write_sharded(tmp_path / "in", floats(), {"z": torch.ones(1)})
    if not where:
        index.unlink()
    refused(tmp_path / "in" / where, r"model-00001-of-00002.*one shard of several.*expected model.safetensors.index.json")


def test_shards_without_their_index_are_left_out_where_that_is_asked_for(tmp_path):
    index = write_sharded(tmp_path / "in", floats(), {"z": torch.ones(1)})
    torch.save(floats(), tmp_path / "in" / "x.pt")
    for damaged, said in ((True, "no index of shards"), (False, "one shard of several")):
        index.write_text("{") if damaged else index.unlink()
        refused(tmp_path / "in", said)
        zoo = open_zoo(import_networks(LENIENT, [tmp_path / "in"], tmp_path / "zoo", overwrite=True))
        assert zoo["network_id"] == ["x"]
        assert said in (tmp_path / "zoo" / "account.csv").read_text()


@pytest.mark.parametrize("name", ["x.bin", "x.ckpt", "x.pth.tar"])
def test_other_names_of_pytorch_are_read_as_carefully(tmp_path, name):
    for zipped in (True, False):
        torch.save(
            {"w": torch.ones(2), "x": Payload(tmp_path / "boom")}, tmp_path / name, _use_new_zipfile_serialization=zipped
        )
        refused(tmp_path / name, "holds more than tensors")
    torch.save(floats(), tmp_path / name)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-30])
    refused(tmp_path / name, "damaged")
    (tmp_path / name).write_bytes(b"")
    refused(tmp_path / name, "is empty")
    if not name.endswith(".tar"):
        (tmp_path / name).write_bytes(pickle.dumps(Payload(tmp_path / "boom")))
        refused(tmp_path / name, "no known format")
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map": 3}', '{"weight_map": {}}', "[" * 100_000, "\xff"])
def test_an_index_that_is_none(tmp_path, text):
    (tmp_path / "model.safetensors.index.json").write_text(text, encoding="latin-1")
    refused(tmp_path / "model.safetensors.index.json", "index")


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (npy(np.ones(1000))[:-8], "not as long as its head says"),
        (npy(np.ones(3)) + b"more", "not as long as its head says"),
        (npy(np.ones(3)).replace(b"(3,)", b"(9,)"), "not as long as its head says"),
        (npy(np.ones(3)).replace(b"(3,)", b"-3, "), "x.npz"),
        (npy(np.array(["text"])), "no numbers"),
        (b"hello", "damaged"),
        (b"", "damaged"),
    ],
)
def test_members_of_npz_that_lie(tmp_path, content, said):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("a.npy", content)
    refused(tmp_path / "x.npz", said)


def test_an_archive_that_unfolds_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr("metarep.formats.npz_files.FREE_BYTES", 1 << 20)
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.npy", "w") as file:
        file.write(npy(np.ones(3)))
        for _ in range(3):
            file.write(bytes(1 << 20))
    refused(tmp_path / "x.npz", "unfolds to more than 100 times its size")


@pytest.mark.parametrize(
    ("location", "said"),
    [("../x.data", "elsewhere"), ("/etc/passwd", "elsewhere"), ("gone", "a file is missing"), ("x.data", "reaches beyond")],
)
def test_onnx_reads_no_files_elsewhere(tmp_path, location, said):
    (tmp_path / "x.data").write_bytes(bytes(8))
    outside = TensorProto(name="out", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    outside.external_data.add(key="location", value=location)
    onnx.save(helper.make_model(helper.make_graph([], "g", [], [], [outside])), tmp_path / "x.onnx")
    refused(tmp_path / "x.onnx", said)


@pytest.mark.parametrize("dims", [[10**18], [-2], [5], [2**40, 2**40]])
def test_initialisers_of_onnx_that_lie(tmp_path, dims):
    for values in ({"raw_data": bytes(16)}, {"float_data": [1.0] * 4}):
        proto = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims, **values)
        onnx.save(helper.make_model(helper.make_graph([], "g", [], [], [proto])), tmp_path / "x.onnx")
        refused(tmp_path / "x.onnx", "w ")


def test_layouts_that_do_not_fit(tmp_path):
    write_flat(tmp_path / "flat")
    (tmp_path / "flat" / "layout.csv").write_text('varname,start_idx,end_idx,shape\na,0,19,"(19,)"\nb,18,20,"(2,)"\n')
    refused(tmp_path / "flat", "b does not fit")
    (tmp_path / "flat" / "layout.csv").write_text("varname,start_idx\na,0\n")
    refused(tmp_path / "flat", "no layout")
    with (tmp_path / "flat" / "metrics.csv").open("a") as file:
        file.write("r,1,1,relu\n")
    refused(tmp_path / "flat", "more than 5 rows")
    np.save(tmp_path / "flat" / "weights.npy", np.array([[Payload(tmp_path / "boom")]], dtype=object))
    refused(tmp_path / "flat", "no array of numbers")
    write_runs(tmp_path / "runs", 1)
    (tmp_path / "runs" / "NN_tune_trainable_00000" / "result.json").write_text('{"training_iteration": 1}\n{"train')
    refused(tmp_path / "runs", "cannot be read as results")
    assert not (tmp_path / "boom").exists()


def test_texts_and_numbers_that_no_table_holds(tmp_path):
    write_runs(tmp_path / "runs", 1)
    odd = {"training_iteration": 5, "\ud800": "\udfff", "huge": 10**400, "nan": float("nan"), "": 1}
    (tmp_path / "runs" / "NN_tune_trainable_00000" / "result.json").write_text(json.dumps(odd))
    zoo = open_zoo(import_networks(STRICT, [tmp_path / "runs"], tmp_path / "zoo"))
    assert zoo["\\ud800"][1] == "\\udfff"
    assert zoo["huge"][1] == str(10**400)
    (tmp_path / "labels.csv").write_text("file,epoch\ncheckpoint_000005,1e300\n")
    with pytest.raises(MetarepError, match="epoch is no whole number; met 1e300"):
        import_networks(ImportConfig(partial_labels=True), [tmp_path / "runs"], tmp_path / "2", labels=tmp_path / "labels.csv")
    write_sharded(tmp_path / "in", {"a": torch.ones(1)}, {"b": torch.ones(1)})
    index = tmp_path / "in" / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"\ud800": "model-00001-of-00002.safetensors"}}))
    torch.save(floats(), tmp_path / "in" / "x.pt")
    import_networks(LENIENT, [tmp_path / "in"], tmp_path / "3")
    assert "lacks a tensor" in (tmp_path / "3" / "account.csv").read_text()


def test_a_zoo_among_the_files_is_no_network(tmp_path):
    torch.save(floats(), tmp_path / "x.pt")
    for _ in range(2):
        zoo = open_zoo(import_networks(STRICT, [tmp_path], tmp_path / "zoo", overwrite=True))
        assert zoo["network_id"] == ["x"]


def test_paths_that_hold_nothing(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("no network")
    refused(tmp_path / "in", "holds no networks")
    refused(tmp_path / "in" / "notes.txt", "no known format")
    refused(tmp_path / "gone", "no file or folder")
    refused(tmp_path / "in" / "*.pt", "holds no networks")


def test_damaged_files_are_left_out_where_that_is_asked_for(tmp_path):
    write_every_format(tmp_path / "in")
    write_runs(tmp_path / "in" / "runs", 2)
    (tmp_path / "in" / "new.pt").write_bytes(b"")
    (tmp_path / "in" / "plain.npz").write_bytes((tmp_path / "in" / "plain.npz").read_bytes()[:-30])
    (tmp_path / "in" / "runs" / "NN_tune_trainable_00001" / "result.json").write_text("{")
    refused(tmp_path / "in", "cannot be read as results")
    zoo = open_zoo(import_networks(LENIENT, [tmp_path / "in"], tmp_path / "zoo"))
    assert len(zoo) == 5 + 3
    text = (tmp_path / "zoo" / "account.csv").read_text()
    for said in ("new.pt is empty", "plain.npz is damaged", "runs/NN_tune_trainable_00001"):
        assert said in text
    for file in (tmp_path / "in").glob("*.*"):
        file.write_bytes(b"")
    shutil.rmtree(tmp_path / "in" / "runs")
    with pytest.raises(MetarepError, match=r"no network could be imported; met .* is empty"):
        import_networks(LENIENT, [tmp_path / "in"], tmp_path / "empty")
    assert not (tmp_path / "empty").exists()


def mutate(content: bytes, rng: random.Random) -> bytes:
    """Bits flipped, bytes replaced, cut out, doubled, or the end lost; often near the start, where heads are."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        if not data:
            break
        at = rng.randrange(min(len(data), rng.choice((16, 200, len(data)))))
        match rng.randrange(6):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at] = rng.choice((0, 255, 0x7F, 0x80, rng.randrange(256)))
            case 2:
                del data[at : at + rng.choice((1, 4, 100))]
            case 3:
                data[at:at] = data[at : at + rng.choice((1, 8, 64))]
            case 4:
                data[at : at + 8] = rng.choice((0, 2**31, 2**62, 2**64 - 1)).to_bytes(8, "little")
            case 5:
                del data[rng.randrange(len(data)) :]
    return bytes(data)


SUFFIXES = (".pt", ".safetensors", ".npz", ".onnx", ".safetensors.index.json")


def test_mutated_files_import_or_are_refused(tmp_path):
    """Seeded: 40 mutants of each of ten files, a tenth of them under a wrong suffix. Never another error, never half a zoo."""
    rng = random.Random(2026)
    good = [(file.name, file.read_bytes()) for file in write_every_format(tmp_path / "good")]
    write_flat(tmp_path / "flat")
    counts = {"imported": 0, "refused": 0}
    for name, content in good:
        for _ in range(40):
            folder = tmp_path / "mutant"
            folder.mkdir()
            if "model" in name:
                shutil.copytree(tmp_path / "good", folder, dirs_exist_ok=True)
            suffix = rng.choice(SUFFIXES) if rng.random() < 0.1 else ""
            file = folder / (name + suffix)
            file.write_bytes(mutate(content, rng))
            target = folder / "model.safetensors.index.json" if "model-" in name else file
            counts[attempt(target, tmp_path / "zoo", len(content))] += 1
            shutil.rmtree(folder)
    for name in ("weights.npy", "metrics.csv", "layout.csv"):
        content = (tmp_path / "flat" / name).read_bytes()
        for _ in range(15):
            (tmp_path / "flat" / name).write_bytes(mutate(content, rng))
            counts[attempt(tmp_path / "flat", tmp_path / "zoo", 2000)] += 1
        (tmp_path / "flat" / name).write_bytes(content)
    assert sum(counts.values()) >= 400
    assert counts["refused"] > 200


def attempt(path: Path, out: Path, size: int) -> str:
    """Whether a path was imported, whole and of no absurd size, or refused without a trace."""
    try:
        import_networks(STRICT, [path], out)
    except MetarepError:
        assert not out.exists()
        assert not partial_path(out).exists()
        return "refused"
    zoo = open_zoo(out)
    held = sum(value.nbytes for name in zoo["network_id"] for value in zoo.network(name).values())
    assert held <= 8 * size + (1 << 21)
    shutil.rmtree(out)
    return "imported"


def test_a_network_of_twenty_megabytes_takes_little_memory_beside_the_file(tmp_path):
    """Peak memory of the import, held against the file's size in another process."""
    import subprocess
    import sys

    torch.save({f"{i}.weight": torch.zeros(1000, 1250) for i in range(4)}, tmp_path / "x.pt")
    code = (
        "import sys, metarep\n"
        "from metarep import ImportConfig, import_networks\n"
        "import metarep.zoos.importing\n"
        "peak = lambda: next(int(l.split()[1]) for l in open('/proc/self/status') if l.startswith('VmHWM'))\n"
        "before = peak()\n"
        "import_networks(ImportConfig(), [sys.argv[1]], sys.argv[2])\n"
        "print(peak() - before)\n"
    )
    if not Path("/proc/self/status").is_file():
        pytest.skip("peak memory is read from Linux's /proc")
    root = Path(__file__).resolve().parents[2]
    words = [sys.executable, "-c", code, str(tmp_path / "x.pt"), str(tmp_path / "zoo")]
    grown = int(subprocess.run(words, cwd=root, capture_output=True, text=True, check=True).stdout)
    assert grown < 2.5 * 20_000


def test_a_million_parameters_take_less_than_two_seconds(tmp_path):
    import time

    torch.save({f"{i}.weight": torch.randn(500, 500) for i in range(4)}, tmp_path / "x.pt")
    start = time.process_time()
    import_networks(STRICT, [tmp_path / "x.pt"], tmp_path / "zoo")
    assert time.process_time() - start < 2


def test_onnx_and_floats_are_what_the_other_tests_think(tmp_path):
    write_onnx(tmp_path / "x.onnx", floats())
    zoo = open_zoo(import_networks(STRICT, [tmp_path / "x.onnx"], tmp_path / "zoo"))
    assert list(zoo.network("x")) == list(floats())
    assert len(tensors()) == 9
