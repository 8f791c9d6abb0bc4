"""`metarep parts`: which parts of one network do the same thing?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigFile, Device, Overrides, Overwrite, Publish, Quiet, Seed, progress_for, usable_device
from .output import print_csv, say_where

PUBLISHED = {"tables/real": ("*.csv", "findings.md"), "figures/real": ("figures/*.png",)}


def parts(
    model: Annotated[Path, typer.Argument(help="a model's folder")],
    network: Annotated[Path, typer.Argument(help="a checkpoint file, or a zoo's folder with --network")],
    network_id: Annotated[str | None, typer.Option("--network", help="one of the zoo's networks, by its network_id")] = None,
    architecture: Annotated[Path | None, typer.Option(help="a YAML that says of tensors what their names do not")] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    out: Annotated[Path, typer.Option("--out", help="the folder to write")] = Path("results/parts"),
    publish: Publish = None,
    seed: Seed = None,
    device: Device = "cpu",
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Take one network apart: embed its units, layers and windows, cluster them, list the most alike.

    Everything is compared with copies of the network with permuted parameters. A model of multipliers also looks for
    networks that it knows inside one hidden layer, and names their modes.

    \b
    Examples:
      metarep parts results/model checkpoint.safetensors --out results/parts
      metarep parts results/model results/zoo --network e09-2813536937
    """
    from metarep.parts.settings import PartsConfig
    from metarep.parts.stage import parts as take_apart
    from metarep.runner import publish as publish_files
    from metarep.settings import load_config

    settings = load_config(PartsConfig, config, overrides, seed=seed)
    path = take_apart(
        settings,
        model,
        network,
        out,
        network_id=network_id,
        architecture=architecture,
        device=usable_device(device),
        overwrite=overwrite,
        progress=progress_for(quiet),
    )
    if publish is not None:
        publish_files(path, publish, PUBLISHED, named=lambda file: f"{path.name}-{file.name}")
    print_csv(path / "tests.csv", ("part", "statistic", "value", "null_p05", "null_p95", "p"))
    say_where("parts", path)
    say_where("page", path / "report.html")
