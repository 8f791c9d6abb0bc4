"""The fused engine: networks of two inputs and one hidden layer on a GPU, each a program of one kernel (`triton_kernel`).

While the GPU trains some networks, the CPU draws the samples of the next ones, since a launch does not wait.
"""

from __future__ import annotations

import os
from contextlib import nullcontext

import numpy as np
import torch

from metarep.errors import MetarepError
from metarep.training.adam import BETA1, BETA2
from metarep.training.drawing import draw_batch
from metarep.training.recipe import Trained, TrainingPlan
from metarep.training.torch_engines import Outcome, batched_error

AT_ONCE = 528
"""Networks that are drawn and launched together: four for each multiprocessor of an H100."""
VALUES_PER_THREAD = 16
"""Of each unit and sample that a thread holds at once."""
N_WARPS = 4
"""Of a program: few, since each computes Adam's step for itself; more than one, since samples of few networks fit the cache."""


def train_fused(plan: TrainingPlan, seeds: np.ndarray, start: np.ndarray | None = None, *, device: str = "cuda") -> Trained:
    """Trains N networks."""
    pieces = [slice(at, at + AT_ONCE) for at in range(0, len(seeds), AT_ONCE)]
    return Outcome.joined([_launch(plan, seeds[one], None if start is None else start[one], device) for one in pieces])


def _launch(plan: TrainingPlan, seeds: np.ndarray, start: np.ndarray | None, device: str) -> Outcome:
    """What becomes of some networks, on the device, where it may not be known yet when this returns."""
    drawn = draw_batch(plan, seeds, start, pinned=device != "cpu").to(device)
    state = torch.zeros(len(seeds), 3, plan.spec.n_params, device=device)
    state[:, 0] = drawn.init
    schedule = torch.from_numpy(adam_schedule(plan.lr, plan.n_steps))
    schedule = (schedule.pin_memory() if device != "cpu" else schedule).to(device, non_blocking=True)
    outcome = Outcome(drawn, batched_error(plan.spec))
    step = 0
    for stop in (*plan.snapshot_steps, plan.n_steps):
        _run(plan, drawn.train, state, schedule, step, stop)
        outcome.record(state[:, 0].clone())
        step = stop
    return outcome


def _run(plan: TrainingPlan, samples: torch.Tensor, state: torch.Tensor, schedule: torch.Tensor, step: int, stop: int) -> None:
    """Steps step + 1 … stop of some networks."""
    import triton

    from metarep.training.triton_kernel import train_networks

    n_units, n_samples = plan.spec.widths[1], samples.shape[2]
    rounded = max(2, triton.next_power_of_2(n_units))
    block = min(triton.next_power_of_2(n_samples), max(32, 32 * N_WARPS * VALUES_PER_THREAD // rounded))
    shape = {"n_units": n_units, "UNITS": rounded, "BLOCK": block, "WHOLE": block >= n_samples, "TOGETHER": not interpreted()}
    bounds = (step, stop, n_samples)
    if interpreted():  # its range does not take the arrays that it makes of numbers, from NumPy 2.4 on
        bounds = map(triton.language.constexpr, bounds)
    with torch.cuda.device(samples.device) if samples.is_cuda else nullcontext():
        train_networks[(len(samples),)](samples, state, schedule, *bounds, **shape, num_warps=N_WARPS)


def adam_schedule(lr: float, n_steps: int) -> np.ndarray:
    """(steps, 2) float32: by step Adam's step size, and what the root of the second moment is multiplied by."""
    step = np.arange(1, n_steps + 1)
    return np.stack([lr / (1 - BETA1**step), 1 / np.sqrt(1 - BETA2**step)], axis=1).astype(np.float32)


def interpreted() -> bool:
    """Whether kernels run through Triton's interpreter."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def check_triton(device: str) -> None:
    """Raises MetarepError where there is no Triton, and for the CPU outside Triton's interpreter."""
    try:
        import triton  # noqa: F401
    except ImportError as error:
        fix = "install triton, which comes with PyTorch for CUDA, or choose engine=torch"
        raise MetarepError("the triton engine needs Triton", met="no module triton", fix=fix) from error
    if device == "cpu" and not interpreted():
        fix = "pass --device cuda, or choose engine=fast"
        raise MetarepError("the triton engine runs on a GPU", met="device cpu", fix=fix)
