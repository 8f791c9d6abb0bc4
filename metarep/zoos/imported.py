"""An imported zoo on disk: networks of one architecture stacked in safetensors shards, one row a network in Parquet.

`architectures.json` lists the architectures, `networks.parquet` says of each network its architecture, shard and row; a
shard holds every tensor of some networks as (n, *shape) in its own dtype. Values are kept bit for bit, those of diverged
networks too: `finite` says which have no NaN or infinity, and zoos from before there was such a column count as finite.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from metarep.artefact import Artefact, canonical_json, open_artefact, write_whole
from metarep.errors import MetarepError
from metarep.formats.readers import dtype_of
from metarep.formats.safetensors_files import DTYPES, open_rows, write_safetensors
from metarep.networks.architecture import Architecture, readable
from metarep.zoos.layouts import NETWORKS
from metarep.zoos.properties import OWN_COLUMNS, Source, property_columns
from metarep.zoos.splits import split_of

KIND = "imported-zoo"
ARCHITECTURES = "architectures.json"
SCHEMA = pa.schema(
    [
        ("network_id", pa.string()),
        ("run_id", pa.string()),
        ("epoch", pa.int64()),
        ("split", pa.string()),
        ("architecture", pa.int32()),
        ("shard", pa.int32()),
        ("row", pa.int64()),
        ("file", pa.string()),
        ("n_params", pa.int64()),
        ("sha256", pa.string()),
        ("finite", pa.bool_()),
    ]
)

FOUND = ("architecture", "shard", "row", "n_params", "sha256", "finite")
"""The columns that come from reading a network and writing it."""


def shard_name(index: int) -> str:
    """The file name of one shard."""
    return f"shard-{index:05d}.safetensors"


@dataclass
class ZooWriter:
    """Writes networks one behind the other into a folder, holding no more than `shard_bytes` of them in memory.

    A network larger than that has a shard of its own and is written straight from where it lies.
    """

    folder: Path
    shard_bytes: int
    architectures: dict[Architecture, int] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    _waiting: dict[int, list[tuple[dict[str, Any], dict[str, torch.Tensor]]]] = field(default_factory=dict)
    _bytes: int = 0
    _n_shards: int = 0

    def add(self, source: Source, architecture: Architecture, tensors: Mapping[str, torch.Tensor], sha256: str) -> None:
        """One network; its tensors are copied or written before this returns."""
        index = self.architectures.setdefault(architecture, len(self.architectures))
        row = {"architecture": index, "n_params": architecture.n_params, "sha256": sha256}
        row["finite"] = all_finite(architecture, tensors)
        self.rows.append(row)
        self.sources.append(source)
        size = sum(value.nbytes for value in tensors.values())
        if size > self.shard_bytes:
            self._write(architecture, [(row, dict(tensors))])
            return
        if self._bytes + size > self.shard_bytes:
            self.flush()
        kept = {name: value.clone(memory_format=torch.contiguous_format) for name, value in tensors.items()}
        self._waiting.setdefault(index, []).append((row, kept))
        self._bytes += size

    def flush(self) -> None:
        """Writes what waits in memory."""
        known = list(self.architectures)
        for index, networks in self._waiting.items():
            self._write(known[index], networks)
        self._waiting, self._bytes = {}, 0

    def _write(self, architecture: Architecture, networks: list[tuple[dict[str, Any], dict[str, torch.Tensor]]]) -> None:
        def pieces(name: str):
            return lambda: (tensors[name] for _, tensors in networks)

        entries = [
            (tensor.name, dtype_of(tensor.dtype), (len(networks), *tensor.shape), pieces(tensor.name))
            for tensor in architecture.tensors
        ]
        write_safetensors(self.folder / shard_name(self._n_shards), entries)
        for number, (row, _) in enumerate(networks):
            row |= {"shard": self._n_shards, "row": number}
        self._n_shards += 1

    def finish(self) -> None:
        """Writes the last shards, the architectures and the table of networks."""
        self.flush()
        known = [architecture.to_json() for architecture in self.architectures]
        write_whole(self.folder / ARCHITECTURES, canonical_json(known) + "\n")
        own = {
            "network_id": [source.network_id for source in self.sources],
            "run_id": [source.run_id for source in self.sources],
            "epoch": [source.epoch for source in self.sources],
            "split": [split_of(source.run_id) for source in self.sources],
            "file": [source.file for source in self.sources],
        } | {name: [row[name] for row in self.rows] for name in FOUND}
        arrays = [pa.array(own[item.name], item.type) for item in SCHEMA]
        table = pa.table(arrays, schema=SCHEMA)
        for name, values in property_columns(self.sources).items():
            text = any(isinstance(value, str) for value in values)
            table = table.append_column(name, pa.array(values, pa.string() if text else pa.float64()))
        pq.write_table(table, self.folder / NETWORKS, compression="zstd")


@dataclass(frozen=True)
class ImportedZoo:
    """Networks that others trained. Columns are read once; tensors only when they are asked for."""

    columns: Mapping[str, list[Any]]
    architectures: tuple[Architecture, ...]
    artefact: Artefact

    def __len__(self) -> int:
        return len(self.columns["network_id"])

    def __getitem__(self, name: str) -> list[Any]:
        return self.columns[name]

    @property
    def properties(self) -> tuple[str, ...]:
        """The columns that came with the networks: labels, metrics, settings."""
        return tuple(name for name in self.columns if name not in OWN_COLUMNS)

    @property
    def n_not_finite(self) -> int:
        """How many networks are known to hold NaN or infinity."""
        return sum(value is False for value in self.columns.get("finite", ()))

    def finite_only(self) -> ImportedZoo:
        """The zoo without networks that are known to hold NaN or infinity. Raises MetarepError where none is left."""
        if not self.n_not_finite:
            return self
        kept = [row for row, value in enumerate(self["finite"]) if value is not False]
        if not kept:
            met = f"NaN or infinity in all {len(self):,}"
            raise MetarepError(
                f"{self.artefact.path} has no finite network", met=met, fix="import networks that did not diverge"
            )
        return replace(self, columns={name: [values[row] for row in kept] for name, values in self.columns.items()})

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self["network_id"])}

    def index(self, network_id: str) -> int:
        """The row of a network. Raises MetarepError for an id that is not there."""
        if network_id not in self._index:
            from difflib import get_close_matches

            near = get_close_matches(network_id, self["network_id"], n=3, cutoff=0.0)
            expected = "an id such as " + ", ".join(near)
            raise MetarepError(f"{self.artefact.path} has no network {network_id!r}", expected=expected)
        return self._index[network_id]

    def architecture(self, network_id: str) -> Architecture:
        """What the tensors of a network are."""
        return self.architectures[self["architecture"][self.index(network_id)]]

    def network(self, network_id: str) -> dict[str, torch.Tensor]:
        """The tensors of a network by their original names, in order, bit for bit as they were imported."""
        index = self.index(network_id)
        with ExitStack() as stack:
            file = open_rows(stack, self.artefact.path / shard_name(self["shard"][index]))
            return {
                tensor.name: _row(file.get_tensor(tensor.name), self["row"][index], tensor.dtype, tensor.shape)
                for tensor in self.architecture(network_id).tensors
            }


def all_finite(architecture: Architecture, tensors: Mapping[str, torch.Tensor]) -> bool:
    """Whether every weight is finite as the float32 that it is read as."""
    return all(_finite(tensors[tensor.name]) for tensor in architecture.tensors if readable(tensor))


def _finite(value: torch.Tensor) -> bool:
    """The least and the largest value are NaN where any is, and found without a copy; eight bits have none of the two."""
    ends = torch.aminmax(value if value.itemsize > 1 else value.to(torch.float32))
    return bool(torch.isfinite(torch.stack(ends).to(torch.float32)).all())


def _row(stacked: torch.Tensor, row: int, dtype: str, shape: Sequence[int]) -> torch.Tensor:
    """One network's tensor out of (n, *shape), as a copy of its own."""
    values, wanted = stacked[row].clone(), dtype_of(dtype)
    if wanted in DTYPES:
        return values
    return values.reshape(-1).view(wanted).reshape(shape) if values.numel() else torch.empty(tuple(shape), dtype=wanted)


def load_imported(path: Path | str, *, check_hashes: bool = True) -> ImportedZoo:
    """Opens an imported zoo. Raises MetarepError for a foreign, truncated or altered one."""
    artefact = open_artefact(path, KIND, check_hashes=check_hashes)
    try:
        table = pq.read_table(artefact.path / NETWORKS)
        known = json.loads((artefact.path / ARCHITECTURES).read_text())
        missing = [name for name in SCHEMA.names if name not in (*table.column_names, "finite")]
        if missing:
            raise ValueError(f"no column {missing[0]}")
    except (OSError, ValueError, pa.ArrowException) as error:
        raise MetarepError(f"{artefact.path} cannot be read", met=error, fix="import the zoo again") from error
    return ImportedZoo(table.to_pydict(), tuple(Architecture.from_json(entry) for entry in known), artefact)
