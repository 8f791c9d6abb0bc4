"""`metarep ablations`: a series of runs side by side, one change a row."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Device, Out, Overrides, Publish, Quiet, progress_for, usable_device
from .output import print_csv, say_where

COLUMNS = ("run", "row", "embedding", "kmeans_ari", "gmm_ari", "linear", "masked_r2")


def ablations(
    configs: Annotated[Path, typer.Argument(help="a folder of YAML files: base.yaml and those that extend it")],
    overrides: Overrides = None,
    out: Out = Path("results/ablations"),
    publish: Publish = None,
    device: Device = "cpu",
    quiet: Quiet = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="make again what has changed")] = False,
) -> None:
    """Run a series of configs that share a zoo and a base model, and put their models side by side.

    What is finished with the same settings and inputs is kept.

    \b
    Example:
      metarep ablations configs/ablations --out results/ablations
    """
    from metarep.series import run_series

    how = {"device": usable_device(device), "overwrite": overwrite, "progress": progress_for(quiet)}
    path = run_series(configs, out, overrides=overrides, publish_to=publish, **how)
    say_where("ablations", path)
    print_csv(path / "ablations.csv", COLUMNS)
