"""`metarep pretrain`: teach the cloze model on a zoo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigFile, Device, Out, Overrides, Overwrite, Quiet, Seed, progress_for, usable_device
from .output import print_csv, say_where


def pretrain(
    zoo: Annotated[list[Path], typer.Argument(help="a zoo's folder; several for a model of many architectures")],
    windows: Annotated[bool, typer.Option("--windows", help="the window model, for a built zoo too")] = False,
    config: ConfigFile = None,
    overrides: Overrides = None,
    out: Out = Path("results/model"),
    seed: Seed = None,
    device: Device = "cpu",
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Teach a transformer to fill in hidden parameters of networks.

    One built zoo of one architecture gives the cloze model of whole networks; several zoos, an imported one or --windows the
    window model, which reads any network. After Ctrl-C the same command carries on and ends with the same weights.

    \b
    Examples:
      metarep pretrain results/zoo --out results/model --set n_steps=2000
      metarep pretrain results/zoo results/digits --out results/windows --set chunk=8
    """
    from metarep.zoos.zoo import open_zoo

    windows = windows or len(zoo) > 1 or "shard" in open_zoo(zoo[0], check_hashes=False)
    shared = {"device": usable_device(device), "overwrite": overwrite, "progress": progress_for(quiet)}
    if windows:
        from metarep.settings import load_config
        from metarep.windows.pretrain import pretrain_windows
        from metarep.windows.settings import WindowPretrainConfig

        path = pretrain_windows(load_config(WindowPretrainConfig, config, overrides, seed=seed), list(zoo), out, **shared)
        say_where("window model", path)
    else:
        from metarep.cloze.pretrain import pretrain as train
        from metarep.cloze.settings import PretrainConfig
        from metarep.settings import load_config

        path = train(load_config(PretrainConfig, config, overrides, seed=seed), zoo[0], out, **shared)
        say_where("model", path)
    if (path / "masked_r2.csv").is_file():
        typer.echo("share of the variance of hidden values that is explained (R², held-out networks):")
        spread = () if windows else ("low", "high", "null_p95")
        print_csv(path / "masked_r2.csv", ("masking", "predictor", "r2", *spread, "n_values"), {"group": "all"})
