"""The general fast kernel: any fully connected ReLU network, one thread a network.

A step passes once over the samples in blocks that stay in the first-level cache with all
their activations, so nothing is streamed through memory but the samples. The innermost loop
runs over the samples of a block and vectorises.
"""

from __future__ import annotations

import numpy as np

from metarep.training.adam import adam_step
from metarep.training.compiling import kernel
from metarep.training.sampling import draw, draw_interval

BLOCK = 128
ZERO = np.float32(0.0)


@kernel
def _linear(weight, bias, inputs, outputs, n, rectify):
    """outputs[:, :n] = weight · inputs + bias, rectified if asked; weight is (out, in) row by row."""
    n_in = inputs.shape[0]
    for o in range(outputs.shape[0]):
        out = outputs[o, :n]
        first = inputs[0, :n]
        w, b = weight[o * n_in], bias[o]
        for s in range(n):
            out[s] = w * first[s] + b
        for i in range(1, n_in):
            row, w = inputs[i, :n], weight[o * n_in + i]
            for s in range(n):
                out[s] += w * row[s]
        if rectify:
            for s in range(n):
                out[s] = max(out[s], ZERO)


@kernel
def _linear_backward(weight, inputs, delta, grad_weight, grad_bias, delta_in, n, needs_input):
    """Adds one block to the gradients; delta_in becomes delta through the weight and the ReLU of `inputs`."""
    n_in = inputs.shape[0]
    for o in range(delta.shape[0]):
        d = delta[o, :n]
        total = ZERO
        for s in range(n):
            total += d[s]
        grad_bias[o] += total
        for i in range(n_in):
            row = inputs[i, :n]
            total = ZERO
            for s in range(n):
                total += d[s] * row[s]
            grad_weight[o * n_in + i] += total
    if not needs_input:
        return
    for i in range(n_in):
        out, row = delta_in[i, :n], inputs[i, :n]
        out[:] = ZERO
        for o in range(delta.shape[0]):
            d, w = delta[o, :n], weight[o * n_in + i]
            for s in range(n):
                out[s] += w * d[s]
        for s in range(n):
            out[s] = out[s] if row[s] > ZERO else ZERO


@kernel
def _forward(params, widths, rectify_output, at_layer, x, start, n, acts):
    """Runs one block through the network; acts[l, :widths[l], :n] are the activations of layer l."""
    for i in range(widths[0]):
        for s in range(n):
            acts[0, i, s] = x[i, start + s]
    for layer in range(widths.size - 1):
        n_in, n_out = widths[layer], widths[layer + 1]
        weight = params[at_layer[layer] : at_layer[layer] + n_in * n_out]
        bias = params[at_layer[layer] + n_in * n_out : at_layer[layer + 1]]
        rectify = layer < widths.size - 2 or rectify_output
        _linear(weight, bias, acts[layer, :n_in], acts[layer + 1, :n_out], n, rectify)


@kernel
def mean_squared_error(params, widths, rectify_output, at_layer, x, y, acts):
    """The error of one network with one output on samples x (d, S), y (S,)."""
    total = 0.0
    for start in range(0, y.size, BLOCK):
        n = min(BLOCK, y.size - start)
        _forward(params, widths, rectify_output, at_layer, x, start, n, acts)
        for s in range(n):
            total += np.float64(acts[widths.size - 1, 0, s] - y[start + s]) ** 2
    return total / y.size


@kernel
def _gradient(params, widths, rectify_output, at_layer, x, y, acts, deltas, grad, block_grad):
    """The gradient of the mean squared error on the full batch, into grad (P,) float32."""
    total = np.zeros(params.size)
    last = widths.size - 1
    for start in range(0, y.size, BLOCK):
        n = min(BLOCK, y.size - start)
        _forward(params, widths, rectify_output, at_layer, x, start, n, acts)
        out, delta, target = acts[last, 0, :n], deltas[last, 0, :n], y[start : start + n]
        for s in range(n):
            delta[s] = out[s] - target[s]
        if rectify_output:
            for s in range(n):
                delta[s] = delta[s] if out[s] > ZERO else ZERO
        block_grad[:] = ZERO
        for layer in range(last - 1, -1, -1):
            n_in, n_out = widths[layer], widths[layer + 1]
            middle = at_layer[layer] + n_in * n_out
            _linear_backward(
                params[at_layer[layer] : middle],
                acts[layer, :n_in],
                deltas[layer + 1, :n_out],
                block_grad[at_layer[layer] : middle],
                block_grad[middle : at_layer[layer + 1]],
                deltas[layer, :n_in],
                n,
                layer > 0,
            )
        for p in range(params.size):
            total[p] += block_grad[p]
    for p in range(params.size):
        grad[p] = total[p] * (2.0 / y.size)


@kernel
def _train_one(
    train, valid, params, widths, rectify_output, at_layer, lr, n_steps, snapshot_steps, snapshots, snapshot_mse, mse
):
    """Trains params (P,) in place; fills snapshots (K, P), their errors (K, 2) and the last (2,)."""
    x, y = train
    acts = np.empty((widths.size, widths.max(), BLOCK), np.float32)
    deltas = np.empty_like(acts)
    first, second = np.zeros_like(params), np.zeros_like(params)
    grad, block_grad = np.empty_like(params), np.empty_like(params)
    next_snapshot = 0
    for step in range(1, n_steps + 1):
        _gradient(params, widths, rectify_output, at_layer, x, y, acts, deltas, grad, block_grad)
        adam_step(params, grad, first, second, step, lr)
        if next_snapshot < snapshot_steps.size and step == snapshot_steps[next_snapshot]:
            for p in range(params.size):
                snapshots[next_snapshot, p] = params[p]
            snapshot_mse[next_snapshot, 0] = mean_squared_error(params, widths, rectify_output, at_layer, x, y, acts)
            snapshot_mse[next_snapshot, 1] = mean_squared_error(
                params, widths, rectify_output, at_layer, valid[0], valid[1], acts
            )
            next_snapshot += 1
    mse[0] = mean_squared_error(params, widths, rectify_output, at_layer, x, y, acts)
    mse[1] = mean_squared_error(params, widths, rectify_output, at_layer, valid[0], valid[1], acts)


@kernel
def train_many(
    first,
    stop,
    seeds,
    start,
    fresh,
    input_distribution,
    task,
    coefficients,
    widths,
    rectify_output,
    lr,
    n_steps,
    n_train,
    snapshot_steps,
    params,
    init,
    mse,
    snapshots,
    snapshot_mse,
):
    """Trains some networks, each from its seed; the arguments are those of `moments.train_many`.

    With one input each is trained on the series of these coefficients (2, 10); `input_distribution` and `task` have no effect.
    """
    at_layer = np.zeros(widths.size, np.int64)
    for layer in range(widths.size - 1):
        at_layer[layer + 1] = at_layer[layer] + (widths[layer] + 1) * widths[layer + 1]
    for i in range(first, stop):
        if widths[0] == 1:
            x, y, order, drawn = draw_interval(seeds[i], coefficients, widths, params.shape[1])
        else:
            x, y, order, drawn = draw(seeds[i], input_distribution, widths, params.shape[1], task)
        train = (x[order[:n_train]].T.copy(), y[order[:n_train]])
        valid = (x[order[n_train:]].T.copy(), y[order[n_train:]])
        for p in range(params.shape[1]):
            init[i, p] = params[i, p] = drawn[p] if fresh else start[i, p]
        _train_one(
            train,
            valid,
            params[i],
            widths,
            rectify_output,
            at_layer,
            lr,
            n_steps,
            snapshot_steps,
            snapshots[i],
            snapshot_mse[i],
            mse[i],
        )
