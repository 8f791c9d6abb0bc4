"""What an engine is, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from metarep.training.recipe import Plan


@dataclass(frozen=True)
class Trained:
    """What comes of N networks: params, init_params (N, P) float32; train_mse, valid_mse (N,) float64;
    snapshots (N, K, P) float32 and snapshot_mse (N, K, 2), which are the train and the valid error.
    """

    params: np.ndarray
    init_params: np.ndarray
    train_mse: np.ndarray
    valid_mse: np.ndarray
    snapshots: np.ndarray
    snapshot_mse: np.ndarray

    @property
    def diverged(self) -> np.ndarray:
        """(N,) bool: a parameter or an error is not a finite number."""
        return ~(np.isfinite(self.params).all(1) & np.isfinite(self.train_mse) & np.isfinite(self.valid_mse))


Engine = Callable[[Plan, np.ndarray, np.ndarray | None], Trained]
"""(plan, seeds (N,) uint32, start parameters (N, P) float32 or None for fresh ones) -> Trained."""
