"""What plain chains of layers put out, and what their units contribute, at inputs of their domain or normal ones: for zoos
whose networks have no spec.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np
import torch

from metarep.networks.chain_forward import Chain, stated_chain
from metarep.networks.check import stated_of
from metarep.zoos.domain import domain_of
from metarep.zoos.zoo import Zoo

MAX_PARAMS, MAX_UNITS, MAX_ARCHITECTURES = 20_000, 800, 100
"""Parameters of a network up to which it is run here, hidden units up to which each is looked at, and architectures."""
AT_ONCE = 4_000_000
"""Activations, of all networks that are run side by side, at most."""
LARGEST = 1e100
"""Beyond it numbers are cut off, so that they have squares."""
SEED = 0
"""Of the inputs."""


def runs_of(zoo: Zoo) -> dict[int, Chain]:
    """How the networks of each architecture, by its number, are run, where all are small chains whose activation is known, with
    as many inputs and outputs; else {}.
    """
    found: dict[int, Chain] = {}
    used = np.unique(zoo.architecture).tolist()
    for number in used if len(used) <= MAX_ARCHITECTURES else ():
        architecture = zoo.architectures[number]
        stated = stated_of(architecture, zoo.activation, zoo.output_activations[number])
        if architecture.n_params > MAX_PARAMS:
            return {}
        one = stated_chain(architecture, zoo.symmetries[number], stated)
        if one is None or any((one.n_inputs, one.n_outputs) != (other.n_inputs, other.n_outputs) for other in found.values()):
            return {}
        found[number] = one
    return found


def chains_of(zoo: Zoo) -> dict[int, Chain]:
    """The same of networks without a spec."""
    return {} if "spec" in zoo else runs_of(zoo)


def chain_of(zoo: Zoo) -> Chain | None:
    """The same of networks of one architecture with hidden units, few enough to look at each; None for others."""
    found = list(chains_of(zoo).values())
    return found[0] if len(found) == 1 and 0 < n_hidden(found[0]) <= MAX_UNITS else None


def n_hidden(chain: Chain) -> int:
    """Hidden units, and channels."""
    return sum(layer.operation.n_out for layer in chain.layers[:-1])


def outputs(zoo: Zoo, chains: Mapping[int, Chain], n_points: int) -> np.ndarray:
    """(N, S · outputs) float64."""
    inputs, found = inputs_of_zoo(zoo, next(iter(chains.values())), n_points).double(), None
    for number, chain in chains.items():
        for rows in pieces(np.flatnonzero(zoo.architecture == number), chain, n_points):
            some = _bounded(chain.outputs(_exact(zoo, rows), inputs).flatten(1))
            found = np.empty((len(zoo), some.shape[1])) if found is None else found
            found[rows] = some
    return found


def contributions(zoo: Zoo, chain: Chain, n_points: int) -> np.ndarray:
    """(N, hidden units · S) float64: those of every layer, the strongest unit first; the outputs are looked at in turn."""
    inputs, looked_at = inputs_of_zoo(zoo, chain, n_points).double(), torch.arange(n_points) % chain.n_outputs
    found = []
    for rows in pieces(np.arange(len(zoo)), chain, n_points):
        layers = chain.contributions(_exact(zoo, rows), inputs, looked_at)
        found.append(torch.cat([strongest_first(layers[layer.group]).flatten(1) for layer in chain.layers[:-1]], dim=1))
    return _bounded(torch.cat(found))


def _exact(zoo: Zoo, rows: np.ndarray) -> dict[str, torch.Tensor]:
    """Weights in float64, where few outputs overflow."""
    return {name: value.double() for name, value in zoo.stacked(rows).items()}


def _bounded(values: torch.Tensor) -> np.ndarray:
    return values.nan_to_num().clamp(-LARGEST, LARGEST).numpy()


def strongest_first(layer: torch.Tensor) -> torch.Tensor:
    """Contributions (N, units, S), units in the order of their mean square, the largest first."""
    order = layer.square().mean(dim=2).argsort(dim=1, descending=True, stable=True)
    return layer.gather(1, order.unsqueeze(2).expand_as(layer))


def inputs_of_zoo(zoo: Zoo, chain: Chain, n_points: int) -> torch.Tensor:
    """(S, inputs): the first that the domain of the networks has, else normal ones; the same for all networks."""
    domain = domain_of(zoo)
    own = None if domain is None or domain.inputs is None else domain.inputs(zoo)
    if own is not None and own[0].size == chain.n_inputs:
        return torch.from_numpy(own[:n_points]).float().flatten(1)
    return torch.randn(n_points, chain.n_inputs, generator=torch.Generator().manual_seed(SEED))


def pieces(rows: np.ndarray, chain: Chain, n_points: int) -> list[np.ndarray]:
    """Some rows at a time."""
    widest = max(chain.n_inputs, *(layer.operation.n_out for layer in chain.layers)) * prod(chain.input_shape[1:])
    size = max(1, AT_ONCE // (n_points * widest))
    return np.split(rows, range(size, len(rows), size))
