"""What is known of networks beside their parameters: tables of labels and metrics, and how they join by file name."""

from __future__ import annotations

import csv
import gzip
import re
import unicodedata
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from metarep.account import Entry
from metarep.errors import MetarepError
from metarep.zoos.readings import MISSING

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

GIVEN = "_given"
"""Behind the name of a table's column where the zoo has one that is called so."""

UNNAMED = "unnamed"
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
    """The rows of a .csv, .csv.gz or .parquet file as texts; a column without a name is `UNNAMED`.

    Raises MetarepError for damage, ragged rows and columns that repeat.
    """
    if path.suffix == ".parquet":
        return _read_parquet(path)
    rows: list[dict[str, str]] = []
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig", newline="")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8-sig", newline="") as file
        ):
            reader = csv.reader(_lines(file))
            head = [name.strip() or UNNAMED for name in next(reader, [])]
            for cells in reader:
                if cells and len(cells) != len(head):
                    raise ValueError(f"row {len(rows) + 1} has {len(cells)} cells in place of {len(head)}")
                if cells:
                    rows.append(dict(zip(head, cells, strict=True)))
                if max_rows is not None and len(rows) > max_rows:
                    raise ValueError(f"more than {max_rows:,} rows")
    except (OSError, EOFError, ValueError, csv.Error, zlib.error) as error:
        raise MetarepError(f"{path} cannot be read as a CSV table", met=error) from error
    if len(set(head)) < len(head):
        raise MetarepError(f"{path}: columns repeat", met=", ".join(head)[:120], fix="give each a name of its own")
    return rows


def _read_parquet(path: Path) -> list[dict[str, str]]:
    try:
        rows = pq.read_table(path).to_pylist()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise MetarepError(f"{path} cannot be read as a Parquet table", met=error) from error
    return [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]


def _lines(file) -> Iterator[str]:
    while line := file.readline(MAX_LINE):
        if len(line) == MAX_LINE:
            raise ValueError(f"a line of more than {MAX_LINE:,} characters")
        yield line


def join_labels(sources: Sequence[Source], path: Path, *, partial: bool) -> tuple[list[Source], tuple[Entry, ...]]:
    """The networks with the columns of a table whose column `file` names them, and what was decided on the way.

    `file` is a path or the end of one, with or without suffix, as any system writes it; or a folder that holds one network.
    Columns `run_id` and `epoch` say which networks belong to one training run; others that are called as the zoo's own get the
    suffix `GIVEN`. Raises MetarepError unless `partial` for rows without a network and networks without a row, and where no
    row has a network.
    """
    rows = read_table(path)
    columns = list(rows[0]) if rows else []
    if "file" not in columns:
        raise MetarepError(
            f"{path} has no column `file`", met=", ".join(columns)[:120] or "no rows", fix="name the files there"
        )
    taken = {*OWN_COLUMNS, *(name for source in sources for name in source.properties)} - {*GIVEN_COLUMNS}
    renamed = {name: name + GIVEN if name in taken else name for name in columns if name != "file"}
    matched, unmatched = match_rows(sources, path, [row["file"] for row in rows])
    without = [source.file for index, source in enumerate(sources) if index not in matched]
    if (unmatched or without) and not (partial and matched):
        _refuse_partial(path, unmatched, without, partial=partial)
    joined = list(sources)
    for index, number in matched.items():
        row = {renamed[name]: value.strip() for name, value in rows[number].items() if name != "file"}
        joined[index] = _with(path, sources[index], row)
    entries = [
        Entry("column", name, f"kept as {new}", _why_given(name), doubt=name == "split")
        for name, new in renamed.items()
        if name != new
    ]
    if partial and unmatched:
        listed = ", ".join(unmatched[:FEW])
        entries.append(Entry("file", path.name, f"{len(unmatched)} rows without a network ({listed})", "they are left out"))
    return joined, tuple(entries)


def _why_given(name: str) -> str:
    if name == "split":
        return "the zoo splits by training run, so that relatives stay together; the split given is not used"
    return "the zoo has a column of that name"


def match_rows(sources: Sequence[Source], path: Path, names: Sequence[str]) -> tuple[dict[int, int], list[str]]:
    """{index of a network: number of the row that names it}, and the names without a network.

    Raises MetarepError where two rows name one network equally well.
    """
    keys = network_keys(sources)
    found: dict[int, list[tuple[tuple[int, int], int]]] = {}
    for number, name in enumerate(names):
        parts = path_parts(name)
        for index in find_key(keys, name):
            found.setdefault(index, []).append(((_n_shared(parts, sources[index]), len(parts)), number))
    matched = {}
    for index, claims in found.items():
        most, number = max(claims, key=lambda claim: claim[0])
        if sum(n == most for n, _ in claims) > 1:
            raise MetarepError(f"{path}: two rows for one network", met=names[number], fix="remove one of them")
        matched[index] = number
    used = set(matched.values())
    return matched, [name for number, name in enumerate(names) if number not in used]


def path_parts(text: str) -> list[str]:
    """The folders and the file of a path as any system writes it: without drive and dots, characters composed (NFC)."""
    text = unicodedata.normalize("NFC", text.strip().strip("\"'")).replace("\\", "/")
    return [part for part in re.sub(r"^[A-Za-z]:", "", text).split("/") if part not in ("", ".", "..")]


def find_key(keys: Mapping[str, tuple[int, ...]], name: str) -> tuple[int, ...]:
    """The networks that a table's `file` names, none or those of one file.

    Of a path on another machine leading folders are left out until it is one of the zoo's; a relative path has to be one as it
    stands.
    """
    parts = path_parts(name)
    is_absolute = bool(re.match(r"([A-Za-z]:)?[/\\]", name.strip()))
    for start in range(len(parts) if is_absolute else min(1, len(parts))):
        if indices := keys.get("/".join(parts[start:])):
            return indices
    return ()


def network_keys(sources: Sequence[Source]) -> dict[str, tuple[int, ...]]:
    """Indices of networks by their id, their file with and without suffix, the end of its path, and by a folder that holds no
    other file; names that several files have are left out.
    """
    exact: dict[str, tuple[int, ...]] = {}
    others: dict[str, dict[Path, list[int]]] = {}
    for index, source in enumerate(sources):
        exact["/".join(path_parts(source.network_id))] = (index,)
        if source.row is not None:
            continue
        suffix = source.suffix or ""
        where, file = path_parts(str(source.path.absolute())), path_parts(source.file)
        ends = {"/".join(parts[start:]) for parts in (where, file) for start in range(len(parts))}
        ends |= {end.removesuffix(suffix) for end in ends}
        folders = {"/".join(file[start:end]) for end in range(1, len(file)) for start in range(end)}
        for key in ends | folders:
            others.setdefault(key, {}).setdefault(source.path, []).append(index)
    return {key: tuple(*by_file.values()) for key, by_file in others.items() if len(by_file) == 1} | exact


def _n_shared(parts: Sequence[str], source: Source) -> int:
    """How many folders at the end of a path a source's own path has too."""
    own = path_parts(str(source.path.absolute()))[:-1]
    pairs = zip(reversed(parts[:-1]), reversed(own), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _refuse_partial(path: Path, unmatched: list[str], without: list[str], *, partial: bool) -> None:
    met = []
    if unmatched:
        met.append(f"{len(unmatched)} rows without a network ({', '.join(unmatched[:FEW])})")
    if without:
        met.append(f"{len(without)} networks without a row ({', '.join(without[:FEW])})")
    problem = f"{path} matches none of the files" if partial else f"{path} does not match the files"
    fix = "correct the column `file`" + ("" if partial else ", or pass --partial-labels")
    raise MetarepError(problem, met=" and ".join(met), fix=fix)


def _with(path: Path, source: Source, row: Mapping[str, str]) -> Source:
    extra: dict[str, Any] = {}
    if row.get("run_id") not in (None, *MISSING):
        extra["run_id"] = row["run_id"]
    if row.get("epoch") not in (None, *MISSING):
        try:
            extra["epoch"] = whole_number(row["epoch"])
        except ValueError as error:
            raise MetarepError(f"{path}: epoch is no whole number", met=row["epoch"]) from error
    added = {name: value for name, value in row.items() if name not in GIVEN_COLUMNS}
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
