"""`metarep question`: the four questions that the notes leave open."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigFile, Out, Overrides, Overwrite, Publish, Quiet, Seed, progress_for
from .output import print_csv, say_where

COLUMNS = ("study", "quantity", "found")


def question(
    name: Annotated[str, typer.Argument(help="1 to 4, or all")],
    config: ConfigFile = None,
    overrides: Overrides = None,
    out: Out = Path("results/questions"),
    publish: Publish = None,
    seed: Seed = None,
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Answer one of the four questions about learning from parameters, or all of them.

    1 how big must the subject material be · 2 does it transfer · 3 what should the input look like · 4 is the task
    too hard.

    \b
    Example:
      metarep question 4 --out results/questions
    """
    from metarep.settings import load_config
    from metarep.studies.running import run_series
    from metarep.studies.series import QUESTIONS

    settings = load_config(QUESTIONS.config, config, overrides, seed=seed)
    how = {"publish_to": publish, "overwrite": overwrite, "progress": progress_for(quiet)}
    path = run_series(settings, name, out, series=QUESTIONS, **how)
    print_csv(path / "report" / "summary.csv", COLUMNS)
    say_where("page", path / "report" / "report.html")
