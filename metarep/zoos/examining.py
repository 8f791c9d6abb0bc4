"""What is found in some files of an import, each job of them in a process of its own.

Whatever takes long is done here: files are read and hashed, values are digested. Where another process does a job, it writes
the tensors of its networks into one file, whence they go to the shards; what it returns is small.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from metarep.account import Entry, counted
from metarep.errors import MetarepError
from metarep.formats.contents import FileContents
from metarep.formats.described import ArchitectureFile
from metarep.formats.safetensors_files import read_safetensors, write_safetensors
from metarep.networks.architecture import Architecture, readable
from metarep.zoos.constants import SeenValues, seen_of
from metarep.zoos.copies import Fingerprint, fingerprint
from metarep.zoos.parameters import as_typed
from metarep.zoos.properties import Source
from metarep.zoos.reader import Reader, symmetries_known
from metarep.zoos.settings import ImportConfig

MAX_FILES, MAX_BYTES = 32, 8 * 2**20
"""Files of one job, and their bytes; a larger file is a job of its own."""


@dataclass(frozen=True)
class Network:
    """One network of a file; what its values say, `seen` by tensor, is missing where it holds no weights."""

    member: str
    epoch: int | None
    is_snapshot: bool
    architecture: Architecture
    print: Fingerprint | None = None
    seen: tuple[SeenValues, ...] = ()


@dataclass
class FoundFile:
    """What a file holds: its networks, all members by name, entries of the account, its hash, and what is wrong with it.

    Rows of one array have no hash, which would be computed by every job.
    """

    source: Source
    networks: list[Network] = field(default_factory=list)
    members: list[str] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    sha256: str | None = None
    error: MetarepError | None = None


@dataclass(frozen=True)
class Examined:
    """What each file of a job holds, which entries of the description fitted a tensor, and the tensors that no file holds."""

    files: list[FoundFile]
    used: set[str]
    tensors: dict[str, torch.Tensor]


@dataclass(frozen=True)
class Job:
    """Files that are read together, and the file that their tensors are written to where another process reads them."""

    sources: tuple[Source, ...]
    path: Path | None

    def tensors(self, done: Examined) -> Iterator[list[list[torch.Tensor]]]:
        """For each file, of each of its networks with weights, the tensors in order; they lie in the job's file until used."""
        is_written = self.path is not None and self.path.is_file()
        stored = read_safetensors(self.path)[0] if is_written else done.tensors
        for number, one in enumerate(done.files):
            yield [
                [
                    as_typed(stored[_key(number, at, place)], tensor.dtype, tensor.shape)
                    for place, tensor in enumerate(network.architecture.tensors if network.print else ())
                ]
                for at, network in enumerate(one.networks)
            ]


def jobs_of(sources: Sequence[Source], folder: Path | None) -> list[Job]:
    """All files in order, some to a job; `folder` is for what other processes write."""
    groups: list[list[Source]] = [[]]
    n_bytes = 0
    for source, size in zip(sources, sizes_of(sources), strict=True):
        if groups[-1] and (len(groups[-1]) == MAX_FILES or n_bytes + size > MAX_BYTES):
            groups.append([])
            n_bytes = 0
        groups[-1].append(source)
        n_bytes += size
    paths = [None if folder is None else folder / f"{number:06d}.safetensors" for number in range(len(groups))]
    return [Job(tuple(group), path) for group, path in zip(groups, paths, strict=True) if group]


def sizes_of(sources: Sequence[Source]) -> list[int]:
    """Bytes of each; an array of many networks counts in equal parts, and an index as much as a large file."""
    n_rows: dict[Path, int] = {}
    for source in sources:
        n_rows[source.path] = n_rows.get(source.path, 0) + 1
    found = []
    for source in sources:
        size = source.path.stat().st_size if source.path.is_file() else 0
        found.append(max(size, MAX_BYTES) if source.path.suffix == ".json" else size // n_rows[source.path])
    return found


def examine(job: Job, config: ImportConfig, described: ArchitectureFile | None) -> Examined:
    """Reads the files of a job."""
    reader, kept = Reader(described), dict[str, torch.Tensor]()
    found = [FoundFile(source) for source in job.sources]
    for number, one in enumerate(found):
        try:
            for at, tensors in enumerate(_examined(one, reader, config)):
                kept |= {_key(number, at, place): value for place, value in enumerate(tensors)}
        except MetarepError as error:
            one.error = error
    if kept and job.path is not None:
        job.path.parent.mkdir(exist_ok=True)
        write_safetensors(job.path, kept)
        kept = {}
    return Examined(found, reader.descriptions.used, kept)


def _examined(found: FoundFile, reader: Reader, config: ImportConfig) -> Iterator[Sequence[torch.Tensor]]:
    """Writes down what a file holds, and yields the tensors of each network once it is known, none of one without weights."""
    source = found.source
    contents = _contents(found, reader, config)
    networks, entries = reader.chosen(contents, config.member)
    for held in contents.networks:
        parts = reader.architecture(held.checkpoint).components
        found.members += [held.member, *("/".join(filter(None, (held.member, part))) for part in parts)]
    found.entries += [replace(entry, where=place_of(source, entry.where)) for entry in (*contents.entries, *entries)]
    for held, architecture in networks:
        network = Network(held.member, source.epoch if held.epoch is None else held.epoch, held.snapshot, architecture)
        tensors = held.checkpoint.tensors
        if not any(readable(tensor) for tensor in architecture.tensors):
            found.networks.append(network)
            yield ()
            continue
        if found.sha256 is None and source.row is None:
            found.sha256 = reader.sha256(source)
        own = fingerprint(architecture, tensors, symmetries_known(architecture))
        found.networks.append(replace(network, print=own, seen=seen_of(architecture, tensors)))
        yield [tensors[tensor.name] for tensor in architecture.tensors]


def _contents(found: FoundFile, reader: Reader, config: ImportConfig) -> FileContents:
    """What a file holds without networks of more parameters than the config admits, of which only the heads are read."""
    most, source = config.max_params, found.source
    if most is None:
        return reader.contents(source)
    contents = reader.contents(source, checked=source.path.stat().st_size <= most)
    small = tuple(held for held in contents.networks if held.checkpoint.n_values <= most)
    for held in contents.networks:
        if held.checkpoint.n_values > most:
            what = f"{' '.join(filter(None, ('left out', held.member)))}: {counted(held.checkpoint.n_values, 'value')}"
            found.entries.append(Entry("file", source.file, what, f"max_params is {most:,}"))
    if small and source.path.stat().st_size > most:
        contents = reader.contents(source)
        small = tuple(held for held in contents.networks if held.checkpoint.n_values <= most)
    return replace(contents, networks=small)


def place_of(source: Source, member: str) -> str:
    """Where in the files a network stands, as the account says it."""
    return f"{source.file}/{member}" if member else source.file


def _key(number: int, at: int, place: int) -> str:
    return f"{number}/{at}/{place}"
