"""How fast the engines are, side by side in one run, and whether they agree."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metarep.artefact import write_whole, writing
from metarep.networks.spec import NetworkSpec
from metarep.progress import Progress
from metarep.runner import machine
from metarep.settings import Settings
from metarep.tables import to_csv
from metarep.training.engines import engine_by_name
from metarep.training.recipe import Plan, recipe_named

COLUMNS = ("spec", "engine", "n_networks", "n_steps", "seconds", "networks_per_s", "ratio_to_loop", "max_param_difference")


class BenchConfig(Settings):
    """What is timed: each engine trains so many networks of each spec by the full recipe."""

    specs: tuple[str, ...] = ("2-2-1", "2-16-1", "2-2-2-1")
    n_loop: int = 4
    n_batched: int = 16
    n_fast: int = 256
    n_fast_deep: int = 64
    n_steps: int = 4000
    rounds: int = 2
    seed: int = 0


@dataclass(frozen=True)
class Timing:
    """One engine on one spec: the seconds of its best round and the parameters of its networks."""

    engine: str
    n_networks: int
    seconds: float
    params: np.ndarray


def bench_zoo(
    config: BenchConfig,
    out: Path | str,
    *,
    device: str = "cpu",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Times the loop, batched and fast engines into `out`/bench.csv and returns the folder.

    Rounds of the engines alternate and the best round counts, since the machine is noisy. All train from
    the same seeds; `max_param_difference` is the largest difference to the loop's parameters.
    """
    progress = progress or Progress()
    with writing(out, "bench", config=config.resolved(), seed=config.seed, overwrite=overwrite) as folder:
        rows: list[dict] = []
        with progress.task("bench", 3 * config.rounds * len(config.specs), "timings") as task:
            for spec in config.specs:
                rows += _compare(_time_engines(config, NetworkSpec.parse(spec), device, task), spec, config.n_steps)
        write_whole(folder / "bench.csv", to_csv(rows))
        write_whole(folder / "machine.json", json.dumps(machine(), indent=1) + "\n")
    return Path(out)


def _time_engines(config: BenchConfig, spec: NetworkSpec, device: str, task) -> list[Timing]:
    base = recipe_named("e09")
    plan = Plan(spec, base.input_distribution, base.lr, config.n_steps)
    wide_or_deep = spec != base.spec
    sizes = {"loop": config.n_loop, "torch": config.n_batched, "fast": config.n_fast_deep if wide_or_deep else config.n_fast}
    engines = {name: engine_by_name(name, device=device if name == "torch" else "cpu") for name in sizes}
    rng = np.random.default_rng(config.seed)
    seeds = rng.integers(0, 2**32, max(sizes.values()), dtype=np.uint64).astype(np.uint32)
    for name, engine in engines.items():  # compile and warm up
        engine(plan.shortened(2), seeds[:2] if name == "fast" else seeds[:1], None)
    seconds, params = dict.fromkeys(sizes, float("inf")), {}
    for _ in range(config.rounds):
        for name, engine in engines.items():
            start = time.perf_counter()
            trained = engine(plan, seeds[: sizes[name]], None)
            seconds[name] = min(seconds[name], time.perf_counter() - start)
            params[name] = trained.params
            task.advance(1, f"{spec} {name}")
    return [Timing(name, sizes[name], seconds[name], params[name]) for name in sizes]


def _compare(timings: list[Timing], spec: str, n_steps: int) -> list[dict]:
    loop = next(t for t in timings if t.engine == "loop")
    rows = []
    for t in timings:
        n = min(len(t.params), len(loop.params))
        values = (
            spec,
            t.engine,
            t.n_networks,
            n_steps,
            t.seconds,
            t.n_networks / t.seconds,
            (t.n_networks / t.seconds) / (loop.n_networks / loop.seconds),
            float(np.abs(t.params[:n] - loop.params[:n]).max()),
        )
        rows.append(dict(zip(COLUMNS, values, strict=True)))
    return rows
