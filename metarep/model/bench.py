"""How fast pretraining is, and how near that is to what the machine's matrix products allow, measured in one run."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path

from metarep.devices import fast_products
from metarep.model.pretraining import batches_ahead, draw_batch, prepare, start_or_resume, train_step
from metarep.model.settings import PretrainConfig
from metarep.model.team import Team
from metarep.model.transformer import ClozeModel
from metarep.progress import Progress
from metarep.speed import gemm_rate, rate
from metarep.zoos.zoo import open_zoo

N_WARMUP = 5
ENDLESS = 10**9


def bench_pretraining(
    config: PretrainConfig,
    zoos: Sequence[Path | str],
    *,
    device: str = "cpu",
    bfloat16: bool = False,
    seconds: float = 10.0,
    progress: Progress | None = None,
) -> list[dict]:
    """Rows (metric, value, unit) of pretraining on some zoos for about so many seconds.

    Steps are also timed on one batch that lies ready, and batches are drawn by one process without any step: the smaller of
    the two limits the rest. The share of the GEMM rate sets the products of the transformer's linear layers (two operations a
    weight and token, three times, since the backward pass multiplies twice) against a square product of the same precision.
    """
    config = config.model_copy(update={"n_steps": config.n_steps or ENDLESS})
    prepared = prepare(config, [open_zoo(zoo).finite() for zoo in zoos], progress=progress or Progress())
    prepared.config = config.model_copy(update={"n_steps": ENDLESS})
    state = start_or_resume(prepared, Path("none"), Team(device))
    batches, n_tokens = batches_ahead(prepared, 0, device), []
    numbers = count()

    def step() -> None:
        drawn = next(batches)
        train_step(prepared.config, state, *drawn)
        n_tokens.append(sum(segment.n_tokens for segment in drawn[0]))

    with fast_products(device, bfloat16=bfloat16):
        for _ in range(N_WARMUP):
            step()
        n_tokens.clear()
        steps = rate(step, seconds, device)
        ready = next(batches)
        without_drawing = rate(lambda: train_step(prepared.config, state, *ready), seconds / 2, device)
    batches.close()
    drawing = rate(lambda: draw_batch(prepared.config, prepared.model, prepared.train, next(numbers)), seconds / 4)
    gemm = gemm_rate(device, "bfloat16" if bfloat16 else "tf32")
    tokens = sum(n_tokens) / len(n_tokens)
    used = 3 * linear_operations(prepared.model) * tokens * steps
    found = (
        ("steps a second", steps, "1/s"),
        ("steps a second on one batch", without_drawing, "1/s"),
        ("batches drawn a second by one process", drawing, "1/s"),
        ("tokens a step", tokens, "tokens"),
        ("tokens a second", tokens * steps, "1/s"),
        ("GEMM rate of the machine", gemm / 1e9, "GFLOP/s"),
        ("products of linear layers", used / 1e9, "GFLOP/s"),
        ("share of the GEMM rate", used / gemm, ""),
    )
    return [{"metric": metric, "value": value, "unit": unit} for metric, value, unit in found]


def linear_operations(model: ClozeModel) -> int:
    """Operations a token of the transformer's linear layers, forward."""
    return 2 * sum(p.numel() for block in model.blocks for p in block.parameters() if p.ndim == 2)
