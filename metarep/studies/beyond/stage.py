"""The stage that looks beyond networks of the pretrained size: a folder for each member, and a page that shows them."""

from __future__ import annotations

from pathlib import Path

from metarep.progress import Progress
from metarep.studies.beyond.registry import BEYOND
from metarep.studies.settings import BeyondConfig
from metarep.studies.stage import experiment


def look_beyond(
    config: BeyondConfig, name: str, out: Path | str, *, overwrite: bool = False, progress: Progress | None = None
) -> Path:
    """Runs one member, or "all", into `out`, and returns it; see `studies.stage.experiment`."""
    return experiment(config, name, out, series=BEYOND, overwrite=overwrite, progress=progress)
