"""`metarep dynamics`: how networks pass through the modes while they learn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigFile, Device, Out, Overrides, Overwrite, Quiet, Seed, progress_for, usable_device
from .output import print_csv, say_where


def dynamics(
    zoo: Annotated[Path, typer.Argument(help="the folder of a zoo with snapshots")],
    model: Annotated[Path | None, typer.Option(help="a cloze model's folder: follow its embedding along the runs too")] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    out: Out = Path("results/dynamics"),
    seed: Seed = None,
    device: Device = "cpu",
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Follow the modes through training: transitions, last changes, and whether the error drops there.

    \b
    Example:
      metarep build-zoo --n-networks 2000 --snapshots 40 --out results/snapshots
      metarep dynamics results/snapshots --out results/dynamics
    """
    from metarep.domains.multiplier.dynamics import dynamics as follow
    from metarep.domains.multiplier.settings import DynamicsConfig
    from metarep.settings import load_config

    settings = load_config(DynamicsConfig, config, overrides, seed=seed)
    path = follow(
        settings, zoo, out, model=model, device=usable_device(device), overwrite=overwrite, progress=progress_for(quiet)
    )
    say_where("dynamics", path)
    typer.echo((path / "findings.txt").read_text(), nl=False)
    print_csv(path / "transitions.csv", ("from_mode", "to_mode", "n", "share", "low", "high"), {"span": "whole"})
