"""Independent work gives the same in this process, in several, and on a cluster."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from metarep.errors import MetarepError
from metarep.training.build import build_zoo
from metarep.training.settings import ZooConfig
from metarep.work import is_on_cluster, on_cluster, spread

ITEMS = [3, 1, 2]


def power(item: int, exponent: int) -> int:
    if item < 0:
        raise MetarepError("no power of a negative number", met=item)
    return item**exponent


def killed_once(item: int, folder: Path) -> int:
    """Ends its own process the first time it is called."""
    try:
        (folder / str(item)).touch(exist_ok=False)
    except FileExistsError:
        return item
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("n_networks", [10, 1000])
def test_results_come_in_the_order_of_the_items_and_errors_as_they_are(n_networks):
    assert list(spread(power, ITEMS, 2, n_networks=n_networks)) == [9, 1, 4]
    assert sorted(spread(power, ITEMS, 2, in_order=False, n_networks=n_networks)) == [1, 4, 9]
    assert list(spread(power, [], 2)) == []
    with pytest.raises(MetarepError, match="negative"):
        list(spread(power, [1, -1], 2, n_networks=n_networks))


def test_workers_end_with_the_process_that_gave_them_work(tmp_path):
    driver = tmp_path / "driver.py"
    driver.write_text(
        "import os, pathlib, time\n"
        "from metarep.work import spread\n"
        "def asleep(item):\n"
        f"    pathlib.Path({str(tmp_path)!r}, f'{{os.getpid()}}.pid').touch()\n"
        "    time.sleep(120)\n"
        "if __name__ == '__main__':\n"
        "    list(spread(asleep, [1, 2]))\n"
    )
    process = subprocess.Popen([sys.executable, str(driver)], env=os.environ | {"LOKY_MAX_CPU_COUNT": "2"})
    wait_until(lambda: any(tmp_path.glob("*.pid")))
    process.kill()
    process.wait()
    workers = [int(file.stem) for file in tmp_path.glob("*.pid")]
    assert process.pid not in workers
    wait_until(lambda: not any(map(is_running, workers)), seconds=20)


def is_running(pid: int) -> bool:
    """Whether a process is there that has not ended; one that has may still be listed as a zombie."""
    status = Path(f"/proc/{pid}/status")
    try:
        return "State:\tZ" not in status.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.parametrize("address", ["local:0", "local:many", "local:"])
def test_an_address_that_is_none_is_refused(address):
    pytest.importorskip("ray")
    with pytest.raises(MetarepError, match="--cluster"), on_cluster(address):
        pass
    assert not is_on_cluster()


def test_a_zoo_of_a_cluster_has_the_same_bytes_and_lost_processes_are_made_up_for(tmp_path):
    pytest.importorskip("ray").cloudpickle.register_pickle_by_value(sys.modules[__name__])  # no worker can import the tests
    config = ZooConfig(seed=3, families=[{"variant": "e09", "n_networks": 6}], networks_per_shard=2)
    alone = build_zoo(config, tmp_path / "alone")
    with on_cluster("local:2"):
        assert list(spread(power, ITEMS, 2)) == [9, 1, 4]
        assert sorted(spread(partial(killed_once, folder=tmp_path), ITEMS)) == [1, 2, 3]
        with pytest.raises(MetarepError, match="negative"):
            list(spread(power, [1, -1], 2))
        together = build_zoo(config, tmp_path / "together")
    assert not is_on_cluster()
    names = sorted(path.name for path in alone.iterdir())
    assert names == sorted(path.name for path in together.iterdir())
    for name in names:
        assert (alone / name).read_bytes() == (together / name).read_bytes()


def test_workers_follow_the_folder_of_the_process_that_asks(tmp_path, monkeypatch):
    """Workers live on between two calls; relative paths mean what they mean here."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        assert list(spread(os.path.abspath, ["a", "b", "c"])) == [str(tmp_path / name / file) for file in "abc"]
