"""`metarep transfer`: does what was learned on one zoo hold on others?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigFile, Device, Out, Overrides, Overwrite, Quiet, Seed, progress_for, usable_device
from .output import print_csv, say_where

COLUMNS = ("representation", "target", "label", "probe", "metric", "value", "low", "high", "null", "n")


def transfer(
    model: Annotated[Path, typer.Argument(help="a model's folder")],
    zoos: Annotated[list[Path], typer.Argument(help="the zoos to carry over to")],
    config: ConfigFile = None,
    overrides: Overrides = None,
    out: Out = Path("results/transfer"),
    seed: Seed = None,
    device: Device = "cpu",
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Test on other zoos what was learned on one.

    The model's own zoo is found through the model; its held-out networks and random initialisations come along.

    \b
    Example:
      metarep transfer results/model results/zoo-e07 --out results/transfer
    """
    from metarep.evaluation.settings import TransferConfig
    from metarep.evaluation.transfer import transfer as carry_over
    from metarep.settings import load_config

    settings = load_config(TransferConfig, config, overrides, seed=seed)
    how = {"device": usable_device(device), "overwrite": overwrite, "progress": progress_for(quiet)}
    path = carry_over(settings, model, list(zoos), out, **how)
    say_where("transfer", path)
    print_csv(path / "transfer.csv", COLUMNS)
