"""Settings of how networks are imported."""

from __future__ import annotations

from pydantic import Field

from metarep.settings import Settings


class ImportConfig(Settings):
    """How networks that others trained are read."""

    skip_damaged: bool = Field(False, description="leave damaged files out and list them; the first one ends it otherwise")
    partial_labels: bool = Field(False, description="rows of the labels without a file and files without a row are no error")
    categorical: tuple[str, ...] = Field((), description="columns that are categories, however they look")
    numeric: tuple[str, ...] = Field((), description="columns that are numbers to predict, however they look")
    shard_mb: float = Field(64, gt=0, description="MiB of networks in a shard, and in memory; a larger network has its own")
