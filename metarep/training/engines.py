"""The engines that train a batch of networks: one interface, four of them.

- `loop`: the plain PyTorch loop, one network at a time. The reference.
- `torch`: many networks in one batch of PyTorch tensors, on the CPU or a GPU.
- `triton`: a fused kernel on a GPU for two inputs and one hidden layer; `torch` for every other network.
- `fast`: compiled kernels on the CPU; `moments` for two inputs and one hidden layer,
  `blocked` for every other fully connected network.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from metarep.errors import MetarepError
from metarep.training.recipe import N_INTERVAL, N_SAMPLES, Engine, Trained, TrainingPlan, n_train_of

ON_GPU = ("torch", "triton")
"""The engines that know other devices than the CPU."""


def engine_by_name(name: str, *, device: str = "cpu") -> Engine:
    """An engine by its name. Raises MetarepError for a device that it does not run on."""
    if device != "cpu" and name not in ON_GPU:
        met, fix = f"device {device}", "choose engine=triton or torch, or --device cpu"
        raise MetarepError(f"the {name} engine runs on the CPU", met=met, fix=fix)
    if name == "fast":
        return train_fast
    from metarep.training import fused, torch_engines

    if name == "triton":
        fused.check_triton(device)
        return partial(train_on_gpu, device=device)
    return torch_engines.train_loop if name == "loop" else partial(torch_engines.train_batched, device=device)


def train_on_gpu(plan: TrainingPlan, seeds: np.ndarray, start: np.ndarray | None = None, *, device: str) -> Trained:
    """Trains N networks with the fused kernel, or in one batch of tensors where it does not serve."""
    from metarep.training.fused import train_fused
    from metarep.training.torch_engines import train_batched

    return (train_fused if has_one_hidden_layer(plan) else train_batched)(plan, seeds, start, device=device)


def train_fast(plan: TrainingPlan, seeds: np.ndarray, start: np.ndarray | None = None) -> Trained:
    """Trains N networks with the compiled kernels, on all the threads that numba has."""
    from metarep.training import blocked, moments
    from metarep.training.compiling import over_networks
    from metarep.training.sampling import INPUT_DISTRIBUTIONS

    n, p, k = len(seeds), plan.spec.n_params, len(plan.snapshot_steps)
    params, init = np.empty((n, p), np.float32), np.empty((n, p), np.float32)
    mse, snapshots, snapshot_mse = np.empty((n, 2)), np.empty((n, k, p), np.float32), np.empty((n, k, 2))
    seeds = np.ascontiguousarray(seeds, np.uint32)  # kernels would be compiled once more for seeds that are not
    begin = np.zeros((n, p), np.float32) if start is None else np.ascontiguousarray(start, np.float32)
    steps = np.array(plan.snapshot_steps, np.int64)
    out = (steps, params, init, mse, snapshots, snapshot_mse)
    widths = np.array(plan.spec.widths, np.int64)
    common = (seeds, begin, start is None, INPUT_DISTRIBUTIONS.get(plan.input_distribution, 0), plan.task.code)
    n_train = n_train_of(N_INTERVAL if plan.input_distribution == "interval" else N_SAMPLES)
    if has_one_hidden_layer(plan):
        over_networks(moments.train_many, n, *common, plan.spec.widths[1], plan.lr, plan.n_steps, *out)
    else:
        recipe = (plan.spec.output_relu, plan.lr, plan.n_steps, n_train)
        over_networks(blocked.train_many, n, *common, plan.task.coefficients, widths, *recipe, *out)
    return Trained(params, init, mse[:, 0].copy(), mse[:, 1].copy(), snapshots, snapshot_mse)


def is_compiled() -> bool:
    """Whether kernels of this source lie in the cache; if not, the first networks wait for the compiler."""
    from metarep.training.compiling import cache_folder

    return any(cache_folder().rglob("*.nbc"))


def has_one_hidden_layer(plan: TrainingPlan) -> bool:
    """Whether the kernels for these serve: two inputs, one hidden layer, a linear output."""
    widths = plan.spec.widths
    return len(widths) == 3 and widths[0] == 2 and widths[2] == 1 and not plan.spec.output_relu


def check_trainable(plan: TrainingPlan) -> None:
    """Raises MetarepError where the recipe has no task for the architecture."""
    n_inputs = 1 if plan.input_distribution == "interval" else 2
    if plan.spec.widths[0] != n_inputs or plan.spec.widths[-1] != 1:
        raise MetarepError(
            f"spec {plan.spec}: the recipe has a task for other networks",
            met=f"{plan.spec.widths[0]} inputs, {plan.spec.widths[-1]} outputs",
            expected=f"{n_inputs} input{'s' if n_inputs > 1 else ''} and 1 output",
        )
