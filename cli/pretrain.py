"""`metarep pretrain`: train the cloze model on zoos."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from .options import DEVICE, Given, command
from .output import print_csv, say_where

COLUMNS = ("step", "train_loss", "valid_loss", "valid_r2")


@command("metarep.model.settings:PretrainConfig", out="results/model", device=DEVICE)
def pretrain(
    given: Given,
    zoo: Annotated[list[Path], typer.Argument(help="one or more folders of zoos, built or imported")],
) -> None:
    """Train a transformer to predict masked parameters of networks.

    One model reads networks of any architecture. After Ctrl-C the same command carries on and ends with the same weights.

    \b
    Examples:
      metarep pretrain results/zoo --out results/model --set n_steps=2000
      metarep pretrain results/zoo results/imported --set chunk=8
      torchrun --no-python --nproc-per-node 2 metarep pretrain results/zoo --out results/model
    """
    from metarep.model.pretraining import pretrain as train

    path = train(given.settings(), list(zoo), given.out, **given.how)
    if os.environ.get("RANK", "0") != "0":
        return
    say_where("model", path)
    print_csv(path / "log.csv", COLUMNS, last=1)
