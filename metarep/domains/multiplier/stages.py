"""What a run makes besides on zoos of multipliers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from metarep.domains.multiplier.settings import ScanConfig
from metarep.zoos.domain import DomainStage


def make_scan(settings: ScanConfig, zoo: Path, embeddings: list[Path], out: Path, **how: Any) -> None:
    """The scans of a zoo; that by examples looks into one embedding."""
    from metarep.domains.multiplier.scan import scan

    scan(settings, zoo, out, embeddings=embeddings[0] if embeddings else None, **how)


def has_modes(zoo: Path) -> bool:
    """Whether there are networks of two modes, which the scans could tell apart."""
    from metarep.zoos.zoo import open_zoo

    return len(set(open_zoo(zoo).final()["mode"]) - {""}) > 1


SCAN = DomainStage("scan", ScanConfig, make_scan, first_of=("certainty", "pooled", "states"), suits=has_modes)
