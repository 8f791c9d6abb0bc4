"""The PyTorch engines: the plain loop, which is the reference, and the batched one, which knows a GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from metarep.networks.spec import NetworkSpec
from metarep.training.drawing import Drawn, draw_batch
from metarep.training.recipe import Trained, TrainingPlan, draw_reference


def train_loop(plan: TrainingPlan, seeds: np.ndarray, start: np.ndarray | None = None) -> Trained:
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


def _train_plainly(plan: TrainingPlan, seed: int, start: np.ndarray | None):
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


def train_batched(plan: TrainingPlan, seeds: np.ndarray, start: np.ndarray | None = None, *, device: str = "cpu") -> Trained:
    """All networks in one batch of tensors, on any device of PyTorch's."""
    drawn = draw_batch(plan, seeds, start, pinned=device != "cpu").to(device)
    params = drawn.init.clone().requires_grad_()
    optimiser = torch.optim.Adam([params], lr=plan.lr)
    error = batched_error(plan.spec)
    outcome = Outcome(drawn, error)
    for step in range(1, plan.n_steps + 1):
        optimiser.zero_grad()
        error(params, drawn.train).sum().backward()
        optimiser.step()
        if step in plan.snapshot_steps:
            outcome.record(params.detach().clone())
    outcome.record(params.detach())
    return Outcome.joined([outcome])


BatchedError = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(params (N, P), samples (N, d + 1, S)) -> mean squared error of each network (N,)."""


class Outcome:
    """What becomes of a batch of networks, gathered on their device: nothing waits for it before `joined`."""

    def __init__(self, drawn: Drawn, error: BatchedError):
        self.drawn, self.error = drawn, error
        self.params: list[torch.Tensor] = []
        self.mse: list[torch.Tensor] = []

    def record(self, params: torch.Tensor) -> None:
        """Notes params (N, P) and their errors: of each snapshot in turn, then of the end."""
        with torch.no_grad():
            self.params.append(params)
            self.mse.append(torch.stack([self.error(params, self.drawn.train), self.error(params, self.drawn.valid)], dim=1))

    @staticmethod
    def joined(parts: Sequence[Outcome]) -> Trained:
        """What came of all of them, batch behind batch."""
        init = torch.cat([one.drawn.init for one in parts]).cpu().numpy()
        params = torch.cat([torch.stack(one.params, dim=1) for one in parts]).cpu().numpy()
        mse = torch.cat([torch.stack(one.mse, dim=1) for one in parts]).double().cpu().numpy()
        return Trained(params[:, -1], init, mse[:, -1, 0], mse[:, -1, 1], params[:, :-1], mse[:, :-1])


def batched_error(spec: NetworkSpec) -> BatchedError:
    """The error of many networks of one architecture side by side."""

    def error(params: torch.Tensor, samples: torch.Tensor) -> torch.Tensor:
        x, y = samples[:, :-1], samples[:, -1]
        for index, (weight, bias) in enumerate(spec.unpack(params)):
            x = torch.baddbmm(bias.unsqueeze(-1), weight, x)
            if index < spec.n_layers - 1 or spec.output_relu:
                x = torch.relu(x)
        return (x[:, 0] - y).square().mean(dim=1)

    return error
