"""How fast pretraining is, and how near that is to what the machine's matrix products allow, measured in one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from metarep.model.objectives import on_device
from metarep.model.pretraining import draw_batch, prepare, start_or_resume, train_step
from metarep.model.settings import PretrainConfig
from metarep.progress import Progress
from metarep.zoos.zoo import open_zoo

GEMM_SIZE = 1024
N_WARMUP = 3


def bench_pretraining(
    config: PretrainConfig,
    zoos: Sequence[Path | str],
    *,
    device: str = "cpu",
    seconds: float = 10.0,
    progress: Progress | None = None,
) -> list[dict]:
    """Rows (metric, value, unit) of pretraining on some zoos for about so many seconds.

    The share of the GEMM rate sets the products of the transformer's linear layers (two operations a weight and token, three
    times, since the backward pass multiplies twice) against a square product of GEMM_SIZE in float32.
    """
    progress = progress or Progress()
    prepared = prepare(config, [open_zoo(zoo).finite() for zoo in zoos], progress=progress)
    state = start_or_resume(prepared, Path("none"), device)
    n_tokens: list[int] = []

    def step() -> None:
        batch, masks, generator = draw_batch(config, prepared.model, prepared.train, state.step)
        train_step(config, state, *on_device(batch, masks, device), generator)
        n_tokens.append(sum(segment.n_tokens for segment in batch))
        state.step += 1

    for _ in range(N_WARMUP):
        step()
    n_tokens.clear()
    a, b = (torch.randn(GEMM_SIZE, GEMM_SIZE, device=device) for _ in range(2))
    gemm = _rate(lambda: a @ b, min(2.0, seconds), device) * 2 * GEMM_SIZE**3
    steps = _rate(step, seconds, device)
    tokens = sum(n_tokens) / len(n_tokens)
    weights = sum(p.numel() for block in prepared.model.blocks for p in block.parameters() if p.ndim == 2)
    used = 6 * weights * tokens * steps
    return [
        {"metric": "steps a second", "value": steps, "unit": "1/s"},
        {"metric": "tokens a step", "value": tokens, "unit": "tokens"},
        {"metric": "tokens a second", "value": tokens * steps, "unit": "1/s"},
        {"metric": "GEMM rate of the machine", "value": gemm / 1e9, "unit": "GFLOP/s"},
        {"metric": "products of linear layers", "value": used / 1e9, "unit": "GFLOP/s"},
        {"metric": "share of the GEMM rate", "value": used / gemm, "unit": ""},
    ]


def _rate(call: Callable[[], object], seconds: float, device: str) -> float:
    """Calls a second."""
    count, start = 0, time.perf_counter()
    while count < 2 or time.perf_counter() - start < seconds:
        call()
        count += 1
        if device.startswith("cuda"):
            torch.cuda.synchronize()
    return count / (time.perf_counter() - start)
