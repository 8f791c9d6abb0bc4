"""What plain chains of layers put out, and what their units contribute, at normal inputs: for zoos whose networks have no
spec.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from metarep.networks.chain_forward import Chain, stated_chain
from metarep.networks.check import stated_of
from metarep.zoos.zoo import Zoo

MAX_PARAMS, MAX_UNITS = 20_000, 800
"""Parameters of a network up to which it is run here, and hidden units up to which each is looked at."""
AT_ONCE = 4_000_000
"""Activations, of all networks that are run side by side, at most."""
SEED = 0
"""Of the inputs."""


def chain_of(zoo: Zoo) -> Chain | None:
    """How all networks of a zoo are run: small chains of one architecture whose activation is known; None for others."""
    if "spec" in zoo or len(zoo.architectures) != 1 or zoo.architectures[0].n_params > MAX_PARAMS:
        return None
    stated = stated_of(zoo.architectures[0], zoo.activation, zoo.output_activations[0])
    return stated_chain(zoo.architectures[0], zoo.symmetries[0], stated, stated.input_shape or None)


def n_hidden(chain: Chain) -> int:
    """Hidden units, and channels."""
    return sum(layer.operation.n_out for layer in chain.layers[:-1])


def outputs(zoo: Zoo, chain: Chain, n_points: int) -> np.ndarray:
    """(N, S · outputs) float64."""
    inputs = _inputs(chain, n_points)
    found = [chain.outputs(some, inputs).flatten(1) for some in _stacked(zoo, chain, n_points)]
    return torch.cat(found).double().numpy()


def contributions(zoo: Zoo, chain: Chain, n_points: int) -> np.ndarray:
    """(N, hidden units · S) float64: those of every layer, the strongest unit first; the outputs are looked at in turn."""
    inputs, looked_at = _inputs(chain, n_points), torch.arange(n_points) % chain.n_outputs
    found = []
    for some in _stacked(zoo, chain, n_points):
        layers = chain.contributions(some, inputs, looked_at)
        found.append(torch.cat([strongest_first(layers[layer.group]).flatten(1) for layer in chain.layers[:-1]], dim=1))
    return torch.cat(found).double().numpy()


def strongest_first(layer: torch.Tensor) -> torch.Tensor:
    """Contributions (N, units, S), units in the order of their mean square, the largest first."""
    order = layer.square().mean(dim=2).argsort(dim=1, descending=True, stable=True)
    return layer.gather(1, order.unsqueeze(2).expand_as(layer))


def _inputs(chain: Chain, n_points: int) -> torch.Tensor:
    """(S, inputs): the same for all networks."""
    return torch.randn(n_points, chain.n_inputs, generator=torch.Generator().manual_seed(SEED))


def _stacked(zoo: Zoo, chain: Chain, n_points: int) -> Iterator[dict[str, torch.Tensor]]:
    """The tensors of some networks at a time, in the order of the zoo."""
    size = max(1, AT_ONCE // (n_points * max(chain.n_inputs, n_hidden(chain), 1)))
    for at in range(0, len(zoo), size):
        yield zoo.stacked(np.arange(at, min(at + size, len(zoo))))
