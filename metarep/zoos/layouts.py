"""Which networks lie under a path: files of any known format, and two public layouts of model zoos.

Runs with a folder a checkpoint (`ray_runs`), and one array of flattened parameters (the small CNN zoo of Unterthiner et al.
2020): `weights.npy` (N, P), `metrics.csv` or `metrics.csv.gz` of N rows, `layout.csv`.
"""

from __future__ import annotations

import glob
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from metarep.account import Entry
from metarep.errors import MetarepError
from metarep.formats.readers import READERS, suffix_of
from metarep.formats.shards import INDEX_SUFFIXES, claimed_by, refuse_shard
from metarep.zoos.account import Account
from metarep.zoos.files import UNFINISHED, files_under, natural, no_network, shown
from metarep.zoos.flat_arrays import LAYOUT, METRICS, WEIGHTS, flat_sources
from metarep.zoos.properties import Source
from metarep.zoos.ray_runs import STATE_DICT, run_of, run_sources, runs_among
from metarep.zoos.shards import NETWORKS

_MAGIC = re.compile(r"[*?\[]")


def find_networks(paths: Sequence[Path | str], account: Account) -> list[Source]:
    """Every network under the paths, each a file, a folder or a glob pattern; the account names the files passed over.

    Networks are called by their files without suffix, and with it where two files differ in that alone; where the paths lie in
    several folders, by the folder as well. Raises MetarepError for paths that do not exist or hold nothing.
    """
    each = {path: _under(Path(path), account) for path in paths}
    empty = [path for path, found in each.items() if not found]
    if empty and not account.damaged:
        if len(empty) == len(each):
            passed = [f"{entry.where} ({entry.why})" for entry in account.entries if entry.subject == "file"]
            expected = f"files that end in {', '.join(READERS)}, or one of the layouts that the README names"
            raise MetarepError(f"{empty[0]} holds no networks", met=", ".join(passed[:3]) or None, expected=expected)
        account.add(*(Entry("file", str(path), "holds no networks", "the other paths do", doubt=True) for path in empty))
    once: dict[tuple[str, int | None], Source] = {}
    for source in (source for found in each.values() for source in found):
        key = os.path.realpath(source.path), source.row
        one, other = sorted((once.get(key, source), source), key=lambda source: source.path.is_symlink())
        once[key] = one
        if one.file != other.file:
            account.add(Entry("file", other.file, "a link", f"the file it leads to is read as {one.file}"))
    return _named(_apart(_whole(list(once.values()), account)))


def _apart(sources: Sequence[Source]) -> list[Source]:
    """With files and runs that begin with what tells the folders of several paths apart."""
    roots = [source.path.absolute().parents[source.file.count("/")] for source in sources]
    if len(set(roots)) < 2:
        return list(sources)
    common = os.path.commonpath(set(roots))
    above = [PurePath(os.path.relpath(root, common)) for root in roots]
    return [
        replace(
            source,
            network_id=(folder / source.network_id).as_posix(),
            file=(folder / source.file).as_posix(),
            run_id=source.run_id and (folder / source.run_id).as_posix(),
        )
        for source, folder in zip(sources, above, strict=True)
    ]


def _named(sources: Sequence[Source]) -> list[Source]:
    files: dict[str, set[str]] = defaultdict(set)
    for source in sources:
        files[source.network_id].add(source.file)
    several = {network_id for network_id, names in files.items() if len(names) > 1}
    return [replace(one, network_id=one.file) if one.network_id in several else one for one in sources]


def _whole(sources: Sequence[Source], account: Account) -> list[Source]:
    """The networks among sources: a shard goes with the index that names it, and is refused where none does."""
    indices = [source.path for source in sources if source.suffix in INDEX_SUFFIXES]
    claimed = {os.path.abspath(shard) for index in indices for shard in claimed_by(index)}
    found = []
    for source in sources:
        if os.path.abspath(source.path) not in claimed:
            with account.catching(source.file):
                refuse_shard(source.path)
                found.append(source)
    return found


def _under(path: Path, account: Account) -> list[Source]:
    if path.is_dir():
        found = list(_in_folder(path, path, account))
    elif path.name == WEIGHTS and path.is_file():
        found = list(_in_folder(path.parent, path.parent, account))
    elif path.exists():
        found = [_file(path, path.parent)]
    elif _MAGIC.search(str(path)):
        found = _matching(path, account)
    else:
        raise MetarepError(f"no file or folder {path}", fix="check the path")
    return found


def _matching(pattern: Path, account: Account) -> list[Source]:
    fixed = next(i for i, part in enumerate(pattern.parts) if _MAGIC.search(part))
    root = Path(*pattern.parts[:fixed])
    matches = sorted((Path(match) for match in glob.glob(str(pattern), recursive=True)), key=natural)
    found: list[Source] = []
    for match in matches:
        found += _in_folder(match, root, account) if match.is_dir() else _one(match, root, account)
    return list({source.path if source.row is None else source.network_id: source for source in found}.values())


def _in_folder(folder: Path, root: Path, account: Account) -> Iterator[Source]:
    files = files_under(folder, account)
    arrays = {file.parent for file in files if file.name == WEIGHTS}
    arrays = {place for place in arrays if any((place / name).is_file() for name in METRICS)}
    zoos = {file.parent for file in files if file.name == NETWORKS}
    runs = runs_among(files)
    by_run: dict[Path, list[Path]] = {run: [] for run in sorted(runs, key=natural)}
    for file in files:
        if zoos.intersection(file.parents) or (file.parent in arrays and file.name in (WEIGHTS, LAYOUT, *METRICS)):
            continue
        if run := run_of(file, runs):
            by_run[run].append(file)
        else:
            yield from _one(file, root, account)
    for zoo in sorted(zoos):
        account.add(Entry("file", shown(zoo, root), "a zoo that metarep wrote", "its networks are not imported again"))
    for place in sorted(arrays, key=natural):
        with account.catching(shown(place, root)):
            yield from flat_sources(place, shown(place, root))
    for run, inside in by_run.items():
        networks = [file for file in inside if file.name == STATE_DICT or not _passed_over(file, root, account)]
        with account.catching(shown(run, root)):
            yield from run_sources(run, root, networks, account)


def _one(file: Path, root: Path, account: Account) -> list[Source]:
    """The network in a file that was not named by itself; none where it is no network."""
    return [_file(file, root)] if not _passed_over(file, root, account) and suffix_of(file) else []


def _passed_over(file: Path, root: Path, account: Account) -> bool:
    """Whether a file that may look like a network is none, which the account then says."""
    why = no_network(file)
    if why is not None:
        doubt = why == UNFINISHED or why.endswith("rename it to end in .pt")
        account.add(Entry("file", shown(file, root), "passed over", why, doubt=doubt))
    return why is not None


def _file(path: Path, root: Path) -> Source:
    name = shown(path, root)
    suffix = suffix_of(path)
    if suffix is None:
        raise MetarepError(
            f"{path} is of no known format",
            met=no_network(path),
            expected=", ".join(READERS),
            fix="convert it to one of them",
        )
    return Source(name[: -len(suffix)], "", name, path, suffix=suffix)
