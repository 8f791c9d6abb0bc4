"""Which networks of an import belong to one training run, so that a split keeps them together: given, guessed, or copies."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from metarep.account import Entry, counted, listed
from metarep.zoos.copies import Copies, Fingerprint, find_copies, go_on, shared_tensors
from metarep.zoos.properties import Source
from metarep.zoos.runs import Numbered, guess_run, numbered

OVERRIDE = "networks of one run share a split; a column `run_id` in --labels says it otherwise"


def with_runs(
    sources: Sequence[Source], prints: Sequence[Fingerprint], architecture: Sequence[int]
) -> tuple[list[Source], list[Entry]]:
    """The networks with their runs and, where names say them, epochs; and what was guessed.

    A `run_id` that a network has stays. Else runs are guessed from the names of files and folders, a file of which nothing is
    known is a run, and runs that hold copies of one network are one.
    """
    given = [bool(source.run_id) for source in sources]
    guessed = [source if source.run_id else _guessed(source) for source in sources]
    entries = [*_guesses(guessed, given)]
    guessed, more = _numbered(guessed, prints)
    entries += [*more, *_alone(guessed, given)]
    runs = _Runs([source.run_id for source in guessed], given)
    copies = find_copies(prints)
    entries += [_joined(runs, group, guessed) for group in copies]
    found = [replace(source, run_id=runs.name(number)) for number, source in enumerate(guessed)]
    several_files = len({source.path for source in found}) > 1
    if len({source.run_id for source in found}) == 1 and several_files and not all(given):
        what = f"all {len(found):,} networks count as one run"
        entries.append(Entry("run", found[0].run_id, what, f"none can be held out; {OVERRIDE}", doubt=True))
    return found, [*entries, *_of_one_file(found, given), *_relatives(found, prints, architecture, given)]


def snapshots(sources: Sequence[Source]) -> list[str]:
    """For each network the id of the latest of its run, if it is an earlier one by its epoch or by its place in a file, else
    "".
    """
    latest: dict[str, Source] = {}
    for source in sources:
        if source.epoch is not None and source.epoch > getattr(latest.get(source.run_id), "epoch", -1):
            latest[source.run_id] = source
    final = {source.path: source.network_id for source in sources if not source.is_snapshot}
    found = []
    for source in sources:
        last = latest.get(source.run_id)
        is_earlier = source.epoch is not None and last is not None and source.epoch < last.epoch
        found.append(last.network_id if is_earlier else final.get(source.path, "") if source.is_snapshot else "")
    return found


def counts_agree(sources: Sequence[Source]) -> bool:
    """Whether the names of files count one thing, epochs or steps, so that what they say can be compared between runs."""
    named = ((source, guess_run(_name(source))) for source in sources)
    return len({guess.unit for source, guess in named if guess.unit and guess.epoch == source.epoch}) < 2


def with_guess(source: Source) -> Source:
    """The network with its run and epoch, where nothing but its name tells them."""
    guessed = source if source.run_id else _guessed(source)
    return replace(guessed, run_id=guessed.run_id or _name(source))


def _guessed(source: Source) -> Source:
    """With the run that its name tells, "" where it tells none, and with its epoch."""
    guess = guess_run(_name(source))
    root: Path = source.path.absolute().parents[source.file.count("/")]
    run = "" if guess.run is None else guess.run or root.resolve().name or "run"
    return replace(source, run_id=run, epoch=guess.epoch if source.epoch is None else source.epoch)


def _name(source: Source) -> str:
    return source.file.removesuffix(source.suffix or "")


def _numbered(sources: Sequence[Source], prints: Sequence[Fingerprint]) -> tuple[list[Source], list[Entry]]:
    """The networks with runs for those that have none: one for files of one series whose numbers are steps, or whose values go
    on from one to the next; and else one for each file.
    """
    series: dict[tuple[str, int], list[tuple[Numbered, int]]] = defaultdict(list)
    first = {source.path: at for at, source in reversed([*enumerate(sources)]) if not source.run_id}
    for at in first.values():
        known = numbered(_name(sources[at]))
        if known is not None:
            series[known.series, prints[at].shapes].append((known, at))
    several = [sorted(some, key=lambda one: one[0].number) for some in series.values() if len(some) > 1]
    similar = go_on(prints, [[at for _, at in some] for some in several])
    told: dict[Path, Numbered] = {}
    by_steps, by_values, folders = [], [], set()
    for some, alike in zip(several, similar, strict=True):
        if alike or (some[0][0].bare and math.gcd(*(one.number for one, _ in some)) > 1):
            (by_values if alike else by_steps).append([at for _, at in some])
            told |= {sources[at].path: one for one, at in some}
        else:
            folders |= {one.folder for one, _ in some if one.bare}
    found = [_of_series(source, told.get(source.path)) for source in sources]
    entries = [
        *_series(found, by_steps, "by numbers in their names that go up in steps"),
        *_series(found, by_values, "by numbers in their names, and since the values of each go on from the one before"),
    ]
    if folders - {""}:
        what = "files are called by numbers alone; each counts as a run"
        why = "if a folder holds the states of one run, say so: a column `run_id` in --labels"
        entries.append(Entry("run", listed(sorted(folders)), what, why, doubt=True))
    return found, entries


def _of_series(source: Source, told: Numbered | None) -> Source:
    if told is None:
        return replace(source, run_id=source.run_id or _name(source))
    run = re.sub(r"[/_.=-]*#[_.=-]*", "", told.series).lstrip("/") or source.path.parent.resolve().name
    return replace(source, run_id=run, epoch=told.number if source.epoch is None else source.epoch)


def _series(sources: Sequence[Source], groups: Sequence[Sequence[int]], how: str) -> Iterator[Entry]:
    """One entry for series that count as a run each."""
    if groups:
        what = f"{sum(map(len, groups)):,} networks count as {counted(len(groups), 'run')} {how}"
        some = listed([sources[at].network_id for at in groups[0]])
        yield Entry("run", f"{sources[groups[0][0]].run_id} ({some})", what, OVERRIDE)


def _guesses(sources: Sequence[Source], given: Sequence[bool]) -> Iterator[Entry]:
    """One entry for runs of several files that names tell."""
    by_run: dict[str, list[int]] = defaultdict(list)
    for at, source in enumerate(sources):
        if source.run_id and not given[at]:
            by_run[source.run_id].append(at)
    several = [some for some in by_run.values() if len({sources[at].path for at in some}) > 1]
    yield from _series(sources, several, "by the names of files and folders")


def _alone(sources: Sequence[Source], given: Sequence[bool]) -> Iterator[Entry]:
    """One entry for files that are a run each."""
    files: dict[str, set[Path]] = defaultdict(set)
    for source, known in zip(sources, given, strict=True):
        if not known:
            files[source.run_id].add(source.path)
    n = sum(len(files[source.run_id]) == 1 for source in sources)
    n_files = sum(len(some) == 1 for some in files.values())
    if n_files > 1:
        what = f"{counted(n, 'network')} of {counted(n_files, 'file')}, each file a run of its own"
        yield Entry("run", "", what, OVERRIDE)


def _of_one_file(sources: Sequence[Source], given: Sequence[bool]) -> Iterator[Entry]:
    """One entry for files that hold several networks which are no states of each other."""
    n_held = Counter(source.path for source, known in zip(sources, given, strict=True) if not (known or source.is_snapshot))
    several = {path: n for path, n in n_held.items() if n > 1}
    if several:
        where = listed(list(dict.fromkeys(source.file for source in sources if source.path in several)))
        what = f"{sum(several.values()):,} networks of {counted(len(several), 'file')}: those of one file count as one run"
        yield Entry("run", where, what, OVERRIDE, doubt=len({source.run_id for source in sources}) == 1)


class _Runs:
    """The runs of networks, of which some become one."""

    def __init__(self, names: Sequence[str], given: Sequence[bool]):
        self.names, self.given = names, given
        self.sizes = Counter(names)
        self.parents = {name: name for name in names}

    def name(self, number: int) -> str:
        """The run of a network, by its number."""
        return self._root(self.names[number])

    def join(self, numbers: Sequence[int]) -> None:
        """Makes the runs of some networks one, called as that of the first."""
        first, *others = dict.fromkeys(self.name(number) for number in numbers)
        self.parents |= dict.fromkeys(others, first)

    def _root(self, name: str) -> str:
        while self.parents[name] != name:
            name = self.parents[name]
        return name


def _joined(runs: _Runs, group: Copies, sources: Sequence[Source]) -> Entry:
    """Makes copies one run, unless runs were given or this would make one of most that there are; says what was done."""
    where = listed([sources[number].network_id for number in group.networks], between=" = ")
    own = {runs.names[number] for number in group.networks}
    if len({runs.name(number) for number in group.networks}) == 1:
        return Entry("copy", where, group.how, "they are of one run")
    if any(runs.given[number] for number in group.networks):
        return Entry("copy", where, group.how, "the runs given keep them apart, so a copy may be in another split", doubt=True)
    is_minor = 2 * len(group.networks) < sum(runs.sizes[name] for name in own)
    if is_minor and len(own) > 2 and 2 * len(own) > len(runs.sizes):
        why = f"{len(own):,} runs have it, as when all start from one network: leave it out, or give `run_id` in --labels"
        return Entry("copy", where, group.how, why, doubt=True)
    runs.join(group.networks)
    return Entry("copy", where, group.how, "they count as one run, so that no copy is in another split")


def _relatives(
    sources: Sequence[Source], prints: Sequence[Fingerprint], architecture: Sequence[int], given: Sequence[bool]
) -> Iterator[Entry]:
    """One entry for networks that share tensors with networks of other runs, unless all of an architecture do."""
    n_networks = Counter(architecture)
    related: dict[int, None] = {}
    for group in shared_tensors(prints):
        own = Counter(architecture[number] for number in group)
        if len({sources[number].run_id for number in group}) > 1 and any(own[one] < n_networks[one] for one in own):
            related |= dict.fromkeys(group)
    if related:
        where = listed([sources[number].network_id for number in related])
        kept = "the runs given keep them apart, so one may be in another split than its kin"
        why = f"as children of one network do; {kept if all(given[number] for number in related) else OVERRIDE}"
        yield Entry("run", where, f"{len(related):,} networks of several runs share large tensors bit for bit", why, doubt=True)
