"""`metarep report`: one HTML page of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigFile, Overrides, Overwrite, Quiet, progress_for
from .output import say_where


def report(
    run: Annotated[Path, typer.Argument(help="a run's folder, as `metarep run` leaves it")],
    out: Annotated[Path | None, typer.Option("--out", help="the folder to write; RUN/report if left out")] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Write the report of a run, one HTML file.

    \b
    Example:
      metarep report results/quickstart --overwrite
    """
    from metarep.report.page import report as write
    from metarep.report.settings import ReportConfig
    from metarep.settings import load_config

    settings = load_config(ReportConfig, config, overrides)
    path = write(run, out, config=settings, overwrite=overwrite, progress=progress_for(quiet))
    say_where("report", path / "report.html")
