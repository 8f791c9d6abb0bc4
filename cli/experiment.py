"""`metarep experiment`: the ten experiments, and what they left open."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigFile, Out, Overrides, Overwrite, Publish, Quiet, Seed, progress_for
from .output import print_csv, say_where

COLUMNS = ("study", "quantity", "published", "found", "best_known", "verdict")


def experiment(
    name: Annotated[str, typer.Argument(help="1 to 10, optima, dynamics, or all")],
    config: ConfigFile = None,
    overrides: Overrides = None,
    out: Out = Path("results/experiments"),
    publish: Publish = None,
    seed: Seed = None,
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Run one of the ten experiments on how a network multiplies two numbers, or all of them.

    1 linear · 2 a ReLU on the output · 3 one hidden layer · 4 the clean mode-3 network · 5 trained further on the
    square · 6 hand-crafted · 7 trained further from it · 8 other starting biases · 9 thousands from scratch ·
    10 the scan · optima: which algorithm is best · dynamics: how modes arise.

    \b
    Example:
      metarep experiment 4 --out results/experiments
    """
    from metarep.settings import load_config
    from metarep.studies.running import run_series
    from metarep.studies.series import EXPERIMENTS

    settings = load_config(EXPERIMENTS.config, config, overrides, seed=seed)
    how = {"publish_to": publish, "overwrite": overwrite, "progress": progress_for(quiet)}
    path = run_series(settings, name, out, series=EXPERIMENTS, **how)
    print_csv(path / "report" / "summary.csv", COLUMNS)
    say_where("page", path / "report" / "report.html")
