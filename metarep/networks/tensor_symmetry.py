"""What may be done to the tensors of networks without changing their function; and forms that undo it.

Tensors are (…, *shape): one network, or several of one architecture side by side, each with a draw or an order of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from metarep.errors import MetarepError
from metarep.networks.symmetry_groups import Member, Symmetries, SymmetryGroup

Tensors = Mapping[str, torch.Tensor]
MAX_SORTED = 1_000_000
"""Values that are sorted at once; memory grows with it."""


def permuted(tensors: Tensors, symmetries: Symmetries, orders: Sequence[torch.Tensor | None]) -> dict[str, torch.Tensor]:
    """The tensors with unit i of each group replaced by its unit order[…, i]; None leaves a group alone.

    orders has an entry for each group, (…, n) int64 or None. Raises MetarepError for the order of a group whose units are not
    interchangeable.
    """
    found = dict(tensors)
    for units, order in zip(symmetries.groups, orders, strict=True):
        if order is None:
            continue
        if not units.interchangeable:
            raise MetarepError(f"the units of {units.name} cannot be permuted", expected="None for this group")
        order, n_lead = torch.as_tensor(order), torch.as_tensor(order).ndim - 1
        for member in _present(units, found):
            value, axis = found[member.tensor], n_lead + member.axis
            positions = torch.from_numpy(member.positions(units.n)).to(order.device)
            index = torch.arange(value.shape[axis], device=order.device).expand(*order.shape[:-1], -1).clone()
            index[..., positions] = positions[order]
            index = index.view(*index.shape[:-1], *[-1 if at == axis else 1 for at in range(n_lead, value.ndim)])
            found[member.tensor] = torch.take_along_dim(value, index.to(value.device), dim=axis)
    return found


def scaled(tensors: Tensors, symmetries: Symmetries, factors: Sequence[torch.Tensor | None]) -> dict[str, torch.Tensor]:
    """The tensors with what feeds each unit times its factor, what reads it over its factor; None leaves a group alone.

    factors has an entry for each group, (…, n) above 0 or None. Raises MetarepError for other factors, and for a group that
    has no positive scale.
    """
    found = dict(tensors)
    for units, factor in zip(symmetries.groups, factors, strict=True):
        if factor is None:
            continue
        factor = torch.as_tensor(factor, dtype=torch.float64)
        if not units.positive_scale or not bool((factor > 0).all()):
            raise MetarepError(f"the units of {units.name} cannot be scaled so", expected="factors above 0, behind a ReLU")
        found |= times_units(found, units.n, units.members, factor)
    return found


def times_units(tensors: Tensors, n: int, members: Sequence[Member], factor: torch.Tensor) -> dict[str, torch.Tensor]:
    """The tensors of some members, what feeds each of n units times its factor (…, n), what reads it over it."""
    found: dict[str, torch.Tensor] = {}
    n_lead = factor.ndim - 1
    for member in (m for m in members if m.side != "own" and m.tensor in tensors):
        value, axis = found.get(member.tensor, tensors[member.tensor]), n_lead + member.axis
        along = torch.ones(*factor.shape[:-1], value.shape[axis], dtype=torch.float64)
        along[..., torch.from_numpy(member.positions(n))] = factor.unsqueeze(-1)
        along = along if member.side == "in" else 1 / along
        shape = [-1 if at == axis else 1 for at in range(n_lead, value.ndim)]
        found[member.tensor] = (value * along.view(*factor.shape[:-1], *shape).to(value.device)).to(value.dtype)
    return found


def random_symmetry(
    tensors: Tensors, symmetries: Symmetries, *, generator: torch.Generator, log_scale_std: float = 0.0, further: bool = False
) -> dict[str, torch.Tensor]:
    """One network's units in a random order, group by group, and at a random log-normal scale where a group has a positive
    one; with `further` the other symmetries are drawn too.
    """
    orders = [torch.randperm(u.n, generator=generator) if u.interchangeable else None for u in symmetries.groups]
    found = permuted(tensors, symmetries, orders)
    if further:
        found = random_further(found, symmetries, n_lead=0, generator=generator, log_scale_std=log_scale_std)
    if log_scale_std == 0:
        return found
    draw = lambda n: torch.exp(log_scale_std * torch.randn(n, generator=generator)).double()  # noqa: E731
    return scaled(found, symmetries, [draw(u.n) if u.positive_scale else None for u in symmetries.groups])


def random_further(
    tensors: Tensors, symmetries: Symmetries, *, n_lead: int, generator: torch.Generator, log_scale_std: float = 0.0
) -> dict[str, torch.Tensor]:
    """The tensors (…, *shape) after a draw of every symmetry beyond order and positive scale, another one for each network."""
    found = dict(tensors)
    for one in symmetries.further:
        found = one.random(found, n_lead=n_lead, generator=generator, log_scale_std=log_scale_std)
    return found


def canonical_orders(tensors: Tensors, symmetries: Symmetries, *, n_lead: int = 0) -> list[torch.Tensor | None]:
    """For each interchangeable group the order (…, n) of its units that does not depend on the order they are in: largest
    first.

    Units are compared by the sum of their absolute values, over everything that feeds, is or reads them, then by the sum
    of their cubes. Sums run over sorted values, so that the order of other units does not change the last bit. `n_lead` axes
    stand before those of the network's own tensors.
    """
    orders: list[torch.Tensor | None] = []
    for units in symmetries.groups:
        members = _present(units, tensors)
        if not units.interchangeable or not members:
            orders.append(None)
            continue
        size = cubes = 0.0
        for member in members:  # one at a time: a residual stream runs through most of a network
            rows = unit_rows(tensors[member.tensor], member, units.n, n_lead=n_lead)
            size, cubes = size + sorted_sums(rows, torch.abs), cubes + sorted_sums(rows, lambda x: x**3)
        by_cubes = cubes.argsort(dim=-1, descending=True, stable=True)
        by_size = size.gather(-1, by_cubes).argsort(dim=-1, descending=True, stable=True)
        orders.append(by_cubes.gather(-1, by_size))
    return orders


def canonical(tensors: Tensors, symmetries: Symmetries, *, n_lead: int = 0) -> dict[str, torch.Tensor]:
    """The tensors with the units of every interchangeable group in canonical order: the same bits for permuted copies."""
    return permuted(tensors, symmetries, canonical_orders(tensors, symmetries, n_lead=n_lead))


def canonical_form(
    tensors: Tensors, symmetries: Symmetries, *, n_lead: int = 0
) -> tuple[dict[str, torch.Tensor], list[torch.Tensor | None]]:
    """The tensors as they are embedded, and the orders (…, n) of `canonical_orders` that led there.

    The further symmetries are undone first, which is why signs and rotations do not change the order of units. Copies agree to
    the last bit where units are permuted or their signs turned, else to the rounding of their dtype. Masked values are
    predicted from units in canonical order alone: a balanced product or logits of mean 0 would give them away.
    """
    found = dict(tensors)
    for one in symmetries.further:
        found = one.canonical(found, n_lead=n_lead)
    orders = canonical_orders(found, symmetries, n_lead=n_lead)
    return permuted(found, symmetries, orders), orders


def unit_rows(value: torch.Tensor, member: Member, n: int, *, n_lead: int = 0) -> torch.Tensor:
    """(…, n, L): what a tensor (…, *shape) holds of each unit, in its own dtype."""
    axis = n_lead + member.axis
    rows = value.detach().movedim(axis, n_lead).flatten(n_lead + 1) if value.ndim > n_lead + 1 else value.detach().unsqueeze(-1)
    positions = member.positions(n)
    if positions.shape == (rows.shape[-2], 1) and member.start == 0:
        return rows
    return rows[..., torch.from_numpy(positions), :].flatten(-2)


def sorted_sums(rows: torch.Tensor, transform: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """(…,) float64: the sum of each row (…, L) once transformed, from the least term to the largest; some rows at a time."""
    flat = rows.reshape(-1, rows.shape[-1])
    pieces = flat.split(max(1, MAX_SORTED // max(1, flat.shape[1])))
    sums = [transform(piece.double()).sort(dim=-1).values.sum(dim=-1) for piece in pieces]
    return torch.cat(sums).view(rows.shape[:-1])


def _present(units: SymmetryGroup, tensors: Tensors) -> list[Member]:
    return [member for member in units.members if member.tensor in tensors]
