"""Tables of labels and metrics as people keep them: CSV and its kin, JSON, Parquet; every cell as a text."""

from __future__ import annotations

import csv
import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from metarep.errors import MetarepError

Row = dict[str, str]

UNNAMED = "unnamed"
MAX_LINE = 1 << 22
DELIMITERS = ",;\t|"
UTF16 = (b"\xff\xfe", b"\xfe\xff")
"""How files begin that Excel writes as Unicode text."""

DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?")
THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")


def read_table(path: Path, *, max_rows: int | None = None) -> list[Row]:
    """The rows of a .csv, .tsv, .json, .jsonl or .parquet file, also .gz, as texts without spaces around them.

    Delimiters are found out; a column without a name is `UNNAMED`; numbers with a comma have a point where the delimiter is
    another one, and no comma between thousands. Raises MetarepError for damage, ragged rows and columns that repeat.
    """
    kind = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    try:
        if kind == "parquet":
            return _of_records(pq.read_table(path).to_pylist(), max_rows)
        encoding = _encoding(path)
        with (
            gzip.open(path, "rt", encoding=encoding, newline="")
            if path.suffix == ".gz"
            else path.open(encoding=encoding, newline="") as file
        ):
            if kind in ("json", "jsonl", "ndjson"):
                return _of_records(_records(file.read()), max_rows)
            return list(_of_lines(path, file, max_rows))
    except FileNotFoundError as error:
        raise MetarepError(f"there is no table {path}", fix="check the path") from error
    except UnicodeDecodeError as error:
        raise MetarepError(f"{path} is no text in UTF-8", met=error, fix="save it as CSV UTF-8") from error
    except (OSError, EOFError, ValueError, RecursionError, csv.Error, zlib.error, pa.ArrowException) as error:
        raise MetarepError(f"{path} cannot be read as a table", met=error, expected="CSV, JSON or Parquet") from error


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        return "utf-16" if file.read(2) in UTF16 else "utf-8-sig"


def _of_lines(path: Path, file: Any, max_rows: int | None) -> Iterator[Row]:
    lines = _lines(file)
    first = next(lines, "")
    delimiter = max(DELIMITERS, key=first.count) if any(one in first for one in DELIMITERS) else ","
    head = [name.strip() or UNNAMED for name in next(csv.reader([first], delimiter=delimiter), [])]
    if len(set(head)) < len(head):
        raise MetarepError(f"{path}: columns repeat", met=", ".join(head)[:120], fix="give each a name of its own")
    for number, cells in enumerate(filter(None, csv.reader(lines, delimiter=delimiter)), start=1):
        if len(cells) != len(head):
            raise ValueError(f"row {number} has {len(cells)} cells in place of {len(head)}")
        if max_rows is not None and number > max_rows:
            raise ValueError(f"more than {max_rows:,} rows")
        yield {name: _plain(cell.strip(), delimiter) for name, cell in zip(head, cells, strict=True)}


def _plain(cell: str, delimiter: str) -> str:
    if delimiter != "," and DECIMAL_COMMA.fullmatch(cell):
        return cell.replace(",", ".")
    return cell.replace(",", "") if THOUSANDS.fullmatch(cell) else cell


def _lines(file: Any) -> Iterator[str]:
    while line := file.readline(MAX_LINE):
        if len(line) == MAX_LINE:
            raise ValueError(f"a line of more than {MAX_LINE:,} characters")
        yield line


def _records(text: str) -> Sequence[Any]:
    """The objects of a list, one a line, or of a dictionary by file."""
    try:
        content = json.loads(text)
    except json.JSONDecodeError:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    if isinstance(content, Mapping) and content and all(isinstance(value, Mapping) for value in content.values()):
        return [{"file": name, **value} for name, value in content.items()]
    return content if isinstance(content, list) else [content]


def _of_records(records: Sequence[Any], max_rows: int | None) -> list[Row]:
    flat = [dict(_flat(record)) for record in records]
    if max_rows is not None and len(flat) > max_rows:
        raise ValueError(f"more than {max_rows:,} rows")
    names = list(dict.fromkeys(name for row in flat for name in row))
    return [{name: row.get(name, "") for name in names} for row in flat]


def _flat(record: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Names and texts of an object's items; those inside others are joined by a point, lists are left out."""
    if not isinstance(record, Mapping):
        raise ValueError(f"{str(record)[:40]!r} is no row")
    for key, value in record.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, bool):
            yield f"{prefix}{key}", str(value).lower()
        elif not isinstance(value, list):
            yield f"{prefix}{key}", "" if value is None else str(value).strip()
