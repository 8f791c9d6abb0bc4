"""The stage that makes a zoo of networks which others trained."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from metarep.account import Entry, counted, listed
from metarep.artefact import refuse_to_overwrite, sha256_of, writing
from metarep.errors import MetarepError
from metarep.formats.contents import Checkpoint, Contents, Held, chosen_members
from metarep.formats.described import ArchitectureFile, Descriptions, flat_slices, read_description
from metarep.formats.onnx_forward import of_onnx
from metarep.formats.readers import files_behind, read_checkpoint, read_contents
from metarep.networks.architecture import Architecture, readable
from metarep.networks.check import with_checks
from metarep.networks.forward_passes import ForwardPass
from metarep.networks.further_inference import with_further
from metarep.networks.inference import symmetries_of
from metarep.networks.symmetry_groups import Symmetries
from metarep.progress import Progress
from metarep.zoos.account import ACCOUNT, NOT_READ, Account, read_account, remark_on_sizes, remark_on_units, remarks
from metarep.zoos.constants import Constants
from metarep.zoos.copies import Fingerprint, fingerprint
from metarep.zoos.flat_arrays import FlatArray, open_flat
from metarep.zoos.kinship import counts_agree, snapshots, with_runs
from metarep.zoos.layouts import find_networks
from metarep.zoos.properties import Source, join_labels
from metarep.zoos.settings import ImportConfig
from metarep.zoos.shards import ShardWriter
from metarep.zoos.zoo import KIND, open_zoo


def import_networks(
    config: ImportConfig,
    paths: Sequence[Path | str],
    out: Path | str,
    *,
    labels: Path | str | None = None,
    architecture: Path | str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Reads the networks under `paths` (files, folders, glob patterns) into the folder `out` and returns it.

    `labels` is a CSV that joins by its column `file`, `architecture` a YAML that says of tensors what their names do not.
    What is passed over or guessed stands in the zoo's account. Raises MetarepError that lists the damaged files, unless
    `config.skip_damaged`, and what is in doubt, if `config.strict`; leaves nothing half-written.
    """
    out, progress = Path(out), progress or Progress()
    refuse_to_overwrite(out, overwrite)
    described = read_description(architecture) if architecture is not None else None
    account = Account(config.skip_damaged)
    sources = chosen_files(config, find_networks(paths, account), account)
    settings = import_settings(config, labels=labels, architecture=architecture)
    with writing(out, KIND, config=settings, seed=None, overwrite=overwrite) as folder:
        gathered = Gathered(config, Reader(described), ShardWriter(folder, int(config.shard_mb * 2**20)), account)
        with progress.task("import", len(sources), "files") as task:
            for source in sources:
                with account.catching(source.file):
                    gathered.add(source)
                task.advance()
        account.require_whole(len(gathered.sources))
        gathered.require_networks()
        gathered.reader.descriptions.require_all_used()
        if labels is not None:
            gathered.sources, entries = join_labels(gathered.sources, Path(labels), partial=config.partial_labels)
            account.add(*entries)
        gathered.finish()
        if config.strict:
            account.require_certain()
        account.write(folder)
    if n_doubts := sum(entry.doubt for entry in account.entries):
        progress.say(f"{counted(n_doubts, 'doubt')} in the account: {out / ACCOUNT}")
    return out


def import_settings(
    config: ImportConfig, *, labels: Path | str | None = None, architecture: Path | str | None = None
) -> dict[str, Any]:
    """What an imported zoo's manifest holds: the settings, what the architecture file says, and the hash of the labels."""
    own = {name: value for name, value in config.resolved().items() if name in ImportConfig.model_fields}
    described = {} if architecture is None else {"architecture": read_description(architecture).resolved()}
    return own | described | ({} if labels is None else {"labels_sha256": sha256_of(Path(labels))})


def sources_unchanged(
    zoo: Path, config: ImportConfig, paths: Sequence[Path | str], *, architecture: Path | str | None = None
) -> bool:
    """Whether the files under `paths` are those that a zoo was imported from, byte for byte, and damaged ones still are."""
    networks, entries = open_zoo(zoo, check_hashes=False), read_account(zoo)
    then = dict(zip(networks["file"], networks["sha256"], strict=True))
    passed_over = {entry.where for entry in entries if entry.subject == "file"} - {*then}
    damaged = {entry.where for entry in entries if entry.what == NOT_READ}
    account, reader = Account(skip_damaged=True), Reader(read_description(architecture) if architecture is not None else None)
    sources = chosen_files(config, find_networks(paths, account), account)
    for source in sources:
        if source.file in damaged:
            with account.catching(source.file):
                reader.chosen(reader.contents(source), config.member)
    still_damaged = {file for file, _ in account.damaged}
    now = {one.file: reader.sha256(one) for one in sources if one.file not in passed_over}
    return now == then and damaged & {one.file for one in sources} <= still_damaged


def chosen_files(config: ImportConfig, sources: Sequence[Source], account: Account) -> list[Source]:
    """The sources that an import takes: all, or as many as the config admits, evenly spaced, which the account then says."""
    n = len(sources)
    if config.max_files is None or n <= config.max_files:
        return list(sources)
    account.add(Entry("file", "", f"{config.max_files:,} of {n:,} files are taken, evenly spaced", "max_files says so"))
    return [sources[i * n // config.max_files] for i in range(config.max_files)]


FROZEN = "frozen: kept, but neither counted nor read; units that they touch keep their order"
UNTOUCHED = "they hold one number, as when training began; they are read"
MAX_RUN = 1_000_000
"""Parameters of an ONNX network that is run to check its symmetries."""


class Reader:
    """Reads files one by one and remembers what many networks share: architectures, their symmetries, arrays, hashes."""

    def __init__(self, described: ArchitectureFile | None):
        self.described = described
        self.descriptions = Descriptions(described)
        self._architectures: dict[tuple[Any, ...], Architecture] = {}
        self._symmetries: dict[Architecture, Symmetries] = {}
        self._first: dict[Architecture, Architecture] = {}
        self._flat: FlatArray | None = None
        self._hash: tuple[Path, str] | None = None

    def contents(self, source: Source, *, checked: bool = True) -> Contents:
        """What the file of a source holds, as `read_contents` reads it; for a row of a flat array the array is opened once."""
        if source.row is not None:
            return Contents((Held("", self._row(source)),))
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

    def chosen(self, contents: Contents, member: str | None) -> tuple[list[tuple[Held, Architecture]], list[Entry]]:
        """The networks of a file that `member` chooses, with their architectures, and what is in doubt or renamed.

        Networks that differ only in what all names of each begin with, as a wrapper leaves it, have the names of the first.
        """
        networks, entries = chosen_members(contents.networks, member, self.architecture)
        found = []
        for held in networks:
            own = self.architecture(held.checkpoint)
            if own not in self._first:
                self._first[own] = self._first.setdefault(own.bare, own)
            first = self._first[own]
            if first != own:
                pairs = zip(own.tensors, first.tensors, strict=True)
                held = held.holding({other.name: held.checkpoint.tensors[tensor.name] for tensor, other in pairs})
                what = f"{own.tensors[0].name} is read as {first.tensors[0].name}, and so are all names"
                why = "they are those of other networks but for what all begin with"
                entries = [*entries, Entry("member", held.member, what, why)]
            found.append((held, first))
        return found, entries

    def symmetries(self, architecture: Architecture) -> Symmetries:
        """The symmetries of an architecture."""
        if architecture not in self._symmetries:
            self._symmetries[architecture] = with_further(architecture, symmetries_of(architecture))
        return self._symmetries[architecture]

    def sha256(self, source: Source) -> str:
        """Of the source file; of an index, that of the hashes of the index and its shards in order of their names."""
        if self._hash is None or self._hash[0] != source.path:
            digests = [sha256_of(file) for file in files_behind(source.path)]
            joined = hashlib.sha256("\n".join(digests).encode()).hexdigest()
            self._hash = (source.path, digests[0] if len(digests) == 1 else joined)
        return self._hash[1]


@dataclass
class Gathered:
    """The networks of an import: parameters go to the writer at once, what needs all networks to be known stays here."""

    config: ImportConfig
    reader: Reader
    writer: ShardWriter
    account: Account
    sources: list[Source] = field(default_factory=list)
    prints: list[Fingerprint] = field(default_factory=list)
    constants: Constants = field(default_factory=Constants)
    members: dict[str, None] = field(default_factory=dict)
    evidence: dict[int, tuple[tuple[str, str], ...]] = field(default_factory=dict)

    def add(self, source: Source) -> None:
        """The networks in a file. Raises MetarepError for a damaged one."""
        contents = self._contents(source)
        networks, entries = self.reader.chosen(contents, self.config.member)
        for held in contents.networks:
            parts = self.reader.architecture(held.checkpoint).components
            self.members |= dict.fromkeys((held.member, *("/".join(filter(None, (held.member, part))) for part in parts)))
        self.account.add(*(replace(entry, where=_place(source, entry.where)) for entry in (*contents.entries, *entries)))
        if contents.networks and not networks:
            self.account.add(Entry("file", source.file, "passed over", f"it holds no network called {self.config.member!r}"))
        for held, architecture in networks:
            if any(readable(tensor) for tensor in architecture.tensors):
                self._add(source, held, architecture)
            else:
                dtypes = ", ".join(sorted({tensor.dtype for tensor in architecture.tensors}))
                why = f"it holds no weights: none of its tensors is of real floating-point numbers ({dtypes})"
                self.account.add(Entry("file", source.file, f"passed over {held.member}".strip(), why, doubt=True))

    def _contents(self, source: Source) -> Contents:
        """What a file holds without networks of more parameters than the config admits, of which only the heads are read."""
        most = self.config.max_params
        if most is None:
            return self.reader.contents(source)
        contents = self.reader.contents(source, checked=source.path.stat().st_size <= most)
        small = tuple(held for held in contents.networks if held.checkpoint.n_values <= most)
        for held in contents.networks:
            if held.checkpoint.n_values > most:
                what = f"{' '.join(filter(None, ('left out', held.member)))}: {counted(held.checkpoint.n_values, 'value')}"
                self.account.add(Entry("file", source.file, what, f"max_params is {most:,}"))
        if small and source.path.stat().st_size > most:
            contents = self.reader.contents(source)
            small = tuple(held for held in contents.networks if held.checkpoint.n_values <= most)
        return replace(contents, networks=small)

    def _add(self, source: Source, held: Held, architecture: Architecture) -> None:
        tensors = held.checkpoint.tensors
        network_id = f"{source.network_id}/{held.member}" if held.member else source.network_id
        row = {"network_id": network_id, "run_id": "", "member": held.member, "epoch": None}
        row |= {"file": source.file, "sha256": self.reader.sha256(source)}
        self.writer.add(row, architecture, tensors, {})
        epoch = source.epoch if held.epoch is None else held.epoch
        self.sources.append(replace(source, network_id=network_id, epoch=epoch, is_snapshot=held.snapshot))
        self.prints.append(fingerprint(architecture, tensors, self.reader.symmetries(architecture)))
        number = self.writer.rows[-1]["architecture"]
        self.constants.observe(len(self.sources) - 1, architecture, tensors)
        if number not in self.evidence:
            self.evidence[number] = with_checks(architecture, tensors, forward=_forward(source, architecture)).evidence

    def require_networks(self) -> None:
        """Raises MetarepError where there is none."""
        if self.sources:
            return
        if self.config.member is not None and self.members:
            names, fix = ", ".join(filter(None, self.members))[:200], "leave --member out"
            problem = f"no file holds a network called {self.config.member!r}"
            raise MetarepError(
                problem, met=names or "files of one network each", expected="one of them" if names else None, fix=fix
            )
        files = [entry for entry in self.account.entries if entry.subject == "file"]
        reasons = [": ".join(filter(None, (entry.where, entry.what, entry.why))) for entry in files]
        met = " | ".join(reasons[:3]) + (" | …" if len(reasons) > 3 else "")
        raise MetarepError("no network could be imported", met=met or "no file", fix="name a path that holds state dicts")

    def finish(self) -> None:
        """Decides what needs all networks: runs, copies, constants. Writes the tables of the zoo."""
        numbers = [row["architecture"] for row in self.writer.rows]
        self.sources, entries = with_runs(self.sources, self.prints, numbers)
        earlier = snapshots(self.sources) if self.config.snapshots == "aside" else [""] * len(numbers)
        for row, source, snapshot_of in zip(self.writer.rows, self.sources, earlier, strict=True):
            row |= {"run_id": source.run_id, "epoch": source.epoch, "snapshot_of": snapshot_of}
        self.writer.properties = [source.properties for source in self.sources]
        self.account.add(*self._constants())
        for number, evidence in self.evidence.items():
            self.writer.change(number, replace(self.writer.known[number], evidence=evidence))
        self.account.add(*self._remarks(), *entries)
        agree = counts_agree(self.sources)
        if not agree:
            why = "the names of some files count epochs, those of others steps"
            self.account.add(Entry("column", "epoch", "kept to order the states of a run, not as a property", why))
        how = {"categorical": self.config.categorical, "numeric": self.config.numeric}
        self.account.add(*self.writer.finish(**how, epochs=agree))

    def _constants(self) -> Iterator[Entry]:
        """Makes buffers of tensors that no network learned, and of those whose kind is known frozen ones."""
        runs = [source.run_id for source in self.sources]
        for number, own in self._by_architecture().items():
            architecture = self.writer.known[number]
            found = self.constants.unlearned(architecture, runs)
            changes = {name: {"role": "buffer"} for name in found.buffers} | {name: {"frozen": True} for name in found.frozen}
            if changes:
                self.writer.change(number, architecture.changed(changes).counted())
            for names, why in ((found.frozen, FROZEN), (found.untouched, UNTOUCHED)):
                if names:
                    what = f"{counted(len(names), 'tensor')} equal in all networks, or made by a formula: {listed(names)}"
                    yield self._of_architecture(Entry("tensor", "", what, why), own)

    def _remarks(self) -> Iterator[Entry]:
        by_architecture = self._by_architecture()
        known = {number: self.writer.known[number] for number in by_architecture}
        symmetries = {number: self.reader.symmetries(one) for number, one in known.items()}
        yield from remark_on_units([*symmetries.values()], [len(own) for own in by_architecture.values()])
        for number, own in by_architecture.items():
            for entry in remarks(known[number], symmetries[number]):
                yield self._of_architecture(entry, own)
        names = [source.network_id for source in self.sources]
        yield from remark_on_sizes(names, [row["n_params"] for row in self.writer.rows])

    def _by_architecture(self) -> dict[int, list[int]]:
        """The networks of each architecture, all by their numbers."""
        found = defaultdict(list)
        for i, row in enumerate(self.writer.rows):
            found[row["architecture"]].append(i)
        return found

    def _of_architecture(self, entry: Entry, numbers: Sequence[int]) -> Entry:
        return replace(entry, where=self.sources[numbers[0]].network_id, n_networks=len(numbers))


def _forward(source: Source, architecture: Architecture) -> ForwardPass | None:
    """How the file itself says that its network is run: an ONNX graph that is small."""
    if source.path.suffix != ".onnx" or architecture.n_params > MAX_RUN:
        return None
    return of_onnx(source.path.read_bytes())


def _place(source: Source, member: str) -> str:
    return f"{source.file}/{member}" if member else source.file
