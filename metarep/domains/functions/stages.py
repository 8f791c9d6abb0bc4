"""What a run makes besides on zoos of functions of one number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from metarep.domains.functions.probe import FunctionsConfig
from metarep.zoos.domain import DomainStage


def make_functions(settings: FunctionsConfig, zoo: Path, embeddings: list[Path], out: Path, **how: Any) -> None:
    """Which function each network learned, read off every embedding."""
    from metarep.domains.functions.report import functions

    functions(settings, zoo, out, embeddings=embeddings, **how)


FUNCTIONS = DomainStage("functions", FunctionsConfig, make_functions)
