"""`metarep run`: every stage, from nothing or from checkpoints to a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigFile, Device, Overrides, Publish, Quiet, progress_for, usable_device
from .output import say_where


def run(
    source: Annotated[Path | None, typer.Argument(help="a YAML file, or a folder of checkpoints, or a zoo")] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    out: Annotated[Path | None, typer.Option("--out", help="the run's folder; by default results/NAME")] = None,
    publish: Publish = None,
    seed: Annotated[int | None, typer.Option("--seed", help="override the seeds of all stages; targets keep theirs")] = None,
    device: Device = "cpu",
    quiet: Quiet = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="make stages again whose settings or inputs have changed")
    ] = False,
) -> None:
    """Make everything, from a zoo or a folder of checkpoints to a report.

    Stages that are finished with the same settings and inputs are kept, so an interrupted run carries on.

    \b
    Examples:
      metarep run configs/quickstart.yaml --set pretrain.n_steps=500
      metarep run checkpoints/ --out results/mine --set zoo.labels=labels.csv
    """
    from metarep.pipeline import config_of
    from metarep.pipeline import run as run_all

    if source is None and config is None:
        raise typer.BadParameter("name a config file or a folder: metarep run SOURCE", param_hint="SOURCE")
    seeds = [] if seed is None else [f"seed={seed}"]
    settings = config_of(source or config, config if source else None, [*(overrides or []), *seeds])
    folder = out or Path("results") / settings.name
    how = {"device": usable_device(device), "overwrite": overwrite, "progress": progress_for(quiet)}
    run_all(settings, folder, publish_to=publish, **how)
    say_where("run", folder)
    if (folder / "report").is_dir():
        say_where("report", folder / "report" / "report.html")
