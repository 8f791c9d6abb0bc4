"""One array of flattened parameters, a network a row, with a table of metrics and one that says which columns are what."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from metarep.errors import MetarepError
from metarep.formats.contents import Checkpoint
from metarep.formats.refusals import reading, to_torch
from metarep.zoos.label_tables import read_table
from metarep.zoos.properties import OWN_COLUMNS, Source, whole_number

WEIGHTS = "weights.npy"
METRICS = ("metrics.csv", "metrics.csv.gz")
LAYOUT = "layout.csv"
RUN_COLUMNS = ("run_id", "modeldir")
EPOCH_COLUMNS = ("epoch", "step")
"""Columns of the metrics that say which training run a row belongs to, and how far it had come."""

Slice = tuple[str, tuple[int, ...]]
"""A tensor's name and shape; its values follow those of the one before."""


@dataclass(frozen=True)
class FlatArray:
    """Parameters (N, P) of N networks, mapped into memory, and the tensors that each row holds one behind the other."""

    values: np.ndarray
    slices: tuple[Slice, ...]
    path: Path

    def checkpoint(self, row: int) -> Checkpoint:
        """The network in one row."""
        flat = to_torch(self.path, f"row {row}", np.array(self.values[row]))
        tensors: dict[str, torch.Tensor] = {}
        at = 0
        for name, shape in self.slices:
            size = math.prod(shape)
            tensors[name] = flat[at : at + size].reshape(shape)
            at += size
        return Checkpoint(tensors, ordered=True)


def flat_sources(folder: Path, name: str) -> Iterator[Source]:
    """One network for each row of the folder's array, with the metrics of the row; `name` is the folder's.

    Raises MetarepError where array and metrics have different numbers of rows.
    """
    path = folder / WEIGHTS
    n_networks = len(open_array(path))
    metrics = next(folder / file for file in METRICS if (folder / file).is_file())
    rows = read_table(metrics, max_rows=n_networks)
    if len(rows) != n_networks:
        raise MetarepError(f"{metrics} does not fit {WEIGHTS}", met=f"{len(rows):,} rows", expected=f"{n_networks:,}")
    digits = len(str(max(n_networks - 1, 0)))
    columns = set(rows[0]) if rows else set()
    run_column = next((column for column in RUN_COLUMNS if column in columns), None)
    epoch_column = next((column for column in EPOCH_COLUMNS if column in columns), None)
    for index, row in enumerate(rows):
        network_id = f"{name}/{index:0{digits}d}"
        run_id = row[run_column] if run_column and row[run_column] else network_id
        epoch = _epoch(row[epoch_column]) if epoch_column else None
        properties = {("metrics." + key if key in OWN_COLUMNS else key): value for key, value in row.items()}
        yield Source(network_id, run_id, f"{name}/{WEIGHTS}", path, epoch=epoch, row=index, properties=properties)


def _epoch(text: str) -> int | None:
    try:
        return whole_number(text)
    except ValueError:
        return None


def open_array(path: Path) -> np.ndarray:
    """An array (N, P) of numbers mapped into memory. Raises MetarepError for another one, objects and damage."""
    with reading(path, "array of numbers"):
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.dtype.kind not in "fiuV":
        raise MetarepError(
            f"{path} is no array of networks", met=getattr(values, "shape", "none"), expected="(networks, parameters)"
        )
    return values


def open_flat(path: Path, given: Sequence[Slice] | None) -> FlatArray:
    """The array with the tensors that `given` or, where that is None, the table beside it says.

    Raises MetarepError where neither is there and where shapes and columns differ in number.
    """
    values = open_array(path)
    if given is None:
        if not (path.parent / LAYOUT).is_file():
            raise MetarepError(
                f"nothing says what the columns of {path} are",
                expected=f"{LAYOUT} beside it with varname, start_idx, end_idx and shape",
                fix="or pass --architecture with a YAML that lists `tensors` with their names and shapes in order",
            )
        given = _read_layout(path.parent / LAYOUT)
    n_values = sum(math.prod(shape) for _, shape in given)
    if n_values != values.shape[1]:
        raise MetarepError(f"{path}: tensors and columns differ", met=f"{n_values:,} values", expected=f"{values.shape[1]:,}")
    return FlatArray(values, tuple(given), path)


def _read_layout(path: Path) -> list[Slice]:
    """Names and shapes in the order of the columns. Raises MetarepError unless slices lie side by side from 0 on."""
    slices: list[tuple[int, int, Slice]] = []
    for row in read_table(path):
        try:
            start, end = int(row["start_idx"]), int(row["end_idx"])
            shape = tuple(int(number) for number in re.findall(r"\d{1,18}", row["shape"]))
            slices.append((start, end, (row["varname"], shape)))
        except (KeyError, ValueError) as error:
            met: Any = repr(error)
            raise MetarepError(
                f"{path} is no layout", met=met, expected="columns varname, start_idx, end_idx, shape"
            ) from error
    slices.sort(key=lambda entry: entry[0])
    at = 0
    for start, end, (name, shape) in slices:
        if start != at or end - start != math.prod(shape):
            raise MetarepError(f"{path}: {name} does not fit", met=f"{start}:{end} of shape {shape}", expected=f"from {at} on")
        at = end
    if len({name for _, _, (name, _) in slices}) < len(slices):
        raise MetarepError(f"{path}: a name occurs twice", expected="each tensor once")
    return [entry for _, _, entry in slices]
