"""The stage that fits a zoo of sine networks."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from metarep.artefact import writing
from metarep.domains.inr.domain import DOMAIN
from metarep.domains.inr.settings import InrConfig
from metarep.domains.inr.signals import Signals, draw_signals
from metarep.domains.inr.training import fit_networks
from metarep.networks.architecture import read_architecture
from metarep.progress import Progress
from metarep.work import spread
from metarep.zoos.columns import Contents
from metarep.zoos.shards import ShardWriter
from metarep.zoos.zoo import KIND

POINTS_AT_ONCE = 8192
"""Points of all networks that one process fits side by side on a CPU: their states fit into its cache."""

NETWORKS_AT_ONCE = 2048
"""On a GPU."""

SHARD_BYTES = 64 << 20


def build_inr(
    config: InrConfig, out: Path | str, *, device: str = "cpu", overwrite: bool = False, progress: Progress | None = None
) -> Path:
    """Fits the networks into the folder `out` and returns it; broken off, the same call carries on, batch by batch.

    On a CPU every core fits a batch of its own.
    """
    out, progress = Path(out), progress or Progress()
    signals = draw_signals(config)
    n_points = signals.values.shape[1]
    size = max(1, POINTS_AT_ONCE // n_points) if device == "cpu" else NETWORKS_AT_ONCE
    with writing(out, KIND, config=config.resolved(), seed=config.seed, overwrite=overwrite, resume=True) as folder:
        spans = [(at, min(at + size, config.n_networks)) for at in range(0, config.n_networks, size)]
        paths = {folder / f"batch-{first:06d}-{last:06d}.safetensors": (first, last) for first, last in spans}
        missing = [path for path in paths if not path.is_file()]
        with progress.task("fit networks", config.n_networks, "networks") as task:
            task.advance(min(config.n_networks, size * (len(paths) - len(missing))))
            jobs = [(path, paths[path][0], signals.values[slice(*paths[path])]) for path in missing]
            how = config, signals.coordinates, device
            made = spread(fit_batch, jobs, *how, in_order=False) if device == "cpu" else (fit_batch(job, *how) for job in jobs)
            for n in made:
                task.advance(n)
        writer = ShardWriter(folder, SHARD_BYTES)
        for path, (first, _) in paths.items():
            found = load_file(path)
            for number in range(first, first + len(found["mse"])):
                add_network(writer, config, signals, number, {name: value[number - first] for name, value in found.items()})
        writer.finish(contents(config))
        for path in folder.glob("batch-*"):
            path.unlink()
    return out


def fit_batch(job: tuple[Path, int, np.ndarray], config: InrConfig, coordinates: np.ndarray, device: str) -> int:
    """Fits networks to values (B, S), numbered from the first, and writes them to a file, whole or not at all; how many."""
    path, first, values = job
    seeds = [start_of(config, number) for number in range(first, first + len(values))]
    found = fit_networks(config, coordinates, values, seeds, device=device)
    aside = path.with_name(path.name + ".tmp")
    save_file({name: value.contiguous() for name, value in found.items()}, aside)
    aside.rename(path)
    return len(values)


def start_of(config: InrConfig, number: int) -> int:
    """The seed of a network's first parameters, by the zoo's seed and its number alone."""
    return int(np.random.default_rng([config.seed, number]).integers(2**31))


def add_network(writer: ShardWriter, config: InrConfig, signals: Signals, number: int, found: dict[str, torch.Tensor]) -> None:
    """One row of the zoo."""
    tensors = {name: value.clone() for name, value in found.items() if name.startswith("layers.")}
    digest = hashlib.sha256(b"".join(value.numpy().tobytes() for value in tensors.values())).hexdigest()
    row = {"network_id": f"inr-{config.seed}-{number:06d}", "run_id": signals.runs[number], "sha256": digest}
    known = signals.known[number] | {"seed": start_of(config, number), "n_steps": int(found["n_steps"])}
    known |= {"log_error": float(np.log10(max(float(found["mse"]), 1e-12)))}
    architecture = read_architecture([(name, tuple(value.shape), "float32") for name, value in tensors.items()])
    writer.add(row, architecture, tensors, known)


def contents(config: InrConfig) -> Contents:
    """The labels and properties that the signals have."""
    if config.signals == "sines":
        return Contents(DOMAIN.name, (), ("amplitude", "frequency", "log_error"))
    return Contents(DOMAIN.name, ("class",), ("log_error",))
