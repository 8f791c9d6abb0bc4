"""The fused kernel for a GPU: networks of two inputs, one hidden ReLU layer and one output, a program a network.

A program takes its network through all steps in one launch: samples on the chip, gradient and Adam in registers, nothing
written between the steps. With e the error of a sample, on_k whether unit k is on, and (w_k, b_k) what feeds it,

    Σ e · relu(w_k x + b_k) = w_k · Σ e on_k x + b_k Σ e on_k

so four sums a unit give all gradients. Without a GPU it runs through Triton's interpreter (`TRITON_INTERPRET=1`), which is for
tests.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _terms(x1, x2, y, inside, w1, w2, b, v, c):
    """What each sample (1, BLOCK) adds to Σ e on, Σ e on x1, Σ e on x2 and Σ e of each unit (UNITS, 1)."""
    before = w1 * x1 + w2 * x2 + b
    error = tl.sum(v * tl.maximum(before, 0.0), axis=0, keep_dims=True) + (c - y)
    error = tl.where(inside, error, 0.0)
    felt = tl.where(before > 0.0, error, 0.0)
    return felt, felt * x1, felt * x2, tl.broadcast_to(error, felt.shape)


@triton.jit
def _add(a0, a1, a2, a3, b0, b1, b2, b3):
    return a0 + b0, a1 + b1, a2 + b2, a3 + b3


@triton.jit
def _totals(t0, t1, t2, t3, TOGETHER: tl.constexpr):
    """Sums over the samples, (UNITS, 1) each; together they wait for each other's warps once and not four times."""
    if TOGETHER:
        return tl.reduce((t0, t1, t2, t3), 1, _add, keep_dims=True)
    else:
        return tl.sum(t0, 1, True), tl.sum(t1, 1, True), tl.sum(t2, 1, True), tl.sum(t3, 1, True)


@triton.jit
def _adam(value, gradient, first, second, step_size, correction):
    """Parameters and both moments after a step; `metarep.training.adam` in another notation."""
    first += (gradient - first) * 0.1
    second = second * 0.999 + gradient * gradient * 0.001
    return value - step_size * tl.div_rn(first, tl.sqrt_rn(second) * correction + 1e-8), first, second


@triton.jit(do_not_specialize=["first_step", "n_steps"])  # which differ from snapshot to snapshot
def train_networks(
    samples,
    state,
    schedule,
    first_step,
    n_steps,
    n_samples,
    n_units: tl.constexpr,
    UNITS: tl.constexpr,
    BLOCK: tl.constexpr,
    WHOLE: tl.constexpr,
    TOGETHER: tl.constexpr,
):
    """Steps first_step … n_steps − 1 of each network: samples (N, 3, S) are x1, x2, y; state (N, 3, P) parameters and both
    moments of Adam, changed in place; schedule (steps, 2) step size and correction. All float32.

    UNITS is n_units rounded up to a power of two. With WHOLE a block holds all samples, which stay in registers; else they
    are read anew at each step, block by block, from the cache.
    """
    network = tl.program_id(0).to(tl.int64)
    x1_at, state = samples + network * 3 * n_samples, state + network * 3 * (4 * n_units + 1)
    x2_at, y_at = x1_at + n_samples, x1_at + 2 * n_samples
    unit, sample = tl.arange(0, UNITS)[:, None], tl.arange(0, BLOCK)[None, :]
    there = unit < n_units
    P: tl.constexpr = 4 * n_units + 1
    w1, w1_first, w1_second = _load3(state, 2, unit, n_units)
    w2, w2_first, w2_second = _load3(state + 1, 2, unit, n_units)
    b, b_first, b_second = _load3(state + 2 * n_units, 1, unit, n_units)
    v, v_first, v_second = _load3(state + 3 * n_units, 1, unit, n_units)
    one = tl.zeros((1, 1), tl.int32)
    c, c_first, c_second = one + tl.load(state + P - 1), one + tl.load(state + 2 * P - 1), one + tl.load(state + 3 * P - 1)
    inside = sample < n_samples
    scale = 2.0 / n_samples
    if WHOLE:
        x1, x2 = tl.load(x1_at + sample, inside, 0.0), tl.load(x2_at + sample, inside, 0.0)
        y = tl.load(y_at + sample, inside, 0.0)
    for step in range(first_step, n_steps):
        if WHOLE:
            t0, t1, t2, t3 = _terms(x1, x2, y, inside, w1, w2, b, v, c)
        else:
            t0 = tl.zeros((UNITS, BLOCK), tl.float32)
            t1, t2, t3 = t0, t0, t0
            for start in range(0, n_samples, BLOCK):
                inside = start + sample < n_samples
                x1 = tl.load(x1_at + start + sample, inside, 0.0)
                x2 = tl.load(x2_at + start + sample, inside, 0.0)
                y = tl.load(y_at + start + sample, inside, 0.0)
                more0, more1, more2, more3 = _terms(x1, x2, y, inside, w1, w2, b, v, c)
                t0, t1, t2, t3 = t0 + more0, t1 + more1, t2 + more2, t3 + more3
        felt, felt1, felt2, error = _totals(t0, t1, t2, t3, TOGETHER)
        rate, correction = tl.load(schedule + 2 * step), tl.load(schedule + 2 * step + 1)
        error = tl.sum(tl.where(unit == 0, error, 0.0), axis=0, keep_dims=True)
        v_gradient = scale * (w1 * felt1 + w2 * felt2 + b * felt)
        w1, w1_first, w1_second = _adam(w1, scale * v * felt1, w1_first, w1_second, rate, correction)
        w2, w2_first, w2_second = _adam(w2, scale * v * felt2, w2_first, w2_second, rate, correction)
        b, b_first, b_second = _adam(b, scale * v * felt, b_first, b_second, rate, correction)
        v, v_first, v_second = _adam(v, v_gradient, v_first, v_second, rate, correction)
        c, c_first, c_second = _adam(c, scale * error, c_first, c_second, rate, correction)
    _store3(state + 2 * unit, there, P, w1, w1_first, w1_second)
    _store3(state + 2 * unit + 1, there, P, w2, w2_first, w2_second)
    _store3(state + 2 * n_units + unit, there, P, b, b_first, b_second)
    _store3(state + 3 * n_units + unit, there, P, v, v_first, v_second)
    _store3(state + P - 1 + one, one == 0, P, c, c_first, c_second)


@triton.jit
def _load3(at, stride: tl.constexpr, unit, n_units: tl.constexpr):
    """A parameter of each unit and its two moments, (UNITS, 1); 0 for units that only fill up.

    Scalar by scalar, so that the compiler sees that threads hold copies of one value and does not compute with each copy.
    """
    P: tl.constexpr = 4 * n_units + 1
    value = tl.zeros(unit.shape, tl.float32)
    first, second = value, value
    for number in tl.static_range(n_units):
        own = unit == number
        value = tl.where(own, tl.load(at + stride * number), value)
        first = tl.where(own, tl.load(at + P + stride * number), first)
        second = tl.where(own, tl.load(at + 2 * P + stride * number), second)
    return value, first, second


@triton.jit
def _store3(at, there, P: tl.constexpr, value, first, second):
    tl.store(at, value, there)
    tl.store(at + P, first, there)
    tl.store(at + 2 * P, second, there)
