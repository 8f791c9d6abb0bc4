"""`metarep transfer`: does what was learned on one zoo hold on others?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import DEVICE, Given, command
from .output import print_csv, say_where

COLUMNS = ("representation", "target", "label", "probe", "metric", "value", "low", "high", "null", "n")


@command("metarep.evaluation.settings:TransferConfig", out="results/transfer", device=DEVICE)
def transfer(
    given: Given,
    model: Annotated[Path, typer.Argument(help="a model's folder")],
    zoos: Annotated[list[Path], typer.Argument(help="the zoos to carry over to")],
) -> None:
    """Test on other zoos what was learned on one.

    The model's own zoo is found through the model; its held-out networks and random initialisations come along.

    \b
    Example:
      metarep transfer results/model results/zoo-e07 --out results/transfer
    """
    from metarep.evaluation.transfer import transfer as carry_over

    path = carry_over(given.settings(), model, list(zoos), given.out, **given.how)
    say_where("transfer", path)
    print_csv(path / "transfer.csv", COLUMNS)
