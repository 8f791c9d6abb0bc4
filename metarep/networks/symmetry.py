"""What may be done to the parameters of a ReLU network without changing its function.

The units of a hidden layer may be permuted, and a ReLU unit's incoming parameters may be
multiplied by c > 0 while its outgoing ones are divided by c. Hidden layers count from 0:
hidden layer `l` is made by the linear layer `l` and read by `l + 1`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import permutations, product

import numpy as np

from metarep.errors import MetarepError
from metarep.networks.spec import NetworkSpec

MAX_ORDERS = 100_000
"""More unit orders than this are drawn, not listed."""


def permute_units(spec: NetworkSpec, params: np.ndarray, layer: int, order: np.ndarray) -> np.ndarray:
    """params (…, P) with unit i of the hidden layer replaced by unit order[…, i].

    order is (H,) for all networks or (N, H), one for each. The function stays the same.
    """
    index = order_index(spec, _of_one_layer(spec, layer, order))
    if index.ndim == 1:
        return params[..., index]
    return np.take_along_axis(params, np.broadcast_to(index, params.shape), axis=-1)


def scale_units(spec: NetworkSpec, params: np.ndarray, layer: int, factors: np.ndarray) -> np.ndarray:
    """params (…, P) with unit i's incoming weights and bias times factors[…, i], its outgoing weights over it.

    factors is (H,) or (N, H). The function stays the same. Raises MetarepError for a factor
    that is not positive: a ReLU commutes with positive factors only.
    """
    if not (np.asarray(factors) > 0).all():
        raise MetarepError("a unit's scale is not positive", met=np.nanmin(factors), expected="a number above 0")
    return (params * scale_factors(spec, _of_one_layer(spec, layer, factors))).astype(params.dtype)


def order_index(spec: NetworkSpec, orders: Sequence[np.ndarray | None]) -> np.ndarray:
    """Indices (…, P) into params for one order (…, H) of units per hidden layer; None leaves a layer alone."""
    positions = _of_each_width(spec, orders, np.arange)
    layers = zip(spec.unpack(np.arange(spec.n_params)), positions[1:], positions, strict=False)
    return spec.pack([(weight[row[..., None], column[..., None, :]], bias[row]) for (weight, bias), row, column in layers])


def scale_factors(spec: NetworkSpec, factors: Sequence[np.ndarray | None]) -> np.ndarray:
    """What each parameter is multiplied by (…, P), for one factor (…, H) a unit per hidden layer; None is 1."""
    scales = _of_each_width(spec, factors, np.ones)
    return spec.pack(
        [(after[..., None] / before[..., None, :], after) for after, before in zip(scales[1:], scales, strict=False)]
    )


def all_unit_orders(spec: NetworkSpec) -> np.ndarray:
    """Indices (orders, P) into params: every way to arrange the hidden units, the identity first.

    Raises MetarepError where there are more than MAX_ORDERS.
    """
    count = math.prod(math.factorial(width) for width in spec.hidden_widths)
    if count > MAX_ORDERS:
        raise MetarepError(f"{spec} has too many unit orders to list", met=count, expected=f"at most {MAX_ORDERS}")
    choices = product(*(permutations(range(width)) for width in spec.hidden_widths))
    return np.stack([order_index(spec, [np.array(order) for order in orders]) for orders in choices])


def random_scales(spec: NetworkSpec, std: float, n: int | None = None, *, rng: np.random.Generator) -> np.ndarray:
    """What to multiply params by, (P,) or (n, P): every hidden unit scaled by exp(std · normal)."""
    batch = () if n is None else (n,)
    return scale_factors(spec, [np.exp(std * rng.standard_normal((*batch, width))) for width in spec.hidden_widths])


def canonical_order(spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """params (N, P) with the units of every hidden layer sorted, first layer first.

    The key is lexicographic: incoming weights (their columns already sorted), bias, outgoing
    weights (as a sorted list where the layer behind is hidden too, since its own order is not
    fixed yet). Networks that differ only by the order of units come out identical to the
    last bit; negative zeros become zeros for that. The one exception: deeper networks with two
    units that share every incoming parameter and the list of outgoing ones, not their positions.
    """
    params = np.asarray(params) + 0
    for layer in range(len(spec.hidden_widths)):
        layers = spec.unpack(params)
        (weight, bias), outgoing = layers[layer], np.swapaxes(layers[layer + 1][0], -1, -2)
        if layer + 1 < len(spec.hidden_widths):
            outgoing = np.sort(outgoing, axis=-1)
        key = np.moveaxis(np.concatenate([weight, bias[..., None], outgoing], axis=-1), -1, 0)
        params = permute_units(spec, params, layer, np.lexsort(key[::-1], axis=-1))
    return params


def canonical_scale(spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """params (…, P) with every hidden unit's incoming (weights, bias) of Euclidean norm 1, first layer first.

    The norm moves into the outgoing weights; a unit whose norm is 0 stays as it is. Computed in
    float64, returned in the dtype of params. For bit-equal results whatever the order of units,
    call `canonical_order` before (and again behind, where the order matters too).
    """
    scaled = np.asarray(params, dtype=np.float64)
    for layer in range(len(spec.hidden_widths)):
        weight, bias = spec.unpack(scaled)[layer]
        incoming = np.concatenate([weight, bias[..., None]], axis=-1)
        largest = np.abs(incoming).max(axis=-1)
        safe = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
        norm = safe * np.sqrt(np.square(incoming / safe[..., None]).sum(axis=-1))
        factors = 1 / np.where((norm > 0) & np.isfinite(norm), norm, 1.0)
        scaled = scaled * scale_factors(spec, _of_one_layer(spec, layer, factors))
    return scaled.astype(np.asarray(params).dtype)


def _of_one_layer(spec: NetworkSpec, layer: int, value: np.ndarray) -> list[np.ndarray | None]:
    """A value for one hidden layer, None for the others. Raises MetarepError where there is no such layer."""
    if not 0 <= layer < len(spec.hidden_widths):
        raise MetarepError(f"{spec} has no hidden layer {layer}", expected=f"0 to {len(spec.hidden_widths) - 1}")
    return [value if number == layer else None for number in range(len(spec.hidden_widths))]


def _of_each_width(
    spec: NetworkSpec, hidden: Sequence[np.ndarray | None], default: Callable[[int], np.ndarray]
) -> list[np.ndarray]:
    """(…, width) for inputs, hidden layers and outputs: what is given for hidden layers, and else the default."""
    given = zip(spec.widths, [None, *hidden, None], strict=True)
    each = [default(width) if one is None else np.asarray(one, default(0).dtype) for width, one in given]
    batch = np.broadcast_shapes(*(one.shape[:-1] for one in each))
    return [np.broadcast_to(one, (*batch, one.shape[-1])) for one in each]
