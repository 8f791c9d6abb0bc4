"""`metarep run`: every stage, from nothing or from checkpoints to a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import DEVICE, Given, command
from .output import say_run


@command(
    "metarep.run_settings:RunConfig",
    out_help="the run's folder; by default results/NAME",
    overwrite="make stages again whose settings or inputs have changed",
    seed="override the seeds of all stages; targets keep theirs",
    device=DEVICE,
    publish=True,
    cluster=True,
)
def run(
    given: Given,
    source: Annotated[Path | None, typer.Argument(help="a folder of checkpoints, a YAML file, or a zoo")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="a CSV or Parquet table of labels and properties; its column `file` joins")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="a first look at a folder in about two minutes")] = False,
) -> None:
    """Make everything, from a folder of checkpoints or from a zoo to a report.

    Says first what was found, what will be done with which settings, and about how long that takes. Settings that neither
    --config nor --set states are fitted to the folder. Stages that are finished with the same settings and inputs are kept, so
    an interrupted run carries on.

    \b
    Examples:
      metarep run checkpoints/ --labels labels.csv --out results/mine
      metarep run configs/quickstart.yaml --set pretrain.n_steps=500
    """
    from metarep.outlook import run_folder

    if source is None and given.config is None:
        raise typer.BadParameter("name a folder or a config file: metarep run SOURCE", param_hint="SOURCE")
    seeds = [] if given.seed is None else [f"seed={given.seed}"]
    folder = run_folder(
        source or given.config,
        given.out,
        labels=labels,
        quick=quick,
        config=given.config if source else None,
        overrides=[*(given.overrides or []), *seeds],
        publish_to=given.publish,
        **given.how,
    )
    say_run(folder)
