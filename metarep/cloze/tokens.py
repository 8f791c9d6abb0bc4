"""From the parameters of a network to tokens: a value and where it stands.

Two descriptions of a place are kept apart. What a *permutation of hidden units* leaves as it
is: layer, kind, which input it reads and which output it feeds, and for two tokens whether they
share a unit (`relation`). What it changes: row and column numbers. A model that sees the first
alone is equivariant under unit order by construction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch

from metarep.cloze.behaviour import BehaviourLayout, FunctionLayout
from metarep.networks.spec import KINDS, NetworkSpec, Slot
from metarep.networks.symmetry import order_index

N_RELATIONS = 17
"""16 combinations of shared units (see `TokenLayout.relation`), and the token itself."""


@dataclass(frozen=True)
class TokenLayout:
    """Where the T = P tokens of one architecture stand; every array is (T,) int64 unless said otherwise."""

    spec: NetworkSpec

    @property
    def n_tokens(self) -> int:
        return self.spec.n_params

    @cached_property
    def layer(self) -> np.ndarray:
        return np.array([slot.layer for slot in self.spec.slots])

    @cached_property
    def kind(self) -> np.ndarray:
        return np.array([KINDS.index(slot.kind) for slot in self.spec.slots])

    @cached_property
    def row(self) -> np.ndarray:
        return np.array([slot.row for slot in self.spec.slots])

    @cached_property
    def column(self) -> np.ndarray:
        return np.array([slot.column for slot in self.spec.slots])

    @cached_property
    def input_unit(self) -> np.ndarray:
        """1 + the network input that the token reads, 0 for none."""
        return np.array([s.column + 1 if s.layer == 0 and s.kind == "weight" else 0 for s in self.spec.slots])

    @cached_property
    def output_unit(self) -> np.ndarray:
        """1 + the network output that the token feeds, 0 for none."""
        return np.array([s.row + 1 if s.layer == self.spec.n_layers - 1 else 0 for s in self.spec.slots])

    @cached_property
    def slot_class(self) -> np.ndarray:
        """Tokens that a permutation of hidden units can exchange have the same number, counted from 0."""
        keys = np.stack([self.layer, self.kind, self.input_unit, self.output_unit], axis=1)
        _, first, member = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        return np.argsort(np.argsort(first))[member.reshape(-1)]

    @property
    def n_classes(self) -> int:
        return int(self.slot_class.max()) + 1

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """Such as "w0[·,1]": the unit numbers that may change are dots."""
        names = {}
        for slot, number in zip(self.spec.slots, self.slot_class, strict=True):
            row = slot.row if slot.layer == self.spec.n_layers - 1 else "·"
            column = slot.column if slot.layer == 0 else "·"
            names[int(number)] = f"w{slot.layer}[{row},{column}]" if slot.kind == "weight" else f"b{slot.layer}[{row}]"
        return tuple(names[number] for number in range(self.n_classes))

    @cached_property
    def relation(self) -> np.ndarray:
        """(T, T): what token i shares with token j, as a number below `N_RELATIONS`.

        1: both feed one unit; 2: both read one unit; 4: i feeds the unit that j reads; 8: i
        reads the unit that j feeds; the sum of what holds. 16: i is j.
        """
        feeds, reads = self._units_fed, self._units_read
        same = lambda a, b: (a[:, None] == b[None, :]) & (a[:, None] >= 0)  # noqa: E731
        relation = same(feeds, feeds) + 2 * same(reads, reads) + 4 * same(feeds, reads) + 8 * same(reads, feeds)
        np.fill_diagonal(relation, 16)
        return relation.astype(np.int64)

    @cached_property
    def _first_unit(self) -> np.ndarray:
        return np.concatenate([[0], np.cumsum(self.spec.widths)])

    @cached_property
    def _units_fed(self) -> np.ndarray:
        return np.array([self._first_unit[s.layer + 1] + s.row for s in self.spec.slots])

    @cached_property
    def _units_read(self) -> np.ndarray:
        return np.array([self._first_unit[s.layer] + s.column if s.kind == "weight" else -1 for s in self.spec.slots])

    @cached_property
    def hidden_units(self) -> tuple[np.ndarray, ...]:
        """For each hidden unit, layer by layer, the indices of its incoming, bias and outgoing parameters."""
        units = range(self._first_unit[1], self._first_unit[-2])
        return tuple(np.flatnonzero((self._units_fed == u) | (self._units_read == u)) for u in units)

    @cached_property
    def incoming(self) -> tuple[np.ndarray, ...]:
        """For each hidden unit, layer by layer, the indices of its incoming weights and its bias."""
        return tuple(indices[self._units_fed[indices] == self._units_fed[indices[0]]] for indices in self.hidden_units)

    def slots_of_class(self, number: int) -> list[Slot]:
        """The parameters of one slot class."""
        return [slot for slot, member in zip(self.spec.slots, self.slot_class, strict=True) if member == number]

    @property
    def rectified(self) -> bool:
        """Whether exact zeros mean something of their own."""
        return False

    @property
    def kind_names(self) -> tuple[str, ...]:
        return KINDS

    def order_index(self, orders: Sequence[np.ndarray]) -> np.ndarray:
        """Indices (…, T) into the tokens for one order (…, H) of units per hidden layer."""
        return order_index(self.spec, orders)

    def read(self, params: torch.Tensor) -> torch.Tensor:
        """What the tokens of networks (N, P) hold, (N, T): the parameters themselves."""
        return params


Layout = TokenLayout | BehaviourLayout | FunctionLayout


@lru_cache(maxsize=64)
def layout_of(spec: NetworkSpec, tokens: str = "parameters", n_probes: int = 3, low: float = 0.0, high: float = 1.0) -> Layout:
    """The layout of one architecture, made once: of its "parameters", or at probe inputs of its "behaviour", that is of its
    hidden units' contributions, of its "outputs" or of its "gradients".
    """
    if tokens == "parameters":
        return TokenLayout(spec)
    if tokens == "behaviour":
        return BehaviourLayout(spec, n_probes, low, high)
    return FunctionLayout(spec, n_probes, low, high, tokens)
