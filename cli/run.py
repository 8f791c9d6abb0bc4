"""`metarep run`: every stage, from nothing or from checkpoints to a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import DEVICE, Given, command
from .output import say_where


@command(
    "metarep.run_settings:RunConfig",
    out_help="the run's folder; by default results/NAME",
    overwrite="make stages again whose settings or inputs have changed",
    seed="override the seeds of all stages; targets keep theirs",
    device=DEVICE,
    publish=True,
)
def run(
    given: Given,
    source: Annotated[Path | None, typer.Argument(help="a YAML file, or a folder of checkpoints, or a zoo")] = None,
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

    if source is None and given.config is None:
        raise typer.BadParameter("name a config file or a folder: metarep run SOURCE", param_hint="SOURCE")
    seeds = [] if given.seed is None else [f"seed={given.seed}"]
    settings = config_of(source or given.config, given.config if source else None, [*(given.overrides or []), *seeds])
    folder = given.out or Path("results") / settings.name
    run_all(settings, folder, publish_to=given.publish, **given.how)
    say_where("run", folder)
    if (folder / "map").is_dir():
        say_where("map", folder / "map" / "map.html")
    if (folder / "report").is_dir():
        say_where("report", folder / "report" / "report.html")
