"""`metarep functions`: which of many functions a network learned, read off its representations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Given, command
from .output import print_csv, say_where


@command("metarep.domains.functions.probe:FunctionsConfig", out="results/functions")
def functions(
    given: Given,
    zoo: Annotated[Path, typer.Argument(help="a zoo of functions of one number")],
    embeddings: Annotated[list[Path] | None, typer.Argument(help="embeddings of that zoo, beside the baselines")] = None,
) -> None:
    """Tell the functions apart that networks learned.

    Probes are fitted on training networks and measured on held-out ones: a table, findings in words, a figure.

    \b
    Example:
      metarep functions results/functions/zoo results/embeddings/function --out results/functions/table
    """
    from metarep.domains.functions.report import functions as probe

    path = probe(given.settings(), zoo, given.out, embeddings=embeddings, **given.how)
    say_where("functions", path)
    print_csv(path / "functions.csv", ("representation", "n_functions", "metric", "value", "low", "high", "null"))
