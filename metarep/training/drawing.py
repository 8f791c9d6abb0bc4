"""What a batch of seeds draws, as tensors for the engines that train many networks side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from metarep.training.compiling import over_networks
from metarep.training.recipe import N_INTERVAL, N_SAMPLES, TrainingPlan, n_train_of
from metarep.training.sampling import INPUT_DISTRIBUTIONS, draw_many, draw_many_intervals


@dataclass(frozen=True)
class Drawn:
    """Training and validation samples of N networks, (N, d + 1, S) float32: d inputs, then what is to be computed of them;
    and where the networks start (N, P).
    """

    train: torch.Tensor
    valid: torch.Tensor
    init: torch.Tensor

    def to(self, device: str) -> Drawn:
        """On another device; from pinned memory, without waiting."""
        return Drawn(*(part.to(device, non_blocking=True) for part in (self.train, self.valid, self.init)))


def draw_batch(plan: TrainingPlan, seeds: np.ndarray, start: np.ndarray | None, *, pinned: bool = False) -> Drawn:
    """The draws of each seed, bit for bit those of the recipe; networks begin at `start` (N, P) where that is given."""
    on_interval = plan.input_distribution == "interval"
    n_samples, rows = (N_INTERVAL if on_interval else N_SAMPLES), plan.spec.widths[0] + 1
    n_train, n = n_train_of(n_samples), len(seeds)
    shapes = (n, rows, n_train), (n, rows, n_samples - n_train), (n, plan.spec.n_params)
    drawn = Drawn(*(torch.empty(shape, pin_memory=pinned) for shape in shapes))
    seeds, widths = np.asarray(seeds, np.uint32), np.array(plan.spec.widths, np.int64)
    arrays = [part.numpy() for part in (drawn.train, drawn.valid, drawn.init)]
    if on_interval:
        over_networks(draw_many_intervals, n, seeds, plan.task.coefficients, widths, *arrays)
    else:
        over_networks(draw_many, n, seeds, INPUT_DISTRIBUTIONS[plan.input_distribution], widths, plan.task.code, *arrays)
    if start is not None:
        drawn.init.copy_(torch.from_numpy(np.asarray(start, np.float32)))
    return drawn
