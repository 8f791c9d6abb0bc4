"""Which networks of an import belong to one training run, so that a split keeps them together: given, guessed, or copies."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from metarep.account import Entry, counted
from metarep.zoos.copies import Copies, Fingerprint, find_copies, shared_tensors
from metarep.zoos.properties import Source
from metarep.zoos.runs import guess_run

OVERRIDE = "networks of one run share a split; a column `run_id` in --labels says it otherwise"
FEW = 3


def with_runs(
    sources: Sequence[Source], prints: Sequence[Fingerprint], architecture: Sequence[int]
) -> tuple[list[Source], list[Entry]]:
    """The networks with their runs and, where names say them, epochs; and what was guessed.

    A `run_id` that a network has stays. Else runs are guessed from the names of files and folders, a file of which nothing is
    known is a run, and runs that hold copies of one network are one.
    """
    guessed = [with_guess(source) for source in sources]
    given = [bool(source.run_id) for source in sources]
    entries = [*_guesses(guessed, given)]
    runs = _Runs([source.run_id for source in guessed], given)
    copies = find_copies(prints, architecture)
    entries += [_joined(runs, group, guessed) for group in copies]
    found = [replace(source, run_id=runs.name(number)) for number, source in enumerate(guessed)]
    several_files = len({source.path for source in found}) > 1
    if len({source.run_id for source in found}) == 1 and several_files and not all(given):
        what = f"all {len(found):,} networks count as one run"
        entries.append(Entry("run", found[0].run_id, what, f"none can be held out; {OVERRIDE}", doubt=True))
    return found, [*entries, *_relatives(found, prints, architecture)]


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


def with_guess(source: Source) -> Source:
    """The network with its run and epoch, where nothing but its name tells them."""
    if source.run_id:
        return source
    name = source.file.removesuffix(source.suffix or "")
    guess = guess_run(name)
    root: Path = source.path.absolute().parents[source.file.count("/")]
    run = name if guess.run is None else guess.run or root.resolve().name or "run"
    return replace(source, run_id=run, epoch=guess.epoch if source.epoch is None else source.epoch)


def _guesses(sources: Sequence[Source], given: Sequence[bool]) -> Iterator[Entry]:
    by_run: dict[str, list[Source]] = defaultdict(list)
    for source, known in zip(sources, given, strict=True):
        if not known:
            by_run[source.run_id].append(source)
    several = {run: some for run, some in by_run.items() if len({source.path for source in some}) > 1}
    if several:
        n_networks = sum(len(some) for some in several.values())
        what = f"{n_networks:,} networks count as {counted(len(several), 'run')} by the names of files and folders"
        run, some = next(iter(several.items()))
        yield Entry("run", f"{run} ({_listed([source.network_id for source in some])})", what, OVERRIDE)
    alone = sum(len(some) for run, some in by_run.items() if run not in several)
    if alone:
        what = f"{counted(alone, 'network')} of {counted(len(by_run) - len(several), 'file')}, each file a run of its own"
        yield Entry("run", "", what, OVERRIDE)


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
    where = _listed([sources[number].network_id for number in group.networks], " = ")
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


def _relatives(sources: Sequence[Source], prints: Sequence[Fingerprint], architecture: Sequence[int]) -> Iterator[Entry]:
    """One entry for networks that share tensors with networks of other runs, unless all of an architecture do."""
    n_networks = Counter(architecture)
    related: dict[int, None] = {}
    for group in shared_tensors(prints):
        own = Counter(architecture[number] for number in group)
        if len({sources[number].run_id for number in group}) > 1 and any(own[one] < n_networks[one] for one in own):
            related |= dict.fromkeys(group)
    if related:
        where = _listed([sources[number].network_id for number in related])
        why = f"as children of one network do; {OVERRIDE}"
        yield Entry("run", where, f"{len(related):,} networks of several runs share large tensors bit for bit", why, doubt=True)


def _listed(names: Sequence[str], between: str = ", ") -> str:
    more = f" and {len(names) - FEW:,} more" if len(names) > FEW else ""
    return between.join(names[:FEW]) + more
