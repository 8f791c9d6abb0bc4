"""A zoo on disk: Parquet shards, one row a network, readable by any Parquet reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from metarep.artefact import Artefact, open_artefact
from metarep.errors import MetarepError
from metarep.networks.spec import NetworkSpec

FLOATS = pa.list_(pa.float32())
DOUBLES = pa.list_(pa.float64())
SCHEMA = pa.schema(
    [
        ("network_id", pa.string()),
        ("run_id", pa.string()),
        ("seed", pa.int64()),
        ("variant", pa.string()),
        ("spec", pa.string()),
        ("task", pa.string()),
        ("law", pa.string()),
        ("step", pa.int32()),
        ("parent_id", pa.string()),
        ("params", FLOATS),
        ("init_params", FLOATS),
        ("train_mse", pa.float64()),
        ("valid_mse", pa.float64()),
        ("diverged", pa.bool_()),
        ("split", pa.string()),
        ("active_area", DOUBLES),
        ("quadrant_area", DOUBLES),
        ("quadrant_code", pa.string()),
        ("mode", pa.string()),
        ("mode_margin", pa.float64()),
    ]
)
ABSENT = {"task": "product", "law": ""}
"""What a column holds in zoos that were built before it was there; a law "" is the variant's own."""
LIST_COLUMNS = ("params", "init_params", "active_area", "quadrant_area")


def shard_name(index: int) -> str:
    """The file name of one shard."""
    return f"shard-{index:05d}.parquet"


def write_shard(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """Writes one shard whole or not at all; the same columns give the same bytes."""
    absent = {name: [value] * len(columns["network_id"]) for name, value in ABSENT.items()}
    arrays = [pa.array(_plain((absent | dict(columns))[field.name]), type=field.type) for field in SCHEMA]
    aside = path.with_name(path.name + ".tmp")
    pq.write_table(pa.table(arrays, schema=SCHEMA), aside, compression="zstd")
    aside.rename(path)


def _plain(values):
    if isinstance(values, np.ndarray):
        return list(values) if values.ndim == 2 else values
    return values


@dataclass(frozen=True)
class Zoo:
    """Subject networks in memory: one NumPy array a column, all of length N.

    `params` and `init_params` are (N, P) float32, `active_area` (N, H) and `quadrant_area`
    (N, 4) float64 when all networks have one spec; text columns are object arrays, where a
    missing label (a network that has no mode, say) is the empty string.
    """

    columns: Mapping[str, np.ndarray]
    artefact: Artefact | None = None

    def __len__(self) -> int:
        return len(self.columns["network_id"])

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    @cached_property
    def spec(self) -> NetworkSpec:
        """The one architecture of these networks; MetarepError where there are several."""
        specs = sorted(set(self["spec"]))
        if len(specs) != 1:
            raise MetarepError(
                "the zoo mixes architectures", met=", ".join(specs) or "no network", expected="one", fix="select one spec"
            )
        return NetworkSpec.parse(specs[0])

    @property
    def params(self) -> np.ndarray:
        """(N, P) float32."""
        return self._matrix("params")

    @property
    def init_params(self) -> np.ndarray:
        """(N, P) float32: where training started."""
        return self._matrix("init_params")

    @property
    def log_error(self) -> np.ndarray:
        """(N,) float64: log10 of the validation mean squared error."""
        return np.log10(np.maximum(self["valid_mse"].astype(np.float64), 1e-12))

    def _matrix(self, name: str) -> np.ndarray:
        if self["params"].ndim != 2 and len(self):
            _ = self.spec
        return self[name]

    def select(self, chosen: np.ndarray) -> Zoo:
        """The networks of a boolean mask or of indices, in that order."""
        columns = {name: values[chosen] for name, values in self.columns.items()}
        for name in LIST_COLUMNS:
            columns[name] = _stack(columns[name])
        return Zoo(columns, self.artefact)

    def where(self, **equal: Any) -> Zoo:
        """The networks whose columns equal the values given: `zoo.where(split="test", variant="e09")`."""
        chosen = np.ones(len(self), dtype=bool)
        for name, value in equal.items():
            chosen &= self[name] == value
        return self.select(chosen)

    def final(self) -> Zoo:
        """Without diverged networks and without snapshots on the way: what analyses look at."""
        return self.select(~self["diverged"] & (self["step"] == self._last_steps()))

    def _last_steps(self) -> np.ndarray:
        roots = np.array([str(name).partition("@")[0] for name in self["network_id"]], dtype=object)
        _, member = np.unique(roots, return_inverse=True)
        last = np.full(member.max() + 1 if len(member) else 0, -1)
        np.maximum.at(last, member, self["step"])
        return last[member]


def load_zoo(path: Path | str, *, check_hashes: bool = True) -> Zoo:
    """Reads a finished zoo. Raises MetarepError for a foreign, truncated or altered one."""
    artefact = open_artefact(path, "zoo", check_hashes=check_hashes)
    return Zoo(
        read_shards([artefact.path / name for name in artefact.manifest["files"] if name.endswith(".parquet")]), artefact
    )


def read_shards(paths: Sequence[Path]) -> dict[str, np.ndarray]:
    """The columns of some shards, one behind the other."""
    try:
        tables = [_filled(pq.read_table(path)) for path in paths]
    except (OSError, pa.ArrowInvalid) as error:
        raise MetarepError("a shard cannot be read", met=error, fix="restore the file or build the zoo again") from error
    for path, table in zip(paths, tables, strict=True):
        missing = [name for name in SCHEMA.names if name not in table.column_names]
        if missing:
            raise MetarepError(f"{path} lacks columns", met=", ".join(table.column_names), expected=", ".join(missing))
    tables = [table.select(SCHEMA.names) for table in tables]
    table = pa.concat_tables(tables) if tables else SCHEMA.empty_table()
    return {name: _to_numpy(name, table.column(name)) for name in SCHEMA.names}


def _filled(table: pa.Table) -> pa.Table:
    """The table with the columns that an older zoo lacks."""
    for name, value in ABSENT.items():
        if name not in table.column_names:
            table = table.append_column(name, pa.array([value] * len(table), pa.string()))
    return table


def _to_numpy(name: str, column: pa.ChunkedArray) -> np.ndarray:
    if name in LIST_COLUMNS:
        whole = column.combine_chunks()
        lengths = whole.value_lengths().to_numpy(zero_copy_only=False)
        flat = whole.flatten().to_numpy(zero_copy_only=False)
        if len(lengths) and (lengths == lengths[0]).all():
            return flat.reshape(len(lengths), int(lengths[0])).copy()  # Arrow hands out read-only memory
        rows = np.empty(len(lengths), dtype=object)
        rows[:] = np.split(flat, np.cumsum(lengths)[:-1].astype(int)) if len(lengths) else []
        return rows
    if column.type == pa.string():
        return np.array([value or "" for value in column.to_pylist()], dtype=object)
    return column.to_numpy()


def _stack(values: np.ndarray) -> np.ndarray:
    if values.dtype != object or not len(values) or len({len(row) for row in values}) > 1:
        return values
    return np.stack(list(values))
