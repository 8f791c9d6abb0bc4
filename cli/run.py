"""`metarep run`: every stage, from nothing to a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Device, Overrides, Quiet, progress_for, usable_device
from .output import say_where

SEEDED = ("zoo", "pretrain", "embed", "cluster", "scan", "transfer")


def run(
    config: Annotated[Path | None, typer.Argument(help="a YAML file with a whole run's settings")] = None,
    config_option: Annotated[Path | None, typer.Option("--config", help="the same file, as an option")] = None,
    overrides: Overrides = None,
    out: Annotated[Path | None, typer.Option("--out", help="the run's folder; results/<name of the run> if left out")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="in place of every stage's seed; targets keep theirs")] = None,
    device: Device = "cpu",
    quiet: Quiet = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="make stages again whose settings or inputs have changed")
    ] = False,
) -> None:
    """Make everything, from a zoo to a report.

    Stages that are done with the same settings and inputs are kept, so an interrupted run carries on.

    \b
    Example:
      metarep run configs/quickstart.yaml --out results/quickstart --set pretrain.n_steps=500
    """
    from metarep.pipeline import RunConfig
    from metarep.pipeline import run as run_all
    from metarep.settings import load_config

    if (config is None) == (config_option is None):
        raise typer.BadParameter("name one config file: metarep run CONFIG", param_hint="CONFIG")
    seeds = [] if seed is None else [f"{stage}.seed={seed}" for stage in SEEDED]
    settings = load_config(RunConfig, config or config_option, [*(overrides or []), *seeds])
    folder = out or Path("results") / settings.name
    run_all(settings, folder, device=usable_device(device), overwrite=overwrite, progress=progress_for(quiet))
    say_where("run", folder)
    say_where("report", folder / "report" / "report.html")
