"""What embeddings are compared with: representations that need no pretraining, in a registry, and a domain's oracles.

A baseline is a function (zoo, rows to fit on (N,) bool) -> (N, D) float64, or (spec, params (N, P)) -> (N, D). Those of units
get `Units` instead of the zoo (`metarep.evaluation.unit_baselines`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from runpy import run_path
from typing import Literal

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from metarep.embeddings.behaviour import MAX_PAIRED, N_FINE, N_PROBES, activity_of, ordered, pattern_shares
from metarep.errors import MetarepError
from metarep.evaluation import chains
from metarep.evaluation.chains import chain_of, chains_of
from metarep.evaluation.units import Units
from metarep.networks.architecture import Architecture, readable
from metarep.networks.forward import Jacobians, contributions, forward, jacobians
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import canonical_order, canonical_scale, order_index
from metarep.zoos.domain import domain_of
from metarep.zoos.zoo import Zoo

Need = Literal[
    "one architecture", "spec", "outputs", "contributions", "gradients", "pairs of units", "log_error", "one kind of unit"
]
Part = Literal["network", "unit"]
Make = Callable[[Zoo, np.ndarray], np.ndarray]

MAX_RAW = 20_000
"""Parameters of a network up to which they are a baseline themselves."""

MAX_STACKED = 20_000_000
"""Parameters of networks that are read side by side."""

MAX_WITH_GRADIENTS = 300
"""Parameters of a network up to which gradients by each of them are."""

PCA_VARIANCE, MAX_COMPONENTS = 0.95, 50
N_OUTPUT_POINTS, N_GRADIENT_POINTS = 64, 16
"""At how many inputs: outputs, input gradients and Fisher information; parameter gradients."""
FISHER_FLOOR = 1e-8
"""Added before the logarithm: a dead unit's Fisher information is exactly 0. From 1e-12 to 1e-4 it hardly matters."""
CHUNK = 4096
QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
N_STATISTICS = 2 + len(QUANTILES)


@dataclass(frozen=True)
class Baseline:
    """A representation: what it is, what it needs, how it is made, whether it is known by running networks (an oracle),
    whether it is fitted on the rows that `make` is given, and what it is of.
    """

    name: str
    description: str
    needs: tuple[Need, ...]
    make: Make
    oracle: bool = False
    is_fitted: bool = False
    part: Part = "network"


BASELINES: dict[str, Baseline] = {}
FURTHER: set[str] = set()
"""Names of those that files of the user registered."""


def baseline(
    name: str,
    description: str,
    *,
    needs: tuple[Need, ...] = (),
    oracle: bool = False,
    is_fitted: bool = False,
    part: Part = "network",
):
    """Registers a function as a baseline."""

    def register(make: Make) -> Make:
        BASELINES[name] = Baseline(name, description, needs, make, oracle, is_fitted, part)
        return make

    return register


def asked_for(baselines: bool | tuple[str, ...], files: Sequence[str]) -> bool | tuple[str, ...]:
    """The baselines that settings ask for, all or some by name, and those of files of Python; see `load_baselines`."""
    further = [name for file in files for name in load_baselines(Path(file))]
    return baselines if baselines is True or not further else (*(baselines or ()), *further)


def load_baselines(file: Path) -> list[str]:
    """Runs a file of Python, in which functions become baselines by `baseline`; returns their names.

    Raises MetarepError where there is no such file, and where it takes the name of a baseline that comes with metarep.
    """
    if not file.is_file():
        raise MetarepError(f"no file {file}", expected="a file of Python that registers baselines")
    import_module("metarep.evaluation.unit_baselines")
    known = dict(BASELINES)
    run_path(str(file))
    added = {name for name, one in BASELINES.items() if known.get(name) is not one}
    if taken := sorted(added & known.keys() - FURTHER):
        BASELINES.update(known)
        raise MetarepError(f"{file} registers baselines that there are", met=", ".join(taken), fix="give them other names")
    FURTHER.update(added)
    return sorted(added)


def of_params(name: str, description: str, *, needs: tuple[Need, ...] = ("spec",), oracle: bool = False):
    """Registers a function (spec, params (N, P)) -> (N, D), for networks of one spec."""

    def register(make: Callable[[NetworkSpec, np.ndarray], np.ndarray]):
        baseline(name, description, needs=needs, oracle=oracle)(lambda zoo, _: make(zoo.spec, zoo.params.astype(np.float64)))
        return make

    return register


def baselines_of(zoo: Zoo) -> list[Baseline]:
    """The baselines that the networks of a zoo allow and the oracles of its domain, or the baselines that units allow."""
    if isinstance(zoo, Units):
        import_module("metarep.evaluation.unit_baselines")
    part = "unit" if isinstance(zoo, Units) else "network"
    found = [one for one in BASELINES.values() if one.part == part and all(NEEDS[need](zoo) for need in one.needs)]
    domain = domain_of(zoo)
    oracles = {} if domain is None else domain.oracles
    return found + [
        Baseline(name, domain.oracle_words[name], (), lambda zoo, _, make=make: make(zoo), oracle=True)
        for name, make in oracles.items()
    ]


def _one_spec(zoo: Zoo) -> bool:
    return "spec" in zoo and len(set(zoo["spec"])) == 1


NEEDS: dict[Need, Callable[[Zoo], bool]] = {
    "one kind of unit": lambda zoo: isinstance(zoo, Units) and len(zoo.kinds) == 1,
    "one architecture": lambda zoo: len(zoo.architectures) == 1 and zoo.architectures[0].n_params <= MAX_RAW,
    "spec": _one_spec,
    "outputs": lambda zoo: _one_spec(zoo) or bool(chains_of(zoo)),
    "contributions": lambda zoo: _one_spec(zoo) or chain_of(zoo) is not None,
    "gradients": lambda zoo: _one_spec(zoo) and zoo.spec.n_params <= MAX_WITH_GRADIENTS,
    "pairs of units": lambda zoo: _one_spec(zoo) and max(zoo.spec.hidden_widths, default=0) <= MAX_PAIRED,
    "log_error": lambda zoo: "log_error" in zoo,
}


@baseline("raw", "the parameters as they are", needs=("one architecture",))
def raw(zoo: Zoo, train: np.ndarray) -> np.ndarray:
    """(N, P)."""
    if "params" in zoo:
        return zoo.params.astype(np.float64)
    return np.concatenate([value.flatten(1) for value in zoo.stacked(np.arange(len(zoo))).values()], axis=1).astype(np.float64)


@of_params("canonical", "the parameters with units scaled to length one and sorted")
def canonical(spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """(N, P)."""
    return canonical_order(spec, canonical_scale(spec, params))


@baseline("pca", "the leading principal components of the parameters", needs=("one architecture",), is_fitted=True)
def principal_components(zoo: Zoo, train: np.ndarray) -> np.ndarray:
    """(N, D): the components that hold 95 % of the variance of standardised parameters on training rows, 50 at most."""
    params = raw(zoo, train)
    scaler = StandardScaler().fit(params[train])
    pca = PCA(min(MAX_COMPONENTS, train.sum(), params.shape[1]), svd_solver="full").fit(scaler.transform(params[train]))
    kept = np.searchsorted(np.cumsum(pca.explained_variance_ratio_), PCA_VARIANCE) + 1
    return pca.transform(scaler.transform(params))[:, :kept]


@baseline("weight_statistics", "mean, spread and quantiles of each layer's weights and biases")
def layer_statistics(zoo: Zoo, train: np.ndarray) -> np.ndarray:
    """(N, 1 + 14 a layer): the number of parameters, then the statistics of each layer; 0 beyond a network's last one."""
    n_layers = max(architecture.n_layers for architecture in zoo.architectures)
    found = np.empty((len(zoo), 1 + 14 * n_layers))
    for number in np.unique(zoo.architecture):
        architecture, rows = zoo.architectures[number], np.flatnonzero(zoo.architecture == number)
        size = max(1, MAX_STACKED // architecture.n_params)
        for some in np.split(rows, range(size, len(rows), size)):
            found[some, 0] = architecture.n_params
            found[some, 1:] = weight_statistics(architecture, zoo.stacked(some), n_layers)
    return found


def weight_statistics(
    architecture: Architecture, tensors: Mapping[str, torch.Tensor], n_bins: int, *, stretch: bool = False
) -> np.ndarray:
    """(N, n_bins · 2 · 7) float64 of networks (N, *shape) of one architecture: for each bin the statistics of matrices, then of
    vectors (Unterthiner et al., "Predicting neural network accuracy from weights", 2020). The order of units never shows.

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


@baseline("outputs", "the network's outputs on a grid over the unit square, or at inputs of its kind", needs=("outputs",))
def outputs(zoo: Zoo, train: np.ndarray) -> np.ndarray:
    """(N, 64 outputs): on a grid over the unit square of networks of a spec, of other chains as `chains.inputs_of_zoo` says."""
    if found := chains_of(zoo):
        return chains.outputs(zoo, found, N_OUTPUT_POINTS)
    return outputs_on_grid(zoo.spec, zoo.params.astype(np.float64))


def outputs_on_grid(spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """(N, 64 outputs): at the midpoints of an 8 × 8 grid over the unit square."""
    return forward(spec, params, midpoints(spec.widths[0], N_OUTPUT_POINTS)).reshape(len(params), -1)


@of_params("input_gradients", "the derivatives of the outputs by the inputs on a grid over the unit square")
def input_gradients(spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """(N, 128): the derivatives of the output by both inputs on an 8 × 8 grid. A property of the function: knows no units."""
    return _of_jacobians(spec, params, N_OUTPUT_POINTS, lambda found: found.by_input.flatten(1))


@of_params(
    "parameter_gradients",
    "the derivatives of the outputs by the parameters on a grid, units of length one and sorted",
    needs=("gradients",),
)
def parameter_gradients(spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """(N, 16 P): the derivatives of the output by the parameters on a 4 × 4 grid.

    Scaling a unit changes them, so every unit's incoming parameters are brought to length one first; the units of a layer
    stand in the order of their Fisher mass, the largest first: the sum of all the squared derivatives of their parameters.
    """
    gradients = _of_jacobians(spec, _canonical(spec, params), N_GRADIENT_POINTS, lambda found: found.by_params.flatten(1, 2))
    index = _heaviest_units_first(spec, np.square(gradients).sum(axis=1))
    return np.take_along_axis(gradients, index[:, None, :], axis=2).reshape(len(params), -1)


@of_params(
    "fisher",
    "the mean squares of the derivatives by the parameters (diagonal Fisher information), units likewise",
    needs=("gradients",),
)
def fisher_information(spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """(N, P): the mean square of the output's derivative by each parameter on an 8 × 8 grid, units as in `parameter_gradients`.

    The diagonal of the Fisher information of a Gaussian of variance 1 about the output, inputs uniform on the unit square; as
    a description of networks: Achille et al., Task2Vec (2019).
    """
    fisher = _of_jacobians(
        spec, _canonical(spec, params), N_OUTPUT_POINTS, lambda found: found.by_params.square().sum(dim=2).mean(dim=1)
    )
    return np.take_along_axis(fisher, _heaviest_units_first(spec, fisher), axis=1)


@of_params("log_fisher", "the logarithms of the diagonal Fisher information", needs=("gradients",))
def log_fisher(spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """(N, P)."""
    return np.log10(fisher_information(spec, params) + FISHER_FLOOR)


@baseline(
    "exact_contributions",
    "what each hidden unit contributes to the output at probe inputs, strongest unit first",
    needs=("contributions",),
)
def exact_contributions(zoo: Zoo, train: np.ndarray) -> np.ndarray:
    """(N, 25 a hidden unit): at inputs as of `outputs`."""
    chain = chain_of(zoo)
    if chain is None:
        return strongest_contributions(zoo.spec, zoo.params.astype(np.float64))
    return chains.contributions(zoo, chain, N_PROBES)


def strongest_contributions(spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """(N, 25 a hidden unit): what each contributes (`contributions`), units by the mean square of it, the largest first."""
    layers = contributions(spec, canonical_order(spec, params), midpoints(spec.widths[0], N_PROBES))
    columns = []
    for layer in layers:
        order = np.argsort(-np.square(layer).mean(axis=1), axis=1, kind="stable")
        columns.append(np.take_along_axis(layer, order[:, None, :], axis=2).swapaxes(1, 2).reshape(len(params), -1))
    return np.concatenate([np.zeros((len(params), 0)), *columns], axis=1)


@baseline("loss", "the logarithm of the validation error alone", needs=("log_error",))
def loss(zoo: Zoo, train: np.ndarray) -> np.ndarray:
    """(N, 1)."""
    return zoo["log_error"].astype(np.float64)[:, None]


@of_params(
    "oracle_activity", "what the embedding activity estimates from parameters, computed by running the network", oracle=True
)
def exact_activity(spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """(N, 3 U)."""
    return activity_of(units_off(spec, params, N_PROBES)).numpy().astype(np.float64)


@of_params(
    "oracle_patterns",
    "what the embedding patterns estimates from parameters, computed likewise",
    needs=("pairs of units",),
    oracle=True,
)
def exact_patterns(spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """(N, 12 a pair)."""
    layers = units_off(spec, params, N_FINE)
    return torch.cat([pattern_shares(ordered(off, off)) for off in layers], dim=1).numpy().astype(np.float64)


def units_off(spec: NetworkSpec, params: np.ndarray, n_points: int) -> list[torch.Tensor]:
    """For each hidden layer (N, U, S) float32: 1 where a unit is off at one of about `n_points` points."""
    points = torch.from_numpy(midpoints(spec.widths[0], n_points))
    values, found = points.expand(len(params), -1, -1), []
    for weight, bias in spec.unpack(torch.from_numpy(np.ascontiguousarray(params, dtype=np.float64)))[:-1]:
        before = values @ weight.transpose(-1, -2) + bias.unsqueeze(-2)
        found.append((before <= 0).float().transpose(1, 2))
        values = before.clamp(min=0)
    return found


def midpoints(d: int, n_points: int) -> np.ndarray:
    """(S, d): the midpoints of equal cells of the unit square, or cube; at most `n_points`, as many along each axis."""
    n_axis = max(1, int(n_points ** (1 / d) + 1e-9))
    axes = np.meshgrid(*[(np.arange(n_axis) + 0.5) / n_axis] * d, indexing="ij")
    return np.stack(axes, axis=-1).reshape(-1, d)


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
