"""Settings of how networks are imported, exported and looked at."""

from __future__ import annotations

from pydantic import Field

from metarep.settings import Settings


class ImportConfig(Settings):
    """How networks that others trained are read."""

    skip_damaged: bool = Field(False, description="leave damaged files out and list them; the first one ends it otherwise")
    partial_labels: bool = Field(False, description="rows of the labels without a file and files without a row are no error")
    shard_mb: float = Field(64, gt=0, description="MiB of networks in a shard, and in memory; a larger network has its own")


class ExportConfig(Settings):
    """How one network of a zoo is given back."""

    check_hashes: bool = Field(True, description="hold the zoo's files against its manifest first")


class InfoConfig(Settings):
    """What is looked at of an artefact."""

    check_hashes: bool = Field(True, description="read every file and hold its hash against the manifest")
