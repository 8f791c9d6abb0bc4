"""The stage that looks beyond networks of the pretrained size: a folder for each member, and a page that shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from metarep.studies.beyond.registry import BEYOND
from metarep.studies.settings import BeyondConfig
from metarep.studies.stage import experiment


def look_beyond(config: BeyondConfig, name: str, out: Path | str, **how: Any) -> Path:
    """Runs one member, or "all", into `out`, and returns it; see `studies.stage.experiment`."""
    return experiment(config, name, out, series=BEYOND, **how)
