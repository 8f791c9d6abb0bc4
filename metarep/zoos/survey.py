"""What lies under some paths, or in a zoo, before anything of it is read: networks, architectures, units, labels.

Of files only the heads are read: names and shapes of tensors. Of very many files some are looked at, and all large ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from metarep.account import Entry, counted
from metarep.errors import MetarepError
from metarep.formats.described import read_description
from metarep.networks.architecture import Architecture
from metarep.networks.symmetry_groups import Symmetries
from metarep.progress import Progress
from metarep.zoos.account import Account
from metarep.zoos.columns import FEW_RUNS, splits_of
from metarep.zoos.importing import chosen_files
from metarep.zoos.kinship import with_guess
from metarep.zoos.layouts import find_networks
from metarep.zoos.properties import Source, join_labels
from metarep.zoos.reader import Reader, symmetries_known
from metarep.zoos.readings import read_columns
from metarep.zoos.settings import ImportConfig
from metarep.zoos.zoo import Zoo

MAX_HEADS = 2000
"""Of more files so many are looked at, evenly spaced, and those that are LARGE times as large as the one in the middle."""

LARGE = 16
LEAST = 10
"""Fewer networks cannot be compared: some are fitted on, some validate, some are measured on."""


@dataclass(frozen=True)
class Group:
    """The networks of one architecture: how many, how many of their units are interchangeable, the name of one of them."""

    architecture: Architecture
    n_networks: int
    n_units: int
    example: str

    @property
    def n_params(self) -> int:
        """Parameters of one network."""
        return self.architecture.n_params


@dataclass(frozen=True)
class Survey:
    """What was found: `groups`, the most frequent first, of `n_read` of `n_files` files; `left_out` are what cannot be read.

    `labels` and `properties` are columns, known of `n_known` networks; None without a table of labels. `runs` (N,) are guessed
    from names where nobody says them. `activation` stands behind the hidden layers, where that is known.
    """

    where: str
    groups: tuple[Group, ...]
    n_files: int
    n_read: int
    runs: tuple[str, ...]
    left_out: tuple[Entry, ...] = ()
    labels: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()
    n_known: int | None = None
    activation: str | None = None

    @property
    def n_networks(self) -> int:
        """How many networks there are, or about how many where not all files were read."""
        return sum(group.n_networks for group in self.groups)

    @property
    def n_params(self) -> int:
        """Parameters of all networks."""
        return sum(group.n_networks * group.n_params for group in self.groups)

    @property
    def n_units(self) -> int:
        """Interchangeable units of all networks."""
        return sum(group.n_networks * group.n_units for group in self.groups)

    @cached_property
    def sizes(self) -> np.ndarray:
        """(N,): the parameters of each network, sorted."""
        return np.sort(np.repeat([one.n_params for one in self.groups], [one.n_networks for one in self.groups]))

    def without_large(self, most: int | None) -> Survey:
        """Without the networks of more parameters than `most`."""
        return replace(self, groups=tuple(one for one in self.groups if most is None or one.n_params <= most))

    def require_enough(self) -> None:
        """Raises MetarepError where there are too few networks, or too few training runs, to learn and to measure."""
        fix = "add networks; with a model of others, metarep parts MODEL FILE takes a single one apart"
        if self.n_networks < LEAST:
            met = " | ".join([counted(self.n_networks, "network"), *(f"{one.where} ({one.why})" for one in self.left_out[:3])])
            raise MetarepError(
                f"{self.where} holds too few networks to compare", met=met, expected=f"at least {LEAST}", fix=fix
            )
        counts = Counter(splits_of(self.runs)) if len(self.runs) < FEW_RUNS * 10 else {}
        if len(set(self.runs)) < FEW_RUNS and min(counts[name] for name in ("train", "valid", "test")) < 2:
            met = f"{self.n_networks:,} networks of {counted(len(set(self.runs)), 'training run')}, by the names of their files"
            fix = "add networks of other runs, or say in a column run_id of --labels which networks are of one run"
            expected = "two networks each to learn from, to validate and to measure on, of different runs"
            raise MetarepError(f"{self.where} holds too few training runs", met=met, expected=expected, fix=fix)


def survey_paths(
    config: ImportConfig,
    paths: Sequence[Path | str],
    *,
    labels: Path | None = None,
    architecture: Path | None = None,
    progress: Progress | None = None,
) -> Survey:
    """What an import of these paths would find. Raises MetarepError where nothing is readable and where labels do not fit."""
    account, progress = Account(skip_damaged=True), progress or Progress()
    sources = chosen_files(config, find_networks(paths, account), account)
    reader = Reader(read_description(architecture) if architecture is not None else None)
    seen: list[tuple[Source, Architecture]] = []
    looked_at = _looked_at(sources)
    with progress.task("look", len(looked_at), "files") as task:
        for source in looked_at:
            with account.catching(source.file):
                seen += [(source, one) for one in _architectures(config, reader, source)]
            task.advance()
    account.require_whole(len(seen))
    where = ", ".join(map(str, paths[:3]))
    if not seen:
        met = " | ".join(f"{one.where} ({one.why})" for one in account.entries[:3])
        raise MetarepError(f"{where}: no network can be read", met=met, fix="name a folder that holds state dicts")
    entries = tuple(one for one in account.entries if one.subject == "file")
    counts, example = Counter(one for _, one in seen), {one: source.file for source, one in reversed(seen)}
    share = len(sources) / max(1, len(looked_at))
    groups = tuple(
        Group(one, max(1, round(n * share)), n_units(symmetries_known(one)), example[one]) for one, n in counts.most_common()
    )
    damaged = {file for file, _ in account.damaged}
    whole = [source for source in sources if source.file not in damaged]
    runs = tuple(with_guess(source).run_id for source in whole)
    found = Survey(where, groups, len(sources), len(looked_at), runs, entries)
    return found if labels is None else _labelled(config, found, whole, labels)


def survey_zoo(zoo: Zoo) -> Survey:
    """What a zoo holds."""
    counts = Counter(zoo.architecture.tolist())
    groups = tuple(
        Group(zoo.architectures[number], n, n_units(zoo.symmetries[number]), str(zoo.network_id[zoo.architecture == number][0]))
        for number, n in counts.most_common()
    )
    where, runs = str(zoo.artefact.path if zoo.artefact else "the zoo"), tuple(zoo.run_id.astype(str))
    known = {"labels": zoo.labels, "properties": zoo.properties, "activation": zoo.activation}
    return Survey(where, groups, len(zoo), len(zoo), runs, **known)


def n_units(symmetries: Symmetries) -> int:
    """How many units of a network are interchangeable."""
    return sum(group.n for group in symmetries.groups if group.interchangeable)


def _looked_at(sources: Sequence[Source]) -> list[Source]:
    n = len(sources)
    if n <= MAX_HEADS:
        return list(sources)
    sizes = np.array([source.path.stat().st_size for source in sources])
    chosen = {i * n // MAX_HEADS for i in range(MAX_HEADS)} | set(np.flatnonzero(sizes > LARGE * np.median(sizes)).tolist())
    return [sources[i] for i in sorted(chosen)]


def _architectures(config: ImportConfig, reader: Reader, source: Source) -> list[Architecture]:
    chosen, _ = reader.chosen(reader.contents(source, checked=False), config.member)
    return [reader.first(architecture) for _, architecture in chosen]


def _labelled(config: ImportConfig, found: Survey, sources: Sequence[Source], labels: Path) -> Survey:
    joined, entries = join_labels(sources, labels, partial=config.partial_labels or config.max_files is not None)
    runs = tuple(with_guess(source).run_id for source in joined)
    known = [source.properties for source in joined]
    read = read_columns(known, runs, categorical=config.categorical, numeric=config.numeric)
    n_known = sum(bool(one) for one in known)
    left_out = (*found.left_out, *(one for one in entries if one.subject == "file"))
    return replace(found, runs=runs, left_out=left_out, labels=read.labels, properties=read.properties, n_known=n_known)
