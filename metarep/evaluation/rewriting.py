"""Other parameters of the same function: what an audit does to networks. One function a rewriting, in a registry.

Permuting, scaling and the further symmetries keep the architecture. A unit split in two and dead units left out change it:
what reads a unit reads both halves at half its weight, and what nobody reads, or never switches on, goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from metarep.model.augment import permute_units, scale_units
from metarep.networks.architecture import Architecture
from metarep.networks.chain_forward import ACTIVATIONS, chain_forward
from metarep.networks.forward_passes import ForwardPass, forward_pass
from metarep.networks.further_inference import with_further
from metarep.networks.structure import Declared
from metarep.networks.symmetry_groups import Symmetries, SymmetryGroup
from metarep.networks.tensor_symmetry import random_further, unit_rows

LOG_SCALE_STD = 0.5
KEPT_BY_WIDENING = ("batch_norm", "linear", "conv1d", "conv2d", "lstm", "gru", "attention", "other")
"""Kinds of tensors that may belong to a unit which is split; a layer norm would see one value more."""


@dataclass(frozen=True)
class Networks:
    """Networks of one architecture, tensors (B, *shape), by their rows in a zoo."""

    rows: torch.Tensor
    architecture: Architecture
    symmetries: Symmetries
    tensors: dict[str, torch.Tensor]
    stated: Declared
    inputs: torch.Tensor | None = None
    """(S, n) at which units that never switch on are looked for; None where that is not known."""

    @property
    def forward(self) -> ForwardPass | None:
        """How they are run."""
        return forward_pass(self.architecture, self.symmetries, self.stated)

    def take(self, chosen: torch.Tensor) -> Networks:
        """Some of them, by their numbers among these."""
        return replace(self, rows=self.rows[chosen], tensors={name: value[chosen] for name, value in self.tensors.items()})


@dataclass(frozen=True)
class Rewriting:
    """A way to rewrite networks: what its copies are called, and how they come about."""

    name: str
    copies: str
    make: Callable[[Networks, torch.Generator], Iterator[Networks]]
    keeps_function: bool = True


def _permuted(networks: Networks, generator: torch.Generator) -> Iterator[Networks]:
    if any(units.interchangeable and units.n > 1 for units in networks.symmetries.groups):
        yield replace(networks, tensors=permute_units(networks.tensors, networks.symmetries, generator=generator))


def _scaled(networks: Networks, generator: torch.Generator) -> Iterator[Networks]:
    if any(units.positive_scale for units in networks.symmetries.groups):
        tensors = scale_units(networks.tensors, networks.symmetries, LOG_SCALE_STD, generator=generator)
        yield replace(networks, tensors=tensors)


def _further(kind: str) -> Callable[[Networks, torch.Generator], Iterator[Networks]]:
    def make(networks: Networks, generator: torch.Generator) -> Iterator[Networks]:
        own = Symmetries((), (), tuple(one for one in networks.symmetries.further if one.kind == kind))
        if own.further:
            how = {"n_lead": 1, "generator": generator, "log_scale_std": LOG_SCALE_STD}
            yield replace(networks, tensors=random_further(networks.tensors, own, **how))

    return make


def _renumbered(networks: Networks, generator: torch.Generator) -> Iterator[Networks]:
    """Where nothing is interchangeable: the outputs of hidden layers in another order, whoever reads them."""
    if any(units.interchangeable for units in networks.symmetries.groups):
        return
    layers = {tensor.name: tensor.layer for tensor in networks.architecture.tensors}
    last = max(layers.values())
    hidden = [
        replace(units, interchangeable=True)
        for units in networks.symmetries.groups
        if (fed := [layers[m.tensor] for m in units.members if m.side == "in"]) and max(fed) < last
    ]
    if hidden:
        yield replace(networks, tensors=permute_units(networks.tensors, Symmetries(tuple(hidden)), generator=generator))


def _widened(networks: Networks, generator: torch.Generator) -> Iterator[Networks]:
    """One unit of a group that is drawn, split in two."""
    free = [number for number, units in enumerate(networks.symmetries.groups) if _splits(networks.architecture, units)]
    if free:
        number = free[int(torch.randint(len(free), (), generator=generator))]
        n = networks.symmetries.groups[number].n
        split = int(torch.randint(n, (), generator=generator))
        share = torch.ones(n + 1)
        share[[split, n]] = 0.5
        yield resized(networks, number, [*range(n), split], share)


def _pruned(networks: Networks, generator: torch.Generator) -> Iterator[Networks]:
    """Each network without its dead units, one at least left in a group."""
    del generator
    dead = dead_units(networks)
    for row in range(len(networks.rows)):
        one = found = networks.take(torch.tensor([row]))
        for number, off in dead.items():
            kept = (~off[row]).nonzero().flatten().tolist() or [0]
            if len(kept) < networks.symmetries.groups[number].n:
                found = resized(found, number, kept, torch.ones(len(kept)))
        if found is not one:
            yield found


REWRITINGS = (
    Rewriting("permuted", "permuted copies", _permuted),
    Rewriting("scaled", "copies with ReLU units scaled", _scaled),
    Rewriting("sign", "copies with signs of units turned", _further("sign")),
    Rewriting("softmax shift", "copies with logits shifted", _further("softmax shift")),
    Rewriting("attention rotation", "copies with attention rotated", _further("attention rotation")),
    Rewriting("LoRA", "copies with LoRA factors rotated", _further("LoRA")),
    Rewriting("widened", "widened copies", _widened),
    Rewriting("pruned", "copies without dead units", _pruned),
    Rewriting("renumbered", "copies with hidden units renumbered", _renumbered, keeps_function=False),
)


def _splits(architecture: Architecture, units: SymmetryGroup) -> bool:
    """Whether a unit may be split: units of a hidden layer that one layer reads, and no stream that layers add to."""
    tensors = {tensor.name: tensor for tensor in architecture.tensors}
    members = [(member, tensors[member.tensor]) for member in units.members]
    fed = {tensor.layer for member, tensor in members if member.side == "in"}
    read = {tensor.layer for member, tensor in members if member.side == "out"} - fed
    whole = all(m.start == 0 and t.shape[m.axis] == m.outer * units.n * m.inner for m, t in members)
    own = all(tensor.kind in KEPT_BY_WIDENING for member, tensor in members if member.side == "own")
    return units.interchangeable and whole and own and len(read) == 1


def resized(networks: Networks, number: int, index: Sequence[int], share: torch.Tensor) -> Networks:
    """The networks with the units `index` of a group in place of its own, what reads each of them times its `share`."""
    units = networks.symmetries.groups[number]
    tensors = dict(networks.tensors)
    for member in (m for m in units.members if m.tensor in tensors):
        parts = tensors[member.tensor].movedim(1 + member.axis, 1).unflatten(1, (member.outer, units.n, member.inner))
        parts = parts[:, :, list(index)]
        if member.side == "out":
            parts = parts * share.to(parts).view(-1, *[1] * (parts.ndim - 3))
        tensors[member.tensor] = parts.flatten(1, 3).movedim(1, 1 + member.axis).contiguous()
    shapes = {name: tuple(value.shape[1:]) for name, value in tensors.items()}
    own = networks.architecture
    architecture = replace(own, tensors=tuple(replace(t, shape=shapes.get(t.name, t.shape)) for t in own.tensors))
    groups = [replace(one, n=len(index)) if at == number else one for at, one in enumerate(networks.symmetries.groups)]
    stated = {"activation": networks.stated.activation, "output_activation": networks.stated.output_activation}
    symmetries = with_further(architecture, Symmetries(tuple(groups)), **stated)
    return replace(networks, architecture=architecture, symmetries=symmetries, tensors=tensors)


def dead_units(networks: Networks) -> dict[int, torch.Tensor]:
    """By the number of a group whose units may go, (B, n) bool: what reads the unit is 0, or a ReLU never switches it on."""
    found = {}
    off = _never_on(networks)
    for number, units in enumerate(networks.symmetries.groups):
        if not _splits(networks.architecture, units):
            continue
        reading = [m for m in units.members if m.side == "out" and m.tensor in networks.tensors]
        rows = [unit_rows(networks.tensors[m.tensor], m, units.n, n_lead=1) for m in reading]
        unread = torch.stack([(row == 0).all(dim=-1) for row in rows]).all(dim=0)
        found[number] = unread | off.get(number, torch.zeros_like(unread))
    return found


def _never_on(networks: Networks) -> dict[int, torch.Tensor]:
    """(B, n) bool by group, of chains of ReLU layers: whether units contribute nothing at any of the inputs."""
    activation = networks.stated.activation
    if networks.inputs is None or activation != "relu" or networks.architecture.tensors[0].kind != "linear":
        return {}
    output = networks.stated.output_activation or "identity"
    how = {"activation": activation, "output_activation": output if output in ACTIVATIONS else "identity"}
    chain = chain_forward(networks.architecture, networks.symmetries, **how)
    if chain is None or chain.n_inputs != networks.inputs.shape[1]:
        return {}
    states = chain.largest(networks.tensors, networks.inputs)
    return {group: (value <= 0).all(dim=-1) for group, value in states.items()}
