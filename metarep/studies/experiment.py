"""What an experiment is: numbers beside the published and the best known ones, tables, pictures, sentences.

A module of this room has one public function `run(context) -> Result`. It computes; `stage.py` writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metarep.artefact import Artefact, is_done, open_artefact
from metarep.progress import Progress
from metarep.studies.settings import ExperimentConfig
from metarep.training.build import build_zoo
from metarep.training.settings import ZooConfig
from metarep.zoos.zoo import Zoo, open_zoo

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Number = float | Sequence[float]


@dataclass(frozen=True)
class Claim:
    """One quantity of an experiment, as reproduced here, with what was published and what is best.

    value: a number, several of them, or a text such as a mode.
    published: the same as printed in the notes, with `decimals` digits behind the point; None if it was not.
    best: the analytic value or the best known one; None if there is none.
    low, high: a 95 % interval, or the range over seeds that `over` names. Where the published seed is not
        known the published value cannot come back, and only has to lie in this range.
    seed_known: whether the published value belongs to exactly this network.
    """

    name: str
    value: Any
    published: Any = None
    decimals: int = 4
    best: Any = None
    low: float | None = None
    high: float | None = None
    over: str = ""
    seed_known: bool = True

    @property
    def met(self) -> bool | None:
        """Whether the published value comes back: to its printing where the seed is known, else
        within low … high. None where nothing was published."""
        if self.published is None:
            return None
        if isinstance(self.published, str):
            return self.value == self.published
        slack = 0.5 * 10**-self.decimals * (1 + 1e-6)
        published = _flat(self.published)
        if not self.seed_known:
            return all(self.low - slack <= p <= self.high + slack for p in published)
        return all(abs(v - p) <= slack for v, p in zip(_flat(self.value), published, strict=True))


def _flat(value: Number) -> list[float]:
    return [float(v) for v in value] if isinstance(value, Sequence) else [float(value)]


@dataclass(frozen=True)
class Picture:
    """A figure and the sentence below it; `alt` says in words what is to be seen."""

    figure: Figure
    caption: str
    alt: str = ""


@dataclass(frozen=True)
class Result:
    """All that an experiment found. The first claim is the one that stands in the final table.

    sentences: what was found, in plain words, each with its number in it, each computed.
    tables: tidy rows by name; each becomes `<name>.csv`, and those named in `shown` stand on the page.
    pictures: by name; each becomes `figures/<name>.png`.
    numbers: whatever else belongs into result.json (plain JSON data, no NaN).
    inputs: the artefacts it was made from (zoos, models).
    """

    claims: tuple[Claim, ...]
    sentences: tuple[str, ...]
    tables: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    numbers: Mapping[str, Any] = field(default_factory=dict)
    shown: tuple[str, ...] = ()
    inputs: Mapping[str, Artefact] = field(default_factory=dict)


@dataclass(frozen=True)
class Context:
    """What an experiment is given: settings, a folder for zoos that several of them share, and where to report to."""

    config: ExperimentConfig
    shared: Path
    progress: Progress
    used: dict[str, Artefact] = field(default_factory=dict)
    """The zoos that were handed out, which become inputs of the experiment."""

    def zoo(self, name: str, config: ZooConfig) -> Zoo:
        """The zoo `name` in the shared folder, built where it is not there yet as `config` makes it."""
        path = self.shared / name
        if not self._stands(path, config):
            build_zoo(config, path, overwrite=path.exists(), progress=self.progress)
        zoo = open_zoo(path)
        self.used[name] = zoo.artefact
        return zoo

    def _stands(self, path: Path, config: ZooConfig) -> bool:
        if not path.exists():
            return False
        artefact = open_artefact(path, "zoo")
        inputs = {key: open_artefact(artefact.input_path(key)) for key in artefact.manifest["inputs"]}
        return is_done(path, "zoo", config.resolved(), inputs)

    def multipliers(self) -> Zoo:
        """The zoo that experiments 3, 5, 9, 10 and the optima share: `n_networks` of e09, those that did not diverge."""
        config = ZooConfig(families=[{"variant": "e09", "n_networks": self.config.n_networks}], seed=self.config.seed)
        return self.zoo("e09", config).final()
