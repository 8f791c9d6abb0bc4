"""Reads the files of an import one by one, and remembers what many networks share."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from metarep.account import Entry
from metarep.artefact import sha256_of
from metarep.formats.contents import Checkpoint, FileContents, Held, chosen_members
from metarep.formats.described import ArchitectureFile, Descriptions, flat_slices
from metarep.formats.readers import files_behind, read_checkpoint, read_contents
from metarep.networks.architecture import Architecture
from metarep.networks.further_inference import with_further
from metarep.networks.inference import symmetries_of
from metarep.networks.symmetry_groups import Symmetries
from metarep.zoos.flat_arrays import FlatArray, open_flat
from metarep.zoos.properties import Source


@lru_cache(maxsize=1024)
def symmetries_known(architecture: Architecture) -> Symmetries:
    """The symmetries of an architecture."""
    return with_further(architecture, symmetries_of(architecture))


class Reader:
    """Reads files one by one and remembers what many networks share: architectures, arrays, hashes."""

    def __init__(self, described: ArchitectureFile | None):
        self.described = described
        self.descriptions = Descriptions(described)
        self._architectures: dict[tuple[Any, ...], Architecture] = {}
        self._first: dict[Architecture, Architecture] = {}
        self._flat: FlatArray | None = None
        self._hash: tuple[Path, str] | None = None

    def contents(self, source: Source, *, checked: bool = True) -> FileContents:
        """What the file of a source holds, as `read_contents` reads it; for a row of a flat array the array is opened once."""
        if source.row is not None:
            return FileContents((Held("", self._row(source)),))
        return read_contents(source.path, source.suffix, checked=checked)

    def checkpoint(self, source: Source) -> Checkpoint:
        """The only network of a source. Raises MetarepError where there are several."""
        return read_checkpoint(source.path, source.suffix) if source.row is None else self._row(source)

    def _row(self, source: Source) -> Checkpoint:
        if self._flat is None or self._flat.path != source.path:
            self._flat = open_flat(source.path, flat_slices(self.described) if self.described else None)
        return self._flat.checkpoint(source.row)

    def architecture(self, checkpoint: Checkpoint) -> Architecture:
        """What its tensors are: as described, and else as the file's own graph, names and shapes say."""
        graph = checkpoint.graph
        ties = tuple(checkpoint.ties.items())
        key = (checkpoint.named, checkpoint.ordered, ties, graph and (tuple(graph.uses.items()), graph.groups))
        if key not in self._architectures:
            self._architectures[key] = self.descriptions.apply(checkpoint.architecture)
        return self._architectures[key]

    def chosen(self, contents: FileContents, member: str | None) -> tuple[list[tuple[Held, Architecture]], list[Entry]]:
        """The networks of a file that `member` chooses, with their architectures, and what is in doubt."""
        networks, entries = chosen_members(contents.networks, member, self.architecture)
        return [(held, self.architecture(held.checkpoint)) for held in networks], entries

    def first(self, own: Architecture) -> Architecture:
        """The first architecture that differs from this one only in what all names begin with, as a wrapper leaves it."""
        if own not in self._first:
            self._first[own] = self._first.setdefault(own.bare, own)
        return self._first[own]

    def sha256(self, source: Source) -> str:
        """Of the source file; of an index, that of the hashes of the index and its shards in order of their names."""
        if self._hash is None or self._hash[0] != source.path:
            digests = [sha256_of(file) for file in files_behind(source.path)]
            joined = hashlib.sha256("\n".join(digests).encode()).hexdigest()
            self._hash = (source.path, digests[0] if len(digests) == 1 else joined)
        return self._hash[1]
