"""The fast kernel for networks of two inputs, one hidden ReLU layer and one output.

Between two steps hardly any sample changes the side of a unit's boundary, and among samples
whose units are on and off alike the squared error is a quadratic form in the parameters.
So the gradient of the full batch needs no pass over the samples. With z = (1, x1, x2), unit
k's u_k = (bias, weights), v_k its output weight, c the output bias:

    G_jk = Σ z zᵀ over samples on which units j and k are both on        (3 × 3, symmetric)
    F_j  = Σ y z  over samples on which unit j is on
    E_j  = Σ e z  over samples on which unit j is on = Σ_k v_k G_jk u_k + c G_jj[:, 0] − F_j

and the gradient of Σ e² is 2 E_j·u_j for v_j, 2 v_j E_j for u_j, 2 Σ e for c: exact, not an
approximation. What is left is to notice which samples crossed a boundary. A sample that was
further from it than the boundary has moved since cannot have: each unit keeps a list of
the samples that lie near (a Verlet list, as in molecular dynamics), looks at those alone, and
renews the list when the boundary has moved by its reach. Sums are float64, parameters
and Adam float32 as in the recipe.
"""

from __future__ import annotations

import math

import numpy as np

from metarep.training.adam import adam_step
from metarep.training.compiling import kernel
from metarep.training.sampling import draw, split_columns

BLOCK = 32
N_STRIPS, N_BINS = 24, 128
REACH = 1.0
"""In units of the reach at which renewing and following a list should cost the same; 0.5 and 1 measure alike."""
MIN_REACH = 1e-5
ON, OFF = np.float32(1.0), np.float32(0.0)


@kernel
def _n_crossed(x1, x2, was_on, w1, w2, b):
    """How many samples lie on another side than `was_on` (1 or 0) says; written so that it vectorises."""
    crossed = OFF
    for i in range(x1.size):
        crossed += abs((ON if w1 * x1[i] + w2 * x2[i] + b > OFF else OFF) - was_on[i])
    return crossed


@kernel
def _cross(gram, moment, on, unit, sample, x1, x2, y, sign):
    """Adds (sign 1) or removes (−1) one sample to what unit `unit` sees."""
    z0, z1, z2 = sign, sign * x1, sign * x2
    for k in range(on.shape[0]):
        if k == unit or on[k, sample] != OFF:
            for a, b in ((unit, k), (k, unit)):
                gram[a, b, 0] += z0
                gram[a, b, 1] += z1
                gram[a, b, 2] += z2
                gram[a, b, 3] += z1 * x1
                gram[a, b, 4] += z1 * x2
                gram[a, b, 5] += z2 * x2
                if k == unit:
                    break
    moment[unit, 0] += z0 * y
    moment[unit, 1] += z1 * y
    moment[unit, 2] += z2 * y


@kernel
def _renew(x1, x2, y, boxes, on, gram, moment, near, near_x1, near_x2, near_on, sides, unit, w1, w2, b, reach):
    """Settles every sample's side for one unit and lists those within `reach` of its boundary; returns how many.

    A block whose bounding box lies farther off, on the side it lay on before, is not looked into.
    """
    n_near = 0
    for block in range(boxes.shape[0]):
        low = b + w1 * boxes[block, 0 if w1 > OFF else 1] + w2 * boxes[block, 2 if w2 > OFF else 3]
        high = b + w1 * boxes[block, 1 if w1 > OFF else 0] + w2 * boxes[block, 3 if w2 > OFF else 2]
        side = 1 if low > reach else -1 if high < -reach else 0
        if side != 0 and side == sides[unit, block]:
            continue
        sides[unit, block] = side
        for i in range(block * BLOCK, min((block + 1) * BLOCK, x1.size)):
            pre = w1 * x1[i] + w2 * x2[i] + b
            now = ON if pre > OFF else OFF
            if now != on[unit, i]:
                sign = 1.0 if pre > OFF else -1.0
                _cross(gram, moment, on, unit, i, np.float64(x1[i]), np.float64(x2[i]), np.float64(y[i]), sign)
                on[unit, i] = now
            if abs(pre) <= reach:
                near[unit, n_near] = i
                near_x1[unit, n_near] = x1[i]
                near_x2[unit, n_near] = x2[i]
                near_on[unit, n_near] = now
                n_near += 1
    return n_near


@kernel
def _follow(x1, x2, y, on, gram, moment, near, near_x1, near_x2, near_on, n_near, unit, w1, w2, b):
    """Moves the listed samples that crossed the unit's boundary from one side to the other."""
    for start in range(0, n_near, BLOCK):
        stop = min(start + BLOCK, n_near)
        if _n_crossed(near_x1[unit, start:stop], near_x2[unit, start:stop], near_on[unit, start:stop], w1, w2, b) == OFF:
            continue
        for n in range(start, stop):
            side = ON if w1 * near_x1[unit, n] + w2 * near_x2[unit, n] + b > OFF else OFF
            if side != near_on[unit, n]:
                i = near[unit, n]
                sign = 1.0 if side == ON else -1.0
                _cross(gram, moment, on, unit, i, np.float64(x1[i]), np.float64(x2[i]), np.float64(y[i]), sign)
                near_on[unit, n] = side
                on[unit, i] = side


@kernel
def _gradient(params, gram, moment, sum_y, n_samples, n_hidden, grad):
    """The gradient of the mean squared error, (P,) float32, from the moments."""
    bias_at, out_at = 2 * n_hidden, 3 * n_hidden
    c = np.float64(params[4 * n_hidden])
    scale = 2.0 / n_samples
    sum_error = c * n_samples - sum_y
    for j in range(n_hidden):
        e0 = c * gram[j, j, 0] - moment[j, 0]
        e1 = c * gram[j, j, 1] - moment[j, 1]
        e2 = c * gram[j, j, 2] - moment[j, 2]
        for k in range(n_hidden):
            v = np.float64(params[out_at + k])
            u0, u1, u2 = v * params[bias_at + k], v * params[2 * k], v * params[2 * k + 1]
            e0 += gram[j, k, 0] * u0 + gram[j, k, 1] * u1 + gram[j, k, 2] * u2
            e1 += gram[j, k, 1] * u0 + gram[j, k, 3] * u1 + gram[j, k, 4] * u2
            e2 += gram[j, k, 2] * u0 + gram[j, k, 4] * u1 + gram[j, k, 5] * u2
            if k == j:
                sum_error += gram[j, j, 0] * u0 + gram[j, j, 1] * u1 + gram[j, j, 2] * u2
        v = np.float64(params[out_at + j])
        grad[2 * j] = scale * v * e1
        grad[2 * j + 1] = scale * v * e2
        grad[bias_at + j] = scale * v * e0
        grad[out_at + j] = scale * (params[bias_at + j] * e0 + params[2 * j] * e1 + params[2 * j + 1] * e2)
    grad[4 * n_hidden] = scale * sum_error


@kernel
def mean_squared_error(params, x1, x2, y, n_hidden):
    """The error of one network on some samples, in one direct pass."""
    total = 0.0
    for i in range(y.size):
        out = params[4 * n_hidden]
        for k in range(n_hidden):
            pre = params[2 * k] * x1[i] + params[2 * k + 1] * x2[i] + params[2 * n_hidden + k]
            out += params[3 * n_hidden + k] * max(pre, OFF)
        total += np.float64(out - y[i]) ** 2
    return total / y.size


@kernel
def _in_neighbourhoods(x1, x2, y):
    """The same samples in an order in which neighbours stand together: by strip of x1, then by x2 (counting sort)."""
    n_cells = N_STRIPS * N_BINS
    cell = np.empty(y.size, np.int32)
    starts = np.zeros(n_cells + 1, np.int32)
    scale1, scale2 = np.float32(N_STRIPS / (x1.max() + 1e-6)), np.float32(N_BINS / (x2.max() + 1e-6))
    for i in range(y.size):
        cell[i] = min(int(x1[i] * scale1), N_STRIPS - 1) * N_BINS + min(int(x2[i] * scale2), N_BINS - 1)
        starts[cell[i] + 1] += 1
    for c in range(n_cells):
        starts[c + 1] += starts[c]
    s1, s2, sy = np.empty_like(x1), np.empty_like(x2), np.empty_like(y)
    for i in range(y.size):
        at = starts[cell[i]]
        starts[cell[i]] += 1
        s1[at], s2[at], sy[at] = x1[i], x2[i], y[i]
    return s1, s2, sy


@kernel
def _bounding_boxes(x1, x2):
    """(blocks, 4) float32: the least and greatest x1, the least and greatest x2 of each block of samples."""
    boxes = np.empty((-(-x1.size // BLOCK), 4), np.float32)
    for block in range(boxes.shape[0]):
        b1, b2 = x1[block * BLOCK : (block + 1) * BLOCK], x2[block * BLOCK : (block + 1) * BLOCK]
        boxes[block, 0], boxes[block, 1], boxes[block, 2], boxes[block, 3] = b1.min(), b1.max(), b2.min(), b2.max()
    return boxes


@kernel
def _train_one(train, valid, params, n_hidden, lr, n_steps, snapshot_steps, snapshots, snapshot_mse):
    """Trains params (P,) in place; fills snapshots (K, P) and their (train, valid) errors (K, 2)."""
    x1, x2, y = _in_neighbourhoods(train[0], train[1], train[2])
    boxes, n = _bounding_boxes(x1, x2), y.size
    sides = np.zeros((n_hidden, boxes.shape[0]), np.int8)
    on = np.zeros((n_hidden, n), np.float32)
    gram, moment = np.zeros((n_hidden, n_hidden, 6)), np.zeros((n_hidden, 3))
    near = np.empty((n_hidden, n), np.int32)
    near_x1, near_x2, near_on = np.empty_like(on), np.empty_like(on), np.empty_like(on)
    n_near, reach, age = np.zeros(n_hidden, np.int64), np.full(n_hidden, -1.0), np.zeros(n_hidden)
    anchor = np.zeros((n_hidden, 3))
    widest1, widest2 = np.abs(x1).max(), np.abs(x2).max()
    sum_y = 0.0
    for i in range(n):
        sum_y += y[i]
    first, second, grad = np.zeros_like(params), np.zeros_like(params), np.empty_like(params)
    next_snapshot = 0
    for step in range(1, n_steps + 1):
        for k in range(n_hidden):
            w1, w2, b = params[2 * k], params[2 * k + 1], params[2 * n_hidden + k]
            moved = abs(w1 - anchor[k, 0]) * widest1 + abs(w2 - anchor[k, 1]) * widest2 + abs(b - anchor[k, 2])
            if moved < reach[k]:
                _follow(x1, x2, y, on, gram, moment, near, near_x1, near_x2, near_on, n_near[k], k, w1, w2, b)
                age[k] += 1
                continue
            # The best reach balances the cost of a renewal, n, against that of following, n·reach/spread a step.
            speed = moved / (age[k] + 1.0) if step > 1 else 3.0 * lr
            spread = abs(w1) + abs(w2) + 1e-3
            reach[k] = max(REACH * math.sqrt(speed * spread), MIN_REACH)
            anchor[k, 0], anchor[k, 1], anchor[k, 2] = w1, w2, b
            age[k] = 0
            n_near[k] = _renew(
                x1,
                x2,
                y,
                boxes,
                on,
                gram,
                moment,
                near,
                near_x1,
                near_x2,
                near_on,
                sides,
                k,
                w1,
                w2,
                b,
                np.float32(reach[k] + 1e-6),
            )
        _gradient(params, gram, moment, sum_y, n, n_hidden, grad)
        adam_step(params, grad, first, second, step, lr)
        if next_snapshot < snapshot_steps.size and step == snapshot_steps[next_snapshot]:
            for p in range(params.size):
                snapshots[next_snapshot, p] = params[p]
            snapshot_mse[next_snapshot, 0] = mean_squared_error(params, x1, x2, y, n_hidden)
            snapshot_mse[next_snapshot, 1] = mean_squared_error(params, valid[0], valid[1], valid[2], n_hidden)
            next_snapshot += 1


@kernel
def train_many(
    first,
    stop,
    seeds,
    start,
    fresh,
    input_distribution,
    task,
    n_hidden,
    lr,
    n_steps,
    snapshot_steps,
    params,
    init,
    mse,
    snapshots,
    snapshot_mse,
):
    """Trains networks first … stop − 1 of N, each from its seed; fills their rows of the last five.

    `start` (N, P) is where they begin unless `fresh`, `task` the code of a `Task`; `params`, `init` (N, P) float32, `mse`
    (N, 2), `snapshots` (N, K, P), `snapshot_mse` (N, K, 2): errors on train and validation samples.
    """
    widths = np.array([2, n_hidden, 1])
    for i in range(first, stop):
        x, y, order, drawn = draw(seeds[i], input_distribution, widths, params.shape[1], task)
        train, valid = split_columns(x, y, order)
        for p in range(params.shape[1]):
            init[i, p] = params[i, p] = drawn[p] if fresh else start[i, p]
        _train_one(train, valid, params[i], n_hidden, lr, n_steps, snapshot_steps, snapshots[i], snapshot_mse[i])
        mse[i, 0] = mean_squared_error(params[i], train[0], train[1], train[2], n_hidden)
        mse[i, 1] = mean_squared_error(params[i], valid[0], valid[1], valid[2], n_hidden)
