"""Networks whose parts are known: 2-2-1 networks side by side in one hidden layer.

Each block has two hidden units and one output; `apart` it also has two inputs of its own, `shared` all blocks read the same
two inputs and feed one output, so that connections say nothing. Units, inputs and outputs are in a
random order and every unit has a random positive scale; between blocks there is noise, or nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.domains.multiplier.sections.one_hidden import OneHidden

SCALE_STD = 1.0
"""Standard deviation of the logarithm of a unit's random scale."""

Connections = Literal["apart", "shared"]


@dataclass(frozen=True)
class Planted:
    """A network of K blocks. block (2 K,) says of each hidden unit to which it belongs; params (K, 9) is each one alone."""

    network: OneHidden
    block: np.ndarray
    params: np.ndarray


def plant(params: np.ndarray, *, sigma: float = 0.0, connections: Connections = "apart", rng: np.random.Generator) -> Planted:
    """2-2-1 networks params (K, 9) as blocks of one network.

    sigma is the standard deviation of the weights between blocks, as a share of the root mean square of those within
    them, layer by layer and before units are scaled; blocks that share inputs and output leave no weights between them.
    """
    params = np.asarray(params, dtype=np.float64)
    k = len(params)
    (weight, bias), (readout, offset) = MULTIPLIER.unpack(params)
    if connections == "shared":
        network = OneHidden(weight.reshape(2 * k, 2), bias.ravel(), readout.reshape(1, 2 * k), offset.sum(axis=0))
    else:
        network = OneHidden(
            between_blocks(weight, sigma, rng), bias.ravel(), between_blocks(readout, sigma, rng), offset.ravel()
        )
    order = rng.permutation(2 * k)
    scale = np.exp(SCALE_STD * rng.standard_normal(2 * k))
    inputs, outputs = (rng.permutation(n) for n in (network.weight.shape[1], len(network.offset)))
    network = OneHidden(
        (network.weight * scale[:, None])[order][:, inputs],
        (network.bias * scale)[order],
        (network.readout / scale)[:, order][outputs],
        network.offset[outputs],
    )
    return Planted(network, np.repeat(np.arange(k), 2)[order], params)


def between_blocks(blocks: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """(K A, K B): matrices (K, A, B) along the diagonal, Gaussian noise of sigma times their root mean square elsewhere."""
    k, rows, columns = blocks.shape
    noise = sigma * np.sqrt(np.square(blocks).mean()) * rng.standard_normal((k, rows, k, columns))
    noise[np.arange(k), :, np.arange(k), :] = blocks
    return noise.reshape(k * rows, k * columns)


def strangers(params: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(K, 9): 2-2-1 networks params whose second unit is that of others (K, 9): real units that do not belong together."""
    (weight, bias), (readout, offset) = MULTIPLIER.unpack(params.copy())
    (other_weight, other_bias), (other_readout, _) = MULTIPLIER.unpack(others)
    weight[:, 1], bias[:, 1], readout[:, :, 1] = other_weight[:, 1], other_bias[:, 1], other_readout[:, :, 1]
    return MULTIPLIER.pack([(weight, bias), (readout, offset)])
