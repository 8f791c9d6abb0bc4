"""What hidden units do: which irreducible representation holds most of a unit's energy, and what share.

A unit reads two functions on the group, the rows of its incoming weights, and writes one. Its energy in a representation is the
share of its squared incoming weights there, and the share of its outgoing ones, averaged: no scaling of a unit changes it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metarep.domains.groups.group import FiniteGroup, group_named
from metarep.domains.groups.settings import order_of_elements
from metarep.zoos.zoo import Zoo

ALIVE = 1e-3
"""A unit whose incoming times outgoing length is below this share of its network's largest does nothing, and has no label."""

USED = 0.05
"""A representation is used where at least this share of the living units has it as label."""


@dataclass(frozen=True)
class Energies:
    """Of units (…, U): share (…, U, R) of each real irreducible representation, and which of them do anything (…, U) bool."""

    share: np.ndarray
    alive: np.ndarray

    @property
    def label(self) -> np.ndarray:
        """(…, U): the number of the representation with most energy."""
        return self.share.argmax(axis=-1)

    @property
    def purity(self) -> np.ndarray:
        """(…, U): its share; NaN where a unit does nothing."""
        return np.where(self.alive, self.share.max(axis=-1), np.nan)

    @property
    def counts(self) -> np.ndarray:
        """(…, R): how many living units have each representation as label."""
        return ((self.label[..., None] == np.arange(self.share.shape[-1])) & self.alive[..., None]).sum(axis=-2)

    @property
    def used(self) -> np.ndarray:
        """(…, R) bool: the representations that a network uses."""
        return self.counts >= np.maximum(1, USED * self.alive.sum(axis=-1, keepdims=True))


def energies(group: FiniteGroup, hidden: np.ndarray, output: np.ndarray) -> Energies:
    """Of weights (…, U, 2n) and (…, n, U), elements in the group's own order."""
    reads = sum(group.energies(part) for part in np.split(hidden.astype(np.float64), 2, axis=-1))
    writes = group.energies(np.swapaxes(output, -1, -2).astype(np.float64))
    strength = np.sqrt(reads.sum(axis=-1) * writes.sum(axis=-1))
    share = sum(one / np.maximum(one.sum(axis=-1, keepdims=True), 1e-30) for one in (reads, writes)) / 2
    return Energies(share, strength > ALIVE * strength.max(axis=-1, keepdims=True))


def relabelled(hidden: np.ndarray, output: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (U, 2n) and (n, U) with element order[i] in place i, in both inputs and in the output."""
    n = len(order)
    return hidden[:, np.concatenate([order, n + order])], output[order]


def energies_of(zoo: Zoo) -> list[Energies]:
    """Of every network of a zoo."""
    found = []
    for row in range(len(zoo)):
        group, tensors = group_named(zoo["group"][row]), zoo.parameters.tensors(zoo.columns, row)
        hidden, output = (tensors[name].numpy() for name in ("hidden.weight", "output.weight"))
        if zoo["relabelled"][row]:
            back = np.argsort(order_of_elements(int(zoo["seed"][row]), group.n))
            hidden, output = relabelled(hidden, output, back)
        found.append(energies(group, hidden, output))
    return found


def by_unit(zoo: Zoo, value_of, missing) -> np.ndarray:
    """(N, U) of what a function says of (group, energies) of a network; `missing` where a network has fewer units."""
    rows = [value_of(group_named(zoo["group"][row]), one) for row, one in enumerate(energies_of(zoo))]
    found = np.full((len(rows), max(map(len, rows))), missing, dtype=object if missing == "" else np.float64)
    for row, values in enumerate(rows):
        found[row, : len(values)] = values
    return found


def unit_irreps(zoo: Zoo) -> np.ndarray:
    """(N, U) texts such as "S4 3a"; "" where a unit does nothing."""
    return by_unit(zoo, lambda group, one: named(one, [f"{group.name} {irrep.name}" for irrep in group.irreps]), "")


def unit_dimensions(zoo: Zoo) -> np.ndarray:
    """(N, U) texts: the dimension of the representation."""
    return by_unit(zoo, lambda group, one: named(one, [str(irrep.dimension) for irrep in group.irreps]), "")


def unit_purities(zoo: Zoo) -> np.ndarray:
    """(N, U): the share of the energy that the representation holds; NaN where a unit does nothing."""
    return by_unit(zoo, lambda group, one: one.purity, np.nan)


def named(one: Energies, names: list[str]) -> np.ndarray:
    """(U,) texts: the names of labels, "" where a unit does nothing."""
    return np.where(one.alive, np.array(names, dtype=object)[one.label], "")


def one_hot_pairs(zoo: Zoo | None) -> np.ndarray | None:
    """(n², 2n): all pairs of elements in random order, as the networks of a zoo read them; None for orders that differ."""
    orders = set() if zoo is None else {group_named(str(name)).n for name in set(zoo["group"])}
    if len(orders) != 1:
        return None
    one = np.eye(orders.pop(), dtype=np.float32)
    pairs = np.concatenate([one.repeat(len(one), axis=0), np.tile(one, (len(one), 1))], axis=1)
    return np.random.default_rng(0).permutation(pairs)
