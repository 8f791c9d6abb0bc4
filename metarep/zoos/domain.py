"""What a domain brings: recipes, labels of networks and of units, oracles, and words for all of them.

General packages know domains by this class alone. A zoo says by name which domain it belongs to; the module that registers
the domain is looked up in `MODULES` and loaded when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metarep.errors import MetarepError
from metarep.networks.spec import NetworkSpec
from metarep.settings import Settings

if TYPE_CHECKING:
    from metarep.zoos.zoo import Zoo

MODULES = {
    "multiplier": "metarep.domains.multiplier.domain",
    "functions": "metarep.domains.functions.domain",
    "digits": "metarep.domains.digits.domain",
    "groups": "metarep.domains.groups.domain",
    "inr": "metarep.domains.inr.domain",
}
"""The module that registers each domain."""

Columns = dict[str, np.ndarray]
"""Columns of a zoo by name, each (N,) or (N, D)."""


@dataclass(frozen=True)
class Property:
    """One value a network: `values` (N,) float64, 0 or 1 where it is a fact.

    `name` is a noun for a number and a sentence for a fact; `opposite` is what holds where the fact does not.
    """

    name: str
    values: np.ndarray
    family: str = ""
    opposite: str = ""

    @property
    def is_fact(self) -> bool:
        """Whether it holds or not, rather than being more or less."""
        return self.opposite != ""

    def select(self, rows: np.ndarray) -> Property:
        """The same of some networks."""
        return Property(self.name, self.values[rows], self.family, self.opposite)


@dataclass(frozen=True)
class DomainStage:
    """What a run makes besides on the zoos of a domain: a folder and a kind of artefact called `name`.

    settings: the class of its settings. make: (settings, zoo, embeddings, out, *, overwrite, progress) writes the artefact; its
    inputs are the zoo as "zoo" and embeddings by their names. first_of: kinds of embeddings, of which it reads the first that
    the run's own model has; all of the run where there are none. suits: whether it can be made from a zoo, given its folder.
    """

    name: str
    settings: type[Settings]
    make: Callable[..., object]
    first_of: tuple[str, ...] = ()
    suits: Callable[[Path], bool] = lambda zoo: True


@dataclass(frozen=True)
class Builder:
    """How a domain trains a zoo by an engine of its own, of networks that need not be fully connected.

    shows: what the networks learn. settings: the class of its settings. build: (settings, out, *, overwrite, progress) -> the
    zoo's folder, and `device` too where that is True.
    """

    shows: str
    settings: type[Settings]
    build: Callable[..., Path]
    device: bool = False


@dataclass(frozen=True)
class MapPicture:
    """The picture of a network in the card of a map, drawn in the browser.

    script: a JavaScript file, whose value is a function (context, size, params, widths, output_relu) that draws a fully
    connected ReLU network on a canvas of size × size; its parameters come as `params` does in a zoo. caption: what it shows.
    """

    script: Path
    caption: str


@dataclass(frozen=True)
class Domain:
    """Networks of one home ground.

    labels: categorical columns of the zoo, the most telling first, each with what it says in words.
    properties: numeric columns that are worth predicting, likewise.
    recipes: what `build-zoo` can train, by name; each a `training.recipe.Recipe`.
    builders: what it can train besides, by name.
    activation: what stands behind the hidden layers of all networks, where that is one.
    inputs: (a zoo or None) -> inputs (n, *input shape) that the networks read, without what is known of them; None where
        that hangs on the zoo and none is given.
    columns_of: (spec, params (N, P)) -> the domain's own columns, labels among them.
    unit_labels, unit_properties: by name, zoo -> (N, U) texts or numbers, a column a hidden unit in the network's own order.
    oracles: by name, zoo -> (N, D) float64: representations that know what the labels are made from.
    oracle_words: what each oracle is.
    label_order: the values of a label in the order in which tables and figures show them.
    label_words: what each value of a label means.
    label_colours: a colour for each value of a label.
    describe: zoo -> properties that set networks apart, in words.
    draw: (axes, spec, params (P,)) -> None: one network as a small picture, for maps.
    map_picture: the same for the map that a browser shows.
    sections: results of a run -> the sections that its report has besides.
    stages: what a run on a zoo of this domain makes besides.
    parts: (`PartsConfig`, model, the zoo it was pretrained on, `Source`, progress) -> `Findings`, both of `metarep.parts`, or
        None: what `parts` finds besides in a network that is taken apart by a model of this domain's networks.
    """

    name: str
    title: str
    labels: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    recipes: Mapping[str, Any] = field(default_factory=dict)
    builders: Mapping[str, Builder] = field(default_factory=dict)
    activation: str | None = None
    inputs: Callable[[Zoo | None], np.ndarray | None] | None = None
    columns_of: Callable[[NetworkSpec, np.ndarray], Columns] | None = None
    unit_labels: Mapping[str, Callable[[Zoo], np.ndarray]] = field(default_factory=dict)
    unit_properties: Mapping[str, Callable[[Zoo], np.ndarray]] = field(default_factory=dict)
    oracles: Mapping[str, Callable[[Zoo], np.ndarray]] = field(default_factory=dict)
    oracle_words: Mapping[str, str] = field(default_factory=dict)
    label_order: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    label_words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    label_colours: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    describe: Callable[[Zoo], Sequence[Property]] | None = None
    draw: Callable[[Any, NetworkSpec, np.ndarray], None] | None = None
    map_picture: MapPicture | None = None
    sections: Callable[[Any], Sequence[Any]] | None = None
    stages: tuple[DomainStage, ...] = ()
    parts: Callable[..., Any] | None = None


_registered: dict[str, Domain] = {}


def later(function: str) -> Callable[..., Any]:
    """A function, as "module:function", whose module is loaded when it is first called: a domain's names alone cost nothing."""
    module, _, name = function.partition(":")
    return lambda *args, **how: getattr(import_module(module), name)(*args, **how)


def register(domain: Domain) -> Domain:
    """Makes a domain known under its name and returns it. Raises MetarepError where another one has that name."""
    if _registered.setdefault(domain.name, domain) is not domain:
        raise MetarepError("two domains have one name", met=domain.name, fix="rename one of them")
    return domain


def domain_named(name: str) -> Domain:
    """The domain of that name. Raises MetarepError for an unknown one."""
    if name not in _registered and name in MODULES:
        import_module(MODULES[name])
    if name not in _registered:
        raise MetarepError(f"no domain {name!r}", expected="one of " + ", ".join(sorted({*MODULES, *_registered})))
    return _registered[name]


def domain_of(zoo: Zoo) -> Domain | None:
    """The domain of a zoo; None for networks of which no domain is known."""
    return None if zoo.domain is None else domain_named(zoo.domain)


def inputs_of(name: str) -> np.ndarray | None:
    """The inputs that a domain of that name has; None where there is none, or none of that name."""
    inputs = domain_named(name).inputs if name in {*MODULES, *_registered} else None
    return None if inputs is None else inputs(None)


def domains() -> tuple[Domain, ...]:
    """Every domain that is known, those that come with metarep first."""
    return tuple(domain_named(name) for name in dict.fromkeys((*MODULES, *_registered)))


def builders() -> dict[str, Builder]:
    """Every builder by name."""
    return {name: builder for domain in domains() for name, builder in domain.builders.items()}
