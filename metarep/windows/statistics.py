"""Statistics of weights, the baseline of the field for telling what a network does from its parameters.

Mean, standard deviation and quartiles of each group of tensors (Unterthiner et al., "Predicting neural network accuracy from
weights", 2020, take them layer by layer); over thirds of the depth here, so that networks of any architecture compare.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from metarep.checkpoints.architecture import Architecture
from metarep.windows.tokens import readable

N_THIRDS = 3
QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
GROUPS = ("matrix", "vector")
"""Tensors of two axes and more, and of one."""


def weight_statistics(architecture: Architecture, tensors: Mapping[str, torch.Tensor]) -> np.ndarray:
    """(3 · 2 · 7,) float64: for each third of the depth, matrices and vectors apart, mean, standard deviation and quartiles;
    0 where a third has none. Unit order never matters.
    """
    values: dict[tuple[int, str], list[np.ndarray]] = {}
    for tensor in architecture.tensors:
        if readable(tensor) and tensor.name in tensors:
            third = min(N_THIRDS - 1, tensor.layer * N_THIRDS // max(1, architecture.n_layers))
            group = GROUPS[len(tensor.shape) < 2]
            values.setdefault((third, group), []).append(tensors[tensor.name].double().numpy().ravel())
    empty = np.zeros(2 + len(QUANTILES))
    return np.concatenate(
        [
            _summary(np.concatenate(values[third, group])) if (third, group) in values else empty
            for third in range(N_THIRDS)
            for group in GROUPS
        ]
    )


def _summary(values: np.ndarray) -> np.ndarray:
    return np.array([values.mean(), values.std(), *np.quantile(values, QUANTILES)])
