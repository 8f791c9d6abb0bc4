"""`metarep pretrain`: teach the cloze model on a zoo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigFile, Device, Out, Overrides, Overwrite, Quiet, Seed, progress_for, usable_device
from .output import print_csv, say_where


def pretrain(
    zoo: Annotated[Path, typer.Argument(help="a zoo's folder")],
    config: ConfigFile = None,
    overrides: Overrides = None,
    out: Out = Path("results/model"),
    seed: Seed = None,
    device: Device = "cpu",
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Teach a transformer to fill in hidden parameters of networks.

    After Ctrl-C the same command carries on and ends with the same weights.

    \b
    Example:
      metarep pretrain results/zoo --out results/model --set n_steps=2000
    """
    from metarep.cloze.pretrain import pretrain as train
    from metarep.config import PretrainConfig
    from metarep.settings import load_config

    settings = load_config(PretrainConfig, config, overrides, seed=seed)
    path = train(settings, zoo, out, device=usable_device(device), overwrite=overwrite, progress=progress_for(quiet))
    say_where("model", path)
    if settings.objective == "cloze":
        typer.echo("share of the variance of hidden values that is explained (R², held-out networks):")
        print_csv(path / "masked_r2.csv", ("masking", "predictor", "r2", "n_values"), {"group": "all"})
