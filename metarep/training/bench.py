"""How fast the engines are, side by side in one run, and whether they agree."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import Field

from metarep.artefact import write_whole, writing
from metarep.devices import is_gpu
from metarep.networks.spec import NetworkSpec
from metarep.progress import Progress
from metarep.runner import machine
from metarep.settings import Settings
from metarep.speed import gemm_rate
from metarep.tables import to_csv
from metarep.training.engines import ON_GPU, engine_by_name, has_one_hidden_layer
from metarep.training.recipe import N_TRAIN, TrainingPlan, recipe_named


class BenchConfig(Settings):
    """What is timed: each engine trains so many networks of each spec by the full recipe."""

    specs: tuple[str, ...] = Field(("2-2-1", "2-16-1", "2-2-2-1"), description="architectures")
    n_loop: int = Field(4, ge=1, description="networks of the plain loop")
    n_batched: int | None = Field(None, description="of the batched engine; 16 on the CPU, 1,056 on a GPU")
    n_fast: int = Field(256, ge=1, description="of the fast engine")
    n_fast_deep: int = Field(64, ge=1, description="of the fast engine, of other architectures than one hidden layer")
    n_triton: int = Field(8448, description="of the fused kernel, which runs on a GPU alone")
    n_steps: int = Field(4000, ge=1, description="of the recipe")
    rounds: int = Field(2, ge=1, description="times that each is timed; the best counts")
    seed: int = Field(0, ge=0, description="of the networks' own seeds")


class Timing(NamedTuple):
    """One engine on one spec: the parameters (N, P) of its networks, and the seconds of its best round."""

    engine: str
    device: str
    params: np.ndarray
    seconds: float

    @property
    def rate(self) -> float:
        """Networks a second."""
        return len(self.params) / self.seconds


def bench_zoo(
    config: BenchConfig,
    out: Path | str,
    *,
    device: str = "cpu",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Times the engines into `out`/bench.csv and returns the folder; on a GPU the batched and the fused one run there.

    Rounds of the engines alternate and the best round counts, since the machine is noisy. All train from
    the same seeds, drawing included; `max_param_difference` is the largest difference to the loop's parameters. The share of
    the device's GEMM rate is of the operations that the plain loop does: 6 a weight, sample and step. The fast engine avoids
    most of them, so that its share can exceed 1.
    """
    progress = progress or Progress()
    with writing(out, "bench", config=config.resolved(), seed=config.seed, overwrite=overwrite) as folder:
        rows: list[dict] = []
        gemm = {name: gemm_rate(name) for name in {"cpu", device}}
        with progress.task("bench", len(config.specs), "architectures") as task:
            for spec in map(NetworkSpec.parse, config.specs):
                rows += _compare(_time_engines(config, spec, device), spec, config.n_steps, gemm)
                task.advance(1, str(spec))
        write_whole(folder / "bench.csv", to_csv(rows))
        write_whole(folder / "machine.json", json.dumps(machine(), indent=1) + "\n")
    return Path(out)


def _time_engines(config: BenchConfig, spec: NetworkSpec, device: str) -> list[Timing]:
    base = recipe_named("e09")
    plan = TrainingPlan(spec, base.input_distribution, base.lr, config.n_steps)
    wide_or_deep = spec != base.spec
    n_batched = config.n_batched or (1056 if is_gpu(device) else 16)
    sizes = {"loop": config.n_loop, "torch": n_batched, "fast": config.n_fast_deep if wide_or_deep else config.n_fast}
    if is_gpu(device) and has_one_hidden_layer(plan):
        sizes["triton"] = config.n_triton
    where = {name: device if name in ON_GPU else "cpu" for name in sizes}
    engines = {name: engine_by_name(name, device=where[name]) for name in sizes}
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
    return [Timing(name, where[name], params[name], seconds[name]) for name in sizes]


def _compare(timings: list[Timing], spec: NetworkSpec, n_steps: int, gemm: dict[str, float]) -> list[dict]:
    loop = next(t for t in timings if t.engine == "loop")
    weights, rows = sum(a * b for a, b in pairwise(spec.widths)), []
    for t in timings:
        n = min(len(t.params), len(loop.params))
        row = {"spec": str(spec), "engine": t.engine, "device": t.device, "n_networks": len(t.params), "n_steps": n_steps}
        row |= {"seconds": t.seconds, "networks_per_s": t.rate, "ratio_to_loop": t.rate / loop.rate}
        row |= {"share_of_gemm": 6 * weights * N_TRAIN * n_steps * t.rate / gemm[t.device]}
        rows.append(row | {"max_param_difference": float(np.abs(t.params[:n] - loop.params[:n]).max())})
    return rows
