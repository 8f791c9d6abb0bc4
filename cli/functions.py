"""`metarep functions`: which of many functions a network learned, read off its representations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigFile, Out, Overrides, Overwrite, Quiet, Seed, progress_for
from .output import print_csv, say_where


def functions(
    zoo: Annotated[Path, typer.Argument(help="a zoo of functions of one number")],
    embeddings: Annotated[list[Path] | None, typer.Argument(help="embeddings of that zoo, beside the baselines")] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    out: Out = Path("results/functions"),
    seed: Seed = None,
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Tell the functions apart that networks learned.

    Probes are fitted on training networks and measured on held-out ones: a table, findings in words, a figure.

    \b
    Example:
      metarep functions results/functions/zoo results/embeddings/function --out results/functions/table
    """
    from metarep.domains.functions.probe import FunctionsConfig
    from metarep.domains.functions.report import functions as probe
    from metarep.settings import load_config

    settings = load_config(FunctionsConfig, config, overrides, seed=seed)
    path = probe(settings, zoo, out, embeddings=embeddings, overwrite=overwrite, progress=progress_for(quiet))
    say_where("functions", path)
    print_csv(path / "functions.csv", ("representation", "n_functions", "metric", "value", "low", "high", "null_p95"))
