"""A run in a notebook: its tables as data frames, its embeddings as arrays, its report and its map to look at.

run = metarep.open_run("results/mine")
run.table("agreement"), run.embeddings("layers").vectors, run.neighbours("checkpoints/one.pt")
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from metarep.artefact import MANIFEST, open_artefact
from metarep.embeddings.store import Embeddings, load_embeddings
from metarep.errors import MetarepError
from metarep.likeness import Likeness, embeddings_of
from metarep.likeness import neighbours as find_neighbours
from metarep.map.page import write_map
from metarep.map.settings import MapConfig
from metarep.model.pretraining import load_model
from metarep.model.transformer import ClozeModel
from metarep.report.results import zoo_folder
from metarep.tables import read_csv
from metarep.zoos.zoo import Zoo, open_zoo


@dataclass(frozen=True)
class Page:
    """An HTML file that a notebook shows."""

    path: Path

    def __repr__(self) -> str:
        return f"Page({str(self.path)!r})"

    def _repr_html_(self) -> str:
        source = html.escape(self.path.read_text(encoding="utf-8"))
        return f'<iframe srcdoc="{source}" style="width: 100%; height: 40em; border: 1px solid #ccc"></iframe>'


@dataclass(frozen=True, repr=False)
class Run:
    """What `metarep run` made. Everything is read when it is first asked for."""

    path: Path

    @cached_property
    def stages(self) -> tuple[str, ...]:
        """The finished stages, as folders of the run."""
        return tuple(sorted(one.parent.relative_to(self.path).as_posix() for one in self.path.rglob(MANIFEST)))

    @cached_property
    def zoo(self) -> Zoo:
        """Its networks."""
        return open_zoo(zoo_folder(self.path))

    @cached_property
    def model(self) -> ClozeModel:
        """Its own model."""
        return load_model(open_artefact(embeddings_of(self.path, None)).input_path("model"))

    @cached_property
    def tables(self) -> tuple[str, ...]:
        """The names of its tables, as "stage/table"."""
        files = (file for stage in self.stages for file in (self.path / stage).glob("*.csv"))
        return tuple(sorted(file.relative_to(self.path).with_suffix("").as_posix() for file in files))

    def table(self, name: str) -> pd.DataFrame:
        """A table by its name, such as "clusters/agreement", or "agreement" where one stage has such a table."""
        found = [one for one in self.tables if one == name or one.endswith("/" + name)]
        if len(found) != 1:
            expected = "one of " + ", ".join(found or self.tables)
            raise MetarepError(f"{self.path} has {'several tables' if found else 'no table'} {name!r}", expected=expected)
        return pd.DataFrame(read_csv(self.path / f"{found[0]}.csv"))

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of embeddings of its own model."""
        return tuple(one.split("/")[2] for one in self.stages if one.startswith("embeddings/model/") and one.count("/") == 2)

    def embeddings(self, kind: str | None = None, *, part: str = "network") -> Embeddings:
        """Vectors of one kind of part, by its own model; of the kind layers, or its first, where none is named."""
        return load_embeddings(embeddings_of(self.path, kind), part=part)

    def neighbours(self, query: Path | str, *, kind: str | None = None, part: str = "network", k: int = 10) -> Likeness:
        """The networks, or units, that are most like a checkpoint or one of its networks."""
        return find_neighbours(self.path, query, kind=kind, part=part, k=k)

    @property
    def report(self) -> Page:
        """Its report. Raises MetarepError where none was written."""
        file = self.path / "report" / "report.html"
        if not file.is_file():
            raise MetarepError(f"{self.path} has no report", fix=f"write it: metarep report {self.path}")
        return Page(file)

    def map(self, out: Path | str | None = None, **settings: object) -> Page:
        """Its map. Where it has none, or with settings (as in `MapConfig`), it is drawn first: to `out`, or as map.html."""
        own = self.path / "map.html"
        made = next((file for file in (self.path / "map" / "map.html", own) if file.is_file()), None)
        if made and out is None and not settings:
            return Page(made)
        return Page(write_map(MapConfig(**settings), [self.path], out or own, overwrite=out is None))

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}: {self.zoo!r}; embeddings: {', '.join(self.kinds)}; {len(self.tables)} tables)"

    def _repr_html_(self) -> str:
        rows = {"networks": repr(self.zoo), "embeddings": ", ".join(self.kinds), "tables": ", ".join(self.tables)}
        cells = "".join(f"<tr><th>{name}</th><td>{html.escape(text)}</td></tr>" for name, text in rows.items())
        return f"<p><b>{html.escape(str(self.path))}</b></p><table>{cells}</table>"


def open_run(path: Path | str) -> Run:
    """A run by its folder. Raises MetarepError for a folder that holds none."""
    path = Path(path)
    open_artefact(zoo_folder(path), "zoo")
    return Run(path)
