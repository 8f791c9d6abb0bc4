"""The PyTorch engines: the plain loop, which is the reference, and the batched one, which knows a GPU."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from metarep.networks.spec import NetworkSpec
from metarep.training.recipe import Plan, Trained, draw_reference


def train_loop(plan: Plan, seeds: np.ndarray, start: np.ndarray | None = None) -> Trained:
    """One network at a time with `torch.nn` and `torch.optim.Adam`, as anyone would write it."""
    results = [_train_plainly(plan, int(seed), None if start is None else start[i]) for i, seed in enumerate(seeds)]
    params, init, mse, snapshots, snapshot_mse = (np.stack(parts) for parts in zip(*results, strict=True))
    return Trained(params, init, mse[:, 0], mse[:, 1], snapshots, snapshot_mse)


def build_module(spec: NetworkSpec, params: torch.Tensor) -> torch.nn.Sequential:
    """A `torch.nn` network with these parameters (P,)."""
    layers: list[torch.nn.Module] = []
    for index, (weight, bias) in enumerate(spec.unpack(params)):
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
        linear.load_state_dict({"weight": weight, "bias": bias})
        layers.append(linear)
        if index < spec.n_layers - 1 or spec.output_relu:
            layers.append(torch.nn.ReLU())
    return torch.nn.Sequential(*layers)


def _train_plainly(plan: Plan, seed: int, start: np.ndarray | None):
    samples = draw_reference(seed, plan.input_distribution, plan.spec, plan.task)
    init = samples.init_params if start is None else np.asarray(start, np.float32)
    module = build_module(plan.spec, torch.from_numpy(init))
    train, valid = ([torch.from_numpy(part) for part in pair] for pair in (samples.train, samples.valid))
    optimiser = torch.optim.Adam(module.parameters(), lr=plan.lr)

    def flat() -> np.ndarray:
        return torch.cat([p.detach().flatten() for p in module.parameters()]).numpy().copy()

    def errors() -> np.ndarray:
        with torch.no_grad():
            return np.array([float((module(x)[:, 0] - y).double().square().mean()) for x, y in (train, valid)])

    snapshots, snapshot_mse = [], []
    for step in range(1, plan.n_steps + 1):
        optimiser.zero_grad()
        loss = torch.nn.functional.mse_loss(module(train[0])[:, 0], train[1])
        loss.backward()
        optimiser.step()
        if step in plan.snapshot_steps:
            snapshots.append(flat())
            snapshot_mse.append(errors())
    shape = (len(plan.snapshot_steps), plan.spec.n_params)
    return (
        flat(),
        init,
        errors(),
        np.array(snapshots, np.float32).reshape(shape),
        np.array(snapshot_mse, float).reshape(shape[0], 2),
    )


def train_batched(plan: Plan, seeds: np.ndarray, start: np.ndarray | None = None, *, device: str = "cpu") -> Trained:
    """All networks in one batch of tensors, on any device of PyTorch's."""
    drawn = [draw_reference(int(seed), plan.input_distribution, plan.spec, plan.task) for seed in seeds]
    init = np.stack([d.init_params for d in drawn]) if start is None else np.asarray(start, np.float32)
    train, valid = (_batch([getattr(d, part) for d in drawn], device) for part in ("train", "valid"))
    params = torch.tensor(init, device=device, requires_grad=True)
    optimiser = torch.optim.Adam([params], lr=plan.lr)
    error = _error_function(plan.spec)

    def errors() -> np.ndarray:
        with torch.no_grad():
            return torch.stack([error(params, *train), error(params, *valid)], dim=1).double().cpu().numpy()

    snapshots, snapshot_mse = [], []
    for step in range(1, plan.n_steps + 1):
        optimiser.zero_grad()
        error(params, *train).sum().backward()
        optimiser.step()
        if step in plan.snapshot_steps:
            snapshots.append(params.detach().cpu().numpy().copy())
            snapshot_mse.append(errors())
    n, k = len(seeds), len(plan.snapshot_steps)
    final = errors()
    return Trained(
        params.detach().cpu().numpy(),
        init,
        final[:, 0],
        final[:, 1],
        np.stack(snapshots, 1) if k else np.empty((n, 0, plan.spec.n_params), np.float32),
        np.stack(snapshot_mse, 1) if k else np.empty((n, 0, 2)),
    )


def _batch(pairs: list[tuple[np.ndarray, np.ndarray]], device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Samples as x (N, d, S) and y (N, S) on the device."""
    x = torch.from_numpy(np.stack([x.T for x, _ in pairs])).to(device)
    return x, torch.from_numpy(np.stack([y for _, y in pairs])).to(device)


def _error_function(spec: NetworkSpec) -> Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]:
    """(params (N, P), x (N, d, S), y (N, S)) -> mean squared error of each network (N,)."""

    def error(params, x, y):
        for index, (weight, bias) in enumerate(spec.unpack(params)):
            x = torch.baddbmm(bias.unsqueeze(-1), weight, x)
            if index < spec.n_layers - 1 or spec.output_relu:
                x = torch.relu(x)
        return (x[:, 0] - y).square().mean(dim=1)

    return error
