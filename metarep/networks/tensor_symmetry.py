"""What may be done to the tensors of a network without changing its function, by its symmetries; and forms that undo it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from metarep.errors import MetarepError
from metarep.networks.symmetry_groups import Member, Symmetries, SymmetryGroup

Tensors = Mapping[str, torch.Tensor]


def permuted(tensors: Tensors, symmetries: Symmetries, orders: Sequence[np.ndarray | None]) -> dict[str, torch.Tensor]:
    """The tensors with unit i of each group replaced by its unit order[i]; None leaves a group alone.

    orders has an entry for each group, (n,) int64 or None. Raises MetarepError for the order of a group that
    is not interchangeable.
    """
    found = dict(tensors)
    for units, order in zip(symmetries.groups, orders, strict=True):
        if order is None:
            continue
        if not units.interchangeable:
            raise MetarepError(f"the units of {units.name} cannot change places", expected="None for this group")
        for member in _present(units, found):
            axis = found[member.tensor].shape[member.axis]
            index, places = np.arange(axis), member.positions(units.n)
            index[places] = places[np.asarray(order)]
            found[member.tensor] = found[member.tensor].index_select(member.axis, torch.from_numpy(index))
    return found


def scaled(tensors: Tensors, symmetries: Symmetries, factors: Sequence[np.ndarray | None]) -> dict[str, torch.Tensor]:
    """The tensors with what feeds each unit times its factor, what reads it over its factor; None leaves a group alone.

    factors has an entry for each group, (n,) above 0 or None. Raises MetarepError for other factors, and for a group that
    has no positive scale.
    """
    found = dict(tensors)
    for units, factor in zip(symmetries.groups, factors, strict=True):
        if factor is None:
            continue
        if not units.positive_scale or not (np.asarray(factor) > 0).all():
            raise MetarepError(f"the units of {units.name} cannot be scaled so", expected="factors above 0, behind a ReLU")
        for member in (m for m in _present(units, found) if m.side != "own"):
            value = found[member.tensor]
            along = np.ones(value.shape[member.axis])
            along[member.positions(units.n)] = np.asarray(factor, np.float64)[:, None]
            along = torch.from_numpy(along if member.side == "in" else 1 / along)
            shape = [-1 if axis == member.axis else 1 for axis in range(value.ndim)]
            found[member.tensor] = (value * along.reshape(shape)).to(value.dtype)
    return found


def random_symmetry(
    tensors: Tensors, symmetries: Symmetries, *, generator: torch.Generator, log_scale_std: float = 0.0
) -> dict[str, torch.Tensor]:
    """A random order of the units of each interchangeable group, and a log-normal scale where a group has a positive one."""
    orders = [torch.randperm(u.n, generator=generator).numpy() if u.interchangeable else None for u in symmetries.groups]
    found = permuted(tensors, symmetries, orders)
    if log_scale_std == 0:
        return found
    draw = lambda n: torch.exp(log_scale_std * torch.randn(n, generator=generator)).double().numpy()  # noqa: E731
    return scaled(found, symmetries, [draw(u.n) if u.positive_scale else None for u in symmetries.groups])


def canonical_orders(tensors: Tensors, symmetries: Symmetries) -> list[np.ndarray | None]:
    """For each interchangeable group the order of its units that does not depend on the order they are in: the largest first.

    Units are compared by the sum of their absolute values, over everything that feeds, is or reads them, then by the sum
    of their cubes. Sums run over sorted values, so that the order of other units does not change the last bit.
    """
    orders: list[np.ndarray | None] = []
    for units in symmetries.groups:
        members = _present(units, tensors)
        if not units.interchangeable or not members:
            orders.append(None)
            continue
        size, cubes = np.zeros(units.n), np.zeros(units.n)
        for member in members:  # one at a time: a residual stream runs through most of a network
            value = _unit_values(tensors[member.tensor], member, units.n)
            size += np.sort(np.abs(value), axis=1).sum(axis=1)
            cubes += np.sort(value**3, axis=1).sum(axis=1)
        orders.append(np.lexsort((-cubes, -size)))
    return orders


def canonical(tensors: Tensors, symmetries: Symmetries) -> dict[str, torch.Tensor]:
    """The tensors with the units of every interchangeable group in canonical order: the same bits for permuted copies."""
    return permuted(tensors, symmetries, canonical_orders(tensors, symmetries))


def balanced(tensors: Tensors, symmetries: Symmetries) -> dict[str, torch.Tensor]:
    """Each unit of a group with a positive scale so that the norm of what feeds it is that of what reads it, group by group.

    Units of which one norm is 0 stay. Source: Du, Hu and Lee, "Algorithmic regularization in learning deep homogeneous
    models: layers are automatically balanced", 2018.
    """
    found = dict(tensors)
    for number, units in enumerate(symmetries.groups):
        if not units.positive_scale:
            continue
        squares = {"in": np.zeros(units.n), "own": np.zeros(units.n), "out": np.zeros(units.n)}
        for member in _present(units, found):
            squares[member.side] += np.square(_unit_values(found[member.tensor], member, units.n)).sum(axis=1)
        both = (squares["in"] > 0) & (squares["out"] > 0)
        ratio = np.divide(squares["out"], squares["in"], out=np.ones(units.n), where=both)
        factors = [None] * len(symmetries.groups)
        factors[number] = ratio**0.25
        found = scaled(found, symmetries, factors)
    return found


def _present(units: SymmetryGroup, tensors: Tensors) -> list[Member]:
    return [member for member in units.members if member.tensor in tensors]


def _unit_values(value: torch.Tensor, member: Member, n: int) -> np.ndarray:
    """(n, L) float64: what a tensor holds of each unit."""
    rows = value.detach().movedim(member.axis, 0).reshape(value.shape[member.axis], -1)
    return rows[torch.from_numpy(member.positions(n))].flatten(1).double().numpy()
