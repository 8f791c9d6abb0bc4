"""Independent work: on the cores of this machine through joblib, or on a cluster through Ray.

Results know nothing of where they were computed: what is drawn at random hangs on seeds that the work is given. What a job
writes, it writes whole; manifests are written by the process that asked for the work.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from threading import Thread
from typing import Any

from metarep.errors import MetarepError

IN_ONE_PROCESS = 100
"""Of so few networks everything is measured before further processes have started."""

LOCAL = "local:"
RETRIES = 3
"""How often Ray repeats a job whose process or node was lost."""

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")}

_cluster: ContextVar[str | None] = ContextVar("cluster", default=None)

_is_worker: ContextVar[bool] = ContextVar("is_worker", default=False)


@contextmanager
def on_cluster(address: str | None) -> Iterator[None]:
    """A block whose work is done by Ray: at an address, at the cluster that this machine belongs to ("auto"), or in so many
    processes here ("local:4"); None for joblib.

    Raises MetarepError without Ray, and where no cluster answers.
    """
    if address is None:
        yield
        return
    ray = _started(address)
    token = _cluster.set(address)
    try:
        yield
    finally:
        _cluster.reset(token)
        ray.shutdown()


def is_on_cluster() -> bool:
    """Whether work goes to a cluster."""
    return _cluster.get() is not None


def worker_device(device: str) -> str:
    """What a device is called where the work is done: Ray shows each task the GPUs that it was given, and no other."""
    return "cuda" if is_on_cluster() and device.startswith("cuda") else device


def spread(
    function: Callable[..., Any],
    items: Sequence[Any],
    *shared: Any,
    in_order: bool = True,
    n_networks: float = math.inf,
    n_gpus: float = 0,
) -> Iterator[Any]:
    """`function(item, *shared)` for every item, each in a process with one thread, in turn or as they come.

    Where it is about so few networks that it ends before further processes have started, this process does it, and so it does
    what needs `n_gpus` of its GPUs where there is no cluster to ask for them. Work inside of work is done where it is met.
    """
    if is_on_cluster():
        yield from _by_ray(function, items, shared, in_order, n_gpus)
        return
    from joblib import Parallel, cpu_count, delayed, parallel_config

    with parallel_config("loky", inner_max_num_threads=1):
        here = _is_worker.get() or n_gpus or n_networks <= IN_ONE_PROCESS
        n_jobs = 1 if here else max(1, min(cpu_count(), len(items)))
        parallel = Parallel(n_jobs=n_jobs, return_as="generator" if in_order else "generator_unordered")
        yield from parallel(delayed(_called_by)(os.getpid(), os.getcwd(), function, item, *shared) for item in items)


def _started(address: str) -> Any:
    try:
        import ray
    except ImportError as error:
        raise MetarepError("--cluster needs Ray", fix="pip install 'metarep[ray]'") from error
    n_processes = address.removeprefix(LOCAL) if address.startswith(LOCAL) else None
    if n_processes is not None and not (n_processes.isdecimal() and int(n_processes)):
        raise MetarepError("--cluster", met=address, expected="local:N with a number of processes, auto, or an address")
    where = {"address": address} if n_processes is None else {"num_cpus": int(n_processes), "include_dashboard": False}
    try:
        ray.init(**where, log_to_driver=False, logging_level="error")
    except (ConnectionError, ValueError) as error:
        fix = "start one with `ray start --head`, or pass --cluster local:N"
        raise MetarepError(f"--cluster {address}: no cluster answers", met=str(error).splitlines()[0], fix=fix) from error
    return ray


def _by_ray(
    function: Callable[..., Any], items: Sequence[Any], shared: Sequence[Any], in_order: bool, n_gpus: float
) -> Iterator[Any]:
    """Each item a task of one core and so many GPUs, which Ray repeats where its process or node is lost; what they share is
    put out once.
    """
    import ray

    needs = {"num_cpus": 1, "num_gpus": n_gpus, "max_retries": RETRIES, "runtime_env": {"env_vars": ONE_THREAD}}
    task, here = ray.remote(**needs)(_called), os.getcwd()
    held = [ray.put(one) for one in shared]
    waiting = [task.remote(here, function, item, *held) for item in items]
    try:
        while waiting:
            done = waiting[:1] if in_order else ray.wait(waiting)[0]
            yield ray.get(done[0])
            waiting.remove(done[0])
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    finally:
        for one in waiting:
            ray.cancel(one)


def _called_by(parent: int, folder: str, function: Callable[..., Any], item: Any, *shared: Any) -> Any:
    if parent == os.getpid():
        return function(item, *shared)
    _end_with(parent)
    return _called(folder, function, item, *shared)


@cache
def _end_with(parent: int) -> None:
    """Ends this process when the one that started it ends, however it does: no orphan goes on writing."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def _called(folder: str, function: Callable[..., Any], item: Any, *shared: Any) -> Any:
    _is_worker.set(True)
    with suppress(OSError):  # a machine that lacks the folder may still see what paths name in full
        os.chdir(folder)
    return function(item, *shared)
