"""The architecture of a fully connected ReLU subject network and the order of its parameters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from metarep.errors import MetarepError

_PATTERN = re.compile(r"^(\d+(?:-\d+)+)(-relu)?$")


@dataclass(frozen=True)
class Slot:
    """Where one parameter stands: `row` is the unit it feeds, `column` the unit it reads (0 for a bias)."""

    name: str
    layer: int
    kind: str
    row: int
    column: int


@dataclass(frozen=True)
class NetworkSpec:
    """Widths from input to output, as (2, 2, 1), and whether the output too goes through a ReLU.

    Hidden layers are ReLU, every layer has a bias. The text form is "2-2-1", with "-relu"
    behind it for a rectified output: "2-1-relu".
    """

    widths: tuple[int, ...]
    output_relu: bool = False

    def __post_init__(self) -> None:
        if len(self.widths) < 2 or min(self.widths) < 1:
            raise MetarepError(
                "a network needs at least an input and an output width", met=self.widths, expected="such as 2-2-1"
            )

    @classmethod
    def parse(cls, text: str) -> NetworkSpec:
        """Reads "2-2-1" or "2-1-relu". Raises MetarepError for anything else."""
        match = _PATTERN.match(text)
        if not match:
            raise MetarepError("spec is not a network", met=repr(text), expected="widths such as 2-2-1, 2-16-1 or 2-1-relu")
        return cls(tuple(int(width) for width in match[1].split("-")), bool(match[2]))

    def __str__(self) -> str:
        return "-".join(map(str, self.widths)) + ("-relu" if self.output_relu else "")

    @property
    def n_layers(self) -> int:
        """The number of linear layers."""
        return len(self.widths) - 1

    @property
    def hidden_widths(self) -> tuple[int, ...]:
        return self.widths[1:-1]

    @cached_property
    def shapes(self) -> tuple[tuple[tuple[int, int], tuple[int]], ...]:
        """((out, in), (out,)) for each layer: weight before bias, as PyTorch's `Linear` has them."""
        return tuple(((o, i), (o,)) for i, o in zip(self.widths[:-1], self.widths[1:], strict=True))

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """Every parameter in order: for each layer the weight row by row, then the bias."""
        slots = []
        for layer, ((rows, columns), _) in enumerate(self.shapes):
            slots += [Slot(f"w{layer}[{r},{c}]", layer, "weight", r, c) for r in range(rows) for c in range(columns)]
            slots += [Slot(f"b{layer}[{r}]", layer, "bias", r, 0) for r in range(rows)]
        return tuple(slots)

    @property
    def n_params(self) -> int:
        return len(self.slots)

    def unpack(self, params):
        """[(weight (…, out, in), bias (…, out)) per layer] as views of params (…, P); NumPy or torch."""
        if params.shape[-1] != self.n_params:
            raise MetarepError(f"a {self} network has {self.n_params} parameters", met=params.shape[-1])
        layers, at = [], 0
        for (rows, columns), _ in self.shapes:
            weight = params[..., at : at + rows * columns].reshape(*params.shape[:-1], rows, columns)
            at += rows * columns
            layers.append((weight, params[..., at : at + rows]))
            at += rows
        return layers

    def pack(self, layers) -> np.ndarray:
        """The inverse of `unpack` for NumPy arrays: params (…, P)."""
        flat = []
        for weight, bias in layers:
            weight, bias = np.asarray(weight), np.asarray(bias)
            flat += [weight.reshape(*weight.shape[:-2], weight.shape[-2] * weight.shape[-1]), bias]
        return np.concatenate(flat, axis=-1)
