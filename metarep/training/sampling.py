"""The recipe's random numbers, bit for bit, compiled: both generators are a Mersenne Twister.

PyTorch's CPU generator and NumPy's legacy one both start MT19937 from the seed by Knuth's
rule. A float32 uniform of PyTorch is the low 24 bits of a draw times 2^−24 (ATen's
`uniform_real_distribution`); NumPy's legacy shuffle draws by masked rejection
(`legacy-distributions.c`, `random_interval`). `tests/training/test_sampling.py` holds this to
`recipe.draw_reference` bit by bit.
"""

from __future__ import annotations

import math

import numpy as np

from metarep.training.compiling import strict_kernel
from metarep.training.recipe import N_INTERVAL, N_SAMPLES, N_TRAIN
from metarep.training.tasks import series_values, targets

N_STATE = 624
INPUT_DISTRIBUTIONS = {"product": 0, "square": 1, "wide": 2, "diagonal": 3}
"""How two inputs are drawn; `draw_interval` draws one."""


@strict_kernel
def _start(seed):
    state = np.empty(N_STATE, np.uint32)
    state[0] = np.uint32(seed)
    for i in range(1, N_STATE):
        previous = np.uint64(state[i - 1])
        state[i] = np.uint32(
            (np.uint64(1812433253) * (previous ^ (previous >> np.uint64(30))) + np.uint64(i)) & np.uint64(0xFFFFFFFF)
        )
    return state


@strict_kernel
def _mix(state, first, last, ahead, following):
    """Renews state[first:last] from what stands `ahead` of it and `following` it by one; written so that it vectorises."""
    for i in range(first, last):
        y = (state[i] & np.uint32(0x80000000)) | (state[i + following] & np.uint32(0x7FFFFFFF))
        state[i] = state[i + ahead] ^ (y >> np.uint32(1)) ^ ((np.uint32(0) - (y & np.uint32(1))) & np.uint32(0x9908B0DF))


@strict_kernel
def _twist(state):
    _mix(state, 0, N_STATE - 397, 397, 1)
    _mix(state, N_STATE - 397, N_STATE - 1, 397 - N_STATE, 1)
    _mix(state, N_STATE - 1, N_STATE, 397 - N_STATE, 1 - N_STATE)


@strict_kernel
def _draw(state, n):
    """The next n tempered 32-bit numbers of a state at a block's start; the rest of the last block is lost."""
    out = np.empty(-(-n // N_STATE) * N_STATE, np.uint32)
    for at in range(0, out.size, N_STATE):
        _twist(state)
        for i in range(N_STATE):
            y = state[i]
            y ^= y >> np.uint32(11)
            y ^= (y << np.uint32(7)) & np.uint32(0x9D2C5680)
            y ^= (y << np.uint32(15)) & np.uint32(0xEFC60000)
            out[at + i] = y ^ (y >> np.uint32(18))
    return out


@strict_kernel
def _uniforms(bits):
    return (bits & np.uint32(0xFFFFFF)).astype(np.float32) * np.float32(2.0**-24)


@strict_kernel
def _doubles(bits):
    """NumPy's legacy uniforms of 53 bits, two draws each."""
    out = np.empty(bits.size // 2)
    for i in range(out.size):
        high, low = bits[2 * i] >> np.uint32(5), bits[2 * i + 1] >> np.uint32(6)
        out[i] = (np.float64(high) * 67108864.0 + np.float64(low)) / 9007199254740992.0
    return out


@strict_kernel
def _permutation(state, bits, at, n):
    """NumPy's legacy permutation from draws `bits[at:]`, and from the state when those are spent."""
    order = np.arange(n).astype(np.int32)
    for i in range(n - 1, 0, -1):
        mask = np.uint32(i)
        for shift in (1, 2, 4, 8, 16):
            mask |= mask >> np.uint32(shift)
        j = np.uint32(i) + np.uint32(1)
        while j > np.uint32(i):
            if at == bits.size:
                bits = _draw(state, n)
                at = 0
            j = bits[at] & mask
            at += 1
        order[i], order[j] = order[j], order[i]
    return order


@strict_kernel
def _product_samples(u):
    n = N_SAMPLES
    x = np.empty((n, 2), np.float32)
    y = u[:n].copy()
    half = np.float32(0.5)
    for i in range(n):
        d = u[n + i] * half + half
        x1 = y[i] / d
        x2 = d if x1 == 0 else y[i] / x1
        if u[2 * n + i] < half:
            x1, x2 = x2, x1
        x[i, 0], x[i, 1] = x1, x2
    return x, y


@strict_kernel
def _square_samples(u, input_distribution):
    """Two columns of inputs from doubles u (2 n,), row by row, and their products, rounded once to float32."""
    x, y = np.empty((N_SAMPLES, 2), np.float32), np.empty(N_SAMPLES, np.float32)
    for i in range(N_SAMPLES):
        x1, x2 = u[2 * i], u[2 * i + 1]
        if input_distribution == 2:
            x1, x2 = 2 * x1, 2 * x2
        elif input_distribution == 3:
            x1, x2 = (3 * x1 + x2) / 4, (x1 + 3 * x2) / 4
        x[i, 0], x[i, 1], y[i] = x1, x2, x1 * x2
    return x, y


@strict_kernel
def _default_initialisation(u, widths):
    params = np.empty(u.size, np.float32)
    at = 0
    for layer in range(widths.size - 1):
        fan_in = widths[layer]
        # kaiming_uniform_ with a = √5, in the same order of operations
        weight_bound = math.sqrt(3.0) * (math.sqrt(2.0 / (1.0 + math.sqrt(5.0) ** 2)) / math.sqrt(fan_in))
        bias_bound = 1.0 / math.sqrt(fan_in)
        n_weights = fan_in * widths[layer + 1]
        for i in range(n_weights + widths[layer + 1]):
            low = np.float32(-(weight_bound if i < n_weights else bias_bound))
            high = np.float32(weight_bound if i < n_weights else bias_bound)
            # One rounding, as the fused multiply-add that PyTorch's build has here.
            params[at + i] = np.float32(np.float64(u[at + i]) * np.float64(high - low) + np.float64(low))
        at += n_weights + widths[layer + 1]
    return params


@strict_kernel
def draw(seed, input_distribution, widths, n_params, task=0):
    """(x (10000, 2), y (10000,), order (10000,) int32, init_params (P,)) of one seed, float32.

    `input_distribution` is a value of `INPUT_DISTRIBUTIONS`, `widths` an int64 array, `task` the code of a `Task`. Equal to
    `recipe.draw_reference` bit for bit.
    """
    state = _start(seed)
    numpy_state = state.copy()
    if input_distribution == 0:
        u = _uniforms(_draw(state, 3 * N_SAMPLES + n_params))
        x, y = _product_samples(u)
        init = u[3 * N_SAMPLES : 3 * N_SAMPLES + n_params]
        bits = _draw(numpy_state, 2 * N_SAMPLES)
        order = _permutation(numpy_state, bits, 0, N_SAMPLES)
    else:
        bits = _draw(numpy_state, 6 * N_SAMPLES)
        x, y = _square_samples(_doubles(bits[: 4 * N_SAMPLES]), input_distribution)
        order = _permutation(numpy_state, bits, 4 * N_SAMPLES, N_SAMPLES)
        init = _uniforms(_draw(state, n_params))[:n_params]
    return x, targets(task, x, y), order, _default_initialisation(init, widths)


@strict_kernel
def draw_interval(seed, coefficients, widths, n_params):
    """The same for one input: x (320, 1) uniform on [−1, 1], y (320,) the series with these coefficients (2, 10)."""
    state = _start(seed)
    numpy_state = state.copy()
    u = _uniforms(_draw(state, N_INTERVAL + n_params))
    x = u[:N_INTERVAL] * np.float32(2.0) - np.float32(1.0)
    order = _permutation(numpy_state, _draw(numpy_state, 2 * N_INTERVAL), 0, N_INTERVAL)
    init = _default_initialisation(u[N_INTERVAL : N_INTERVAL + n_params], widths)
    return x.reshape(N_INTERVAL, 1), series_values(coefficients, x), order, init


@strict_kernel
def draw_many(first, stop, seeds, input_distribution, widths, task, train, valid, init):
    """Fills train (N, 3, 8000), valid (N, 3, 2000), which hold x1, x2 and y, and init (N, P), for networks first … stop − 1."""
    for n in range(first, stop):
        x, y, order, drawn = draw(seeds[n], input_distribution, widths, init.shape[1], task)
        for p in range(init.shape[1]):
            init[n, p] = drawn[p]
        _in_rows(x, y, order[:N_TRAIN], train[n])
        _in_rows(x, y, order[N_TRAIN:], valid[n])


@strict_kernel
def draw_many_intervals(first, stop, seeds, coefficients, widths, train, valid, init):
    """The same for one input: train (N, 2, 256) and valid (N, 2, 64) hold x and y."""
    for n in range(first, stop):
        x, y, order, drawn = draw_interval(seeds[n], coefficients, widths, init.shape[1])
        for p in range(init.shape[1]):
            init[n, p] = drawn[p]
        _in_rows(x, y, order[: train.shape[2]], train[n])
        _in_rows(x, y, order[train.shape[2] :], valid[n])


@strict_kernel
def _in_rows(x, y, chosen, rows):
    for s in range(chosen.size):
        for i in range(x.shape[1]):
            rows[i, s] = x[chosen[s], i]
        rows[x.shape[1], s] = y[chosen[s]]


@strict_kernel
def split_columns(x, y, order):
    """(x1, x2, y) of the training samples and of the validation samples, each contiguous."""
    train, valid = order[:N_TRAIN], order[N_TRAIN:]
    return (x[train, 0], x[train, 1], y[train]), (x[valid, 0], x[valid, 1], y[valid])
