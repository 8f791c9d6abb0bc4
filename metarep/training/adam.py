"""One step of Adam in float32, in PyTorch's order of operations (`torch.optim._single_tensor_adam`)."""

from __future__ import annotations

import math

import numpy as np

from metarep.training.compiling import kernel

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


@kernel
def adam_step(params, grad, first, second, step, lr):
    """Updates params, first and second moments, (P,) float32 each, in place; `step` counts from 1."""
    step_size = np.float32(lr / (1.0 - BETA1**step))
    correction = np.float32(1.0 / math.sqrt(1.0 - BETA2**step))
    for i in range(params.size):
        g = grad[i]
        first[i] += (g - first[i]) * np.float32(1.0 - BETA1)
        second[i] = second[i] * np.float32(BETA2) + g * g * np.float32(1.0 - BETA2)
        params[i] -= step_size * (first[i] / (np.sqrt(second[i]) * correction + np.float32(EPS)))
