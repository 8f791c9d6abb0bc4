"""The stage that trains a zoo of digit networks, a network for each epoch at which a run was kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save

from metarep.artefact import write_whole, writing
from metarep.domains.digits.domain import DOMAIN
from metarep.domains.digits.networks import declared
from metarep.domains.digits.settings import DigitsConfig, Hyperparameters, draw_hyperparameters
from metarep.domains.digits.training import Snapshot, train_network
from metarep.errors import MetarepError
from metarep.networks.architecture import read_architecture
from metarep.progress import Progress
from metarep.work import spread
from metarep.zoos.columns import Contents
from metarep.zoos.shards import ShardWriter
from metarep.zoos.zoo import KIND

GROUP = 20
"""Runs that are trained and written aside together; a build that was broken off carries on with the groups that are there."""

SHARD_BYTES = 64 << 20


def build_digits(config: DigitsConfig, out: Path | str, *, overwrite: bool = False, progress: Progress | None = None) -> Path:
    """Trains the networks into the folder `out` and returns it; epochs at which a network is not finite are left out.

    Every core trains a network of its own. Raises MetarepError where no network stays finite.
    """
    out, progress = Path(out), progress or Progress()
    with writing(out, KIND, config=config.resolved(), seed=config.seed, overwrite=overwrite, resume=True) as folder:
        groups = [range(at, min(at + GROUP, config.n_runs)) for at in range(0, config.n_runs, GROUP)]
        with progress.task("train digit networks", config.n_runs, "runs") as task:
            for number, runs in enumerate(groups):
                path = folder / f"group-{number:04d}.safetensors"
                if not path.is_file():
                    write_group(path, train_group(config, runs))
                task.advance(len(runs))
        writer = ShardWriter(folder, SHARD_BYTES)
        for number in range(len(groups)):
            for settings, snapshot in read_group(folder / f"group-{number:04d}.safetensors", config):
                add_network(writer, settings, snapshot)
        if not writer.rows:
            raise MetarepError("no network stayed finite", fix="train more runs")
        writer.finish(Contents(DOMAIN.name, tuple(DOMAIN.labels), tuple(DOMAIN.properties)))
        for path in folder.glob("group-*"):
            path.unlink()
    return out


def train_group(config: DigitsConfig, runs: range) -> list[tuple[Hyperparameters, list[Snapshot]]]:
    """Some runs, one process a core, one thread a process: small matrices gain nothing from more."""
    drawn = [draw_hyperparameters(run, config.designs, seed=config.seed) for run in runs]
    return list(zip(drawn, spread(_train, drawn, config.epochs), strict=True))


def _train(settings: Hyperparameters, epochs: tuple[int, ...]) -> list[Snapshot]:
    torch.set_num_threads(1)
    return train_network(settings, epochs)


def write_group(path: Path, trained: list[tuple[Hyperparameters, list[Snapshot]]]) -> None:
    """The snapshots of some runs in one file, whole or not at all."""
    tensors, known = {"none": torch.zeros(1)}, []
    for settings, snapshots in trained:
        for one in snapshots:
            tensors |= {f"{settings.run}/{one.epoch}/{name}": value for name, value in one.tensors.items()}
            known.append({"run": settings.run, "epoch": one.epoch, "figures": one.figures, "names": list(one.tensors)})
    write_whole(path, save(tensors, {"snapshots": json.dumps(known)}))


def read_group(path: Path, config: DigitsConfig) -> Iterator[tuple[Hyperparameters, Snapshot]]:
    """What `write_group` wrote, in order."""
    with safe_open(path, "pt") as file:
        for known in json.loads(file.metadata()["snapshots"]):
            run, epoch = known["run"], known["epoch"]
            own = {name: file.get_tensor(f"{run}/{epoch}/{name}") for name in known["names"]}
            settings = draw_hyperparameters(run, config.designs, seed=config.seed)
            yield settings, Snapshot(epoch, own, known["figures"])


def add_network(writer: ShardWriter, settings: Hyperparameters, snapshot: Snapshot) -> None:
    """One row of the zoo."""
    run_id = f"digits-{settings.run:05d}"
    network_id = f"{run_id}@{snapshot.epoch}"
    named = [(name, tuple(value.shape), str(value.dtype).removeprefix("torch.")) for name, value in snapshot.tensors.items()]
    digest = hashlib.sha256(b"".join(value.contiguous().numpy().tobytes() for value in snapshot.tensors.values())).hexdigest()
    row = {"network_id": network_id, "run_id": run_id, "epoch": snapshot.epoch, "sha256": digest}
    architecture = replace(read_architecture(named), declared=declared(settings))
    writer.add(row, architecture, snapshot.tensors, settings.properties() | snapshot.figures)
