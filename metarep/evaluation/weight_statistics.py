"""Mean, standard deviation and quartiles of weights and of biases in bins of layers (Unterthiner et al., "Predicting neural
network accuracy from weights", 2020). The order of units never shows, not even in the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from metarep.networks.architecture import Architecture, readable

QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
N_STATISTICS = 2 + len(QUANTILES)


def weight_statistics(
    architecture: Architecture, tensors: Mapping[str, torch.Tensor], n_bins: int, *, stretch: bool = False
) -> np.ndarray:
    """(N, n_bins · 2 · 7) float64 of networks (N, *shape) of one architecture: for each bin matrices, then vectors.

    A bin is a layer, 0 beyond the last one; with `stretch` the bins are equal parts of the depth.
    """
    n, values = len(next(iter(tensors.values()))), {}
    for tensor in architecture.tensors:
        if readable(tensor) and tensor.name in tensors:
            at = tensor.layer * n_bins // max(1, architecture.n_layers) if stretch else tensor.layer
            key = (min(n_bins - 1, at), len(tensor.shape) > 1)
            values.setdefault(key, []).append(tensors[tensor.name].double().reshape(n, -1).numpy())
    columns = [
        statistics(np.concatenate(values[at, matrix], axis=1)) if (at, matrix) in values else np.zeros((n, N_STATISTICS))
        for at in range(n_bins)
        for matrix in (True, False)
    ]
    return np.concatenate(columns, axis=1)


def statistics(values: np.ndarray) -> np.ndarray:
    """(N, 7): mean, standard deviation and quartiles of rows (N, M)."""
    values = np.sort(values, axis=1)  # so that the order of summation cannot show
    return np.column_stack([values.mean(axis=1), values.std(axis=1), *np.quantile(values, QUANTILES, axis=1)])
