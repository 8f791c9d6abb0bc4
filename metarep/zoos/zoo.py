"""A zoo: many networks with how each came to be, their labels and properties.

On disk a zoo is a folder of Parquet tables, one row a network, readable by any Parquet reader. Parameters lie in a column of
these tables, or in safetensors shards beside them. Columns are read once, tensors in shards only when they are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metarep.account import counted
from metarep.artefact import Artefact, open_artefact
from metarep.errors import MetarepError
from metarep.networks.spec import NetworkSpec
from metarep.progress import Progress
from metarep.zoos.columns import Contents, is_ragged, read_columns, stack_rows
from metarep.zoos.domain import domain_of
from metarep.zoos.readings import numbers_of, texts_of

if TYPE_CHECKING:  # torch costs seconds, and who builds or counts networks needs none
    import pandas as pd
    import torch

    from metarep.networks.architecture import Architecture
    from metarep.networks.symmetry_groups import Symmetries
    from metarep.zoos.parameters import Parameters

KIND = "zoo"
TABLE = ".parquet"


@dataclass(frozen=True, repr=False)
class Zoo:
    """N subject networks: one NumPy array a column, (N,) or (N, D).

    Missing texts are "", missing numbers NaN. Columns of lists that differ in length are object arrays of arrays.
    `n_left_out` networks are not among these since they hold NaN or infinity.
    """

    columns: Mapping[str, np.ndarray]
    artefact: Artefact | None = None
    contents: Contents = field(default_factory=Contents)
    n_left_out: int = 0
    stored: Parameters | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.columns["network_id"])

    def __repr__(self) -> str:
        known = {"domain": self.domain, "labels": ", ".join(self.labels), "properties": ", ".join(self.properties)}
        counted_ones = {"network": len(self), "run": len(set(self.run_id)), "architecture": len(set(self.architecture))}
        counts = ", ".join(counted(n, what) for what, n in counted_ones.items())
        return f"Zoo({counts}" + "".join(f"; {name}: {value}" for name, value in known.items() if value) + ")"

    @property
    def shape(self) -> tuple[int]:
        """How many networks, as scikit-learn asks for it."""
        return (len(self),)

    def __getitem__(self, name: str | np.ndarray) -> np.ndarray | Zoo:
        """A column by its name, or the networks of a slice or of an array of rows."""
        if not isinstance(name, str):
            return self.select(np.arange(len(self))[name])
        if name not in self.columns:
            raise MetarepError(f"{self._where} has no column {name!r}", expected="one of " + ", ".join(self.columns))
        return self.columns[name]

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    @property
    def domain(self) -> str | None:
        """The name of the zoo's domain."""
        return self.contents.domain

    @property
    def labels(self) -> tuple[str, ...]:
        """The columns that are categorical labels of networks."""
        return self.contents.labels

    @property
    def properties(self) -> tuple[str, ...]:
        """The numeric columns that are worth predicting."""
        return self.contents.properties

    def label(self, name: str) -> np.ndarray:
        """(N,) texts: a column as classes, "" where a network has none."""
        return texts_of(self[name])

    def number(self, name: str) -> np.ndarray:
        """(N,) float64: a column as numbers, NaN where a network has none."""
        return numbers_of(self[name])

    @property
    def network_id(self) -> np.ndarray:
        """(N,) text."""
        return self["network_id"]

    @property
    def run_id(self) -> np.ndarray:
        """(N,) text: networks that descend from one training run share it."""
        return self["run_id"]

    @property
    def split(self) -> np.ndarray:
        """(N,) text: train, valid or test."""
        return self["split"]

    @property
    def is_final(self) -> np.ndarray:
        """(N,) bool: whether a network is no snapshot on the way to another one."""
        return self["snapshot_of"] == ""

    @property
    def _where(self) -> str:
        return str(self.artefact.path) if self.artefact else "the zoo"

    # -- choosing networks

    def frame(self) -> pd.DataFrame:
        """A row a network: the columns that hold one value each."""
        import pandas as pd

        return pd.DataFrame(
            {name: values for name, values in self.columns.items() if values.ndim == 1 and not is_ragged(values)}
        )

    def select(self, chosen: np.ndarray) -> Zoo:
        """The networks of a boolean mask or of indices, in that order."""
        return replace(self, columns={name: stack_rows(values[chosen]) for name, values in self.columns.items()})

    def where(self, **equal: Any) -> Zoo:
        """The networks whose columns equal the values given: `zoo.where(split="test", variant="e09")`."""
        chosen = np.ones(len(self), dtype=bool)
        for name, value in equal.items():
            chosen &= self[name] == value
        return self.select(chosen)

    def final(self) -> Zoo:
        """The finite networks that are no snapshots on the way: what analyses look at."""
        return self.select(self["finite"] & self.is_final)

    def finite(self) -> Zoo:
        """Without networks that hold NaN or infinity. Raises MetarepError where none is left."""
        n_left_out = int((~self["finite"]).sum())
        if n_left_out == len(self):
            met = f"NaN or infinity in all {len(self):,}"
            raise MetarepError(f"{self._where} has no finite network", met=met, fix="add networks that did not diverge")
        return replace(self.select(self["finite"]), n_left_out=n_left_out) if n_left_out else self

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.network_id)}

    def row_of(self, network_id: str) -> int:
        """The row of a network. Raises MetarepError for an id that is not there."""
        if network_id not in self._rows:
            from difflib import get_close_matches

            near = ", ".join(get_close_matches(network_id, list(self._rows), n=3, cutoff=0.0))
            raise MetarepError(f"{self._where} has no network {network_id!r}", expected=f"an id such as {near}")
        return self._rows[network_id]

    # -- networks of one spec

    @cached_property
    def spec(self) -> NetworkSpec:
        """The one spec of these networks. Raises MetarepError where there are several, and for other networks."""
        specs = sorted(set(self["spec"]))
        if len(specs) != 1:
            raise MetarepError(
                "the zoo mixes architectures", met=", ".join(specs) or "no network", expected="one", fix="select one spec"
            )
        return NetworkSpec.parse(specs[0])

    @property
    def params(self) -> np.ndarray:
        """(N, P) float32 of networks of one spec."""
        return self._matrix("params")

    @property
    def init_params(self) -> np.ndarray:
        """(N, P) float32: where training started."""
        return self._matrix("init_params")

    def _matrix(self, name: str) -> np.ndarray:
        if self[name].ndim != 2 and len(self):
            _ = self.spec
        return self[name]

    # -- networks of any architecture

    @cached_property
    def parameters(self) -> Parameters:
        """Where the tensors lie."""
        from metarep.zoos.parameters import InColumns

        return self.stored or InColumns(tuple(sorted(set(self["spec"].astype(str)))))

    @property
    def architectures(self) -> tuple[Architecture, ...]:
        """The architectures of these networks."""
        return self.parameters.architectures

    @cached_property
    def architecture(self) -> np.ndarray:
        """(N,) int64: which of the architectures each network has."""
        return self.parameters.numbers(self.columns)

    @cached_property
    def architecture_names(self) -> tuple[str, ...]:
        """A name for each architecture: its spec, or else its title, with a number where two have one title."""
        if "spec" in self:
            specs = dict(zip(self.architecture.tolist(), self["spec"].astype(str), strict=True))
            return tuple(specs.get(number, "") for number in range(len(self.architectures)))
        titles = [one.title for one in self.architectures]
        nth = [titles[: number + 1].count(title) for number, title in enumerate(titles)]
        return tuple(f"{title} ({n})" if titles.count(title) > 1 else title for title, n in zip(titles, nth, strict=True))

    @property
    def activation(self) -> str | None:
        """What stands behind the hidden layers of all networks, where that is known."""
        domain = domain_of(self)
        return self.parameters.activation or (None if domain is None else domain.activation)

    @property
    def output_activations(self) -> tuple[str, ...]:
        """What stands behind the outputs of each architecture, as far as is known."""
        return self.parameters.output_activations

    @cached_property
    def symmetries(self) -> tuple[Symmetries, ...]:
        """The symmetries of each architecture."""
        from metarep.networks.further_inference import with_further
        from metarep.networks.inference import symmetries_of

        return tuple(
            with_further(
                architecture,
                symmetries_of(architecture, relu=self.activation == "relu"),
                activation=self.activation,
                output_activation=output,
            )
            for architecture, output in zip(self.architectures, self.output_activations, strict=True)
        )

    def architecture_of(self, row: int) -> Architecture:
        """The architecture of one network."""
        return self.architectures[self.architecture[row]]

    def network(self, network_id: str) -> dict[str, torch.Tensor]:
        """The tensors of a network by their names, in order, bit for bit as they are stored."""
        return self.parameters.tensors(self.columns, self.row_of(network_id))

    def raw_tensors(self, row: int) -> dict[str, torch.Tensor]:
        """The weights of one network as float32, as stored. Raises MetarepError for NaN and infinity."""
        return self._readable(row, self.parameters.tensors(self.columns, row))

    def _readable(self, row: int, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        from metarep.networks.architecture import readable_tensors

        return readable_tensors(self.architecture_of(row), tensors, where=f"network {self.network_id[row]}")

    def tensors(self, row: int) -> dict[str, torch.Tensor]:
        """The weights of one network as float32, units in canonical order. Raises MetarepError for NaN and infinity."""
        from metarep.networks.tensor_symmetry import canonical

        return canonical(self.raw_tensors(row), self.symmetries[self.architecture[row]])

    def stacked(self, rows: np.ndarray, *, canonical: bool = False) -> dict[str, torch.Tensor]:
        """The weights of networks (N,) of one architecture side by side, (N, *shape) float32, in canonical order or as stored.

        Raises MetarepError for NaN and infinity.
        """
        from metarep.networks.tensor_symmetry import canonical as canonical_form

        found = self._readable(rows[0], self.parameters.stacked(self.columns, rows))
        return canonical_form(found, self.symmetries[self.architecture[rows[0]]], n_lead=1) if canonical else found

    def shuffled_tensors(self, row: int, *, generator: torch.Generator, **how: Any) -> dict[str, torch.Tensor]:
        """The same network after a random draw of its symmetries; `how` as in `random_symmetry`."""
        from metarep.networks.tensor_symmetry import random_symmetry

        return random_symmetry(self.raw_tensors(row), self.symmetries[self.architecture[row]], generator=generator, **how)


def open_zoo(path: Path | str, *, check_hashes: bool = True) -> Zoo:
    """Opens a finished zoo, built or imported. Raises MetarepError for a foreign, truncated or altered one."""
    artefact = open_artefact(path, KIND, check_hashes=check_hashes)
    columns, contents = read_columns([artefact.path / name for name in artefact.manifest["files"] if name.endswith(TABLE)])
    stored = None
    if "shard" in columns:
        from metarep.zoos.parameters import InShards

        stored = InShards.in_folder(artefact.path)
    return Zoo(columns, artefact, contents, stored=stored)


def say_left_out(zoo: Zoo, progress: Progress) -> None:
    """Says how many networks of a zoo are left out, if any."""
    if zoo.n_left_out:
        progress.say(f"{zoo.artefact.path}: {zoo.n_left_out:,} networks with NaN or infinity are left out")
