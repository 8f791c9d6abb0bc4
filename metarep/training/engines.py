"""The engines that train a batch of networks: one interface, three of them.

- `loop`: the plain PyTorch loop, one network at a time. The reference.
- `torch`: many networks in one batch of PyTorch tensors; runs on a GPU with device "cuda".
- `fast`: compiled kernels on the CPU; `moments` for two inputs and one hidden layer,
  `blocked` for every other fully connected network.
"""

from __future__ import annotations

import numpy as np

from metarep.errors import MetarepError
from metarep.training.recipe import N_INTERVAL, N_SAMPLES, Engine, Plan, Trained, n_train_of


def engine_by_name(name: str, *, device: str = "cpu") -> Engine:
    """The engine "fast", "torch" or "loop". Raises MetarepError for a device that it does not run on."""
    if device != "cpu" and name != "torch":
        raise MetarepError(
            f"the {name} engine runs on the CPU", met=f"device {device}", fix="choose engine=torch or --device cpu"
        )
    if name == "fast":
        return train_fast
    from metarep.training import torch_engines

    if name == "loop":
        return torch_engines.train_loop
    return lambda plan, seeds, start: torch_engines.train_batched(plan, seeds, start, device=device)


def train_fast(plan: Plan, seeds: np.ndarray, start: np.ndarray | None = None) -> Trained:
    """Trains N networks with the compiled kernels, on all the threads that numba has."""
    from metarep.training import blocked, moments
    from metarep.training.sampling import INPUT_DISTRIBUTIONS

    n, p, k = len(seeds), plan.spec.n_params, len(plan.snapshot_steps)
    params, init = np.empty((n, p), np.float32), np.empty((n, p), np.float32)
    mse, snapshots, snapshot_mse = np.empty((n, 2)), np.empty((n, k, p), np.float32), np.empty((n, k, 2))
    seeds = np.asarray(seeds, np.uint32)
    begin = np.zeros((n, p), np.float32) if start is None else np.ascontiguousarray(start, np.float32)
    steps = np.array(plan.snapshot_steps, np.int64)
    out = (steps, params, init, mse, snapshots, snapshot_mse)
    widths = np.array(plan.spec.widths, np.int64)
    common = (seeds, begin, start is None, INPUT_DISTRIBUTIONS.get(plan.input_distribution, 0), plan.task.code)
    n_train = n_train_of(N_INTERVAL if plan.input_distribution == "interval" else N_SAMPLES)
    if uses_moments(plan):
        moments.train_many(*common, plan.spec.widths[1], plan.lr, plan.n_steps, *out)
    else:
        recipe = (plan.spec.output_relu, plan.lr, plan.n_steps, n_train)
        blocked.train_many(*common, plan.task.coefficients, widths, *recipe, *out)
    return Trained(params, init, mse[:, 0].copy(), mse[:, 1].copy(), snapshots, snapshot_mse)


def is_compiled() -> bool:
    """Whether kernels of this source lie in the cache; if not, the first networks wait for the compiler."""
    from metarep.training.compiling import cache_folder

    return any(cache_folder().rglob("*.nbc"))


def uses_moments(plan: Plan) -> bool:
    """Whether the kernel of moments serves: two inputs, one hidden layer, a linear output."""
    widths = plan.spec.widths
    return len(widths) == 3 and widths[0] == 2 and widths[2] == 1 and not plan.spec.output_relu


def check_trainable(plan: Plan) -> None:
    """Raises MetarepError where the recipe has no task for the architecture."""
    n_inputs = 1 if plan.input_distribution == "interval" else 2
    if plan.spec.widths[0] != n_inputs or plan.spec.widths[-1] != 1:
        raise MetarepError(
            f"spec {plan.spec}: the recipe has a task for other networks",
            met=f"{plan.spec.widths[0]} inputs, {plan.spec.widths[-1]} outputs",
            expected=f"{n_inputs} input{'s' if n_inputs > 1 else ''} and 1 output",
        )
