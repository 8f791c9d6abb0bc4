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
from metarep.zoos.columns import Contents
from metarep.zoos.shards import ShardWriter
from metarep.zoos.zoo import KIND

PAIRS_AT_ONCE = 48 * 24**2
"""Pairs of all networks that are trained side by side: 48 networks of S4."""

SHARD_BYTES = 64 << 20


def build_groups(
    config: GroupsConfig, out: Path | str, *, device: str = "cpu", overwrite: bool = False, progress: Progress | None = None
) -> Path:
    """Trains the networks into the folder `out` and returns it; broken off, the same call carries on, batch by batch.

    48 networks of 64 units for S4 take 110 to 150 seconds of one core (measured on a busy machine). Time grows with the square
    of the group's order: one network of 64 units for S5 takes half as long.
    """
    out, progress = Path(out), progress or Progress()
    with writing(out, KIND, config=config.resolved(), seed=config.seed, overwrite=overwrite, resume=True) as folder:
        trained: dict[int, tuple[DrawnNetwork, dict[str, torch.Tensor]]] = {}
        with progress.task("train networks", config.n_networks, "networks") as task:
            for number, batch in enumerate(batches(config)):
                path = folder / f"batch-{number:04d}.safetensors"
                if not path.is_file():
                    train_batch(config, batch, path, device)
                each = load_file(path)
                for at, drawn in enumerate(batch):
                    trained[drawn.number] = drawn, {name: value[at] for name, value in each.items()}
                task.advance(len(batch))
        writer = ShardWriter(folder, SHARD_BYTES)
        for number in range(config.n_networks):
            add_network(writer, config, *trained[number])
        writer.finish(contents(config))
        for path in folder.glob("batch-*"):
            path.unlink()
    return out


def batches(config: GroupsConfig) -> Iterator[list[DrawnNetwork]]:
    """The networks of one group and width, some at a time."""
    kinds: dict[tuple[str, int], list[DrawnNetwork]] = {}
    for drawn in (draw_settings(number, config) for number in range(config.n_networks)):
        kinds.setdefault((drawn.group, drawn.width), []).append(drawn)
    for (name, _), some in kinds.items():
        size = max(1, PAIRS_AT_ONCE // group_named(name).n ** 2)
        yield from (some[at : at + size] for at in range(0, len(some), size))


def train_batch(config: GroupsConfig, batch: list[DrawnNetwork], path: Path, device: str) -> None:
    """Trains networks of one group and width and writes what becomes of them, whole or not at all."""
    group = group_named(batch[0].group)
    seeds, share, decay = (np.array([getattr(one, name) for one in batch]) for name in ("seed", "train_share", "weight_decay"))
    task = Composition(group, batch[0].width, seeds, share, decay, config.lr, config.n_steps)
    hidden, output, measured = train_networks(task, device=device)
    tensors = {"hidden.weight": hidden.contiguous(), "output.weight": output.contiguous(), **measured._asdict()}
    write_whole(path, save(tensors))


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
