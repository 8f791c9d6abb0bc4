"""Statistics of weights, the baseline of the field for telling what a network does from its parameters.

Mean, variance and quartiles of each layer's weights and biases (Unterthiner et al., "Predicting neural network accuracy from
weights", 2020); or over thirds of the depth, so that networks of any architecture compare. Unit order never matters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch

from metarep.networks.architecture import Architecture, Tensor, readable

N_THIRDS = 3
QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
GROUPS = ("matrix", "vector")
"""Tensors of two axes and more, and of one."""


def weight_statistics(architecture: Architecture, tensors: Mapping[str, torch.Tensor]) -> np.ndarray:
    """(3 · 2 · 7,) float64: for each third of the depth, matrices and vectors apart, mean, standard deviation and quartiles;
    0 where a third has none.
    """
    return _by_bin(architecture, tensors, N_THIRDS, lambda tensor: tensor.layer * N_THIRDS // max(1, architecture.n_layers))


def layer_statistics(architecture: Architecture, tensors: Mapping[str, torch.Tensor], n_layers: int) -> np.ndarray:
    """(1 + n_layers · 2 · 7,) float64: the number of parameters, then the same for each layer; 0 beyond the last one."""
    found = _by_bin(architecture, tensors, n_layers, lambda tensor: tensor.layer)
    return np.concatenate([[float(architecture.n_params)], found])


def _by_bin(architecture: Architecture, tensors, n_bins: int, bin_of: Callable[[Tensor], int]) -> np.ndarray:
    values: dict[tuple[int, str], list[np.ndarray]] = {}
    for tensor in architecture.tensors:
        if readable(tensor) and tensor.name in tensors:
            at = min(n_bins - 1, bin_of(tensor))
            group = GROUPS[len(tensor.shape) < 2]
            values.setdefault((at, group), []).append(tensors[tensor.name].double().numpy().ravel())
    empty = np.zeros(2 + len(QUANTILES))
    return np.concatenate(
        [
            _summary(np.concatenate(values[at, group])) if (at, group) in values else empty
            for at in range(n_bins)
            for group in GROUPS
        ]
    )


def _summary(values: np.ndarray) -> np.ndarray:
    return np.array([values.mean(), values.std(), *np.quantile(values, QUANTILES)])
