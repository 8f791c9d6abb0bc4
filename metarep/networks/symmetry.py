"""The exact symmetries of a ReLU network: hidden units may change places, and be scaled.

Scaling a unit multiplies its incoming weights and its bias by c > 0 and divides its
outgoing weights by c. A canonical form picks one network of each such class.
"""

from __future__ import annotations

import numpy as np

from metarep.networks.spec import NetworkSpec


def permute_units(spec: NetworkSpec, params: np.ndarray, layer: int, order: np.ndarray) -> np.ndarray:
    """The same functions with the units of hidden layer `layer` (from 0) reordered: new unit i is the old order[i].

    params (N, P); order (width,) for all networks or (N, width) for each.
    """
    layers = [[weight.copy(), bias.copy()] for weight, bias in spec.unpack(params)]
    order = np.broadcast_to(order, (*params.shape[:-1], spec.hidden_widths[layer]))
    layers[layer][0] = np.take_along_axis(layers[layer][0], order[..., :, None], axis=-2)
    layers[layer][1] = np.take_along_axis(layers[layer][1], order, axis=-1)
    layers[layer + 1][0] = np.take_along_axis(layers[layer + 1][0], order[..., None, :], axis=-1)
    return spec.pack(layers)


def scale_units(spec: NetworkSpec, params: np.ndarray, layer: int, factors: np.ndarray) -> np.ndarray:
    """The same functions with the units of hidden layer `layer` scaled by factors > 0, (width,) or (N, width)."""
    layers = [[weight.copy(), bias.copy()] for weight, bias in spec.unpack(params)]
    layers[layer][0] = layers[layer][0] * factors[..., :, None]
    layers[layer][1] = layers[layer][1] * factors
    layers[layer + 1][0] = layers[layer + 1][0] / factors[..., None, :]
    return spec.pack(layers)


def canonical_order(spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """params (N, P) with the units of every hidden layer, first to last, sorted by their own parameters.

    The key of a unit is its incoming weights, its bias and its outgoing weights, compared in
    that order. For one hidden layer, networks that differ by the order of units come out bit for
    bit the same; deeper, the outgoing weights stand in the order that the next layer happens
    to have, so ties in all else would be broken by it.
    """
    params = np.asarray(params)
    for layer in range(len(spec.hidden_widths)):
        weight, bias = spec.unpack(params)[layer]
        outgoing = spec.unpack(params)[layer + 1][0].swapaxes(-1, -2)
        keys = np.concatenate([weight, bias[..., None], outgoing], axis=-1)
        order = np.lexsort(np.moveaxis(keys, -1, 0)[::-1], axis=-1)
        params = permute_units(spec, params, layer, order)
    return params


def canonical_scale(spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """params (N, P) with the incoming parameters of every hidden unit, weights and bias, of length 1.

    Units with none but zeros stay as they are.
    """
    for layer in range(len(spec.hidden_widths)):
        weight, bias = spec.unpack(params)[layer]
        norm = np.sqrt(np.square(weight).sum(-1) + np.square(bias))
        params = scale_units(spec, params, layer, 1 / np.where(norm > 0, norm, 1))
    return params
