"""Hidden units as what is compared: a row a unit, with the run, the split and the labels that it has.

A unit is measured where its network is. Its labels and numbers are those that the domain of the zoo knows of units, and which
layer it is of.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from metarep.errors import MetarepError
from metarep.model.tokens import View, build_views
from metarep.zoos.columns import Contents
from metarep.zoos.domain import domain_of
from metarep.zoos.zoo import Zoo

KEYS = ("network_id", "units", "unit")
"""The columns that say which unit a row is: its network, the name of its symmetry group and its number in this, as saved."""


@dataclass(frozen=True)
class Units(Zoo):
    """M hidden units: columns as those of a zoo, and KEYS; `networks` are those that they are of, and the column `row` (M,)
    says which one.
    """

    networks: Zoo | None = None

    @property
    def kinds(self) -> list[tuple[int, str]]:
        """The architectures of the networks, by number, with the names of the groups that units are of."""
        return sorted(set(zip(self.networks.architecture[self["row"]].tolist(), self["units"], strict=True)))

    def alone(self) -> Units:
        """Without the networks: what other processes need."""
        return replace(self, networks=None)


def units_of(zoo: Zoo) -> Units:
    """The hidden units of all networks, network by network. Raises MetarepError where there are none."""
    shapes = [[(view.units.name, view.n_units) for view in hidden_views(zoo, at)] for at in range(len(zoo.architectures))]
    groups = [shapes[at] for at in zoo.architecture]
    if not any(groups):
        raise MetarepError("these networks have no hidden units that could be found", fix="compare networks, with part=network")
    counts = [sum(n for _, n in own) for own in groups]
    row = np.repeat(np.arange(len(zoo)), counts)
    layer = np.array([name for own in groups for name, n in own for _ in range(n)], dtype=object)
    number = np.concatenate([np.arange(n) for own in groups for _, n in own])
    within = np.concatenate([np.arange(n) for n in counts])
    columns = {name: zoo[name][row] for name in ("network_id", "run_id", "split", "snapshot_of", "finite")}
    columns |= {"units": layer, "unit": number, "row": row}
    domain = domain_of(zoo)
    labels = {} if domain is None else {name: make(zoo) for name, make in domain.unit_labels.items()}
    numbers = {} if domain is None else {name: make(zoo) for name, make in domain.unit_properties.items()}
    known = {name: values[row, within] for name, values in (labels | numbers).items()}
    return Units(columns | known, zoo.artefact, Contents(None, (*labels, "units"), tuple(numbers)), networks=zoo)


def hidden_views(zoo: Zoo, architecture: int) -> list[View]:
    """The views of the hidden units of an architecture, given by its number in the zoo, a token a value."""
    units = zoo.architectures[architecture], zoo.symmetries[architecture]
    return [view for view in build_views(*units, chunk=1, context=2**31) if view.is_hidden]
