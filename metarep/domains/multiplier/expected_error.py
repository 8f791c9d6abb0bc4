"""The expected squared error of a network that multiplies, E[(f(x) − x1 x2)²]: integrated, not sampled; with derivatives.

Two input distributions. "square": uniform on the unit square. "product": the recipe's own, d uniform on
[0.5, 1), y uniform on [0, 1), the inputs y/d and d in either order; so one input may reach 2.

On a slice where one input is d, the other one, u, has a constant density on [0, 1] or [0, 1/d], and a unit
that cuts the slice does so at a point that is linear in d. With z = (x1, x2, 1) and 1_j for "unit j is on",

    G_jk = E[1_j 1_k z zᵀ]        F_j = E[1_j y z]        C_j = E[δ(unit j's boundary) (f − y) z zᵀ]

give the error, its gradient and its Hessian by algebra; C_j is what moving a boundary adds to the Hessian. The
integrals over u are polynomials, in closed form. Over d they are summed by Gauss and Legendre's rule on panels
between the points where a boundary enters, leaves or meets another: for the square the integrand there is a
polynomial of degree 5 at most, and three nodes are exact; for "product" it is a Laurent polynomial in d, and
ten nodes leave less than 1e-14 of it, since the pole at 0 lies a panel's width away (Trefethen, "Is Gauss quadrature
better than Clenshaw–Curtis?", 2008, theorem 4.5).

A network is a sum of units v_k relu(u_k·z), the first of which is always on: it holds what is linear.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np

from metarep.errors import MetarepError
from metarep.networks.spec import NetworkSpec
from metarep.training.compiling import kernel

InputDistribution = Literal["square", "product"]
N_NODES = {"square": 3, "product": 10}
SECOND_MOMENT = {"square": 1 / 9, "product": 1 / 3}
"""E[(x1 x2)²]."""

NUDGE = 1e-9
"""A boundary parallel to the slices is tilted by so much, so that every slice meets it in a point. Since a unit
is continuous this changes an error by the square of it."""


class Expected(NamedTuple):
    """error (N,), gradient (N, P), hessian (N, P, P), float64; NaN for networks that are not finite."""

    error: np.ndarray
    gradient: np.ndarray
    hessian: np.ndarray


def expected_error(spec: NetworkSpec, params: np.ndarray, *, input_distribution: InputDistribution = "product") -> np.ndarray:
    """(N,) float64: the expected squared error of networks params (N, P); NaN for those that are not finite.

    For networks of two inputs and one output with at most one hidden layer ("2-1", "2-1-relu", "2-H-1").
    Raises MetarepError for other architectures and unknown input distributions.
    """
    return expected_error_derivatives(spec, params, input_distribution=input_distribution).error


def expected_error_derivatives(
    spec: NetworkSpec, params: np.ndarray, *, input_distribution: InputDistribution = "product"
) -> Expected:
    """The expected squared error with its gradient and its Hessian: some tens of microseconds a 2-2-1 network."""
    if input_distribution not in N_NODES:
        raise MetarepError("unknown input distribution", met=input_distribution, expected=" or ".join(N_NODES))
    terms, place = _as_terms(spec, np.asarray(params, dtype=np.float64))
    finite = np.isfinite(terms).all(axis=1)
    n, k = len(terms), terms.shape[1] // 4
    terms = np.where(finite[:, None], terms, 0.0)
    units, out = terms[:, : 3 * k].reshape(n, k, 3), np.ascontiguousarray(terms[:, 3 * k :])
    gram, moment, curve = np.zeros((n, k, k, 3, 3)), np.zeros((n, k, 3)), np.zeros((n, k, 3, 3))
    rule = _rule(N_NODES[input_distribution])
    _integrate(np.ascontiguousarray(units), out, input_distribution == "product", *rule, gram, moment, curve)
    found = _differentiated(units, out, gram, moment, curve)
    error, gradient, hessian = (np.where(finite.reshape(-1, *[1] * (part.ndim - 1)), part, np.nan) for part in found)
    return Expected(error + SECOND_MOMENT[input_distribution], gradient[:, place], hessian[:, place[:, None], place])


def _differentiated(units: np.ndarray, out: np.ndarray, gram: np.ndarray, moment: np.ndarray, curve: np.ndarray) -> Expected:
    """The expected error less E[y²], by units (N, K, 3) and output weights (N, K), from G, F and C."""
    n, k = out.shape
    seen = np.einsum("njkab,nkb->njka", gram, units)
    residual = np.einsum("nk,njka->nja", out, seen) - moment
    error = np.einsum("nj,nja,nja->n", out, units, residual - moment)
    gradient = np.concatenate([(out[..., None] * residual).reshape(n, 3 * k), (units * residual).sum(axis=-1)], axis=1)
    own = np.arange(k)
    by_units = np.einsum("nj,nk,njkab->njakb", out, out, gram)
    by_units[:, own, :, own] += np.moveaxis(out[..., None, None] * curve, 1, 0)
    mixed = np.einsum("nj,njka->njak", out, seen)
    mixed[:, own, :, own] += np.moveaxis(residual, 1, 0)
    by_units, mixed = by_units.reshape(n, 3 * k, 3 * k), mixed.reshape(n, 3 * k, k)
    rows = [[by_units, mixed], [mixed.swapaxes(1, 2), np.einsum("nja,njka->njk", units, seen)]]
    return Expected(error, 2 * gradient, 2 * np.concatenate([np.concatenate(row, axis=2) for row in rows], axis=1))


@lru_cache
def _rule(n_nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of Gauss and Legendre's rule on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(n_nodes)
    return (nodes + 1) / 2, weights / 2


def _as_terms(spec: NetworkSpec, params: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Units (K, 3) and then output weights (K,), flat (N, 4 K), and where in them each parameter stands (P,)."""
    n_hidden = spec.hidden_widths[0] if spec.hidden_widths else int(spec.output_relu)
    if spec.widths[0] != 2 or spec.widths[-1] != 1 or spec.n_layers > 2 or (spec.hidden_widths and spec.output_relu):
        raise MetarepError(f"no exact expected error for {spec}", expected="2-1, 2-1-relu, or 2-H-1 such as 2-2-1")
    if params.ndim != 2 or params.shape[1] != spec.n_params:
        raise MetarepError("params do not fit the spec", met=params.shape, expected=f"(N, {spec.n_params})")
    n_units = n_hidden + 1
    if spec.hidden_widths:
        unit, out = 3 * np.arange(1, n_units), 3 * n_units + np.arange(1, n_units)
        place = np.concatenate([(unit[:, None] + [0, 1]).ravel(), unit + 2, out, [2]])
    else:
        place = 3 * n_hidden + np.arange(3)
    terms = np.zeros((len(params), 4 * n_units))
    terms[:, 3 * n_units :] = 1.0
    terms[:, place] = params
    return terms, place


@kernel
def _cuts(units, inner, product, start):
    """The outer coordinates in [start, 1], sorted, at which a boundary enters or leaves the slice or meets another."""
    n = units.shape[0]
    found = np.full(2 + 3 * n + n * n, start)
    found[1], at = 1.0, 2
    for j in range(1, n):
        a, b, c = units[j, inner], units[j, 1 - inner], units[j, 2]
        if a == 0.0:
            a = NUDGE * abs(b)
        found[at] = -c / b
        if product:  # a/d + b d + c = 0
            half = np.sqrt(max(c * c - 4.0 * a * b, 0.0))
            q = -0.5 * (c + (half if c > 0.0 else -half))
            found[at + 1], found[at + 2] = q / b, a / q
        else:
            found[at + 1] = -(a + c) / b
        at += 3
        for k in range(1, j):
            a2, b2, c2 = units[k, inner], units[k, 1 - inner], units[k, 2]
            if a2 == 0.0:
                a2 = NUDGE * abs(b2)
            found[at] = -(a2 * c - a * c2) / (a2 * b - a * b2)
            at += 1
    for i in range(found.size):
        if not start < found[i] <= 1.0:  # NaN too
            found[i] = start
    return np.sort(found)


@kernel
def _add_curve(units, out, j, inner, u, d, weight, curve):
    """Adds to curve[j] what unit j's boundary has at the point (u, d)."""
    z = np.empty(3)
    z[inner], z[1 - inner], z[2] = u, d, 1.0
    rest = -u * d
    for k in range(units.shape[0]):
        value = units[k, 0] * z[0] + units[k, 1] * z[1] + units[k, 2]
        if k == 0 or (k != j and value > 0.0):
            rest += out[k] * value
    for a in range(3):
        for b in range(3):
            curve[j, a, b] += weight * rest * z[a] * z[b]


@kernel
def _add_slice(gram, moment, low, high, inner, d, weight):
    """Adds one slice to what the units see, who are on from low (K,) to high (K,)."""
    outer = 1 - inner
    for j in range(low.size):
        for k in range(j + 1):
            lo, hi = max(low[j], low[k]), min(high[j], high[k])
            if lo >= hi:
                continue
            m0 = weight * (hi - lo)
            m1 = weight * (hi * hi - lo * lo) / 2.0
            m2 = weight * (hi * hi * hi - lo * lo * lo) / 3.0
            g = gram[j, k]
            g[2, 2] += m0
            g[inner, 2] += m1
            g[outer, 2] += d * m0
            g[inner, inner] += m2
            g[1, 0] += d * m1
            g[outer, outer] += d * d * m0
            if j == k:
                moment[j, 2] += d * m1
                moment[j, inner] += d * m2
                moment[j, outer] += d * d * m1


@kernel
def _add_slices(units, out, inner, product, nodes, weights, gram, moment, curve):
    """Adds all slices along one axis; of "product" these are half of the inputs."""
    n = units.shape[0]
    low, high = np.zeros(n), np.zeros(n)
    cuts = _cuts(units, inner, product, 0.5 if product else 0.0)
    for panel in range(cuts.size - 1):
        width = cuts[panel + 1] - cuts[panel]
        if width <= 0.0:
            continue
        for node in range(nodes.size):
            d = cuts[panel] + width * nodes[node]
            top = 1.0 / d if product else 1.0
            weight = weights[node] * width * (d if product else 1.0)
            high[0] = top
            for j in range(1, n):
                slope, height = units[j, inner], units[j, 1 - inner] * d + units[j, 2]
                if slope == 0.0:
                    slope = NUDGE * abs(units[j, 1 - inner])
                if slope == 0.0:
                    low[j], high[j] = 0.0, top if height > 0.0 else 0.0
                    continue
                at = -height / slope
                if 0.0 < at < top:
                    _add_curve(units, out, j, inner, at, d, weight / abs(slope), curve)
                at = min(max(at, 0.0), top)
                low[j], high[j] = (at, top) if slope > 0.0 else (0.0, at)
            _add_slice(gram, moment, low, high, inner, d, weight)


@kernel
def _integrate(units, out, product, nodes, weights, gram, moment, curve):
    """Adds up gram (N, K, K, 3, 3), moment (N, K, 3) and curve (N, K, 3, 3) of networks units (N, K, 3), out (N, K)."""
    for i in range(out.shape[0]):
        for inner in range(2 if product else 1):
            _add_slices(units[i], out[i], inner, product, nodes, weights, gram[i], moment[i], curve[i])
        for j in range(out.shape[1]):
            for k in range(j + 1):
                g = gram[i, j, k]
                g[0, 1], g[2, 0], g[2, 1] = g[1, 0], g[0, 2], g[1, 2]
                for a in range(3):
                    for b in range(3):
                        gram[i, k, j, a, b] = g[a, b]
