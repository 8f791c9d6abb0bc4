"""What representations cost: seconds and memory for the vectors of some networks, each in a process of its own."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from metarep.artefact import Artefact, open_artefact
from metarep.embeddings.settings import EmbedConfig
from metarep.embeddings.stage import embed_networks
from metarep.embeddings.store import load_embeddings
from metarep.evaluation.baselines import Baseline, asked_for, baselines_of
from metarep.evaluation.settings import ClusterConfig
from metarep.evaluation.units import units_of
from metarep.model.pretraining import load_model
from metarep.model.transformer import untrained_like
from metarep.zoos.zoo import Zoo, open_zoo

N_NETWORKS = 200
"""The first finished networks of a zoo, which costs are measured on."""


def costs(comparison: Artefact) -> Iterator[dict]:
    """Rows (representation, model, untrained, n_networks, seconds, mebibytes) of what a comparison compares: its baselines, and
    of networks its embeddings. `mebibytes` is how far the memory of the process grew.
    """
    zoo, config = comparison.input_path("zoo"), ClusterConfig(**comparison.config)
    names = [name for name in comparison.manifest["inputs"] if name.startswith("embeddings_")]
    for path in map(comparison.input_path, names if config.part == "network" else ()):
        one = load_embeddings(path)
        about = {"representation": one.name, "model": one.model, "untrained": int(one.untrained)}
        yield about | _alone(embedding_cost, zoo, path)
    for name in _baselines(zoo, config):
        yield {"representation": name, "model": "", "untrained": 0} | _alone(baseline_cost, zoo, config, name)


def _alone(measure: Callable[..., dict], *args: object) -> dict:
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])  # imports once
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(measure, *args).result()


def embedding_cost(zoo: Path, path: Path) -> dict:
    """The networks, seconds and mebibytes of an embedding, in this process."""
    artefact, some = open_artefact(path), _first(zoo)
    config, model = EmbedConfig(**artefact.config), load_model(artefact.input_path("model"))
    model = untrained_like(model, seed=config.seed) if config.untrained else model
    with _Meter() as meter:
        embed_networks(model, some, np.arange(len(some)), config)
    return {"n_networks": len(some)} | meter.found


def baseline_cost(zoo: Path, config: ClusterConfig, name: str) -> dict:
    """The same of a baseline, fitted on all of these networks if it is fitted."""
    one = _baselines(zoo, config)[name]
    some = _first(zoo)
    subjects = units_of(some) if config.part == "unit" else some
    with _Meter() as meter:
        one.make(subjects, np.ones(len(subjects), dtype=bool))
    return {"n_networks": len(some)} | meter.found


def _baselines(zoo: Path, config: ClusterConfig) -> dict[str, Baseline]:
    asked, some = asked_for(config.baselines, config.further), _first(zoo)
    found = baselines_of(units_of(some) if config.part == "unit" else some) if asked else []
    return {one.name: one for one in found if asked is True or one.name in asked}


def _first(zoo: Path) -> Zoo:
    final = open_zoo(zoo).final()
    return final.select(np.arange(min(N_NETWORKS, len(final))))


class _Meter:
    """How long a block takes, and how far it raises the most memory that this process has held."""

    def __enter__(self) -> _Meter:
        self.start, self.held = time.perf_counter(), _peak()
        return self

    def __exit__(self, *error: object) -> None:
        self.found = {"seconds": time.perf_counter() - self.start, "mebibytes": _peak() - self.held}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
