"""Tokens of what a network does, at probe inputs: what each hidden unit contributes to the output, or the function itself.

Parameters say how a network was written down; contributions say what its parts do. Scaling a ReLU unit
changes its parameters and no contribution, and so does whatever happens to a unit that is off. Outputs and their
derivatives by the inputs say what the whole does, and nothing of how. The cloze test is the same: some values are hidden, the
model predicts them from the rest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Self

import numpy as np
import torch

from metarep.errors import MetarepError
from metarep.networks.forward import contributions, forward
from metarep.networks.gradients import jacobians
from metarep.networks.spec import NetworkSpec


@dataclass(frozen=True)
class ProbedLayout(ABC):
    """Where the T tokens of one architecture stand: several quantities, one after the other, each at all probe inputs.

    The interface is that of `TokenLayout`. The probes are the midpoints of `n_probes` equal cells along each input
    between `low` and `high`, so that each stands for an equal share of the domain.
    """

    spec: NetworkSpec
    n_probes: int
    low: float
    high: float

    @property
    @abstractmethod
    def n_quantities(self) -> int: ...

    def finer(self, n_points: int) -> Self:
        """The same with about so many probe inputs in all."""
        return replace(self, n_probes=round(n_points ** (1 / self.spec.widths[0])))

    @property
    def n_points(self) -> int:
        return self.n_probes ** self.spec.widths[0]

    @cached_property
    def probes(self) -> np.ndarray:
        """(S, d) float32: the probe inputs."""
        axis = self.low + (self.high - self.low) * (np.arange(self.n_probes) + 0.5) / self.n_probes
        grid = np.meshgrid(*[axis] * self.spec.widths[0], indexing="ij")
        return np.stack(grid, axis=-1).reshape(-1, self.spec.widths[0]).astype(np.float32)

    @property
    def n_tokens(self) -> int:
        return self.n_quantities * self.n_points

    @cached_property
    def kind(self) -> np.ndarray:
        return np.zeros(self.n_tokens, dtype=np.int64)

    @cached_property
    def column(self) -> np.ndarray:
        return np.tile(np.arange(self.n_points), self.n_quantities)

    @property
    def input_unit(self) -> np.ndarray:
        """1 + the number of the probe input."""
        return 1 + self.column

    @cached_property
    def relation(self) -> np.ndarray:
        """(T, T): 1: one quantity; 2: one probe input; 4: one layer; the sum of what holds. 16: the token itself."""
        quantity = np.arange(self.n_quantities).repeat(self.n_points)
        same = [labels[:, None] == labels[None, :] for labels in (quantity, self.column, self.layer)]
        relation = (same[0] + 2 * same[1] + 4 * same[2]).astype(np.int64)
        np.fill_diagonal(relation, 16)
        return relation

    @cached_property
    def _points(self) -> list[str]:
        return [", ".join(f"{value:g}" for value in point) for point in self.probes]


@dataclass(frozen=True)
class BehaviourLayout(ProbedLayout):
    """What each hidden unit contributes at all probe inputs. Raises MetarepError for networks without hidden units."""

    def __post_init__(self) -> None:
        if not self.spec.hidden_widths:
            raise MetarepError(f"{self.spec} has no hidden unit whose behaviour could be read", fix="choose tokens=parameters")

    @property
    def n_quantities(self) -> int:
        return sum(self.spec.hidden_widths)

    @cached_property
    def layer(self) -> np.ndarray:
        return np.repeat(np.arange(len(self.spec.hidden_widths)), self.spec.hidden_widths).repeat(self.n_points)

    @property
    def rectified(self) -> bool:
        """Exact zeros mean something: the unit is off."""
        return True

    @property
    def kind_names(self) -> tuple[str, ...]:
        return ("contribution",)

    @cached_property
    def row(self) -> np.ndarray:
        """The number of the unit in its layer: what "indexed" positions see and relational ones do not."""
        return np.concatenate([np.arange(width) for width in self.spec.hidden_widths]).repeat(self.n_points)

    @property
    def output_unit(self) -> np.ndarray:
        return np.zeros(self.n_tokens, dtype=np.int64)

    @property
    def slot_class(self) -> np.ndarray:
        """Tokens of one layer at one probe have the same number."""
        return self.layer * self.n_points + self.column

    @property
    def n_classes(self) -> int:
        return len(self.spec.hidden_widths) * self.n_points

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """Such as "c0(0, 0.5)": layer and probe input."""
        return tuple(f"c{layer}({point})" for layer in range(len(self.spec.hidden_widths)) for point in self._points)

    @cached_property
    def hidden_units(self) -> tuple[np.ndarray, ...]:
        """For each hidden unit the indices of its tokens."""
        return tuple(np.split(np.arange(self.n_tokens), self.n_quantities))

    def order_index(self, orders: Sequence[np.ndarray]) -> np.ndarray:
        """Indices (…, T) into the tokens for one order (…, H) of units per hidden layer."""
        firsts = np.concatenate([[0], np.cumsum(self.spec.hidden_widths)[:-1]])
        units = np.concatenate([first + np.asarray(order) for first, order in zip(firsts, orders, strict=True)], axis=-1)
        return (units[..., None] * self.n_points + np.arange(self.n_points)).reshape(*units.shape[:-1], self.n_tokens)

    def read(self, params: torch.Tensor) -> torch.Tensor:
        """What the tokens of networks (N, P) hold, (N, T)."""
        return self.contributions_at(params, torch.from_numpy(self.probes).to(params)).flatten(-2)

    def contributions_at(self, params: torch.Tensor, probes: torch.Tensor) -> torch.Tensor:
        """(N, U, S): what each hidden unit of networks (N, P) contributes at probe inputs (S, d)."""
        return torch.cat(contributions(self.spec, params, probes), dim=-1).transpose(-1, -2)

    def random_probes(self, *, generator: torch.Generator) -> torch.Tensor:
        """(S, d): as many probe inputs, uniform on the domain."""
        draw = torch.rand(self.n_points, self.spec.widths[0], generator=generator)
        return self.low + (self.high - self.low) * draw


@dataclass(frozen=True)
class FunctionLayout(ProbedLayout):
    """The outputs of a network at all probe inputs, or their gradients: the derivative of each output by each input.

    There are no hidden units to see, and no order of theirs that could matter.
    """

    of: Literal["outputs", "gradients"] = "outputs"

    @property
    def n_quantities(self) -> int:
        return self.spec.widths[-1] * (1 if self.of == "outputs" else self.spec.widths[0])

    @cached_property
    def layer(self) -> np.ndarray:
        return np.zeros(self.n_tokens, dtype=np.int64)

    @property
    def rectified(self) -> bool:
        return False

    @property
    def kind_names(self) -> tuple[str, ...]:
        return (self.of.removesuffix("s"),)

    @cached_property
    def row(self) -> np.ndarray:
        """The number of the output, or of the output and the input that it is derived by."""
        return np.arange(self.n_quantities).repeat(self.n_points)

    @property
    def output_unit(self) -> np.ndarray:
        return 1 + self.row

    @property
    def slot_class(self) -> np.ndarray:
        return np.arange(self.n_tokens)

    @property
    def n_classes(self) -> int:
        return self.n_tokens

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """Such as "f0(0, 0.5)", or "df0/dx1(0, 0.5)"."""
        outputs, inputs = range(self.spec.widths[-1]), range(self.spec.widths[0])
        derivatives = [f"df{out}/dx{by}" for out in outputs for by in inputs]
        names = [f"f{out}" for out in outputs] if self.of == "outputs" else derivatives
        return tuple(f"{name}({point})" for name in names for point in self._points)

    @property
    def hidden_units(self) -> tuple[np.ndarray, ...]:
        return ()

    def order_index(self, orders: Sequence[np.ndarray]) -> np.ndarray:
        """The tokens as they stand: (…, T) for one order (…, H) of units per hidden layer."""
        shape = np.asarray(orders[0]).shape[:-1] if len(orders) else ()
        return np.broadcast_to(np.arange(self.n_tokens), (*shape, self.n_tokens))

    def read(self, params: torch.Tensor) -> torch.Tensor:
        """What the tokens of networks (N, P) hold, (N, T)."""
        probes = torch.from_numpy(self.probes).to(params)
        if self.of == "outputs":
            return forward(self.spec, params, probes).transpose(-1, -2).flatten(-2)
        return jacobians(self.spec, params, probes).by_input.flatten(-2).transpose(-1, -2).flatten(-2)
