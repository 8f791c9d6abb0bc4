"""How fast something is, and what that is worth: rates, the machine's own rate of matrix products, cost against size."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Literal

import numpy as np
import torch

from metarep.devices import fast_products, is_gpu

GEMM_SIZE, GEMM_SIZE_GPU = 1024, 8192


def seconds_of(call: Callable[[], object], device: str | torch.device = "cpu") -> float:
    """How long one call takes, what it starts on a GPU included."""
    _wait(device)
    start = time.perf_counter()
    call()
    _wait(device)
    return time.perf_counter() - start


def rate(call: Callable[[], object], seconds: float, device: str | torch.device = "cpu") -> float:
    """Calls a second over about so many seconds, in one go, so that a GPU is not waited for in between."""
    _wait(device)
    count, start = 0, time.perf_counter()
    while count < 2 or time.perf_counter() - start < seconds:
        call()
        count += 1
    _wait(device)
    return count / (time.perf_counter() - start)


def gemm_rate(
    device: str | torch.device = "cpu", precision: Literal["float32", "tf32", "bfloat16"] = "float32", *, seconds: float = 1.0
) -> float:
    """Operations a second of a square product here; the CPU takes float32 for TF32."""
    n = GEMM_SIZE_GPU if is_gpu(device) else GEMM_SIZE
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    with fast_products(device) if precision == "tf32" else nullcontext():
        for _ in range(3):
            a @ b
        n_calls = max(3, round(seconds / max(seconds_of(lambda: a @ b, device), 1e-6)))
        return n_calls * 2 * n**3 / seconds_of(lambda: [a @ b for _ in range(n_calls)], device)


def power(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """The p of seconds ~ size^p by least squares on logarithms; NaN for a single size."""
    if len(sizes) < 2:
        return float("nan")
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def _wait(device: str | torch.device) -> None:
    if is_gpu(device):
        torch.cuda.synchronize(device)
