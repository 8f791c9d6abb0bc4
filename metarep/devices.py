"""What a GPU needs to be kept busy: data that it fetches by itself, and products on its tensor cores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def is_gpu(device: str | torch.device) -> bool:
    """Whether that is a CUDA device."""
    return torch.device(device).type == "cuda"


def without_waiting(value: torch.Tensor, device: str | torch.device) -> torch.Tensor:
    """The tensor on another device; a GPU fetches it from pinned memory when it gets there."""
    if value.device.type == "cpu" and is_gpu(device):
        return value.pin_memory().to(device, non_blocking=True)
    return value.to(device)


@contextmanager
def fast_products(device: str | torch.device, *, bfloat16: bool = False) -> Iterator[None]:
    """On a GPU products of matrices take TF32 within this block, or bfloat16; the CPU computes as ever."""
    if not is_gpu(device):
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        with torch.autocast("cuda", torch.bfloat16, enabled=bfloat16, cache_enabled=False):  # weights change within the block
            yield
    finally:
        torch.set_float32_matmul_precision(before)
