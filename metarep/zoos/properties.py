"""What is known of networks beside their parameters, and how tables of labels join by file name."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from metarep.account import Entry
from metarep.errors import MetarepError
from metarep.zoos.label_tables import Row, read_table
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

FILE = "file"
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


def join_labels(sources: Sequence[Source], path: Path, *, partial: bool) -> tuple[list[Source], tuple[Entry, ...]]:
    """The networks with the columns of a table whose column `file`, or else the one that names most, names them; and what was
    decided on the way.

    It holds paths or ends of them, with or without suffix, as any system writes them; a folder stands for all networks in it.
    Columns `run_id` and `epoch` say which networks belong to one training run; others that are called as the zoo's own get the
    suffix `GIVEN`. Raises MetarepError unless `partial` for rows without a network and networks without a row, and where no
    row has a network.
    """
    rows = read_table(path)
    naming, matched, unmatched = _matched(sources, path, rows)
    without = [source.file for index, source in enumerate(sources) if index not in matched]
    if (unmatched or without) and not (partial and matched):
        _refuse_partial(path, unmatched, without, advice=naming if partial or not matched else "")
    taken = {*OWN_COLUMNS, *(name for source in sources for name in source.properties)} - {*GIVEN_COLUMNS}
    renamed = {name: name + GIVEN if name in taken else name for name in rows[0] if name != naming}
    joined = list(sources)
    for index, number in matched.items():
        joined[index] = _with(
            path, sources[index], {renamed[name]: value for name, value in rows[number].items() if name != naming}
        )
    entries = [
        Entry("column", name, f"kept as {new}", _why_given(name), doubt=name == "split")
        for name, new in renamed.items()
        if name != new
    ]
    if naming != FILE:
        entries.append(Entry("column", naming, "read as the names of the files", f"there is no column `{FILE}`"))
    if partial and unmatched:
        entries.append(Entry("file", path.name, _rows_without(unmatched), "they are left out"))
    return joined, tuple(entries)


def _matched(sources: Sequence[Source], path: Path, rows: Sequence[Row]) -> tuple[str, dict[int, int], list[str]]:
    """The column that names files, and what `match_rows` finds by it. Raises MetarepError where there is none."""
    columns = list(rows[0]) if rows else []
    keys = network_keys(sources)
    n_named = {name: sum(bool(find_key(keys, row[name])) for row in rows) for name in columns if FILE not in columns}
    naming = FILE if FILE in columns else max(n_named, key=n_named.__getitem__, default="")
    if not naming or n_named.get(naming) == 0:
        met = ", ".join(columns)[:120] or "no rows"
        raise MetarepError(f"{path} has no column `{FILE}`, and no other one names the networks", met=met, fix="add one")
    return naming, *match_rows(sources, path, [row[naming] for row in rows], rows)


def _why_given(name: str) -> str:
    if name == "split":
        return "the zoo splits by training run, so that relatives stay together; the split given is not used"
    return "the zoo has a column of that name"


def match_rows(
    sources: Sequence[Source], path: Path, names: Sequence[str], rows: Sequence[Row]
) -> tuple[dict[int, int], list[str]]:
    """{index of a network: number of the row that names it}, and the names without a network; a row that names its file goes
    before one that names a folder.

    Raises MetarepError where two different rows name one network equally well.
    """
    keys = network_keys(sources)
    found: dict[int, list[tuple[tuple[bool, int, int], int]]] = {}
    for number, name in enumerate(names):
        parts = path_parts(name)
        indices = find_key(keys, name)
        is_file = len({sources[index].path for index in indices}) == 1
        for index in indices:
            found.setdefault(index, []).append(((is_file, _n_shared(parts, sources[index]), len(parts)), number))
    matched = {}
    for index, claims in found.items():
        most, number = max(claims, key=lambda claim: claim[0])
        if any(n == most and rows[other] != rows[number] for n, other in claims):
            raise MetarepError(f"{path}: two rows for one network", met=names[number], fix="remove one of them")
        matched[index] = number
    used = {names[number] for number in matched.values()}
    return matched, [name for name in names if name not in used]


def path_parts(text: str) -> list[str]:
    """The folders and the file of a path as any system writes it: without drive and dots, characters composed (NFC)."""
    text = unicodedata.normalize("NFC", text.strip().strip("\"'").strip()).replace("\\", "/")
    text = posixpath.normpath(re.sub(r"^[A-Za-z]:", "", text)) if text else ""
    return [part for part in text.split("/") if part not in ("", ".", "..")]


def find_key(keys: Mapping[str, tuple[int, ...]], name: str) -> tuple[int, ...]:
    """The networks that a table's `file` names, none or those of one file or folder.

    Of a path on another machine leading folders are left out until it is one of the zoo's; a relative path has to be one as it
    stands. Capitals count only where they tell files apart.
    """
    parts = path_parts(name)
    is_absolute = bool(re.match(r"([A-Za-z]:)?[/\\]", name.strip()))
    for start in range(len(parts) if is_absolute else min(1, len(parts))):
        end = "/".join(parts[start:])
        if indices := keys.get(end) or keys.get(end.casefold()):
            return indices
    return ()


def network_keys(sources: Sequence[Source]) -> dict[str, tuple[int, ...]]:
    """Indices of networks by their id, their file with and without suffix, the end of its path, and its folders; also in small
    letters. Names that several files or folders have are left out.
    """
    exact: dict[str, tuple[int, ...]] = {}
    files: dict[str, dict[Path, list[int]]] = defaultdict(lambda: defaultdict(list))
    folders: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, source in enumerate(sources):
        exact["/".join(path_parts(source.network_id))] = (index,)
        if source.row is not None:
            continue
        suffix = source.suffix or ""
        where, file = path_parts(str(source.path.absolute())), path_parts(source.file)
        ends = {"/".join(parts[start:]) for parts in (where, file) for start in range(len(parts))}
        ends |= {end[: -len(suffix)] for end in ends if suffix and end.lower().endswith(suffix)}
        for key in ends | {end.casefold() for end in ends}:
            files[key][source.path].append(index)
        for end in range(1, len(file)):
            for start in range(end):
                folders["/".join(file[start:end])]["/".join(file[:end])].append(index)
    found = {key: tuple(*by_folder.values()) for key, by_folder in folders.items() if len(by_folder) == 1}
    found |= {key: tuple(*by_file.values()) for key, by_file in files.items() if len(by_file) == 1}
    return {key: indices for key, indices in found.items() if key not in files or len(files[key]) == 1} | exact


def _n_shared(parts: Sequence[str], source: Source) -> int:
    """How many folders at the end of a path a source's own path has too."""
    own = path_parts(str(source.path.absolute()))[:-1]
    pairs = zip(reversed(parts[:-1]), reversed(own), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _refuse_partial(path: Path, unmatched: list[str], without: list[str], *, advice: str) -> None:
    networks = f"{len(without)} networks without a row ({', '.join(without[:FEW])})"
    met = [*([_rows_without(unmatched)] if unmatched else []), *([networks] if without else [])]
    problem = f"{path} matches none of the files" if advice else f"{path} does not match the files"
    fix = f"correct the column `{advice or FILE}`" + ("" if advice else ", or pass --partial-labels")
    raise MetarepError(problem, met=" and ".join(met), fix=fix)


def _rows_without(unmatched: Sequence[str]) -> str:
    return f"{len(unmatched)} rows without a network ({', '.join(unmatched[:FEW])})"


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
