"""Kills workers, drivers and nodes of commands at random moments, and checks that the same command ends with the same bytes.

    python tests/faults.py --times 20 [--cluster local:2 | --nodes 3]

With --nodes, Ray has so many nodes on this machine, and one of them is killed in place of a worker; another takes its place.

Not a test of the suite, since it takes long: a table says for each command how often it was killed, how often it still ended by
itself, and whether its bytes were those of a command that was left alone and no process was left behind.
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from metarep.zoos.exporting import export_network
from metarep.zoos.zoo import open_zoo

HERE = Path(__file__).resolve().parents[1]
TIMED = {"timings.json", "config.yaml"}
"""Files that say when, or under which name, something was made."""
SMALL_BATCHES = ["--set", "tokens_per_batch=64"]
"""So many that they take a while."""

WITH_WORKERS = ("run",)
"""The commands that start processes on one machine; on a cluster all of them do."""

METAREP = [sys.executable, "-c", "from metarep_cli.app import app; app()"]


def commands(inputs: Path) -> dict[str, list[str]]:
    """Each without its --out."""
    return {
        "build-zoo": ["build-zoo", "--variant", "e09", "--n-networks", "4000", "--set", "networks_per_shard=200"],
        "import": ["import", str(inputs / "files")],
        "embed": ["embed", str(inputs / "model"), str(inputs / "zoo"), "--kind", "predictability", *SMALL_BATCHES],
        "run": ["run", str(HERE / "configs" / "smoke.yaml")],
    }


def call(command: list[str], out: Path, more: list[str]) -> subprocess.Popen:
    """Starts a command in a session of its own."""
    how = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    return subprocess.Popen([*METAREP, *command, "--out", str(out), *more], **how)


def digests(folder: Path) -> dict[str, str]:
    """{file: its hash}, without what says when it was made."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and file.name not in TIMED and file.suffix != ".lock"]
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def members(session: int) -> list[int]:
    """The processes of a session that have not ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def kill_one(process: subprocess.Popen, victim: str, nodes: Any) -> bool:
    """Kills the driver, one of its workers or one of the nodes of a cluster; whether there was one."""
    if victim == "node" and process.poll() is None:
        nodes.remove_node(random.choice(list(nodes.worker_nodes)), allow_graceful=False)
        nodes.add_node(num_cpus=1)
        return True
    others = [pid for pid in members(process.pid) if pid != process.pid]
    pids = [process.pid] if victim == "driver" else others
    if process.poll() is not None or not pids:
        return False
    os.kill(random.choice(pids), signal.SIGKILL)
    return True


def disturbed(
    command: list[str], out: Path, victim: str, within: float, more: list[str], nodes: Any
) -> tuple[bool, bool, bool]:
    """Whether something was killed, whether the command ended well all the same, and whether nothing outlived it; where it did
    not end well the same command is called once more.
    """
    process = call(command, out, more)
    time.sleep(random.uniform(0, within))
    killed = kill_one(process, victim, nodes)
    process.communicate(timeout=600)
    end = time.monotonic() + 10
    while members(process.pid) and time.monotonic() < end:
        time.sleep(0.2)
    alone = not members(process.pid)
    if process.returncode != 0:
        again = call(command, out, more)
        _, said = again.communicate(timeout=600)
        if again.returncode != 0 and "is already finished" not in said:  # killed after its last rename
            raise SystemExit(f"faults: the command does not carry on: {said[-500:]}")
    return killed, process.returncode == 0, alone


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def started_nodes(n: int | None) -> Any:
    """Ray with so many nodes of one core on this machine; None where none are asked for."""
    if n is None:
        return None
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    for _ in range(n - 1):
        cluster.add_node(num_cpus=1)
    return cluster


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--cluster")
    parser.add_argument("--nodes", type=int)
    asked = parser.parse_args()
    nodes = started_nodes(asked.nodes)
    address = asked.cluster if nodes is None else nodes.address
    random.seed(0)
    room = Path(tempfile.mkdtemp())
    inputs = room / "inputs"
    assert call(["build-zoo", "--variant", "e09", "--n-networks", "1100"], inputs / "zoo", []).wait() == 0
    made = call(["pretrain", str(inputs / "zoo"), "--set", "n_steps=20"], inputs / "model", [])
    assert made.wait() == 0, made.stderr.read()
    (inputs / "files").mkdir()
    for number, name in enumerate(open_zoo(inputs / "zoo")["network_id"]):
        export_network(inputs / "zoo", str(name), inputs / "files" / f"run_{number}.pt")
    say(f"{'command':10} {'victim':7} killed ended-well same-bytes no-orphans")
    for name, command in commands(inputs).items():
        if asked.only and name not in asked.only:
            continue
        more = ["--cluster", address] if address else []
        alone, plain = room / name / "alone", room / name / "plain"
        assert call(command, alone, []).wait() == 0, name
        started = time.monotonic()
        assert call(command, plain, more).wait() == 0, name
        within, expected = time.monotonic() - started, digests(alone)
        say(f"{name:10} {'nobody':7} same bytes as in one process or on local ones: {digests(plain) == expected}")
        worker = "worker" if nodes is None else "node"
        for victim in ("driver", worker) if more or name in WITH_WORKERS else ("driver",):
            counts = [0, 0, 0, 0]
            for number in range(asked.times):
                out = room / name / f"{victim}-{number}"
                killed, well, alone = disturbed(command, out, victim, within, more, nodes)
                counts = [a + b for a, b in zip(counts, (killed, well, digests(out) == expected, alone), strict=True)]
                shutil.rmtree(out)
            say(f"{name:10} {victim:7} " + " ".join(f"{n}/{asked.times}".rjust(9) for n in counts))
    shutil.rmtree(room)
    if nodes is not None:
        nodes.shutdown()


if __name__ == "__main__":
    main()
