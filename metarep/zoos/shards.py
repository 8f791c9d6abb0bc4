"""Writing a zoo of any architectures: its networks are stacked in safetensors shards, with one table that says where.

`architectures.json` lists the architectures; the table says of each network its architecture, shard and row; a shard holds
every tensor of some networks as (n, *shape) in its own dtype. Values are kept bit for bit, those of diverged networks too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from metarep.account import Entry
from metarep.artefact import canonical_json, write_whole
from metarep.formats.safetensors_files import write_safetensors
from metarep.networks.architecture import Architecture, readable
from metarep.zoos.columns import Contents, splits_of, write_columns
from metarep.zoos.parameters import ARCHITECTURES, InShards, shard_name
from metarep.zoos.readings import numbers_of, read_columns, varies

NETWORKS = "networks.parquet"
"""The table of a zoo with shards."""

Tensors = Mapping[str, torch.Tensor]


@dataclass
class ShardWriter:
    """Writes networks one behind the other into a folder, holding no more than `shard_bytes` of them in memory.

    A network larger than that has a shard of its own and is written straight from where it lies.
    """

    folder: Path
    shard_bytes: int
    architectures: dict[Architecture, int] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    properties: list[Mapping[str, Any]] = field(default_factory=list)
    _changed: dict[int, Architecture] = field(default_factory=dict)
    _waiting: dict[int, list[tuple[dict[str, Any], Tensors]]] = field(default_factory=dict)
    _bytes: int = 0
    _n_shards: int = 0

    def add(self, row: Mapping[str, Any], architecture: Architecture, tensors: Tensors, properties: Mapping[str, Any]) -> None:
        """One network; its tensors are copied or written before this returns. `row` has at least a network_id and a run_id; a
        split, where it has none, follows from the runs of all networks.
        """
        index = self.architectures.setdefault(architecture, len(self.architectures))
        row = {"snapshot_of": "", **row}
        row |= {"architecture": index, "n_params": architecture.n_params, "finite": all_finite(architecture, tensors)}
        self.rows.append(row)
        self.properties.append(properties)
        size = sum(value.nbytes for value in tensors.values())
        if size > self.shard_bytes:
            self._write(architecture, [(row, tensors)])
            return
        if self._bytes + size > self.shard_bytes:
            self.flush()
        kept = {name: value.clone(memory_format=torch.contiguous_format) for name, value in tensors.items()}
        self._waiting.setdefault(index, []).append((row, kept))
        self._bytes += size

    @property
    def known(self) -> list[Architecture]:
        """The architectures by number, with what was changed."""
        return [self._changed.get(number, one) for number, one in enumerate(self.architectures)]

    def change(self, number: int, architecture: Architecture) -> None:
        """Says that tensors of the networks of one architecture, given by its number, are something else than was thought."""
        self.flush()
        self._changed[number] = architecture
        stored = InShards(self.folder, tuple(self.known))
        for row in (row for row in self.rows if row["architecture"] == number):
            row["n_params"] = architecture.n_params
            if not row["finite"]:
                columns = {name: np.array([row[name]]) for name in ("architecture", "shard", "row")}
                row["finite"] = all_finite(architecture, stored.tensors(columns, 0))

    def flush(self) -> None:
        """Writes what waits in memory."""
        known = list(self.architectures)
        for index, networks in self._waiting.items():
            self._write(known[index], networks)
        self._waiting, self._bytes = {}, 0

    def _write(self, architecture: Architecture, networks: list[tuple[dict[str, Any], Tensors]]) -> None:
        names = [tensor.name for tensor in architecture.tensors]
        stacked = {name: _stacked([tensors[name] for _, tensors in networks]) for name in names}
        write_safetensors(self.folder / shard_name(self._n_shards), stacked)
        for number, (row, _) in enumerate(networks):
            row |= {"shard": self._n_shards, "row": number}
        self._n_shards += 1

    def finish(
        self,
        contents: Contents | None = None,
        *,
        categorical: Sequence[str] = (),
        numeric: Sequence[str] = (),
        epochs: bool = True,
    ) -> tuple[Entry, ...]:
        """Writes the last shards, the architectures and the table of networks; returns how each property was read.

        Where `contents` does not say what is a label and what a property, `readings` decides; with `epochs`, an
        epoch that differs among networks is worth predicting, behind what else is.
        """
        self.flush()
        known = [architecture.to_json() for architecture in self.known]
        write_whole(self.folder / ARCHITECTURES, canonical_json(known) + "\n")
        splits = splits_of([row["run_id"] for row in self.rows])
        rows = [{"split": split, **row} for split, row in zip(splits, self.rows, strict=True)]
        columns = {name: _column([row[name] for row in rows]) for name in rows[0]}
        found = read_columns(self.properties, [row["run_id"] for row in rows], categorical=categorical, numeric=numeric)
        counted = ("epoch",) if epochs and "epoch" in columns and varies(numbers_of(columns["epoch"])) else ()
        read = Contents(None, found.labels, (*found.properties, *counted))
        write_columns(self.folder / NETWORKS, columns | found.columns, contents or read)
        return found.entries


def _stacked(values: Sequence[torch.Tensor]) -> torch.Tensor:
    """(n, *shape), bit for bit: PyTorch stacks no values of less than a byte. One alone stays where it lies."""
    if len(values) == 1:
        return values[0].unsqueeze(0)
    flat = torch.cat([value.reshape(-1).view(torch.uint8) for value in values])
    return flat.view(values[0].dtype).reshape(len(values), *values[0].shape)


def _column(values: Sequence[Any]) -> np.ndarray:
    """Texts as objects; numbers as float64 with NaN where one is missing."""
    if isinstance(values[0], str):
        return np.array(values, dtype=object)
    return np.array(values, dtype=np.float64 if None in values else None)


def all_finite(architecture: Architecture, tensors: Tensors) -> bool:
    """Whether every weight is finite as the float32 that it is read as."""
    return all(_finite(tensors[tensor.name]) for tensor in architecture.tensors if readable(tensor))


def _finite(value: torch.Tensor) -> bool:
    """The least and the largest value are NaN where any is, and found without a copy; eight bits have none of the two."""
    ends = torch.aminmax(value if value.itemsize > 1 else value.to(torch.float32))
    return bool(torch.isfinite(torch.stack(ends).to(torch.float32)).all())
