"""Damaged, hostile and foreign files: one line for what is wrong, nothing run, nothing half-written."""

import gzip
import io
import json
import pickle
import struct
import zipfile
from pathlib import Path

import h5py
import msgpack
import numpy as np
import pytest
import torch
from checkpoint_files import floats
from onnx import TensorProto, helper
from other_files import write_gguf, write_keras2, write_keras3, write_zip
from torch import nn

from metarep.artefact import partial_path
from metarep.errors import MetarepError
from metarep.formats.readers import read_contents
from metarep.zoos.importing import import_networks
from metarep.zoos.settings import ImportConfig

BOOM = "boom"
"""The file that unpickling a payload would make, in the folder of the test."""


class Payload:
    def __reduce__(self):
        return exec, (f"open({BOOM!r}, 'w').close()",)


class Hungry:
    def __reduce__(self):
        return bytearray, (10**12,)


def pickled(content, zipped=True, **how) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=zipped, **how)
    return file.getvalue()


def repacked(content: bytes, change, compression=zipfile.ZIP_STORED) -> bytes:
    """An archive with every (name, content) changed."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w", compression) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, change(entry.filename, old.read(entry)))
    return file.getvalue()


def npz(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.npy", content)
    return file.getvalue()


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def head_changed(change) -> bytes:
    """A safetensors file with another head."""
    from safetensors.torch import save

    content = save(floats())
    length = int.from_bytes(content[:8], "little")
    head = json.dumps(change(json.loads(content[8 : 8 + length]))).encode()
    return len(head).to_bytes(8, "little") + head + content[8 + length :]


def head_of(text: str) -> bytes:
    """A safetensors file of one tensor a (2,) with a head as it stands there."""
    return len(text).to_bytes(8, "little") + text.encode() + bytes(8)


def index(weights: str) -> bytes:
    """An index of shards that are there, with a map of weights as it stands there."""
    Path("a.safetensors").write_bytes(head_of('{"a":' + ENTRY + "}"))
    return ('{"weight_map":' + weights + "}").encode()


def onnx_of(dims, location="", **values) -> bytes:
    """A model with one initialiser."""
    one = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims, **values)
    if location:
        one.data_location = TensorProto.EXTERNAL
        one.external_data.add(key="location", value=location)
    return helper.make_model(helper.make_graph([], "g", [], [], [one])).SerializeToString()


def keras(change) -> bytes:
    """A file of Keras 2 with something changed in its open HDF5 file."""
    file = io.BytesIO()
    path = Path("x.h5")
    write_keras2(path)
    with h5py.File(path, "r+") as opened:
        change(opened["model_weights/wide/wide"])
    file.write(path.read_bytes())
    return file.getvalue()


def replaced(name, value):
    """A change of Keras's file: a member of a group becomes another thing."""

    def change(group):
        del group[name]
        group[name] = value

    return change


def outside(group) -> None:
    del group["bias:0"]
    group.create_dataset("bias:0", shape=(5,), dtype="f4", external=[("/etc/hostname", 0, 20)])


def virtual(group) -> None:
    del group["bias:0"]
    layout = h5py.VirtualLayout(shape=(5,), dtype="f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", shape=(5,))
    group.create_virtual_dataset("bias:0", layout)


def keras3(change) -> bytes:
    write_keras3(Path("x.keras"))
    return repacked(Path("x.keras").read_bytes(), change)


def flax(shape, dtype, content) -> bytes:
    one = msgpack.ExtType(1, msgpack.packb((shape, dtype, content)))
    return msgpack.packb({"a": {"kernel": one}})


def gguf(old: bytes, new: bytes) -> bytes:
    write_gguf(Path("x.gguf"))
    content = Path("x.gguf").read_bytes()
    assert content.count(old) >= 1
    return content.replace(old, new, 1)


def agent(parts) -> bytes:
    write_zip(Path("x.zip"), parts)
    return Path("x.zip").read_bytes()


def shared(n_levels: int, n: int, leaf: list) -> list:
    """A list that lies in a list n times over, that one so in the next …"""
    for _ in range(n_levels):
        leaf = [leaf] * n
    return leaf


def with_pickle(content: bytes) -> bytes:
    """An archive of torch.save with another pickle in it."""
    return repacked(STATE, lambda name, data: content if name.endswith("data.pkl") else data)


STATE = pickled(floats())
WEIGHTS_AT = STATE.index(floats()["0.weight"].numpy().tobytes())
LONG = struct.pack("<Q", 1 << 60)
DEEP, DIGITS = "[" * 10**5 + "]" * 10**5, "9" * 6000
ENTRY = '{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'
TWICE = '{"a":"a.safetensors","a":"b.safetensors"}'
FILES = {
    "payload.pt": (lambda: pickled(Payload()), r"more than tensors.*torch.save\(model.state_dict\(\), path\)"),
    "payload beside.pt": (lambda: pickled({"w": torch.ones(2), "x": Payload()}), "more than tensors"),
    "payload, old.pth": (lambda: pickled({"w": torch.ones(2), "x": Payload()}, zipped=False), "more than tensors"),
    "payload.ckpt": (lambda: pickled({"x": [Payload()]}), "more than tensors"),
    "payload.pth.tar": (lambda: pickled({"x": [Payload()]}, zipped=False), "more than tensors"),
    "pickle.pt": (lambda: pickle.dumps(Payload()), "save it with torch.save"),
    "pickle.bin": (lambda: pickle.dumps(Payload()), "no known format"),
    "payload.npz": (lambda: npz(npy(np.array([Payload()], dtype=object))), "more than numbers"),
    "payload.zip": (
        lambda: agent({"policy.pth": pickled({"x": Payload()})}),
        r"payload.zip: 'policy.pth' holds more than tensors",
    ),
    "module, old.pt": (lambda: pickled(nn.Linear(2, 2), zipped=False), r"before 1.6 saved whole.*torch.save\(model.state_dict"),
    "new pickle.pt": (lambda: pickle.dumps(floats()), "a pickle that torch.save did not write"),
    "protocol.pt": (lambda: pickled(floats(), pickle_protocol=4), "another pickle_protocol than 2"),
    "hungry.pt": (lambda: pickled({"w": torch.ones(2), "x": Hungry()}), "bytearray"),
    "hungry, old.pt": (lambda: pickled({"x": Hungry()}, zipped=False), "bytearray"),
    "hungry.zip": (lambda: agent({"policy.pth": pickled({"x": Hungry()})}), "bytearray"),
    "expanded.pt": (lambda: pickled({"w": torch.ones(1).expand(10**6, 10**6)}), "larger than the file"),
    "sparse.pt": (lambda: pickled({"w": torch.ones(3).to_sparse()}), "no plain tensor; met torch.sparse_coo"),
    "meta.pt": (lambda: pickled(nn.Linear(2, 2, device="meta").state_dict()), "without values"),
    "no end.pt": (lambda: STATE[:-22] + bytes(22), "damaged"),
    "junk before.pt": (lambda: b"junk" + STATE, "damaged"),
    "cut.bin": (lambda: STATE[:-30], "damaged"),
    "checksum.pt": (lambda: flipped(STATE, WEIGHTS_AT), "a checksum does not hold"),
    "compressed.pt": (lambda: repacked(STATE, lambda name, data: data, zipfile.ZIP_DEFLATED), "compressed inside"),
    "short record.pt": (
        lambda: repacked(STATE, lambda n, d: d[:-4] if n.endswith("data/0") else d),
        "not as long as its record",
    ),
    "new line.pt": (lambda: pickled({"a\nb": torch.ones(1)}), "no name for a tensor"),
    "tuple as name.pt": (lambda: pickled({("a", 1): torch.ones(1)}), "no name for a tensor"),
    "one name twice.pt": (lambda: pickled({1: torch.ones(1), "1": torch.ones(1)}), "no name for a tensor"),
    "deep.pt": (lambda: with_pickle(b"\x80\x02" + b"]" * 10**5 + b"a" * (10**5 - 1) + b"."), "nested without end"),
    "deep dictionaries.pt": (
        lambda: with_pickle(b"\x80\x02" + b"}X\x01\x00\x00\x00a" * 10**5 + b"K\x01" + b"s" * 10**5 + b"."),
        "nested without end",
    ),
    "many.pt": (lambda: pickled({"w": torch.ones(2), "x": shared(40, 3, [])}), "nested without end"),
    "many numbers.pt": (lambda: pickled({"w": torch.ones(2), "x": shared(3, 60, list(range(10**4)))}), "nested without end"),
    "reserved.pt": (lambda: pickled({"__metadata__": torch.ones(1)}), "reserved"),
    "empty.pth": (lambda: b"", "is empty"),
    "page.safetensors": (lambda: b"<!DOCTYPE html><html>404</html>", "a page of the web.*download"),
    "packed.pt": (lambda: gzip.compress(STATE), "compressed as a whole; unpack"),
    "array.pt": (lambda: npy(np.ones(3)), r"one array of NumPy.*numpy.savez"),
    **{
        f"head {number}.safetensors": (lambda change=change: head_changed(change), "safetensors")
        for number, change in enumerate(
            (
                lambda head: {"a": {"dtype": "F32", "shape": [10**18], "data_offsets": [0, 4 * 10**18]}},
                lambda head: {"a": {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 0]}},
                lambda head: {"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 64]}},
                lambda head: {"a": {"dtype": "X9", "shape": [16], "data_offsets": [0, 64]}},
                lambda head: {"a": {"dtype": "F4", "shape": [3], "data_offsets": [0, 2]}},
                lambda head: {"a": 3},
                lambda head: [],
                lambda head: {name: entry | {"data_offsets": [0, 16]} for name, entry in head.items()},
                lambda head: {},
            )
        )
    },
    **{
        f"{size}.safetensors": (lambda size=size: size.to_bytes(8, "little") + b"{}", "damaged or no")
        for size in (10**18, 2**64 - 1)
    },
    "deep head.safetensors": (lambda: head_of(DEEP), "damaged or no"),
    "digits.safetensors": (lambda: head_of('{"a":' + ENTRY.replace("8]", DIGITS + "]") + "}"), "damaged or no"),
    "twice.safetensors": (lambda: head_of('{"a":' + ENTRY + ',"a":' + ENTRY + "}"), "damaged or no.*a key stands twice"),
    "long name.safetensors": (lambda: head_of('{"' + "a." * 300 + '":' + ENTRY + "}"), "no name for a tensor"),
    "axes.safetensors": (lambda: head_of('{"a":' + ENTRY.replace("[2]", f"[{'1,' * 64}2]") + "}"), "too many axes; met 65"),
    "two lines.safetensors": (lambda: head_of('{"a\\nb":' + ENTRY + "}"), "no name for a tensor"),
    "deep.safetensors.index.json": (lambda: index(DEEP), "no index of shards"),
    "digits.safetensors.index.json": (lambda: index('{"a":' + DIGITS + "}"), "no index of shards"),
    "twice.safetensors.index.json": (lambda: index(TWICE), "no index of shards.*a key stands twice"),
    "long.safetensors.index.json": (lambda: index('{"a":"' + "b" * 5000 + '"}'), "names a file elsewhere"),
    "infinite.safetensors.index.json": (lambda: index('{"a":1e999}'), "names a file elsewhere"),
    "short.npz": (lambda: npz(npy(np.ones(1000))[:-8]), "not as long as its head says"),
    "more.npz": (lambda: npz(npy(np.ones(3)) + b"more"), "not as long as its head says"),
    "shape.npz": (lambda: npz(npy(np.ones(3)).replace(b"(3,)", b"(9,)")), "not as long as its head says"),
    "negative.npz": (lambda: npz(npy(np.ones(3)).replace(b"(3,)", b"-3, ")), "negative.npz"),
    "text.npz": (lambda: npz(npy(np.array(["text"]))), "no numbers"),
    "hello.npz": (lambda: npz(b"hello"), "damaged"),
    "bomb.npz": (lambda: repacked(npz(bytes(3 << 20)), lambda n, d: d, zipfile.ZIP_DEFLATED), "unfolds to more than 100 times"),
    "bomb.zip": (
        lambda: repacked(agent({"a.pth": bytes(3 << 20)}), lambda n, d: d, zipfile.ZIP_DEFLATED),
        "unfolds to more than",
    ),
    "elsewhere.onnx": (lambda: onnx_of(dims=[4], location="../x.data"), "elsewhere"),
    "root.onnx": (lambda: onnx_of(dims=[4], location="/etc/passwd"), "elsewhere"),
    "gone.onnx": (lambda: onnx_of(dims=[4], location="gone"), "a file is missing"),
    "beyond.onnx": (lambda: onnx_of(dims=[4], location="x.data"), "reaches beyond"),
    **{
        f"{dims} {field}.onnx": (lambda dims=dims, values=values: onnx_of(dims=dims, **values), "w ")
        for dims in ([10**18], [-2], [5], [2**40, 2**40])
        for field, values in (("raw", {"raw_data": bytes(16)}), ("typed", {"float_data": [1.0] * 4}))
    },
    "password.zip": (
        lambda: agent({"a.pth": STATE}).replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"),
        "password",
    ),
    "damaged inside.zip": (lambda: agent({"policy.pth": STATE[:-30]}), "'policy.pth' is damaged"),
    "no archive.zip": (lambda: b"PK\x03\x04 and no more", "damaged or no zip archive"),
    "other file.h5": (lambda: keras(replaced("bias:0", h5py.ExternalLink("/etc/other.h5", "/x"))), "not in the file"),
    "soft link.h5": (lambda: keras(replaced("bias:0", h5py.SoftLink("/model_weights"))), "not in the file"),
    "outside.h5": (lambda: keras(outside), "no array in the file"),
    "virtual.h5": (lambda: keras(virtual), "no array in the file"),
    "texts.h5": (lambda: keras(replaced("bias:0", np.array([b"text"]))), "holds no numbers"),
    "group.h5": (
        lambda: keras(lambda group: (group.__delitem__("bias:0"), group.create_group("bias:0"))),
        "no array in the file",
    ),
    "cut.h5": (lambda: keras(lambda group: None)[:-600], "damaged or no file of Keras"),
    "no config.keras": (lambda: keras3(lambda n, d: b"{" if n == "config.json" else d), "damaged or no file of Keras"),
    "deep config.keras": (
        lambda: keras3(lambda n, d: DEEP.encode() if n == "config.json" else d),
        "damaged or no file of Keras",
    ),
    "twice.keras": (
        lambda: keras3(lambda n, d: b'{"config":{},' + d[1:] if n == "config.json" else d),
        "damaged or no file of Keras.*a key stands twice",
    ),
    "no weights.keras": (lambda: agent({"config.json": b"{}"}), "damaged or no file of Keras"),
    "shape.msgpack": (lambda: flax([3, 4], "float32", bytes(40)), "not as long as its shape says"),
    "negative.msgpack": (lambda: flax([-3, -4], "float32", bytes(48)), "not as long as its shape says"),
    "objects.msgpack": (lambda: flax([1], "object", bytes(8)), "no dtype"),
    "long.msgpack": (lambda: b"\xdd\xff\xff\xff\xff", "damaged or no MessagePack"),
    "deep.msgpack": (lambda: b"\x91" * 5000 + b"\x01", "damaged or no MessagePack"),
    "version.gguf": (lambda: gguf(b"GGUF\x03", b"GGUF\x09"), "damaged or no GGUF"),
    "tensors.gguf": (
        lambda: gguf(struct.pack("<Q", 2) + struct.pack("<Q", 3), LONG + struct.pack("<Q", 3)),
        "damaged or no GGUF",
    ),
    "keys.gguf": (lambda: gguf(struct.pack("<QQ", 2, 3), struct.pack("<Q", 2) + LONG), "damaged or no GGUF"),
    "texts.gguf": (lambda: gguf(struct.pack("<IQ", 8, 2), struct.pack("<I", 8) + LONG), "damaged or no GGUF"),
    "wide.gguf": (lambda: gguf(struct.pack("<QQ", 64, 4), struct.pack("<QQ", 1 << 40, 4)), "reaches beyond the file"),
    "blocks.gguf": (lambda: gguf(struct.pack("<QQ", 64, 4), struct.pack("<QQ", 65, 4)), "no whole blocks"),
    "cut.gguf": (lambda: gguf(b"", b"")[:-8], "reaches beyond the file"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_lies_is_refused_in_one_line(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("metarep.formats.refusals.FREE_BYTES", 1 << 20)
    make, said = FILES[name]
    content = make()
    (tmp_path / "x.data").write_bytes(bytes(8))
    (tmp_path / name).write_bytes(content)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(MetarepError, match=said) as error:
        read_contents(tmp_path / name)
    assert len(str(error.value).splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["payload.pt", "payload.zip", "outside.h5", "cut.gguf"])
def test_an_import_of_it_leaves_nothing(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    make, said = FILES[name]
    (tmp_path / name).write_bytes(make())
    with pytest.raises(MetarepError, match=said):
        import_networks(ImportConfig(), [tmp_path / name], tmp_path / "zoo")
    assert not (tmp_path / BOOM).exists()
    assert not (tmp_path / "zoo").exists()
    assert not partial_path(tmp_path / "zoo").exists()


def test_archives_in_archives_are_not_unpacked_and_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = agent({"policy.pth": STATE})
    (tmp_path / "x.zip").write_bytes(agent({"policy.pth": STATE, "other.zip": content}))
    assert [entry.what for entry in read_contents(tmp_path / "x.zip").entries if entry.doubt] == [
        "left in the archive: other.zip"
    ]
    for _ in range(3):
        content = agent({"inner.zip": content})
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(MetarepError, match="a zip archive without state dicts"):
        import_networks(ImportConfig(), [tmp_path / "x.zip"], tmp_path / "zoo")
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]


class Shared(nn.Module):
    """A module that lies in the next one three times over, and packed weights that do."""

    def __init__(self, inside: nn.Module | None = None):
        super().__init__()
        self._modules |= {name: inside for name in "abc"} if inside else {"_packed_params": shared(40, 3, [torch.ones(2)])}


def test_modules_that_hold_each_other_many_times_over_end(tmp_path):
    module = Shared()
    for _ in range(40):
        module = Shared(module)
    (tmp_path / "x.pt").write_bytes(pickled(module))
    with pytest.raises(MetarepError, match="nested without end"):
        read_contents(tmp_path / "x.pt")
