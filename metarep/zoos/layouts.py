"""Which networks lie under a path: files of any known format, and two public layouts of model zoos.

Runs with per-epoch checkpoints (as Ray Tune writes them, and the zoos of Schürholt et al. 2022 are published): a folder a
run with `params.json`, `result.json` of one JSON object a line, and `checkpoint_000005/checkpoints`. One array of flattened
parameters (the small CNN zoo of Unterthiner et al. 2020): `weights.npy` (N, P), `metrics.csv` or `metrics.csv.gz` of
N rows, `layout.csv`.
"""

from __future__ import annotations

import glob
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from metarep.errors import MetarepError
from metarep.formats.readers import READERS, suffix_of
from metarep.formats.shards import INDEX_SUFFIXES, claimed_by, refuse_shard
from metarep.zoos.flat_arrays import METRICS, WEIGHTS, flat_sources
from metarep.zoos.properties import OWN_COLUMNS, Source, plain_text
from metarep.zoos.shards import NETWORKS

CHECKPOINTS = "checkpoints"
"""A state dict without suffix in a `checkpoint_…` folder."""

_EPOCH = re.compile(r"checkpoint_(\d{1,12})")
_MAGIC = re.compile(r"[*?\[]")


class Skips:
    """Damaged files: the first is raised, or if `allowed` each is noted and left out."""

    def __init__(self, *, allowed: bool):
        self.allowed = allowed
        self.rows: list[dict[str, str]] = []

    @contextmanager
    def catching(self, file: str) -> Iterator[None]:
        """Notes a MetarepError of the block under the name of the file, if that is allowed."""
        try:
            yield
        except MetarepError as error:
            if not self.allowed:
                raise
            self.rows.append({"file": file, "reason": plain_text(str(error))})


def find_networks(paths: Sequence[Path | str], skips: Skips) -> list[Source]:
    """Every network under the paths, each a file, a folder or a glob pattern.

    Raises MetarepError for paths that do not exist or hold nothing, for shards without their index, and where two networks
    have the same id.
    """
    sources = _whole([source for path in paths for source in _under(Path(path), skips)], skips)
    seen: dict[str, Source] = {}
    for source in sources:
        if source.network_id in seen:
            raise MetarepError(
                f"two networks are called {source.network_id!r}",
                met=f"{seen[source.network_id].path} and {source.path}",
                fix="rename a file, or import the folder above both",
            )
        seen[source.network_id] = source
    return sources


def _whole(sources: Sequence[Source], skips: Skips) -> list[Source]:
    """The networks among sources: a shard goes with the index that names it, and is refused where none does."""
    indices = [source.path for source in sources if source.suffix in INDEX_SUFFIXES]
    claimed = {os.path.abspath(shard) for index in indices for shard in claimed_by(index)}
    found = []
    for source in sources:
        if os.path.abspath(source.path) not in claimed:
            with skips.catching(source.file):
                refuse_shard(source.path)
                found.append(source)
    return found


def _under(path: Path, skips: Skips) -> list[Source]:
    if path.is_dir():
        found = list(_in_folder(path, path, skips))
    elif path.name == WEIGHTS and path.is_file():
        found = list(_in_folder(path.parent, path.parent, skips))
    elif path.exists():
        found = [_file(path, path.parent)]
    elif _MAGIC.search(str(path)):
        found = _matching(path, skips)
    else:
        raise MetarepError(f"no file or folder {path}", fix="check the path")
    if not found and not skips.rows:
        expected = f"files that end in {', '.join(READERS)}, or one of the layouts that the README names"
        raise MetarepError(f"{path} holds no networks", expected=expected)
    return found


def _matching(pattern: Path, skips: Skips) -> list[Source]:
    fixed = next(i for i, part in enumerate(pattern.parts) if _MAGIC.search(part))
    root = Path(*pattern.parts[:fixed])
    matches = sorted((Path(match) for match in glob.glob(str(pattern), recursive=True)), key=_natural)
    found: list[Source] = []
    for match in matches:
        if match.is_dir():
            found += _in_folder(match, root, skips)
        elif suffix_of(match):
            found.append(_file(match, root))
    return list({source.path if source.row is None else source.network_id: source for source in found}.values())


def _in_folder(folder: Path, root: Path, skips: Skips) -> Iterator[Source]:
    files = sorted((file for file in folder.rglob("*") if file.is_file() and not _hidden(file, folder)), key=_natural)
    arrays = [file.parent for file in files if file.name == WEIGHTS]
    arrays = [place for place in arrays if any((place / name).is_file() for name in METRICS)]
    runs = {file.parent for file in files if file.name == "result.json"}
    runs |= {file.parent.parent for file in files if file.name == CHECKPOINTS and _EPOCH.fullmatch(file.parent.name)}
    zoos = {file.parent for file in files if file.name == NETWORKS}
    owned: dict[Path, list[Path]] = {place: [] for place in (*arrays, *sorted(runs, key=_natural), *zoos)}
    for file in files:
        owner = next((parent for parent in file.parents if parent in owned), None)
        if owner is not None:
            owned[owner].append(file)
        elif suffix_of(file):
            yield _file(file, root)
    for place, inside in owned.items():
        if place in zoos:
            continue
        with skips.catching(_relative(place, root)):
            yield from flat_sources(place, _relative(place, root)) if place in arrays else _run_sources(place, root, inside)


def _file(path: Path, root: Path) -> Source:
    name = _relative(path, root)
    suffix = suffix_of(path)
    if suffix is None:
        raise MetarepError(f"{path} is of no known format", expected=", ".join(READERS), fix="rename or convert it")
    network_id = name[: -len(suffix)]
    return Source(network_id, network_id, name, path, suffix=suffix)


def _run_sources(run: Path, root: Path, files: Sequence[Path]) -> Iterator[Source]:
    """One network for each checkpoint of a run, with the run's settings and the results of its epoch."""
    settings = _scalars(_json(run / "params.json")) if (run / "params.json").is_file() else {}
    results = _results(run / "result.json") if (run / "result.json").is_file() else {}
    run_id = _relative(run, root)
    for file in files:
        within = file.relative_to(run).parts
        match = _EPOCH.fullmatch(within[0]) or _EPOCH.match(within[0])
        suffix = ".pt" if file.name == CHECKPOINTS and len(within) == 2 else suffix_of(file)
        if match is None or suffix is None:
            continue
        epoch = int(match[1])
        name = _relative(file, root)
        network_id = name.rpartition("/")[0] if file.name == CHECKPOINTS else name[: -len(suffix)]
        properties = _merged(settings, results.get(epoch, {}))
        yield Source(network_id, run_id, name, file, epoch=epoch, suffix=suffix, properties=properties)


def _results(path: Path) -> dict[int, dict[str, Any]]:
    """The results by epoch: one JSON object a line, or a list of them."""
    try:
        text = path.read_text().strip()
        rows = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines() if line.strip()]
        found = {}
        for index, row in enumerate(rows):
            epoch = row.get("training_iteration", row.get("epoch", index))
            found[int(epoch)] = _scalars(row)
        return found
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
    return {plain_text(str(key)): plain_text(value) if isinstance(value, str) else value for key, value in known.items()}


def _merged(settings: Mapping[str, Any], results: Mapping[str, Any]) -> dict[str, Any]:
    """Both; names that settings and results share, or that are the zoo's own, get a prefix."""
    merged: dict[str, Any] = {}
    for prefix, values, others in (("params.", settings, results), ("result.", results, settings)):
        for name, value in values.items():
            taken = name in OWN_COLUMNS or (name in others and others[name] != value)
            merged[prefix + name if taken else name] = value
    return merged


def _relative(path: Path, root: Path) -> str:
    """The path relative to the root, with slashes; the root's own name for the root. Raises MetarepError for odd names."""
    name = path.relative_to(root).as_posix() if path != root else (root.resolve().name or "run")
    if not name.isprintable():
        raise MetarepError("a file's name cannot be written as text", met=ascii(name), fix="rename it")
    return name


def _hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def _natural(path: Path) -> tuple[Any, ...]:
    return tuple((int(part[:18]), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.as_posix()))
