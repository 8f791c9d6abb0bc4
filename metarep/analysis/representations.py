"""What the embeddings are compared with: representations that need no pretraining, and the oracle.

Each is (N, D) float64. What is fitted (the PCA) is fitted on training networks alone.
"""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from metarep.networks.forward import forward
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import canonical_order, canonical_scale
from metarep.zoo.store import Zoo

DESCRIPTIONS = {
    "raw": "the parameters as they are",
    "canonical": "the parameters with units scaled to length one and sorted",
    "pca": "the leading principal components of the parameters",
    "weight_statistics": "mean, spread and quantiles of each layer's weights and biases",
    "outputs": "the network's outputs on a grid over the unit square",
    "loss": "the validation error alone",
    "oracle": "the exact active areas, from which the modes are defined",
}
PCA_VARIANCE = 0.95
GRID = 8
QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


def baselines(zoo: Zoo, train: np.ndarray) -> dict[str, np.ndarray]:
    """Every baseline of the zoo's N networks, by name; `train` (N,) bool says on which anything may be fitted."""
    params = zoo.params.astype(np.float64)
    return {
        "raw": params,
        "canonical": canonical_order(zoo.spec, canonical_scale(zoo.spec, params)),
        "pca": principal_components(params, train),
        "weight_statistics": weight_statistics(zoo.spec, params),
        "outputs": outputs_on_grid(zoo.spec, params),
        "loss": np.log10(np.maximum(zoo["valid_mse"].astype(np.float64), 1e-12))[:, None],
        "oracle": np.sort(zoo["active_area"].astype(np.float64), axis=1),
    }


def principal_components(params: np.ndarray, train: np.ndarray) -> np.ndarray:
    """The components (N, D) that hold 95 % of the variance of standardised parameters on training rows."""
    scaler = StandardScaler().fit(params[train])
    pca = PCA(n_components=PCA_VARIANCE, svd_solver="full").fit(scaler.transform(params[train]))
    return pca.transform(scaler.transform(params))


def weight_statistics(spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """Mean, standard deviation and five quantiles of each layer's weights and of its biases: knows no unit order.

    Source: Unterthiner et al., Predicting Neural Network Accuracy from Weights (2020).
    """
    columns = []
    for weight, bias in spec.unpack(params):
        for values in (weight.reshape(len(params), -1), bias):
            values = np.sort(values, axis=1)  # so that the order of summation cannot show either
            columns += [values.mean(1), values.std(1), *np.quantile(values, QUANTILES, axis=1)]
    return np.stack(columns, axis=1)


def outputs_on_grid(spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """The outputs (N, 64) at the centres of an 8 × 8 grid over the unit square."""
    centres = (np.arange(GRID) + 0.5) / GRID
    points = np.stack(np.meshgrid(centres, centres, indexing="ij"), axis=-1).reshape(-1, 2)
    return forward(spec, params, points)[..., 0]
