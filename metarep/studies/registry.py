"""Which experiments there are, by the name that the command line takes; and what a series of them is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from metarep.errors import MetarepError
from metarep.settings import Settings
from metarep.studies.experiment import Context, Result


@dataclass(frozen=True)
class Experiment:
    """One module of a room. `name` is what the command line takes, `module` also its folder in the results."""

    name: str
    module: str
    title: str
    shows: str
    room: str = "studies.experiments"

    @property
    def run(self) -> Callable[[Any], Result]:
        """The module's `run`; imported only now, since some are slow to import."""
        return import_module(f"metarep.{self.room}.{self.module}").run


@dataclass(frozen=True)
class Series:
    """Experiments that share settings, a folder and a page.

    one, many: what they are called; `one` is also the kind of their artefacts. template: of the page, in the package `room`.
    context: what makes an experiment's context of settings, the shared folder and where to report to.
    settings: what of the settings an experiment depends on, as plain JSON data.
    figures, tables: patterns of the figures that are published, and whether tables are.
    """

    one: str
    many: str
    room: str
    template: str
    members: tuple[Experiment, ...]
    context: Callable[..., Context]
    settings: Callable[[Any, Experiment], dict[str, Any]]
    figures: tuple[str, ...] = ("*/figures/*.png",)
    tables: bool = True

    @property
    def publish(self) -> dict[str, tuple[str, ...]]:
        """Which files are published, by folder."""
        tables = ("*/result.json", "report/summary.csv", "*/*.csv") if self.tables else ("*/result.json", "report/summary.csv")
        return {f"tables/{self.many}": tables, f"figures/{self.many}": self.figures}

    def named(self, name: str) -> tuple[Experiment, ...]:
        """All of them for "all", else the one of that name. Raises MetarepError for any other name."""
        found = tuple(e for e in self.members if name in ("all", e.name, e.module))
        if not found:
            names = ", ".join(e.name for e in self.members)
            raise MetarepError(f"no such {self.one}", met=repr(name), expected=f"{names} or all")
        return found


def all_settings(config: Settings, one: Experiment) -> dict[str, Any]:
    """Every experiment depends on all of them."""
    del one
    return config.resolved()


_MEMBERS = (
    Experiment("1", "e01", "Linear, no activation", "the best that a plane can do"),
    Experiment("2", "e02", "A ReLU on the output", "what one fold adds, and how often it dies"),
    Experiment("3", "e03", "One hidden layer of two", "what each step does to the unit square"),
    Experiment("4", "e04", "The clean mode-3 network", "the published network comes back from its seed"),
    Experiment("5", "e05", "Trained further on the square", "how the skew changes, and where the error goes"),
    Experiment("6", "e06", "The hand-crafted network", "which of its four choices costs most"),
    Experiment("7", "e07", "Trained further from the hand-crafted one", "what training moves"),
    Experiment("8", "e08", "Other starting biases", "which minimum is found from where"),
    Experiment("9", "e09", "Thousands from scratch", "which algorithms are found, how often, how good"),
    Experiment("10", "e10", "The scan", "whether the hand-built score finds mode 3"),
    Experiment("optima", "optima", "Which algorithm is best", "the lowest error that each mode can reach"),
    Experiment("dynamics", "dynamics", "How the modes arise", "when networks pass from one algorithm to another"),
)
"""The ten of the notes in their order, then what they left open."""

_FIGURES = (
    "e04/figures/stages",
    "e09/figures/typical_by_mode",
    "e10/figures/roc",
    "optima/figures/best_of_modes",
    "dynamics/figures/flow",
)

EXPERIMENTS = Series(
    "experiment",
    "experiments",
    "studies.experiments",
    "experiments.html",
    _MEMBERS,
    Context,
    all_settings,
    figures=tuple(f"{name}.png" for name in _FIGURES),
    tables=False,
)
