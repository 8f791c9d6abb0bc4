"""The stage that makes a zoo of networks which others trained."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from metarep.account import Entry, counted, listed
from metarep.artefact import refuse_to_overwrite, sha256_of, writing
from metarep.errors import MetarepError
from metarep.formats.described import read_description
from metarep.formats.onnx_forward import of_onnx
from metarep.networks.architecture import Architecture
from metarep.networks.check import with_checks
from metarep.networks.forward_passes import ForwardPass
from metarep.progress import Progress
from metarep.work import is_on_cluster, spread
from metarep.zoos.account import ACCOUNT, NOT_READ, Account, read_account, remark_on_sizes, remark_on_units, remarks
from metarep.zoos.constants import Constants
from metarep.zoos.copies import Fingerprint, shapes_of
from metarep.zoos.examining import FoundFile, Network, examine, jobs_of, place_of
from metarep.zoos.kinship import counts_agree, snapshots, with_runs
from metarep.zoos.layouts import find_networks
from metarep.zoos.properties import Source, join_labels
from metarep.zoos.reader import Reader, symmetries_known
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
        gathered.read(sources, folder / "parts", progress)
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

    def read(self, sources: Sequence[Source], parts: Path, progress: Progress) -> None:
        """The networks of all files, which other processes read on a cluster; `parts` is a folder for what these write."""
        apart = is_on_cluster()
        jobs = jobs_of(sources, parts if apart else None)
        found = spread(examine, jobs, self.config, self.reader.described, n_networks=math.inf if apart else 0)
        with progress.task("import", len(sources), "files") as task:
            for job, done in zip(jobs, found, strict=True):
                self.reader.descriptions.used |= done.used
                for one, tensors in zip(done.files, job.tensors(done), strict=True):
                    with self.account.catching(one.source.file):
                        self.add(one, tensors)
                    task.advance()
                if apart:
                    del done, tensors  # a file that is mapped cannot be removed from every shared folder
                    job.path.unlink(missing_ok=True)
        if parts.is_dir():
            parts.rmdir()

    def add(self, found: FoundFile, tensors: Sequence[Sequence[torch.Tensor]]) -> None:
        """The networks of a file, each with its tensors. Raises MetarepError for a damaged one.

        Networks that differ only in what all names of each begin with, as a wrapper leaves it, have the names of the first.
        """
        source, own = found.source, [network.architecture for network in found.networks]
        self.account.add(*found.entries)
        self.members |= dict.fromkeys(found.members)
        architectures = [self.reader.first(one) for one in own]
        self.account.add(*_renamed(found, architectures))
        if found.members and not found.networks and found.error is None:
            self.account.add(Entry("file", source.file, "passed over", f"it holds no network called {self.config.member!r}"))
        for network, architecture, values in zip(found.networks, architectures, tensors, strict=True):
            if network.print is not None:
                sha256 = found.sha256 or self.reader.sha256(source)
                named = zip((tensor.name for tensor in architecture.tensors), values, strict=True)
                self._add(source, sha256, network, architecture, dict(named))
            else:
                dtypes = ", ".join(sorted({tensor.dtype for tensor in architecture.tensors}))
                why = f"it holds no weights: none of its tensors is of real floating-point numbers ({dtypes})"
                what = f"passed over {network.member}".strip()
                self.account.add(Entry("file", source.file, what, why, doubt=True))
        if found.error is not None:
            raise found.error

    def _add(
        self, source: Source, sha256: str, network: Network, architecture: Architecture, tensors: dict[str, torch.Tensor]
    ) -> None:
        network_id = f"{source.network_id}/{network.member}" if network.member else source.network_id
        row = {"network_id": network_id, "run_id": "", "member": network.member, "epoch": None}
        row |= {"file": source.file, "sha256": sha256}
        self.writer.add(row, architecture, tensors, {})
        self.sources.append(replace(source, network_id=network_id, epoch=network.epoch, is_snapshot=network.is_snapshot))
        self.prints.append(replace(network.print, shapes=shapes_of(architecture)))
        number = self.writer.rows[-1]["architecture"]
        self.constants.observe(len(self.sources) - 1, architecture, network.seen)
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
        symmetries = {number: symmetries_known(one) for number, one in known.items()}
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


def _renamed(found: FoundFile, architectures: Sequence[Architecture]) -> Iterator[Entry]:
    """Which networks of a file are read by other names."""
    for network, first in zip(found.networks, architectures, strict=True):
        own = network.architecture
        if first != own:
            what = f"{own.tensors[0].name} is read as {first.tensors[0].name}, and so are all names"
            why = "they are those of other networks but for what all begin with"
            yield Entry("member", place_of(found.source, network.member), what, why)
