"""The stage that trains a zoo of networks that compose group elements."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save

from metarep.artefact import write_whole, writing
from metarep.domains.groups.domain import DOMAIN
from metarep.domains.groups.group import group_named
from metarep.domains.groups.settings import DrawnNetwork, GroupsConfig, draw_settings, order_of_elements
from metarep.domains.groups.training import Composition, Measured, train_networks
from metarep.domains.groups.units import energies, relabelled
from metarep.networks.architecture import read_architecture
from metarep.progress import Progress
from metarep.work import spread
from metarep.zoos.columns import Contents
from metarep.zoos.shards import ShardWriter
from metarep.zoos.zoo import KIND

PAIRS_AT_ONCE, PAIRS_ON_GPU = 4 * 24**2, 192 * 24**2
"""Pairs of all networks that are trained side by side: four networks of S4, whose states fit into the cache of a core."""

SHARD_BYTES = 64 << 20


def build_groups(
    config: GroupsConfig, out: Path | str, *, device: str = "cpu", overwrite: bool = False, progress: Progress | None = None
) -> Path:
    """Trains the networks into the folder `out` and returns it; broken off, the same call carries on, batch by batch.

    On a CPU every core trains a batch of its own: a network of 64 units for S4 takes about 1.2 seconds of one. Time grows with
    the square of the group's order.
    """
    out, progress = Path(out), progress or Progress()
    with writing(out, KIND, config=config.resolved(), seed=config.seed, overwrite=overwrite, resume=True) as folder:
        trained: dict[int, tuple[DrawnNetwork, dict[str, torch.Tensor]]] = {}
        with progress.task("train networks", config.n_networks, "networks") as task:
            size = PAIRS_AT_ONCE if device == "cpu" else PAIRS_ON_GPU
            paths = {folder / name_of(batch): batch for batch in batches(config, size)}
            missing = [(path, batch) for path, batch in paths.items() if not path.is_file()]
            task.advance(config.n_networks - sum(len(batch) for _, batch in missing))
            for n in train_missing(missing, config, device):
                task.advance(n)
        for path, batch in paths.items():
            each = load_file(path)
            for at, drawn in enumerate(batch):
                trained[drawn.number] = drawn, {name: value[at] for name, value in each.items()}
        writer = ShardWriter(folder, SHARD_BYTES)
        for number in range(config.n_networks):
            add_network(writer, config, *trained[number])
        writer.finish(contents(config))
        for path in folder.glob("batch-*"):
            path.unlink()
    return out


def batches(config: GroupsConfig, n_pairs: int) -> Iterator[list[DrawnNetwork]]:
    """The networks of one group and width, as many at a time as have so many pairs."""
    kinds: dict[tuple[str, int], list[DrawnNetwork]] = {}
    for drawn in (draw_settings(number, config) for number in range(config.n_networks)):
        kinds.setdefault((drawn.group, drawn.width), []).append(drawn)
    for (name, _), some in kinds.items():
        size = max(1, n_pairs // group_named(name).n ** 2)
        yield from (some[at : at + size] for at in range(0, len(some), size))


def name_of(batch: list[DrawnNetwork]) -> str:
    """The file of a batch; batches of other sizes have others."""
    return f"batch-{batch[0].number:06d}-{batch[-1].number:06d}-{len(batch)}.safetensors"


def train_missing(missing: list[tuple[Path, list[DrawnNetwork]]], config: GroupsConfig, device: str) -> Iterator[int]:
    """Trains batches as they come, and says of each how many networks it has: on a CPU in processes, where there is enough."""
    if device == "cpu":
        n_hundreds = config.n_networks * config.n_steps / 100
        yield from spread(train_batch, missing, config, in_order=False, n_networks=n_hundreds)
    else:
        yield from (train_batch(job, config, device) for job in missing)


def train_batch(job: tuple[Path, list[DrawnNetwork]], config: GroupsConfig, device: str = "cpu") -> int:
    """Trains networks of one group and width and writes what becomes of them, whole or not at all; how many."""
    path, batch = job
    group = group_named(batch[0].group)
    seeds, share, decay = (np.array([getattr(one, name) for one in batch]) for name in ("seed", "train_share", "weight_decay"))
    task = Composition(group, batch[0].width, seeds, share, decay, config.lr, config.n_steps)
    hidden, output, measured = train_networks(task, device=device)
    tensors = {"hidden.weight": hidden.contiguous(), "output.weight": output.contiguous(), **measured._asdict()}
    write_whole(path, save(tensors))
    return len(batch)


def add_network(writer: ShardWriter, config: GroupsConfig, drawn: DrawnNetwork, found: dict[str, torch.Tensor]) -> None:
    """One row of the zoo."""
    group = group_named(drawn.group)
    weights = tuple(found[name].numpy() for name in ("hidden.weight", "output.weight"))
    known = properties(config, drawn, *weights) | {name: float(found[name]) for name in Measured._fields}
    if config.relabelled:
        weights = relabelled(*weights, order_of_elements(drawn.seed, group.n))
    tensors = {
        name: torch.from_numpy(np.ascontiguousarray(one))
        for name, one in zip(("hidden.weight", "output.weight"), weights, strict=True)
    }
    name = f"groups-{config.seed}-{drawn.number:05d}"
    digest = hashlib.sha256(b"".join(one.numpy().tobytes() for one in tensors.values())).hexdigest()
    row = {"network_id": name, "run_id": name, "seed": drawn.seed, "relabelled": config.relabelled, "sha256": digest}
    architecture = read_architecture([(key, tuple(value.shape), "float32") for key, value in tensors.items()])
    writer.add(row, architecture, tensors, known)


def properties(config: GroupsConfig, drawn: DrawnNetwork, hidden: np.ndarray, output: np.ndarray) -> dict[str, object]:
    """What is known of a network before its elements are relabelled: settings, and the representations that its units use.

    Representations of other groups than its own are missing.
    """
    group = group_named(drawn.group)
    found = energies(group, hidden, output)
    settings = {name: value for name, value in asdict(drawn).items() if name not in ("number", "seed")}
    names = [irrep.name for irrep, is_used in zip(group.irreps, found.used, strict=True) if is_used]
    said = {"irreps": ", ".join(names), "n_irreps": len(names), "purity": float(np.nanmean(found.purity))}
    own = {uses(group.name, irrep.name): int(one) for irrep, one in zip(group.irreps, found.used, strict=True)}
    return settings | said | {"alive": float(found.alive.mean())} | dict.fromkeys(used_columns(config), "") | own


def used_columns(config: GroupsConfig) -> list[str]:
    """The columns that say whether a network uses a representation of one of the groups."""
    return [uses(name, irrep.name) for name in dict.fromkeys(config.groups) for irrep in group_named(name).irreps]


def uses(group: str, irrep: str) -> str:
    """The name of such a column."""
    return f"uses {group} {irrep}"


def contents(config: GroupsConfig) -> Contents:
    """The domain's labels and properties, and which representations are used."""
    return Contents(DOMAIN.name, tuple(DOMAIN.labels), (*DOMAIN.properties, *used_columns(config)))
