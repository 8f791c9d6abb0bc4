"""Exact areas on the unit square: where hidden units are on.

A ReLU unit of the first hidden layer is on where w·x + b > 0: a half-plane, which cuts a convex
polygon in a convex polygon (Sutherland and Hodgman, "Reentrant polygon clipping", 1974, for all
networks at once), whose area is the shoelace sum. No grid; float64 to a few units in the last place.
Deeper layers see a folded square and have no such closed form here: only the first layer is measured.
"""

from __future__ import annotations

import numpy as np

from metarep.networks.spec import NetworkSpec

UNIT_SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
"""The corners, anticlockwise."""

QUADRANTS = ("00", "10", "01", "11")
"""The columns of `quadrant_area`: is unit 0 on, is unit 1 on."""


def active_area(spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """(N, H) float64: the share of the unit square on which each first-hidden-layer unit is on; params (N, P).

    A unit whose parameters are not all finite has NaN. (N, 0) for networks without a hidden layer
    or with other than two inputs.
    """
    if spec.widths[0] != 2 or not spec.hidden_widths:
        return np.zeros((len(params), 0))
    planes, finite = _half_planes(spec, params)
    square = np.broadcast_to(UNIT_SQUARE, (*planes.shape[:-1], 4, 2))
    return np.where(finite, polygon_area(clip(square, planes)), np.nan)


def quadrant_area(spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """(N, 4) float64: the shares of the unit square by which of the two hidden units are on, as in QUADRANTS.

    Swapping the two units swaps the second and the third column, to the last bit. NaN where the
    hidden parameters are not all finite; (N, 0) unless there are two inputs and two hidden units in one layer.
    """
    if spec.widths[0] != 2 or spec.hidden_widths != (2,):
        return np.zeros((len(params), 0))
    planes, finite = _half_planes(spec, params)
    # One fixed order of the two cuts, whatever the order of the units: rounding must not tell them apart.
    order = np.lexsort(np.moveaxis(planes, -1, 0)[::-1], axis=-1)
    first, second = np.moveaxis(np.take_along_axis(planes, order[..., None], axis=1), 1, 0)
    square = np.broadcast_to(UNIT_SQUARE, (len(planes), 4, 2))
    areas = []
    for first_on in (False, True):
        part = clip(square, first, on=first_on)
        areas += [polygon_area(clip(part, second, on=second_on)) for second_on in (False, True)]
    off, only_second, only_first, both = areas
    swapped = order[:, 0] == 1
    only_0, only_1 = np.where(swapped, only_second, only_first), np.where(swapped, only_first, only_second)
    return np.where(finite.all(axis=1, keepdims=True), np.stack([off, only_0, only_1, both], axis=1), np.nan)


def clip(polygon: np.ndarray, plane: np.ndarray, *, on: bool = True) -> np.ndarray:
    """The part (…, 2 V, 2) of convex polygons (…, V, 2) where plane (…, 3), as (w0, w1, b), is on or off.

    On is w·x + b > 0, off the rest. Spare vertices repeat the first one; what is empty has all
    its vertices at the origin. Exact up to rounding; a zero weight keeps all or nothing.
    """
    height = plane[..., 0, None] * polygon[..., 0] + plane[..., 1, None] * polygon[..., 1] + plane[..., 2, None]
    inside = (height > 0) == on
    corner, height_behind = np.roll(polygon, -1, axis=-2), np.roll(height, -1, axis=-1)
    crosses = inside != np.roll(inside, -1, axis=-1)
    along = height / np.where(crosses, height - height_behind, 1.0)
    crossing = polygon + along[..., None] * (corner - polygon)
    batch, n_points = polygon.shape[:-2], 2 * polygon.shape[-2]
    points = np.stack([polygon, crossing], axis=-2).reshape(*batch, n_points, 2)
    used = np.stack([inside, crosses], axis=-1).reshape(*batch, n_points)
    used_first = np.argsort(~used, axis=-1, kind="stable")
    points = np.take_along_axis(points, used_first[..., None], axis=-2)
    used = np.take_along_axis(used, used_first, axis=-1)[..., None]
    return np.where(used, points, np.where(used[..., :1, :], points[..., :1, :], 0.0))


def polygon_area(polygon: np.ndarray) -> np.ndarray:
    """The areas (…) of convex polygons (…, V, 2): the shoelace sum about the first vertex."""
    x, y = np.moveaxis(polygon - polygon[..., :1, :], -1, 0)
    twice = (x[..., 1:-1] * y[..., 2:] - x[..., 2:] * y[..., 1:-1]).sum(axis=-1)
    return np.clip(np.abs(twice) / 2, 0.0, 1.0)


def _half_planes(spec: NetworkSpec, params: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(w0, w1, b) of each unit (N, H, 3) float64, and whether all three are finite (N, H).

    Each unit is scaled by a power of two, which changes no area and no bit, so that nothing
    overflows. A unit that is not finite becomes 0.
    """
    weight, bias = spec.unpack(np.asarray(params, dtype=np.float64))[0]
    planes = np.concatenate([weight, bias[..., None]], axis=-1)
    finite = np.isfinite(planes).all(axis=-1)
    planes = np.where(finite[..., None], planes, 0.0)
    _, exponent = np.frexp(np.abs(planes).max(axis=-1, keepdims=True))
    return np.ldexp(planes, -exponent), finite
