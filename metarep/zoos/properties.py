"""What is known of networks beside their parameters: tables of labels and metrics, and how they join by file name."""

from __future__ import annotations

import csv
import gzip
import math
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from metarep.errors import MetarepError

OWN_COLUMNS = (
    "network_id",
    "run_id",
    "member",
    "snapshot_of",
    "epoch",
    "split",
    "architecture",
    "shard",
    "row",
    "file",
    "n_params",
    "sha256",
    "finite",
)
"""The columns that every imported zoo has."""

GIVEN_COLUMNS = ("run_id", "epoch")
"""Those of them that a table of labels may fill."""

MAX_LINE = 1 << 22
FEW = 3


@dataclass(frozen=True)
class Source:
    """One network to import: who it is, the file (relative to its root, and on this machine), the row of an array of many.

    `run_id` is "" where nothing says it. `is_snapshot` is whether the file holds a later state of the same network.
    """

    network_id: str
    run_id: str
    file: str
    path: Path
    epoch: int | None = None
    row: int | None = None
    suffix: str | None = None
    is_snapshot: bool = False
    properties: Mapping[str, Any] = field(default_factory=dict)


def read_table(path: Path, *, max_rows: int | None = None) -> list[dict[str, str]]:
    """The rows of a .csv or .csv.gz file as texts. Raises MetarepError for damage, ragged rows and columns that repeat."""
    rows: list[dict[str, str]] = []
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig", newline="")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8-sig", newline="") as file
        ):
            reader = csv.reader(_lines(file))
            head = next(reader, [])
            for cells in reader:
                if cells and len(cells) != len(head):
                    raise ValueError(f"row {len(rows) + 1} has {len(cells)} cells in place of {len(head)}")
                if cells:
                    rows.append(dict(zip(head, cells, strict=True)))
                if max_rows is not None and len(rows) > max_rows:
                    raise ValueError(f"more than {max_rows:,} rows")
    except (OSError, EOFError, ValueError, csv.Error, zlib.error) as error:
        raise MetarepError(f"{path} cannot be read as a CSV table", met=error) from error
    if len(set(head)) < len(head) or not all(head):
        raise MetarepError(f"{path}: columns repeat or have no name", met=", ".join(head)[:120])
    return rows


def _lines(file) -> Iterator[str]:
    while line := file.readline(MAX_LINE):
        if len(line) == MAX_LINE:
            raise ValueError(f"a line of more than {MAX_LINE:,} characters")
        yield line


def join_labels(sources: Sequence[Source], path: Path, *, partial: bool) -> list[Source]:
    """The networks with the columns of a table whose column `file` names them.

    `file` is a file's relative path or its name, with or without suffix. Columns `run_id` and `epoch` say which networks
    belong to one training run. Raises MetarepError for columns that are the zoo's own, and unless `partial` for rows
    without a network and networks without a row.
    """
    rows = read_table(path)
    columns = list(rows[0]) if rows else []
    if "file" not in columns:
        raise MetarepError(
            f"{path} has no column `file`", met=", ".join(columns)[:120] or "no rows", fix="name the files there"
        )
    refuse_own_columns(path, [name for name in columns if name not in ("file", *GIVEN_COLUMNS)])
    keys = _keys(sources)
    matched: dict[int, dict[str, str]] = {}
    unmatched = []
    for row in rows:
        index = keys.get(row["file"].strip().removeprefix("./"))
        if index is None:
            unmatched.append(row["file"])
        elif index in matched:
            raise MetarepError(f"{path}: two rows for one network", met=row["file"], fix="remove one of them")
        else:
            matched[index] = {name: value for name, value in row.items() if name != "file"}
    without = [source.file for index, source in enumerate(sources) if index not in matched]
    if not partial and (unmatched or without):
        _refuse_partial(path, unmatched, without)
    return [_with(path, source, matched[i]) if i in matched else source for i, source in enumerate(sources)]


def refuse_own_columns(path: Path, columns: Sequence[str]) -> None:
    """Raises MetarepError for columns that have the name of one of the zoo's."""
    taken = [name for name in columns if name in OWN_COLUMNS]
    if taken:
        raise MetarepError(f"{path}: columns are the zoo's own", met=", ".join(taken), fix="rename them")


def _refuse_partial(path: Path, unmatched: list[str], without: list[str]) -> None:
    met = []
    if unmatched:
        met.append(f"{len(unmatched)} rows without a network ({', '.join(unmatched[:FEW])})")
    if without:
        met.append(f"{len(without)} networks without a row ({', '.join(without[:FEW])})")
    raise MetarepError(
        f"{path} does not match the files", met=" and ".join(met), fix="correct the column `file`, or pass --partial-labels"
    )


def _keys(sources: Sequence[Source]) -> dict[str, int]:
    """Index of a network by its id, file and, where only one has it, its file's name with and without suffix."""
    exact, short = {}, {}
    names = Counter(key for source in sources for key in _short_keys(source))
    for index, source in enumerate(sources):
        exact[source.network_id] = index
        if source.row is None:
            exact[source.file] = index
        short |= {key: index for key in _short_keys(source) if names[key] == 1}
    return short | exact


def _short_keys(source: Source) -> set[str]:
    if source.row is not None:
        return set()
    return {source.file.rpartition("/")[2], source.network_id.rpartition("/")[2]}


def _with(path: Path, source: Source, row: Mapping[str, str]) -> Source:
    extra: dict[str, Any] = {}
    if row.get("run_id"):
        extra["run_id"] = row["run_id"]
    if row.get("epoch"):
        try:
            extra["epoch"] = whole_number(row["epoch"])
        except ValueError as error:
            raise MetarepError(f"{path}: epoch is no whole number", met=row["epoch"]) from error
    added = {name: value for name, value in row.items() if name not in GIVEN_COLUMNS}
    both = [name for name in added if name in source.properties]
    if both:
        raise MetarepError(f"{path}: columns are known from the zoo's own tables", met=", ".join(both[:FEW]), fix="rename them")
    return replace(source, properties={**source.properties, **added}, **extra)


def whole_number(text: str) -> int:
    """The number in "3" or "3.0". Raises ValueError for other texts and for what 64 bits do not hold."""
    number = float(text)
    if not (number.is_integer() and abs(number) < 2**62):
        raise ValueError(f"{text} is no whole number")
    return int(number)


def plain_text(text: str) -> str:
    """The text with what cannot be written as UTF-8 spelt out."""
    return text.encode("utf-8", "backslashreplace").decode()


def property_columns(networks: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """One column (N,) a property: float64 where every value is a number (true is 1), else text; NaN or "" where missing."""
    names: dict[str, None] = {}
    for properties in networks:
        names |= dict.fromkeys(properties)
    return {name: _column([properties.get(name) for properties in networks]) for name in names}


def _column(values: Sequence[Any]) -> np.ndarray:
    present = ["" if value is None else value for value in values]
    try:
        return np.array([math.nan if value == "" else float(value) for value in present])
    except (ValueError, TypeError, OverflowError):
        return np.array([str(value) for value in present], dtype=object)
