"""Symmetries keep the function; canonical forms do not know the order or the scale of units."""

import numpy as np
import pytest

from metarep.errors import MetarepError
from metarep.networks.forward import forward
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import (
    all_unit_orders,
    canonical_order,
    canonical_scale,
    order_index,
    permute_units,
    random_scales,
    scale_units,
)

SPECS = [NetworkSpec.parse(text) for text in ("2-2-1", "2-16-1", "2-3-2-1", "3-2-4-3-2-relu")]
N = 40


def draw(spec, seed=0):
    rng = np.random.default_rng(seed)
    return rng, rng.normal(size=(N, spec.n_params)), rng.random((11, spec.widths[0]))


def random_orders(spec, n, rng):
    """Indices (n, P) into params: the hidden units of each network in a random order."""
    return order_index(spec, [rng.random((n, width)).argsort(axis=-1) for width in spec.hidden_widths])


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_symmetries_keep_the_function(spec):
    rng, params, x = draw(spec)
    out = forward(spec, params, x)
    moved = params
    for layer, width in enumerate(spec.hidden_widths):
        moved = permute_units(spec, moved, layer, rng.permutation(width))
        moved = permute_units(spec, moved, layer, rng.random((N, width)).argsort(axis=1))
        moved = scale_units(spec, moved, layer, np.exp(rng.normal(size=(N, width))))
    moved = np.take_along_axis(moved, random_orders(spec, N, rng), axis=1) * random_scales(spec, 1.0, N, rng=rng)
    assert np.abs(moved - params).max() > 0.1
    np.testing.assert_allclose(forward(spec, moved, x), out, atol=1e-9)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_what_is_no_symmetry_changes_the_function(spec):
    rng, params, x = draw(spec)
    out = forward(spec, params, x)
    only_rows = params.copy()
    weight = spec.unpack(only_rows)[0][0]
    weight[...] = np.roll(weight, 1, axis=-2).copy()
    assert np.abs(forward(spec, only_rows, x) - out).max() > 0.01
    assert np.abs(forward(spec, params * -random_scales(spec, 0.0, rng=rng), x) - out).max() > 0.01
    with pytest.raises(MetarepError, match="not positive"):
        scale_units(spec, params, 0, -np.ones(spec.hidden_widths[0]))
    with pytest.raises(MetarepError, match="no hidden layer"):
        permute_units(spec, params, len(spec.hidden_widths), np.arange(2))


def test_all_unit_orders_are_all_and_distinct():
    spec = NetworkSpec((2, 3, 2, 1))
    orders = all_unit_orders(spec)
    assert orders.shape == (12, spec.n_params)
    assert len(np.unique(orders, axis=0)) == 12
    np.testing.assert_array_equal(orders[0], np.arange(spec.n_params))
    np.testing.assert_array_equal(np.sort(orders, axis=1), np.tile(np.arange(spec.n_params), (12, 1)))
    with pytest.raises(MetarepError, match="too many unit orders"):
        all_unit_orders(NetworkSpec((2, 16, 1)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_canonical_order_is_the_same_bits_for_every_order(spec, dtype):
    rng, params, _ = draw(spec)
    params = params.astype(dtype)
    canonical = canonical_order(spec, params)
    assert canonical.dtype == dtype
    for _ in range(5):
        moved = np.take_along_axis(params, random_orders(spec, N, rng), axis=1)
        assert canonical_order(spec, moved).tobytes() == canonical.tobytes()
        assert canonical_scale(spec, canonical_order(spec, moved)).tobytes() == canonical_scale(spec, canonical).tobytes()
    assert canonical_order(spec, canonical).tobytes() == canonical.tobytes()
    scaled = scale_units(spec, params, 0, np.full(spec.hidden_widths[0], 3.0))
    assert canonical_order(spec, scaled).tobytes() != canonical.tobytes()


def test_canonical_order_breaks_ties_and_forgets_negative_zeros():
    spec = NetworkSpec((2, 2, 1))
    tied = np.array([[0.0, 1, 0, 1, 0.5, 0.5, 2, -3, 1], [-0.0, 1, 0, 1, 0.5, 0.5, -3, 2, 1]])
    first, second = canonical_order(spec, tied)
    assert first.tobytes() == second.tobytes()
    np.testing.assert_array_equal(first[6:8], [-3, 2])


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_canonical_scale_has_unit_norms_and_keeps_the_function(spec):
    rng, params, x = draw(spec)
    canonical = canonical_scale(spec, params)
    for weight, bias in spec.unpack(canonical)[:-1]:
        np.testing.assert_allclose(np.square(weight).sum(-1) + np.square(bias), 1)
    np.testing.assert_allclose(forward(spec, canonical, x), forward(spec, params, x), atol=1e-9)
    moved = params * random_scales(spec, 1.0, N, rng=rng)
    np.testing.assert_allclose(canonical_scale(spec, moved), canonical, atol=1e-9)
    shifted = params.copy()
    shifted[:, -1] += 1
    assert np.abs(canonical_scale(spec, shifted) - canonical).max() > 0.5


def test_a_unit_of_norm_zero_stays_as_it_is():
    spec = NetworkSpec((2, 2, 1))
    params = np.array([0.0, 0, 3, 0, 0, 4, 7, 1, 1])
    np.testing.assert_allclose(canonical_scale(spec, params), [0, 0, 0.6, 0, 0, 0.8, 7, 5, 1])
