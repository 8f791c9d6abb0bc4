"""Settings of how networks are imported."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from metarep.settings import Settings


class ImportConfig(Settings):
    """How networks that others trained are read."""

    skip_damaged: bool = Field(False, description="leave damaged files out and list them; they end it otherwise")
    partial_labels: bool = Field(False, description="rows of the labels without a file and files without a row are no error")
    strict: bool = Field(False, description="what is in doubt is an error")
    member: str | None = Field(None, description="of files with several networks, the one that is taken; all: each of them")
    snapshots: Literal["networks", "aside"] = Field(
        "networks", description="earlier states of a run: networks like others, or set aside as snapshots of the latest"
    )
    max_files: int | None = Field(None, ge=1, description="take so many files, evenly spaced, where there are more")
    max_params: int | None = Field(None, ge=1, description="leave networks of more parameters out; their values are not read")
    categorical: tuple[str, ...] = Field((), description="columns that are categories, however they look")
    numeric: tuple[str, ...] = Field((), description="columns that are numbers to predict, however they look")
    shard_mb: float = Field(64, gt=0, description="MiB of networks in a shard, and in memory; a larger network has its own")
