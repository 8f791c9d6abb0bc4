"""Runs through training: every network of a zoo with snapshots at the same steps, from its initialisation to its end."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from metarep.domains.multiplier.modes import MULTIPLIER, label_modes
from metarep.errors import MetarepError
from metarep.networks.forward import forward
from metarep.networks.spec import NetworkSpec
from metarep.training.recipe import N_TRAIN
from metarep.training.sampling import INPUT_DISTRIBUTIONS, draw
from metarep.training.tasks import Task
from metarep.zoos.zoo import Zoo

LEAST_ERROR = 1e-12
"""Errors below it count as it: a logarithm needs a floor."""


@dataclass(frozen=True)
class Runs:
    """N runs of 2-2-1 networks at T steps; step[0] is 0, the initialisation.

    run_id, split: (N,) text. step: (T,) int64. params: (N, T, P) float32. error: (N, T) float64, the
    validation error of each run's own samples. mode: (N, T) text.
    """

    run_id: np.ndarray
    split: np.ndarray
    step: np.ndarray
    params: np.ndarray
    error: np.ndarray
    mode: np.ndarray

    def __len__(self) -> int:
        return len(self.run_id)

    @cached_property
    def log_error(self) -> np.ndarray:
        """(N, T): the decimal logarithm of the error."""
        return np.log10(np.maximum(self.error, LEAST_ERROR))

    @cached_property
    def mode_number(self) -> np.ndarray:
        """(N, T) int: the modes as numbers, one a mode."""
        return np.unique(self.mode.astype(str), return_inverse=True)[1].reshape(self.mode.shape)

    @cached_property
    def n_changes(self) -> np.ndarray:
        """(N, T) int: how often the mode has changed by each step."""
        return np.cumsum(np.diff(self.mode_number, axis=1, prepend=self.mode_number[:, :1]) != 0, axis=1)


def read_runs(zoo: Zoo) -> Runs:
    """The runs of a zoo, without those that diverged anywhere on the way.

    The snapshot of the last step but one is left out: it tells nothing that the end does not. Raises
    MetarepError for another architecture, no snapshots, or runs whose steps differ.
    """
    if zoo.spec != MULTIPLIER:
        raise MetarepError("modes belong to 2-2-1 networks", met=f"{zoo.spec} networks", expected=str(MULTIPLIER))
    if zoo["params"].shape != zoo["init_params"].shape:
        raise MetarepError("the zoo lacks initialisations", fix="build it again")
    ends = np.where(zoo.is_final, zoo.network_id, zoo["snapshot_of"]).astype(str)
    names, member = np.unique(ends, return_inverse=True)
    order = np.lexsort((zoo["step"], member))
    n, per_run = len(names), len(order) // len(names)
    step = zoo["step"][order]
    same = len(order) == n * per_run and (np.bincount(member) == per_run).all()
    if not same or not (step.reshape(n, per_run) == step[:per_run]).all():
        fix = "put them into zoos of their own"
        raise MetarepError("the runs of the zoo have different steps", expected="one n_steps for all", fix=fix)
    if per_run < 3:
        fix = "build it with --snapshots 40"
        raise MetarepError("the zoo has no snapshots", met=f"{per_run} a run", expected="2 or more", fix=fix)
    kept = np.flatnonzero(step[:per_run] != step[per_run - 1] - 1)
    rows = order.reshape(n, per_run)
    sound = zoo["finite"][rows].all(axis=1)
    if not sound.any():
        raise MetarepError("every run of the zoo diverged", met=f"{n} runs", fix="build it with a smaller lr")
    return _with_start(zoo, rows[sound][:, kept])


def _with_start(zoo: Zoo, rows: np.ndarray) -> Runs:
    """The runs of the rows (N, T − 1) of a zoo, with step 0 before them."""
    first = zoo.select(rows[:, 0])
    mode = label_modes(zoo.spec, first.init_params).mode
    before = {"params": first.init_params, "valid_mse": initial_error(first), "mode": mode}
    joined = (np.concatenate([values[:, None], zoo[name][rows]], axis=1) for name, values in before.items())
    return Runs(first["run_id"], first["split"], np.r_[0, zoo["step"][rows[0]].astype(np.int64)], *joined)


def initial_error(zoo: Zoo) -> np.ndarray:
    """(N,) float64: the mean squared error of each network's initialisation on its own validation samples."""
    spec: NetworkSpec = zoo.spec
    widths = np.array(spec.widths, np.int64)
    errors = np.empty(len(zoo))
    columns = (zoo[name] for name in ("seed", "input_distribution", "task"))
    for i, (seed, inputs, task) in enumerate(zip(*columns, strict=True)):
        x, y, order, _ = draw(np.uint32(seed), INPUT_DISTRIBUTIONS[inputs], widths, spec.n_params, Task(task).code)
        valid = order[N_TRAIN:]
        output = forward(spec, zoo.init_params[i].astype(np.float64), x[valid].astype(np.float64))[:, 0]
        errors[i] = np.square(output - y[valid]).mean()
    return errors
