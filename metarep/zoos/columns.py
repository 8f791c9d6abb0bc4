"""The columns of a zoo in Parquet files, and which of them are labels and properties, in the head of each file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from metarep.errors import MetarepError

HEAD = b"metarep"
"""The key of `Contents` among the metadata of a file's schema."""

REQUIRED = ("network_id", "run_id", "split", "snapshot_of", "finite")
"""The columns that every zoo has. `snapshot_of` is the network on the way to which a snapshot was taken, "" for no snapshot;
`finite` is whether neither parameters nor what was measured in training hold NaN or infinity."""

SPLITS = (("train", 0.7), ("valid", 0.8), ("test", 1.0))
"""Each split ends at this share of the hash of `run_id`."""

FEW_RUNS = 40
"""Of fewer runs a hash may leave a split empty, and a fifth are too few to measure on: 8 right answers out of 8 say only that
at least two thirds are right. They are split by rank, and what is measured is cross-validated."""


@dataclass(frozen=True)
class Contents:
    """The zoo's domain, if it has one; its categorical columns; its numeric columns that are worth predicting."""

    domain: str | None = None
    labels: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()


def split_of(run_id: str) -> str:
    """train (70 %), valid (10 %) or test (20 %): a function of the run alone, so that relatives stay together."""
    share = int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:8], "big") / 2**64
    return next(name for name, end in SPLITS if share < end)


def splits_of(run_ids: Sequence[str]) -> list[str]:
    """The split of each network (N,) of a zoo, by its run: `split_of`, and of fewer than FEW_RUNS runs by the rank of their
    hash, so that each split has its share: of six runs and more at least two.
    """
    runs = sorted(set(run_ids), key=lambda run: hashlib.sha256(run.encode()).digest())
    if not 3 <= len(runs) < FEW_RUNS:
        return [split_of(run) for run in run_ids]
    least = 2 if len(runs) >= 6 else 1
    n_valid, n_test = (max(least, round(share * len(runs))) for share in (0.1, 0.2))
    bounds = {"train": len(runs) - n_valid - n_test, "valid": n_valid, "test": n_test}
    split = dict(zip(runs, [name for name, n in bounds.items() for _ in range(n)], strict=True))
    return [split[run] for run in run_ids]


def write_columns(path: Path, columns: Mapping[str, Sequence[Any] | np.ndarray], contents: Contents) -> None:
    """Writes one file whole or not at all; the same columns give the same bytes.

    Columns are texts, numbers and truths (N,), or numbers (N, D). Missing texts are "", missing numbers NaN.
    """
    arrays = {name: _to_arrow(values) for name, values in columns.items()}
    table = pa.table(arrays).replace_schema_metadata({HEAD: json.dumps(asdict(contents), sort_keys=True)})
    aside = path.with_name(path.name + ".tmp")
    pq.write_table(table, aside, compression="zstd")
    aside.rename(path)


def read_columns(paths: Sequence[Path]) -> tuple[dict[str, np.ndarray], Contents]:
    """The columns of some files, one behind the other. Raises MetarepError for damage and for files that are no zoo's."""
    if not paths:
        raise MetarepError("the zoo has no tables", expected="at least one .parquet file", fix="make the zoo again")
    try:
        tables = [pq.read_table(path) for path in paths]
        contents = _contents(tables[0].schema.metadata[HEAD])
        missing = [name for name in REQUIRED if name not in tables[0].column_names]
        if missing:
            raise ValueError(f"no column {missing[0]}")
        table = pa.concat_tables(tables)
    except (OSError, KeyError, TypeError, ValueError, pa.ArrowException) as error:
        raise MetarepError(
            f"{paths[0].parent}: a table cannot be read", met=error, fix="restore the file or make the zoo again"
        ) from error
    return {name: _to_numpy(table.column(name)) for name in table.column_names}, contents


def _contents(head: bytes) -> Contents:
    data = json.loads(head)
    return Contents(data["domain"], tuple(data["labels"]), tuple(data["properties"]))


def _to_arrow(values: Sequence[Any] | np.ndarray) -> pa.Array:
    values = np.asarray(values, dtype=object if isinstance(values[0], str) else None)
    if values.ndim == 2:
        ends = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
        return pa.ListArray.from_arrays(pa.array(ends), pa.array(values.reshape(-1)))
    return pa.array(values, pa.string()) if values.dtype == object else pa.array(values)


def _to_numpy(column: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_list(column.type):
        whole = column.combine_chunks()
        lengths = whole.value_lengths().to_numpy(zero_copy_only=False)
        flat = whole.flatten().to_numpy(zero_copy_only=False)
        if len(lengths) and (lengths == lengths[0]).all():
            return flat.reshape(len(lengths), int(lengths[0])).copy()  # Arrow hands out read-only memory
        rows = np.empty(len(lengths), dtype=object)
        rows[:] = np.split(flat, np.cumsum(lengths)[:-1].astype(int)) if len(lengths) else []
        return rows
    return column.fill_null("").to_numpy() if pa.types.is_string(column.type) else column.to_numpy()


def stack_rows(values: np.ndarray) -> np.ndarray:
    """Rows (N,) of arrays as (N, D) where all are of one length; other columns as they are."""
    return np.stack(list(values)) if is_ragged(values) and len({len(row) for row in values}) == 1 else values


def is_ragged(values: np.ndarray) -> bool:
    """Whether a column holds arrays of different lengths."""
    return values.dtype == object and len(values) > 0 and isinstance(values[0], np.ndarray)
