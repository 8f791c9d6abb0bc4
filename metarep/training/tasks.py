"""What the networks are trained to compute: five functions of two numbers, or a random function of one.

An input distribution hands over its inputs and their product, as the recipe draws it (there the product comes first and the
inputs follow from it); every other target is computed from the inputs in float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metarep.training.compiling import strict_kernel

TWO_INPUTS = ("product", "sum", "quotient", "square", "max")
"""x1 x2, x1 + x2, x1 / (x2 + 1/2), x1², max(x1, x2). The divisor keeps away from 0, where x1 / x2 has no bound."""

DIVISOR_OFFSET = np.float32(0.5)
N_TERMS = 10


@dataclass(frozen=True)
class Task:
    """A target by name; `series` holds the cosines' and the sines' coefficients where it is a function of one number."""

    name: str = "product"
    series: tuple[tuple[float, ...], tuple[float, ...]] | None = None

    @property
    def code(self) -> int:
        """Which of TWO_INPUTS, for `targets`; 0 for a series."""
        return 0 if self.series else TWO_INPUTS.index(self.name)

    @property
    def coefficients(self) -> np.ndarray:
        """(2, 10) float64 of the series; zeros where there is none."""
        return np.array(self.series) if self.series else np.zeros((2, N_TERMS))

    def reference(self, x: np.ndarray, product: np.ndarray) -> np.ndarray:
        """The targets (S,) float32 of inputs x (S, d) whose product is `product` (S,), by NumPy."""
        if self.series:
            return series_values(self.coefficients, x[:, 0])
        functions = {
            "product": lambda: product,
            "sum": lambda: x[:, 0] + x[:, 1],
            "quotient": lambda: x[:, 0] / (x[:, 1] + DIVISOR_OFFSET),
            "square": lambda: x[:, 0] * x[:, 0],
            "max": lambda: np.maximum(x[:, 0], x[:, 1]),
        }
        return functions[self.name]()


PRODUCT = Task()


@strict_kernel
def targets(code, x, product):
    """`Task.reference` for two inputs, compiled: the same float32 numbers bit for bit."""
    if code == 0:
        return product
    y = np.empty_like(product)
    for i in range(y.size):
        if code == 1:
            y[i] = x[i, 0] + x[i, 1]
        elif code == 2:
            y[i] = x[i, 0] / (x[i, 1] + DIVISOR_OFFSET)
        elif code == 3:
            y[i] = x[i, 0] * x[i, 0]
        else:
            y[i] = max(x[i, 0], x[i, 1])
    return y


@strict_kernel
def series_values(coefficients, x):
    """Σ_k a_k cos(π k x) + b_k sin(π k x), k = 1 … 10, (S,) float32 for x (S,); coefficients (2, 10) hold a and b."""
    y = np.empty(x.size, np.float32)
    for i in range(x.size):
        total = 0.0
        for k in range(coefficients.shape[1]):
            angle = np.pi * (k + 1) * np.float64(x[i])
            total += coefficients[0, k] * np.cos(angle) + coefficients[1, k] * np.sin(angle)
        y[i] = total
    return y


def random_series(number: int, *, seed: int) -> Task:
    """The random function "fourier-<number>" of a zoo's seed, of period 2 and mean 0 on [−1, 1].

    The twenty coefficients a_k, b_k are normal with standard deviation 1/k (a Brownian bridge cut off at ten terms) and
    then scaled alike so that the mean square over [−1, 1], half the sum of their squares, is 1.
    """
    drawn = np.random.default_rng([seed, number, N_TERMS]).standard_normal((2, N_TERMS)) / np.arange(1, N_TERMS + 1)
    drawn *= np.sqrt(2 / np.square(drawn).sum())
    return Task(f"fourier-{number:03d}", (tuple(drawn[0].tolist()), tuple(drawn[1].tolist())))
