"""Exact areas against a dense grid, and against clipping in rational numbers."""

import time
import warnings
from fractions import Fraction

import numpy as np
import pytest

from metarep.domains.multiplier.geometry import QUADRANTS, UNIT_SQUARE, active_area, clip, polygon_area, quadrant_area
from metarep.networks.spec import NetworkSpec

SPEC = NetworkSpec((2, 2, 1))
SIDE = 1000
DEGENERATE = {
    "both all zero": ([0, 0, 0, 0, 0, 0], [1, 0, 0, 0]),
    "zero weight, on and off by the bias": ([0, 0, 0, 0, 1, -1], [0, 1, 0, 0]),
    "the diagonal, twice the same": ([1, -1, 1, -1, 0, 0], [0.5, 0, 0, 0.5]),
    "the diagonal from both sides": ([1, -1, -2, 2, 0, 0], [0, 0.5, 0.5, 0]),
    "through one corner from outside": ([1, 1, 1, 1, 0, -2], [0, 1, 0, 0]),
    "along two sides": ([1, 0, 1, 0, 0, -1], [0, 1, 0, 0]),
    "through a corner and the middle of a side": ([2, -1, 0, 1, 0, -0.5], [0.0625, 0.4375, 0.1875, 0.3125]),
    "parallel": ([0, 1, 0, 1, -0.25, -0.75], [0.25, 0.5, 0, 0.25]),
    "crossing in the middle": ([1, 0, 0, 1, -0.5, -0.5], [0.25, 0.25, 0.25, 0.25]),
    "almost the same line": ([1, 0, 1, 1e-17, -0.5, -0.5], [0.5, 0, 0, 0.5]),
    "huge": ([1e308, -1e308, 1e308, 1e308, 0, -1e308], [0.25, 0.25, 0.25, 0.25]),
    "tiny": ([5e-324, 0, 0, 1e-300, 0, -5e-301], [0, 0.5, 0, 0.5]),
    "huge bias beside a tiny weight": ([1e-300, 1e-300, 1, 1, 1e308, -1e308], [0, 1, 0, 0]),
}


def network(hidden):
    return np.array([[*hidden, 1.0, 1.0, 0.0]])


def on_the_grid(params):
    """The two active areas and the four quadrants, counted at the midpoints of SIDE × SIDE cells."""
    middle = (np.arange(SIDE) + 0.5) / SIDE
    weight, bias = SPEC.unpack(params)[0]
    on = [weight[i, 0] * middle[:, None] + weight[i, 1] * middle + bias[i] > 0 for i in (0, 1)]
    quadrants = [np.mean((on[0] == (q[0] == "1")) & (on[1] == (q[1] == "1"))) for q in QUADRANTS]
    return [on[0].mean(), on[1].mean()], quadrants


def in_fractions(planes):
    """The area of the square's part where every plane (w0, w1, b, wanted) is on or off, in rational numbers."""
    polygon = [tuple(map(Fraction, corner)) for corner in UNIT_SQUARE]
    for w0, w1, b, wanted in planes:
        kept = []
        sign = 1 if wanted else -1
        heights = [sign * (Fraction(w0) * x + Fraction(w1) * y + Fraction(b)) for x, y in polygon]
        for i, (p, h) in enumerate(zip(polygon, heights, strict=True)):
            q, g = polygon[(i + 1) % len(polygon)], heights[(i + 1) % len(polygon)]
            kept += [p] if h >= 0 else []
            kept += [tuple(a + h / (h - g) * (c - a) for a, c in zip(p, q, strict=True))] if h * g < 0 else []
        polygon = kept
    pairs = list(zip(polygon, polygon[1:] + polygon[:1], strict=True))
    return float(abs(sum(x * v - u * y for (x, y), (u, v) in pairs)) / 2)


def test_areas_agree_with_a_dense_grid():
    params = np.random.default_rng(0).normal(size=(60, 9))
    active, quadrants = active_area(SPEC, params), quadrant_area(SPEC, params)
    for i in range(len(params)):
        active_on_grid, quadrants_on_grid = on_the_grid(params[i])
        np.testing.assert_allclose(active[i], active_on_grid, atol=2 / SIDE)
        np.testing.assert_allclose(quadrants[i], quadrants_on_grid, atol=2 / SIDE)


def test_areas_are_exact_to_rounding():
    rng = np.random.default_rng(1)
    params = np.concatenate([rng.normal(size=(60, 9)), rng.integers(-2, 3, size=(140, 9))]).astype(float)
    active, quadrants = active_area(SPEC, params), quadrant_area(SPEC, params)
    for i, (w, b) in enumerate(zip(*SPEC.unpack(params)[0], strict=True)):
        for unit in (0, 1):
            if w[unit].any() or b[unit]:
                assert active[i, unit] == pytest.approx(in_fractions([(*w[unit], b[unit], True)]), abs=1e-14)
        if (w.any(axis=1) | (b != 0)).all():
            exact = [in_fractions([(*w[u], b[u], q[u] == "1") for u in (0, 1)]) for q in QUADRANTS]
            np.testing.assert_allclose(quadrants[i], exact, atol=1e-14)


@pytest.mark.parametrize(("hidden", "expected"), DEGENERATE.values(), ids=DEGENERATE)
def test_degenerate_half_planes(hidden, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        params = network(hidden)
        np.testing.assert_allclose(quadrant_area(SPEC, params)[0], expected, atol=1e-12)
        np.testing.assert_allclose(
            active_area(SPEC, params)[0], [expected[1] + expected[3], expected[2] + expected[3]], atol=1e-12
        )


def test_no_finite_network_gives_nan_or_a_warning():
    rng = np.random.default_rng(2)
    params = rng.normal(size=(20_000, 9)) * 10.0 ** rng.integers(-300, 300, size=(20_000, 9))
    params[rng.random(params.shape) < 0.3] = 0
    with np.errstate(all="raise", under="ignore"):
        active, quadrants = active_area(SPEC, params), quadrant_area(SPEC, params)
    assert (active >= 0).all()
    assert (active <= 1).all()
    np.testing.assert_allclose(quadrants.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(active, np.stack([quadrants[:, 1], quadrants[:, 2]], 1) + quadrants[:, 3:], atol=1e-12)


def test_swapping_units_swaps_areas_to_the_last_bit():
    params = np.random.default_rng(3).normal(size=(2000, 9))
    swapped = params[:, [2, 3, 0, 1, 5, 4, 7, 6, 8]]
    np.testing.assert_array_equal(active_area(SPEC, swapped), active_area(SPEC, params)[:, ::-1])
    np.testing.assert_array_equal(quadrant_area(SPEC, swapped), quadrant_area(SPEC, params)[:, [0, 2, 1, 3]])
    only_bias = params[:, [0, 1, 2, 3, 5, 4, 7, 6, 8]]
    assert np.abs(quadrant_area(SPEC, only_bias) - quadrant_area(SPEC, params)[:, [0, 2, 1, 3]]).max() > 0.1


def test_areas_do_not_depend_on_the_batch():
    params = np.random.default_rng(4).normal(size=(50, 9))
    alone = np.concatenate([quadrant_area(SPEC, row[None]) for row in params])
    np.testing.assert_array_equal(alone, quadrant_area(SPEC, params))


def test_what_is_not_finite_is_nan_and_stays_alone():
    params = np.random.default_rng(5).normal(size=(3, 9))
    params[1, 0], params[2, 8] = np.inf, np.nan
    assert np.isnan(active_area(SPEC, params)).tolist() == [[False, False], [True, False], [False, False]]
    assert np.isnan(quadrant_area(SPEC, params)).all(axis=1).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("text", "n_active", "n_quadrants"), [("2-1", 0, 0), ("3-2-1", 0, 0), ("2-16-1", 16, 0), ("2-2-2-1", 2, 0)]
)
def test_other_architectures(text, n_active, n_quadrants):
    spec = NetworkSpec.parse(text)
    params = np.random.default_rng(6).normal(size=(4, spec.n_params))
    assert active_area(spec, params).shape == (4, n_active)
    assert quadrant_area(spec, params).shape == (4, n_quadrants)
    assert active_area(spec, params[:0]).shape == (0, n_active)


def test_the_square_has_area_one_and_a_cut_can_leave_nothing():
    assert polygon_area(UNIT_SQUARE) == 1
    nothing = clip(UNIT_SQUARE, np.array([1.0, 1.0, -3.0]))
    assert polygon_area(nothing) == 0
    np.testing.assert_array_equal(nothing, 0)


def test_twenty_thousand_networks_in_a_moment():
    params = np.random.default_rng(7).normal(size=(20_000, 9))
    start = time.perf_counter()
    quadrant_area(SPEC, params)
    assert time.perf_counter() - start < 3
