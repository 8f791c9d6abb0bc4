"""`metarep report`: one HTML page of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Given, command
from .output import say_where


@command("metarep.report.settings:ReportConfig", out_help="the folder to write; RUN/report if left out", seed="")
def report(
    given: Given,
    run: Annotated[Path, typer.Argument(help="a run's folder, as `metarep run` leaves it")],
) -> None:
    """Write the report of a run, one HTML file.

    \b
    Example:
      metarep report results/quickstart --overwrite
    """
    from metarep.report.page import report as write

    path = write(run, given.out, config=given.settings(), **given.how)
    say_where("report", path / "report.html")
