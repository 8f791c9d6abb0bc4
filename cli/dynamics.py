"""`metarep dynamics`: how networks pass through the modes while they learn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import DEVICE, Given, command
from .output import print_csv, say_where


@command("metarep.domains.multiplier.settings:DynamicsConfig", out="results/dynamics", device=DEVICE)
def dynamics(
    given: Given,
    zoo: Annotated[Path, typer.Argument(help="the folder of a zoo with snapshots")],
    model: Annotated[Path | None, typer.Option(help="a cloze model's folder: follow its embedding along the runs too")] = None,
) -> None:
    """Follow the modes through training: transitions, last changes, and whether the error drops there.

    \b
    Example:
      metarep build-zoo --n-networks 2000 --snapshots 40 --out results/snapshots
      metarep dynamics results/snapshots --out results/dynamics
    """
    from metarep.domains.multiplier.dynamics import dynamics as follow

    path = follow(given.settings(), zoo, given.out, model=model, **given.how)
    say_where("dynamics", path)
    typer.echo((path / "findings.txt").read_text(), nl=False)
    print_csv(path / "transitions.csv", ("from_mode", "to_mode", "n", "share", "low", "high"))
