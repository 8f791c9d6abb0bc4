"""Exact areas on the unit square: where a hidden unit is on, and where two are.

A unit of the first hidden layer is on where w·x + b > 0: a half-plane, which cuts the square in
a convex polygon (Sutherland and Hodgman, 1974). No grid and no sampling, float64 throughout.
"""

from __future__ import annotations

import numpy as np

from metarep.networks.spec import NetworkSpec

SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])


def clip(polygons: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """The parts of convex polygons (N, V, 2) where weight (N, 2) · x + bias (N,) > 0, as polygons (N, V + 1, 2).

    Polygons of fewer corners repeat one; where nothing is left all corners are 0.
    """
    following = np.roll(polygons, -1, axis=1)
    here = np.einsum("nvd,nd->nv", polygons, weight) + bias[:, None]
    there = np.roll(here, -1, axis=1)
    inside, crossing = here > 0, (here > 0) != (there > 0)
    share = here / np.where(crossing, here - there, 1.0)
    crossings = polygons + share[..., None] * (following - polygons)
    n, v = here.shape
    corners = np.stack([polygons, crossings], axis=2).reshape(n, 2 * v, 2)
    valid = np.stack([inside, crossing], axis=2).reshape(n, 2 * v)
    first_valid = np.argsort(~valid, axis=1, kind="stable")[:, : v + 1]
    corners = np.take_along_axis(corners, first_valid[..., None], axis=1)
    valid = np.take_along_axis(valid, first_valid, axis=1)
    corners = np.where(valid[..., None], corners, corners[:, :1])
    return np.where(valid[:, :1, None], corners, 0.0)


def polygon_area(polygons: np.ndarray) -> np.ndarray:
    """The areas (N,) of polygons (N, V, 2) whose corners run counter-clockwise (the shoelace formula)."""
    following = np.roll(polygons, -1, axis=1)
    return 0.5 * (polygons[..., 0] * following[..., 1] - polygons[..., 1] * following[..., 0]).sum(axis=1)


def active_area(spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """(N, H): the exact share of the unit square on which each unit of the first hidden layer is on.

    params (N, P); NaN for networks that are not finite. (N, 0) where there is no hidden layer
    or there are not two inputs.
    """
    params = np.asarray(params, np.float64)
    if not spec.hidden_widths or spec.widths[0] != 2:
        return np.empty((len(params), 0))
    weight, bias = spec.unpack(params)[0]
    finite = np.isfinite(params).all(axis=1)
    areas = np.full(bias.shape, np.nan)
    for unit in range(spec.hidden_widths[0]):
        areas[finite, unit] = _clamped(polygon_area(clip(_squares(finite.sum()), weight[finite, unit], bias[finite, unit])))
    return areas


def quadrant_area(spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """(N, 4): the exact areas on which (unit 0, unit 1) are off/off, on/off, off/on and on/on.

    NaN for networks that are not finite. (N, 0) unless the network has two inputs and first hidden width 2.
    """
    params = np.asarray(params, np.float64)
    if not spec.hidden_widths or spec.widths[0] != 2 or spec.hidden_widths[0] != 2:
        return np.empty((len(params), 0))
    areas = active_area(spec, params)
    finite = np.isfinite(params).all(axis=1)
    weight, bias = (part[finite] for part in spec.unpack(params)[0])
    # Both orders of cutting, so that the order of units cannot show in the rounding.
    both = np.zeros(finite.sum())
    for first, second in ((0, 1), (1, 0)):
        cut = clip(_squares(len(bias)), weight[:, first], bias[:, first])
        both += 0.5 * polygon_area(clip(cut, weight[:, second], bias[:, second]))
    a, b = areas[finite].T
    both = np.minimum(_clamped(both), np.minimum(a, b))
    quadrants = np.full((len(params), 4), np.nan)
    quadrants[finite] = np.stack([_clamped(1 - (a + b) + both), a - both, b - both, both], axis=1)
    return quadrants


def _squares(n: int) -> np.ndarray:
    return np.broadcast_to(SQUARE, (n, 4, 2))


def _clamped(areas: np.ndarray) -> np.ndarray:
    """Areas in 0 … 1: rounding may leave them by 1e-16."""
    return np.clip(areas, 0.0, 1.0)
