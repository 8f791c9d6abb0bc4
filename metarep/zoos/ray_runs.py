"""Runs with a folder a checkpoint, as Ray Tune writes them and the zoos of Schürholt et al. 2022 are published.

A run is a folder with `result.json`, which holds one JSON object a line (a row), and beside it `params.json`, `progress.csv` or
`checkpoint_000005` folders; or one whose `checkpoint_000005` folders hold a file called `checkpoints`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path, PurePath
from typing import Any

from metarep.account import Entry
from metarep.errors import MetarepError
from metarep.formats.readers import suffix_of
from metarep.zoos.account import Account
from metarep.zoos.files import natural, shown
from metarep.zoos.properties import OWN_COLUMNS, Source, plain_text

RESULTS, SETTINGS, PROGRESS = "result.json", "params.json", "progress.csv"
STATE_DICT = "checkpoints"
"""A state dict without suffix in a checkpoint's folder."""

CHECKPOINT_NAME, IS_SAVED = "checkpoint_dir_name", "should_checkpoint"
"""What a row may say of the checkpoint that was written with it."""

_CHECKPOINT = re.compile(r"checkpoint_(\d{1,12})")

Row = Mapping[str, Any]


def runs_among(files: Sequence[Path]) -> set[Path]:
    """The folders of runs among the folders of some files."""
    with_checkpoints = {folder.parent for file in files for folder in file.parents if _CHECKPOINT.fullmatch(folder.name)}
    names = {(file.parent, file.name) for file in files}
    told = {folder for folder, name in names if name == RESULTS}
    published = {file.parent.parent for file in files if file.name == STATE_DICT and _CHECKPOINT.fullmatch(file.parent.name)}
    return published | {
        folder for folder in told if folder in with_checkpoints or (folder, SETTINGS) in names or (folder, PROGRESS) in names
    }


def run_of(file: Path, runs: set[Path]) -> Path | None:
    """The run that a file is of: it lies directly in the run's folder, or in one of its checkpoints."""
    folders = list(file.parents)
    if folders[0] in runs:
        return folders[0]
    return next((run for inside, run in pairwise(folders) if run in runs and _CHECKPOINT.fullmatch(inside.name)), None)


def run_sources(run: Path, root: Path, files: Sequence[Path], account: Account) -> Iterator[Source]:
    """One network for each file of a run's checkpoints, with the run's settings and the results of its row.

    Files beside the checkpoints are of the run too and have its settings. Raises MetarepError for results that cannot be read.
    """
    settings = _scalars(_json(run / SETTINGS)) if (run / SETTINGS).is_file() else {}
    rows = _results(run / RESULTS) if (run / RESULTS).is_file() else []
    networks = [(file, suffix) for file in files if (suffix := _suffix(file, run))]
    checkpoints = sorted({_checkpoint(file, run) for file, _ in networks} - {""}, key=lambda name: natural(Path(name)))
    results = _joined(checkpoints, rows, shown(run, root), account) if checkpoints else {}
    for file, suffix in networks:
        name, checkpoint = shown(file, root), _checkpoint(file, run)
        network_id = name.rpartition("/")[0] if file.name == STATE_DICT else name[: -len(suffix)]
        epoch, row = results.get(checkpoint, (None, {}))
        yield Source(network_id, shown(run, root), name, file, epoch=epoch, suffix=suffix, properties=_merged(settings, row))


def _suffix(file: Path, run: Path) -> str | None:
    return ".pt" if file.name == STATE_DICT and file.parent.parent == run else suffix_of(file)


def _checkpoint(file: Path, run: Path) -> str:
    """The name of the checkpoint's folder that a file of a run lies in; "" for none."""
    first = file.relative_to(run).parts[0]
    return first if _CHECKPOINT.fullmatch(first) else ""


def _joined(
    checkpoints: Sequence[str], rows: Sequence[Row], run: str, account: Account
) -> dict[str, tuple[int | None, dict[str, Any]]]:
    """The epoch and the results of checkpoints, as far as it is known which row is theirs.

    A row's own `checkpoint_dir_name` says it. Else checkpoints numbered 0, 1, 2, … go with the rows in order where there are as
    many of both, and numbers with a common step (0, 5, 10) are epochs.
    """
    by_name = {PurePath(str(row[CHECKPOINT_NAME])).name: row for row in rows if row.get(CHECKPOINT_NAME)}
    numbers = [int(_CHECKPOINT.fullmatch(name)[1]) for name in checkpoints]
    saved = [row for row in rows if row.get(IS_SAVED)] or rows
    found: dict[str, tuple[int | None, Row]] = {}
    if by_name:
        found = {name: (_iteration(by_name[name]), by_name[name]) for name in checkpoints if name in by_name}
    elif len(saved) == len(numbers) and numbers == list(range(numbers[0], numbers[0] + len(numbers))):
        found = {name: (_iteration(row), row) for name, row in zip(checkpoints, saved, strict=True)}
    elif math.gcd(*numbers) > 1:
        by_epoch = {_iteration(row, index): row for index, row in enumerate(rows)}
        found = {name: (number, by_epoch.get(number, {})) for name, number in zip(checkpoints, numbers, strict=True)}
        doubt = bool(rows) and not set(numbers) <= set(by_epoch)
        account.add(Entry("run", run, "numbers of checkpoints are taken for epochs", "they go up in steps", doubt))
    missing = [name for name in checkpoints if name not in found]
    if rows and missing:
        why = "their numbers count checkpoints, and nothing says at which of the results they were written"
        account.add(Entry("run", run, f"{len(missing):,} checkpoints without results", why, doubt=True))
    return {name: (epoch, _scalars(row)) for name, (epoch, row) in found.items()}


def _iteration(row: Row, otherwise: int | None = None) -> int | None:
    told = row.get("training_iteration", row.get("epoch", otherwise))
    return None if told is None else int(told)


def _results(path: Path) -> list[Row]:
    """The rows: one JSON object a line, or a list of them."""
    try:
        text = path.read_text().strip()
        rows = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines() if line.strip()]
        for row in rows:
            _iteration(row)
        return rows
    except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise MetarepError(f"{path} cannot be read as results", met=error, expected="one JSON object a line") from error


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise MetarepError(f"{path} cannot be read as JSON", met=error) from error


def _scalars(data: Any) -> dict[str, Any]:
    """The numbers and texts of a JSON object; what is nested in it has no column."""
    if not isinstance(data, Mapping):
        return {}
    known = {key: value for key, value in data.items() if isinstance(value, str | int | float | bool)}
    known = {key: value for key, value in known.items() if key not in (CHECKPOINT_NAME, IS_SAVED)}
    return {plain_text(str(key)): plain_text(value) if isinstance(value, str) else value for key, value in known.items()}


def _merged(settings: Row, results: Row) -> dict[str, Any]:
    """Both; names that settings and results share, or that are the zoo's own, get a prefix."""
    merged: dict[str, Any] = {}
    for prefix, values, others in (("params.", settings, results), ("result.", results, settings)):
        for name, value in values.items():
            taken = name in OWN_COLUMNS or (name in others and others[name] != value)
            merged[prefix + name if taken else name] = value
    return merged
