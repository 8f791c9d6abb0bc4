"""Small zoos and models inside the package, to start from: `metarep.load_example("multiplier")`, `metarep demo`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from metarep.errors import MetarepError
from metarep.model.pretraining import load_model
from metarep.model.transformer import ClozeModel
from metarep.pipeline import run
from metarep.progress import Progress
from metarep.run_settings import FinishedZoo, RunConfig
from metarep.settings import load_config
from metarep.zoos.zoo import Zoo, open_zoo

HERE = Path(__file__).parent
SETTINGS = "example.yaml"


@dataclass(frozen=True)
class Example:
    """A zoo, a model that was pretrained on its training networks, and a card that says what both are worth."""

    name: str

    @property
    def folder(self) -> Path:
        """Where its files lie: zoo/, model/, README.md, and the settings of the run that made them."""
        return HERE / self.name

    @cached_property
    def zoo(self) -> Zoo:
        """Its networks."""
        return open_zoo(self.folder / "zoo")

    @cached_property
    def model(self) -> ClozeModel:
        """Its model."""
        return load_model(self.folder / "model")

    @property
    def card(self) -> str:
        """What it was made of, its metrics and its limits, in Markdown."""
        return (self.folder / "README.md").read_text(encoding="utf-8")

    def _repr_markdown_(self) -> str:
        return self.card


def example_names() -> tuple[str, ...]:
    """The examples that are there."""
    return tuple(sorted(file.parent.name for file in HERE.glob(f"*/{SETTINGS}")))


def load_example(name: str) -> Example:
    """An example by its name. Raises MetarepError for others."""
    if name not in example_names():
        raise MetarepError("no such example", met=repr(name), expected="one of " + ", ".join(example_names()))
    return Example(name)


def demo(out: Path | str, name: str = "multiplier", *, overwrite: bool = False, progress: Progress | None = None) -> Path:
    """A report on an example in the folder `out`, which it returns; nothing is trained but what compares embeddings."""
    example = load_example(name)
    made = load_config(RunConfig, example.folder / SETTINGS)
    given = {"zoo": FinishedZoo(folder=example.folder / "zoo"), "pretrained": example.folder / "model"}
    return run(made.model_copy(update=given), out, overwrite=overwrite, progress=progress)
