"""A fully connected ReLU network with one hidden layer, of any number of inputs and outputs, and windows cut out of it.

A window is a 2-2-1 network: two hidden units, two inputs that they read, one output that they feed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.errors import MetarepError
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import scale_factors

TINY = 1e-12
"""Weights and norms below this are taken for 0."""


@dataclass(frozen=True)
class OneHidden:
    """A network: weight (H, I), bias (H,), readout (O, H), offset (O,)."""

    weight: np.ndarray
    bias: np.ndarray
    readout: np.ndarray
    offset: np.ndarray

    @classmethod
    def of(cls, spec: NetworkSpec, params: np.ndarray) -> OneHidden:
        """The network of parameters (P,). Raises MetarepError for another number of hidden layers than one."""
        if len(spec.hidden_widths) != 1 or spec.output_relu:
            raise MetarepError("sections are those of one hidden layer", met=str(spec), expected="such as 2-16-1")
        (weight, bias), (readout, offset) = spec.unpack(np.asarray(params, dtype=np.float64))
        return cls(weight, bias, readout, offset)

    @property
    def n_units(self) -> int:
        return len(self.bias)

    @property
    def n_inputs(self) -> int:
        return self.weight.shape[1]

    @property
    def n_outputs(self) -> int:
        return len(self.offset)


@dataclass(frozen=True)
class Windows:
    """W windows of pairs of units (M, 2): the number of their pair (W,), inputs (W, 2), output (W,), params (W, 9) balanced.

    held (W,): the logarithm of the share that the window holds of the weights of its units, over what it would be if these
    were spread evenly, less the logarithm of the number of windows that each pair has; higher ones first in each pair.
    """

    pairs: np.ndarray
    pair: np.ndarray
    inputs: np.ndarray
    output: np.ndarray
    params: np.ndarray
    held: np.ndarray


def all_pairs(n: int) -> np.ndarray:
    """(M, 2): every two of n things."""
    return np.array(list(combinations(range(n), 2)), dtype=np.int64).reshape(-1, 2)


def cut_windows(network: OneHidden, pairs: np.ndarray, ratio: float, most: int) -> Windows:
    """Of each pair of units (M, 2) the windows, of any two inputs and any output, that hold most of both; `most` at most.

    What a window holds of a unit is the share of its incoming squares that the two inputs have, times the share of its
    outgoing squares that the output has; of both units it is the geometric mean. Windows that hold nothing of one are left out.
    Raises MetarepError for a network with one input.
    """
    if network.n_inputs < 2:
        raise MetarepError("a window needs two inputs", met=network.n_inputs, expected="at least 2")
    two = all_pairs(network.n_inputs)
    reads = shares(network.weight)[:, two].sum(axis=2) * network.n_inputs / 2
    feeds = shares(network.readout.T) * network.n_outputs
    with np.errstate(divide="ignore"):
        held = np.log(reads[:, :, None] * feeds[:, None, :])[pairs].mean(axis=1)
    held = held.reshape(len(pairs), len(two) * network.n_outputs)
    first = np.argsort(-held, axis=1, kind="stable")[:, :most]
    held = np.take_along_axis(held, first, axis=1) - np.log(held.shape[1])
    pair, at = np.nonzero(held > -np.inf)
    which, output = np.divmod(first[pair, at], network.n_outputs)
    units, inputs = pairs[pair], two[which]
    weight = network.weight[units[:, :, None], inputs[:, None, :]]
    readout = network.readout[output[:, None], units][:, None, :]
    params = MULTIPLIER.pack([(weight, network.bias[units]), (readout, network.offset[output][:, None])])
    return Windows(pairs, pair, inputs, output, balanced(params, ratio), held[pair, at])


def shares(weights: np.ndarray) -> np.ndarray:
    """(H, I): each weight's share of the squares of its row; 0 in a row of zeros."""
    squares = np.square(weights / np.maximum(np.abs(weights).max(axis=1, keepdims=True), TINY))
    return squares / np.maximum(squares.sum(axis=1, keepdims=True), TINY)


def unit_ratios(params: np.ndarray) -> np.ndarray:
    """(…, 2): the norm of each unit's incoming weights and bias over its outgoing weight, of 2-2-1 networks (…, 9)."""
    (weight, bias), (readout, _) = MULTIPLIER.unpack(np.asarray(params, dtype=np.float64))
    incoming = np.sqrt(np.square(weight).sum(axis=-1) + np.square(bias))
    return np.maximum(incoming, TINY) / np.maximum(np.abs(readout[..., 0, :]), TINY)


def usual_ratio(params: np.ndarray) -> float:
    """The ratio of the median unit of 2-2-1 networks (N, 9)."""
    return float(np.median(unit_ratios(params)))


def balanced(params: np.ndarray, ratio: float) -> np.ndarray:
    """2-2-1 networks (…, 9) with every unit scaled to this ratio of incoming norm to outgoing weight; float64."""
    factors = np.sqrt(ratio / unit_ratios(params))
    return np.asarray(params, dtype=np.float64) * scale_factors(MULTIPLIER, [factors])
