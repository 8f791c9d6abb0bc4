"""Several models pretrained at once: a process and a thread for each, since small matrices gain little from more threads."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from joblib import Parallel, cpu_count, delayed, parallel_config

from metarep.cloze.pretrain import pretrain
from metarep.cloze.settings import PretrainConfig


class Job(NamedTuple):
    """A model to pretrain on a zoo, into the folder `out`."""

    name: str
    config: PretrainConfig
    zoo: Path
    out: Path


def pretrain_side_by_side(jobs: list[Job], *, overwrite: bool = False) -> Iterator[tuple[str, float]]:
    """Pretrains all of them on the CPU; yields (name, seconds) of each as it ends."""
    with parallel_config("loky", inner_max_num_threads=1):
        parallel = Parallel(n_jobs=min(cpu_count(), max(1, len(jobs))), return_as="generator_unordered")
        yield from parallel(delayed(_pretrain_one)(job, overwrite) for job in jobs)


def _pretrain_one(job: Job, overwrite: bool) -> tuple[str, float]:
    start = time.monotonic()
    pretrain(job.config, job.zoo, job.out, overwrite=overwrite)
    return job.name, time.monotonic() - start
