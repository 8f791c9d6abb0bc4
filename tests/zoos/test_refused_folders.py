"""Folders, layouts and lists of files that do not fit: refused in one line, or left out where that is asked for."""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoint_files import floats, write_every_format, write_flat, write_runs, write_sharded
from safetensors.torch import save_file

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


def told(zoo: Path) -> str:
    """The tables of a zoo that say what was left out."""
    return "".join(file.read_text() for file in zoo.glob("*.csv"))


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
        assert said in told(tmp_path / "zoo")


def test_layouts_that_do_not_fit(tmp_path):
    write_flat(tmp_path / "flat")
    (tmp_path / "flat" / "layout.csv").write_text('varname,start_idx,end_idx,shape\na,0,19,"(19,)"\nb,18,20,"(2,)"\n')
    refused(tmp_path / "flat", "b does not fit")
    (tmp_path / "flat" / "layout.csv").write_text("varname,start_idx\na,0\n")
    refused(tmp_path / "flat", "no layout")
    with (tmp_path / "flat" / "metrics.csv").open("a") as file:
        file.write("r,1,1,relu\n")
    refused(tmp_path / "flat", "more than 5 rows")
    np.save(tmp_path / "flat" / "weights.npy", np.array([[{"an": "object"}]], dtype=object))
    refused(tmp_path / "flat", "no array of numbers")
    write_runs(tmp_path / "runs", 1)
    (tmp_path / "runs" / "NN_tune_trainable_00000" / "result.json").write_text('{"training_iteration": 1}\n{"train')
    refused(tmp_path / "runs", "cannot be read as results")


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
    assert "lacks a tensor" in told(tmp_path / "3")


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
    text = told(tmp_path / "zoo")
    for said in (r"new\.pt,not read,empty", r"plain\.npz,not read,.*damaged", "runs/NN_tune_trainable_00001,not read,"):
        assert re.search(said, text)
    for file in (tmp_path / "in").glob("*.*"):
        file.write_bytes(b"")
    shutil.rmtree(tmp_path / "in" / "runs")
    with pytest.raises(MetarepError, match=r"no network could be imported; met .*: empty; copy or save it again"):
        import_networks(LENIENT, [tmp_path / "in"], tmp_path / "empty")
    assert not (tmp_path / "empty").exists()


def test_a_network_of_twenty_megabytes_takes_little_memory_beside_the_file(tmp_path):
    """Peak memory of the import, held against the file's size in another process."""
    torch.save({f"{i}.weight": torch.zeros(1000, 1250) for i in range(4)}, tmp_path / "x.pt")
    torch.save({"0.weight": torch.zeros(3, 2)}, tmp_path / "small.pt")
    code = (
        "import sys, metarep\n"
        "from metarep import ImportConfig, import_networks\n"
        "import metarep.zoos.importing\n"
        "peak = lambda: next(int(l.split()[1]) for l in open('/proc/self/status') if l.startswith('VmHWM'))\n"
        "import_networks(ImportConfig(), [sys.argv[3]], sys.argv[2] + '-small')\n"
        "before = peak()\n"
        "import_networks(ImportConfig(), [sys.argv[1]], sys.argv[2])\n"
        "print(peak() - before)\n"
    )
    if not Path("/proc/self/status").is_file():
        pytest.skip("peak memory is read from Linux's /proc")
    root = Path(__file__).resolve().parents[2]
    words = [sys.executable, "-c", code, str(tmp_path / "x.pt"), str(tmp_path / "zoo"), str(tmp_path / "small.pt")]
    grown = int(subprocess.run(words, cwd=root, capture_output=True, text=True, check=True).stdout)
    assert grown < 2.5 * 20_000


def test_a_million_parameters_take_less_than_two_seconds(tmp_path):
    torch.save({f"{i}.weight": torch.randn(500, 500) for i in range(4)}, tmp_path / "x.pt")
    start = time.process_time()
    import_networks(STRICT, [tmp_path / "x.pt"], tmp_path / "zoo")
    assert time.process_time() - start < 2
