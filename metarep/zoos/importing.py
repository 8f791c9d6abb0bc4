"""The stage that makes a zoo of networks which others trained."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from metarep.artefact import refuse_to_overwrite, sha256_of, write_whole, writing
from metarep.errors import MetarepError
from metarep.formats.contents import Checkpoint
from metarep.formats.described import ArchitectureFile, Descriptions, flat_slices, read_description
from metarep.formats.readers import files_behind, read_checkpoint
from metarep.networks.architecture import Architecture
from metarep.progress import Progress
from metarep.tables import read_csv, to_csv
from metarep.zoos.flat_arrays import FlatArray, open_flat
from metarep.zoos.layouts import Skips, find_networks
from metarep.zoos.properties import Source, join_labels
from metarep.zoos.settings import ImportConfig
from metarep.zoos.shards import ShardWriter
from metarep.zoos.zoo import KIND, open_zoo

SKIPPED = "skipped.csv"


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
    Raises MetarepError for the first damaged file, unless `config.skip_damaged`, and leaves nothing half-written.
    """
    out, progress = Path(out), progress or Progress()
    refuse_to_overwrite(out, overwrite)
    described = read_description(architecture) if architecture is not None else None
    skips = Skips(allowed=config.skip_damaged)
    sources = find_networks(paths, skips)
    if labels is not None:
        sources = join_labels(sources, Path(labels), partial=config.partial_labels)
    settings = import_settings(config, labels=labels, architecture=architecture)
    with writing(out, KIND, config=settings, seed=None, overwrite=overwrite) as folder:
        writer = ShardWriter(folder, int(config.shard_mb * 2**20))
        reader = Reader(described)
        with progress.task("import", len(sources), "networks") as task:
            for source in sources:
                with skips.catching(source.file):
                    _import_one(reader, writer, source)
                task.advance()
        if not writer.rows:
            reason = skips.rows[0]["reason"] if skips.rows else "there is none"
            raise MetarepError("no network could be imported", met=reason, fix="name a path with whole files")
        reader.descriptions.require_all_used()
        writer.finish()
        if skips.rows:
            write_whole(folder / SKIPPED, to_csv(skips.rows))
    if skips.rows:
        progress.say(f"{len(skips.rows):,} damaged files left out: {out / SKIPPED}")
    return out


def import_settings(
    config: ImportConfig, *, labels: Path | str | None = None, architecture: Path | str | None = None
) -> dict[str, Any]:
    """What an imported zoo's manifest holds: the settings, what the architecture file says, and the hash of the labels."""
    own = {name: value for name, value in config.resolved().items() if name in ImportConfig.model_fields}
    described = {} if architecture is None else {"architecture": read_description(architecture).resolved()}
    return own | described | ({} if labels is None else {"labels_sha256": sha256_of(Path(labels))})


def sources_unchanged(zoo: Path, config: ImportConfig, paths: Sequence[Path | str]) -> bool:
    """Whether the files under `paths` are those that a zoo was imported from, byte for byte."""
    skips, reader = Skips(allowed=config.skip_damaged), Reader(None)
    networks = open_zoo(zoo, check_hashes=False)
    damaged = {row["file"] for row in read_csv(zoo / SKIPPED)} if (zoo / SKIPPED).is_file() else set()
    now = {source.file: reader.sha256(source) for source in find_networks(paths, skips) if source.file not in damaged}
    return now == dict(zip(networks["file"], networks["sha256"], strict=True))


def _import_one(reader: Reader, writer: ShardWriter, source: Source) -> None:
    checkpoint = reader.read(source)
    row = {"network_id": source.network_id, "run_id": source.run_id, "epoch": source.epoch}
    row |= {"file": source.file, "sha256": reader.sha256(source)}
    writer.add(row, reader.architecture(checkpoint), checkpoint.tensors, source.properties)


class Reader:
    """Reads networks one by one and remembers what many of them share: architectures, arrays, hashes."""

    def __init__(self, described: ArchitectureFile | None):
        self.described = described
        self.descriptions = Descriptions(described)
        self._architectures: dict[tuple[Any, ...], Architecture] = {}
        self._flat: FlatArray | None = None
        self._hash: tuple[Path, str] | None = None

    def read(self, source: Source) -> Checkpoint:
        """The network of a source; for a row of a flat array the array is opened once."""
        if source.row is None:
            return read_checkpoint(source.path, source.suffix)
        if self._flat is None or self._flat.path != source.path:
            self._flat = open_flat(source.path, flat_slices(self.described) if self.described else None)
        return self._flat.checkpoint(source.row)

    def architecture(self, checkpoint: Checkpoint) -> Architecture:
        """What its tensors are: as described, and else as the file's own graph, names and shapes say."""
        graph = checkpoint.graph
        key = (checkpoint.named, checkpoint.ordered, graph and (tuple(graph.uses.items()), graph.chain))
        if key not in self._architectures:
            self._architectures[key] = self.descriptions.apply(checkpoint.architecture)
        return self._architectures[key]

    def sha256(self, source: Source) -> str:
        """Of the source file; of an index, that of the hashes of the index and its shards in order of their names."""
        if self._hash is None or self._hash[0] != source.path:
            digests = [sha256_of(file) for file in files_behind(source.path)]
            joined = hashlib.sha256("\n".join(digests).encode()).hexdigest()
            self._hash = (source.path, digests[0] if len(digests) == 1 else joined)
        return self._hash[1]
