"""`metarep pretrain`: train the cloze model on zoos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigFile, Device, Out, Overrides, Overwrite, Quiet, Seed, progress_for, usable_device
from .output import print_csv, say_where

COLUMNS = ("step", "train_loss", "valid_loss", "valid_r2")


def pretrain(
    zoo: Annotated[list[Path], typer.Argument(help="one or more folders of zoos, built or imported")],
    config: ConfigFile = None,
    overrides: Overrides = None,
    out: Out = Path("results/model"),
    seed: Seed = None,
    device: Device = "cpu",
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Train a transformer to predict masked parameters of networks.

    One model reads networks of any architecture. After Ctrl-C the same command carries on and ends with the same weights.

    \b
    Examples:
      metarep pretrain results/zoo --out results/model --set n_steps=2000
      metarep pretrain results/zoo results/imported --set chunk=8
    """
    from metarep.model.pretraining import pretrain as train
    from metarep.model.settings import PretrainConfig
    from metarep.settings import load_config

    settings = load_config(PretrainConfig, config, overrides, seed=seed)
    how = {"device": usable_device(device), "overwrite": overwrite, "progress": progress_for(quiet)}
    path = train(settings, list(zoo), out, **how)
    say_where("model", path)
    print_csv(path / "log.csv", COLUMNS, last=1)
