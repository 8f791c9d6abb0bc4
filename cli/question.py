"""`metarep question`: the four questions that the notes leave open."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigFile, CpuOnly, Out, Overrides, Overwrite, Quiet, Seed, progress_for, require_cpu
from .output import print_table, say_where


def question(
    name: Annotated[str, typer.Argument(help="1 to 4, or all")],
    config: ConfigFile = None,
    overrides: Overrides = None,
    out: Out = Path("results/questions"),
    seed: Seed = None,
    device: CpuOnly = "cpu",
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
    import csv

    from metarep.settings import load_config
    from metarep.studies.questions.stage import question as run
    from metarep.studies.settings import QuestionConfig

    require_cpu(device)
    settings = load_config(QuestionConfig, config, overrides, seed=seed)
    path = run(settings, name, out, overwrite=overwrite, progress=progress_for(quiet))
    columns = {"experiment": "question", "quantity": "quantity", "reproduced": "found"}
    with (path / "report" / "summary.csv").open(newline="") as file:
        print_table(tuple(columns.values()), [[row[name] for name in columns] for row in csv.DictReader(file)])
    say_where("page", path / "report" / "report.html")
