"""Files to import and networks to embed are independent work: the same bytes however it is spread, and whatever is lost."""

import os
import signal
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from joblib.externals.loky.cloudpickle_wrapper import dumps
from metarep_cli.app import app
from small_networks import TINY, imported_zoo
from typer.testing import CliRunner

import metarep.embeddings.stage as stage
import metarep.zoos.examining as examining
import metarep.zoos.importing as importing
from metarep.embeddings.settings import EmbedConfig
from metarep.model.pretraining import pretrain
from metarep.model.settings import PretrainConfig
from metarep.work import on_cluster, spread, worker_device
from metarep.zoos.settings import ImportConfig

PICKLE = sys.modules[dumps.__module__]
"""The copy of cloudpickle that joblib uses."""

EMBED = EmbedConfig(kind="layers", parts=("network", "layer", "unit"), tokens_per_batch=64)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A zoo of two architectures, its files, a model and its vectors, all made in this process."""
    folder = tmp_path_factory.mktemp("made")
    zoo = imported_zoo(folder, ["2-3-1", "3-12-2"], 12)
    settings = TINY | {"n_steps": 2, "eval_every": 2, "n_layers": 1, "context": 32, "chunk": 2}
    pretrain(PretrainConfig(**settings), zoo, folder / "model")
    stage.embed(EMBED, folder / "model", zoo, folder / "embeddings")
    return folder


@pytest.fixture
def small_jobs(monkeypatch):
    """Jobs of a few files, that go to further processes at once."""
    monkeypatch.setattr(examining, "MAX_FILES", 5)
    for module in (importing, stage):
        monkeypatch.setattr(module, "is_on_cluster", lambda: True)  # and joblib does it
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")
    PICKLE.register_pickle_by_value(sys.modules[__name__])  # no worker can import the tests
    yield
    PICKLE.unregister_pickle_by_value(sys.modules[__name__])


def killed_once(item, *shared, function, folder: Path):
    """The function, in a process that ends the first time that it is called for any item."""
    try:
        (folder / "killed").touch(exist_ok=False)
    except FileExistsError:
        return function(item, *shared)
    os.kill(os.getpid(), signal.SIGKILL)


def assert_same(one: Path, other: Path) -> None:
    names = sorted(file.name for file in one.iterdir())
    assert names == sorted(file.name for file in other.iterdir())
    for name in set(names) - {"manifest.json"} if one.name == "embeddings" else names:  # which says where the zoo lies
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def assert_all_same(made: Path, out: Path) -> None:
    assert_same(made / "zoo", importing.import_networks(ImportConfig(), [made / "files"], out / "zoo"))
    assert_same(made / "embeddings", stage.embed(EMBED, made / "model", made / "zoo", out / "embeddings"))


def test_several_processes_give_the_bytes_of_one(made, small_jobs, tmp_path):
    assert_all_same(made, tmp_path)


def test_values_that_safetensors_does_not_know_come_back_from_other_processes(small_jobs, tmp_path):
    """Three numbers of two bytes, behind which complex ones lie where they must not be read in place."""
    files = tmp_path / "files"
    files.mkdir()
    for number in range(6):
        torch.manual_seed(number)
        values = {"a.bias": torch.randn(3).half(), "b.weight": torch.randn(3, 4), "c": torch.randn(3, dtype=torch.complex128)}
        torch.save(values, files / f"{number}.pt")
    apart = importing.import_networks(ImportConfig(), [files], tmp_path / "apart")
    importing.is_on_cluster = lambda: False
    assert_same(importing.import_networks(ImportConfig(), [files], tmp_path / "here"), apart)


def test_a_cluster_gives_the_bytes_of_one_process_and_does_lost_jobs_again(made, small_jobs, tmp_path, monkeypatch):
    ray = pytest.importorskip("ray")
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    for module, name in ((importing, "examine"), (stage, "embed_batch")):
        folder = tmp_path / name
        folder.mkdir()
        monkeypatch.setattr(module, name, partial(killed_once, function=getattr(module, name), folder=folder))
    with on_cluster("local:2"):
        assert_all_same(made, tmp_path)
    assert len(list(tmp_path.glob("*/killed"))) == 2


@pytest.mark.parametrize("command", ["import", "embed"])
def test_a_killed_process_is_one_sentence_and_leaves_nothing(made, small_jobs, tmp_path, monkeypatch, command):
    module, name = {"import": (importing, "examine"), "embed": (stage, "embed_batch")}[command]
    monkeypatch.setattr(module, name, partial(killed_once, function=getattr(module, name), folder=tmp_path))
    inputs = [made / "files"] if command == "import" else [made / "model", made / "zoo", "--set", "tokens_per_batch=64"]
    result = CliRunner().invoke(app, [command, *map(str, inputs), "--out", str(tmp_path / "out"), "--quiet"])
    assert result.exit_code == 1
    (message,) = result.stderr.splitlines()
    assert "was killed" in message
    assert not [file for file in tmp_path.iterdir() if file.is_dir()]


def test_a_task_asks_the_cluster_for_its_gpus(monkeypatch):
    asked = []

    def remote(**needs):
        asked.append(needs)
        return lambda function: SimpleNamespace(remote=lambda *given: function(*given))

    fake = SimpleNamespace(
        init=lambda **_: None,
        shutdown=lambda: None,
        put=lambda one: one,
        remote=remote,
        get=lambda one: one,
        cancel=lambda one: None,
        exceptions=SimpleNamespace(RayTaskError=KeyError),
    )
    monkeypatch.setitem(sys.modules, "ray", fake)
    assert worker_device("cuda:3") == "cuda:3"
    with on_cluster("auto"):
        assert list(spread(pow, [2, 3], 2, n_gpus=1)) == [4, 9]
        assert list(spread(pow, [2], 2)) == [4]
        assert (worker_device("cuda:3"), worker_device("cpu")) == ("cuda", "cpu")
    assert [(needs["num_gpus"], needs["num_cpus"]) for needs in asked] == [(1, 1), (0, 1)]


def test_without_a_cluster_what_needs_a_gpu_stays_in_this_process(monkeypatch):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")
    assert set(spread(pid_for, [1, 2, 3], n_gpus=1)) == {os.getpid()}


def pid_for(_: int) -> int:
    return os.getpid()
