"""What a study is: it computes, and returns claims, sentences, tables and figures; `running` writes them.

A study is a folder of this package whose `run.py` has one public function `run(context) -> Result`. Studies that share
settings, zoos and a page are a series; `series` lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from metarep.artefact import Artefact, open_artefact
from metarep.errors import MetarepError
from metarep.progress import Progress
from metarep.report.wording import score_of
from metarep.runner import Stage, run_stages
from metarep.settings import Settings
from metarep.studies.rows import number
from metarep.training.build import build_zoo
from metarep.training.settings import ZooConfig
from metarep.work import spread
from metarep.zoos.zoo import Zoo, open_zoo

if TYPE_CHECKING:
    import matplotlib.figure

    from metarep.model.settings import PretrainConfig
    from metarep.model.transformer import ClozeModel

T = TypeVar("T")


@dataclass(frozen=True)
class Claim:
    """One quantity of a study, as computed here, with what was published and what is best.

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

    @classmethod
    def of(cls, name: str, row: Mapping[str, Any], metric: str = "value", **fields: Any) -> Claim:
        """A metric of a table's row with its interval."""
        score = score_of(row, metric)
        return cls(name, row[metric], low=number(score.low), high=number(score.high), **fields)

    @classmethod
    def over_all(cls, name: str, values: np.ndarray, whom: str, published: Any = None, **fields: Any) -> Claim:
        """The median of values (N,) or (N, M), with the range that holds 95 % of them."""
        low, high = np.quantile(values, [0.025, 0.975])
        span = {"low": float(low), "high": float(high), "over": f"95 % of {len(values):,} {whom}"}
        return cls(name, np.median(values, axis=0).tolist(), published, **span | fields)

    @property
    def met(self) -> bool | None:
        """Whether the published value comes back: to its printing where the seed is known, else
        within low … high. None where nothing was published."""
        if self.published is None:
            return None
        if isinstance(self.published, str):
            return self.value == self.published
        slack = 0.5 * 10**-self.decimals * (1 + 1e-6)
        found, published = (np.atleast_1d(np.asarray(value, float)) for value in (self.value, self.published))
        if not self.seed_known:
            return bool(((self.low - slack <= published) & (published <= self.high + slack)).all())
        return all(abs(v - p) <= slack for v, p in zip(found, published, strict=True))

    def as_json(self) -> dict[str, Any]:
        """The fields, and whether the published value was met, as plain JSON data."""
        fields = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}
        return fields | {"met": self.met}


@dataclass(frozen=True)
class Figure:
    """A drawing, and below it the sentences that say in words what it shows."""

    drawing: matplotlib.figure.Figure
    caption: str


@dataclass(frozen=True)
class Result:
    """All that a study found. The first claim is the one in the table of all studies.

    sentences: what was found, in plain words, each with its number in it, each computed.
    tables: tidy rows by name; each becomes `<name>.csv`; on the page are those named in `shown`, or all.
    figures: by name; each becomes `figures/<name>.png`.
    numbers: whatever else belongs into result.json (plain JSON data, no NaN).
    """

    claims: tuple[Claim, ...]
    sentences: tuple[str, ...]
    tables: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    figures: Mapping[str, Figure] = field(default_factory=dict)
    numbers: Mapping[str, Any] = field(default_factory=dict)
    shown: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Context:
    """What a study is given: the settings of its series, a folder for zoos and models that several studies share, and where
    to report to. `used` are the artefacts that were handed out, which become inputs of the study.
    """

    config: Any
    shared: Path
    progress: Progress
    used: dict[str, Artefact] = field(default_factory=dict)

    def made(self, *stages: Stage) -> list[Artefact]:
        """The artefacts of some stages in the shared folder, made where they are not there yet."""
        run_stages(stages, self.shared, overwrite=True, progress=self.progress)
        return [self.use(stage.name, self.shared / stage.name) for stage in stages]

    def use(self, name: str, path: Path) -> Artefact:
        """The artefact at `path`, which becomes an input of the study."""
        self.used[name.replace("/", "_")] = artefact = open_artefact(path)
        return artefact

    def zoo(self, name: str, config: ZooConfig) -> Zoo:
        """The zoo of that name, as `config` makes it."""
        (artefact,) = self.made(Stage(name, "zoo", config.resolved(), partial(build_zoo, config), finds_inputs=True))
        return open_zoo(artefact.path)

    def family(self, name: str, *, n_snapshots: int = 0, **family: Any) -> Zoo:
        """A zoo of one family of networks, with the seed of the settings."""
        return self.zoo(name, ZooConfig(families=[family], n_snapshots=n_snapshots, seed=self.config.seed))

    def models(self, wanted: Mapping[str, tuple[PretrainConfig, Sequence[Path]]]) -> dict[str, ClozeModel]:
        """Models by name, each pretrained on the zoos in some folders as its config says; several side by side."""
        from metarep.model.pretraining import load_model, pretrain

        stages = []
        for name, (config, zoos) in wanted.items():
            inputs = {"zoo" if len(zoos) == 1 else f"zoo_{i}": path for i, path in enumerate(zoos)}
            make = partial(pretrain, config, list(zoos))
            stages.append(Stage(f"models/{name}", "model", config.resolved(), make, inputs, side_by_side=True))
        return {name: load_model(made.path) for name, made in zip(wanted, self.made(*stages), strict=True)}

    def model_artefact(self, name: str) -> Artefact:
        """The artefact of a model that `models` made."""
        return open_artefact(self.shared / "models" / name, "model")

    def side_by_side(self, what: str, jobs: Mapping[str, Callable[[], T]]) -> list[T]:
        """What each of some jobs returns, each in a process of one thread."""
        found = []
        with self.progress.task(what, len(jobs), "jobs") as task:
            for name, one in zip(jobs, spread(_called, list(jobs.values())), strict=True):
                found.append(one)
                task.advance(1, name)
        return found


def _called(job: Callable[[], T]) -> T:
    return job()


@dataclass(frozen=True)
class Study:
    """One study. `name` is what the command line takes; `folder` its folder in this package and in the results.

    settings: the names of what it depends on in the settings of its series; empty for all of them.
    """

    name: str
    folder: str
    title: str
    shows: str
    settings: tuple[str, ...] = ()

    @property
    def run(self) -> Callable[[Context], Result]:
        """The study's `run`; imported only now, since some are slow to import."""
        return import_module(f"metarep.studies.{self.folder}.run").run

    def config_of(self, config: Settings) -> dict[str, Any]:
        """What it depends on in the settings of its series, as plain JSON data."""
        return {name: value for name, value in config.resolved().items() if name in (self.settings or config.resolved())}


@dataclass(frozen=True)
class StudySeries:
    """Studies that share settings, a folder and a page; `one` and `many` are what they are called.

    `one` is also the kind of their artefacts, `title` and `lead` are at the head of the page. `published` are patterns of the
    files that are published beside every study's numbers and the table of all.
    """

    one: str
    many: str
    config: type[Settings]
    title: str
    lead: str
    studies: tuple[Study, ...]
    published: tuple[str, ...] = ("*/*.csv", "*/figures/*.png")

    @property
    def publish(self) -> dict[str, tuple[str, ...]]:
        """Which files are published, by folder."""
        tables, figures = ([p for p in self.published if p.endswith(end)] for end in (".csv", ".png"))
        return {
            f"tables/{self.many}": ("*/result.json", "report/summary.csv", *tables),
            f"figures/{self.many}": tuple(figures),
        }

    def named(self, name: str) -> tuple[Study, ...]:
        """All of them for "all", else the one of that name. Raises MetarepError for any other name."""
        found = tuple(study for study in self.studies if name in ("all", study.name, study.folder))
        if not found:
            names = ", ".join(study.name for study in self.studies)
            raise MetarepError(f"no such {self.one}", met=repr(name), expected=f"{names} or all")
        return found
