"""What the embeddings are compared with: representations that need no pretraining, and the oracle.

Each is (N, D) float64. What is fitted (the PCA) is fitted on training networks alone.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from metarep.cloze.embed import N_FINE, behaviour_summary
from metarep.cloze.views import activations
from metarep.networks.forward import contributions, forward
from metarep.networks.gradients import Jacobians, jacobians
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import canonical_order, canonical_scale, order_index
from metarep.zoos.zoo import Zoo

DESCRIPTIONS = {
    "raw": "the parameters as they are",
    "canonical": "the parameters with units scaled to length one and sorted",
    "pca": "the leading principal components of the parameters",
    "weight_statistics": "mean, spread and quantiles of each layer's weights and biases",
    "outputs": "the network's outputs on a grid over the unit square",
    "input_gradients": "the derivatives of the outputs by the inputs on a grid over the unit square",
    "parameter_gradients": "the derivatives of the outputs by the parameters on a grid, units of length one and sorted",
    "fisher": "the mean squares of the derivatives by the parameters (diagonal Fisher information), units likewise",
    "log_fisher": "the logarithms of the diagonal Fisher information",
    "contributions": "what each hidden unit contributes to the output at probe inputs, strongest unit first",
    "loss": "the validation error alone",
    "oracle": "the exact active areas, from which the modes are defined",
    "oracle_activity": "what the embedding activity estimates from parameters, computed by running the network",
    "oracle_patterns": "what the embedding patterns estimates from parameters, computed likewise",
    "oracle_quadrants": "the exact areas by which units are on, which define the quadrant code, and their logarithms",
}
PCA_VARIANCE = 0.95
N_OUTPUT_POINTS, N_GRADIENT_POINTS, N_PROBES = 64, 16, 25
"""At how many inputs: outputs, input gradients and Fisher information; parameter gradients; contributions."""
FISHER_FLOOR = 1e-8
"""Added before the logarithm: a dead unit's Fisher information is exactly 0. From 1e-12 to 1e-4 it hardly matters."""
AREA_FLOOR = 1e-3
"""Added before the logarithm of an area: a quadrant counts from 1e-2."""
CHUNK = 4096
QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


def baselines(zoo: Zoo, train: np.ndarray) -> dict[str, np.ndarray]:
    """Every baseline of the zoo's N networks, by name; `train` (N,) bool says on which anything may be fitted."""
    params, quadrants = zoo.params.astype(np.float64), zoo["quadrant_area"].astype(np.float64)
    return {
        "raw": params,
        "canonical": canonical_order(zoo.spec, canonical_scale(zoo.spec, params)),
        "pca": principal_components(params, train),
        "weight_statistics": weight_statistics(zoo.spec, params),
        "outputs": outputs_on_grid(zoo.spec, params),
        "input_gradients": input_gradients(zoo.spec, params),
        "parameter_gradients": parameter_gradients(zoo.spec, params),
        "fisher": (fisher := fisher_information(zoo.spec, params)),
        "log_fisher": np.log10(fisher + FISHER_FLOOR),
        "contributions": strongest_contributions(zoo.spec, params),
        "loss": zoo["log_error"][:, None],
        "oracle": (active := np.sort(zoo["active_area"].astype(np.float64), axis=1)),
        "oracle_activity": exact_behaviour(zoo.spec, params, "activity", N_PROBES),
        "oracle_patterns": exact_behaviour(zoo.spec, params, "patterns", N_FINE),
        "oracle_quadrants": np.concatenate([active, quadrants, np.log10(quadrants + AREA_FLOOR)], axis=1),
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


def midpoints(d: int, n_points: int) -> np.ndarray:
    """(S, d): the midpoints of equal cells of the unit square, or cube; at most `n_points`, as many along each axis."""
    n_axis = max(1, int(n_points ** (1 / d) + 1e-9))
    axes = np.meshgrid(*[(np.arange(n_axis) + 0.5) / n_axis] * d, indexing="ij")
    return np.stack(axes, axis=-1).reshape(-1, d)


def outputs_on_grid(spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """The outputs (N, 64) at the midpoints of an 8 × 8 grid over the unit square."""
    return forward(spec, params, midpoints(spec.widths[0], N_OUTPUT_POINTS))[..., 0]


def input_gradients(spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """(N, 128): the derivatives of the output by both inputs on an 8 × 8 grid. A property of the function: knows no units."""
    return _of_jacobians(spec, params, N_OUTPUT_POINTS, lambda found: found.by_input.flatten(1))


def parameter_gradients(spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """(N, 16 P): the derivatives of the output by the parameters on a 4 × 4 grid.

    Scaling a unit changes them, so every unit's incoming parameters are brought to length one first; the units of a layer
    stand in the order of their Fisher mass, the largest first: the sum of all the squared derivatives of their parameters.
    """
    gradients = _of_jacobians(spec, _canonical(spec, params), N_GRADIENT_POINTS, lambda found: found.by_params.flatten(1, 2))
    index = _heaviest_units_first(spec, np.square(gradients).sum(axis=1))
    return np.take_along_axis(gradients, index[:, None, :], axis=2).reshape(len(params), -1)


def fisher_information(spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """(N, P): the mean square of the output's derivative by each parameter on an 8 × 8 grid, units as in `parameter_gradients`.

    The diagonal of the Fisher information of a Gaussian of variance 1 about the output, inputs uniform on the unit square; as
    a description of networks: Achille et al., Task2Vec (2019).
    """
    fisher = _of_jacobians(
        spec, _canonical(spec, params), N_OUTPUT_POINTS, lambda found: found.by_params.square().sum(dim=2).mean(dim=1)
    )
    return np.take_along_axis(fisher, _heaviest_units_first(spec, fisher), axis=1)


def strongest_contributions(spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """(N, 25 a hidden unit): the tokens that a model of behaviour reads, units by the mean square of theirs, the largest first.

    The control for what pretraining on them adds. See `contributions` for what a unit contributes.
    """
    layers = contributions(spec, canonical_order(spec, params), midpoints(spec.widths[0], N_PROBES))
    columns = []
    for layer in layers:
        order = np.argsort(-np.square(layer).mean(axis=1), axis=1, kind="stable")
        columns.append(np.take_along_axis(layer, order[:, None, :], axis=2).swapaxes(1, 2).reshape(len(params), -1))
    return np.concatenate([np.zeros((len(params), 0)), *columns], axis=1)


def exact_behaviour(spec: NetworkSpec, params: np.ndarray, kind: str, n_points: int) -> np.ndarray:
    """The embeddings "activity" or "patterns" (N, D) of a reader who makes no mistake: where each unit is off is computed.

    What separates it from the embedding is what the model has not learned to see in the parameters.
    """
    points = torch.from_numpy(midpoints(spec.widths[0], n_points))
    networks = torch.from_numpy(np.ascontiguousarray(params, dtype=np.float64))
    off = [(activations(spec, networks, points, n) <= 0).numpy().swapaxes(1, 2) for n in range(len(spec.hidden_widths))]
    return behaviour_summary([layer.astype(np.float32) for layer in off], kind).astype(np.float64)


def _canonical(spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    return canonical_order(spec, canonical_scale(spec, canonical_order(spec, params)))


def _heaviest_units_first(spec: NetworkSpec, mass: np.ndarray) -> np.ndarray:
    """(N, P) indices that order the units of every hidden layer by the sum of their parameters' mass (N, P)."""
    layers, orders = spec.unpack(mass), []
    for (weight, bias), (outgoing, _) in pairwise(layers):
        total = weight.sum(axis=-1) + bias + outgoing.sum(axis=-2)
        orders.append(np.argsort(-total, axis=-1, kind="stable"))
    return np.broadcast_to(order_index(spec, orders), mass.shape)


def _of_jacobians(
    spec: NetworkSpec, params: np.ndarray, n_points: int, take: Callable[[Jacobians], torch.Tensor]
) -> np.ndarray:
    """What `take` makes of the Jacobians of some networks at a time, for all networks (N, P)."""
    points = torch.from_numpy(midpoints(spec.widths[0], n_points))
    chunks = torch.from_numpy(np.ascontiguousarray(params, dtype=np.float64)).split(CHUNK)
    return torch.cat([take(jacobians(spec, chunk, points)) for chunk in chunks]).numpy()
