"""`metarep parts`: which parts of one network do the same thing?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import DEVICE, Given, command
from .output import print_csv, say_where

PUBLISHED = {"tables/real": ("*.csv", "findings.md"), "figures/real": ("figures/*.png",)}


@command("metarep.parts.settings:PartsConfig", out="results/parts", device=DEVICE, publish=True)
def parts(
    given: Given,
    model: Annotated[Path, typer.Argument(help="a model's folder")],
    network: Annotated[Path, typer.Argument(help="a checkpoint file, or a zoo's folder with --network")],
    network_id: Annotated[str | None, typer.Option("--network", help="one of the zoo's networks, by its network_id")] = None,
    architecture: Annotated[Path | None, typer.Option(help="a YAML that says of tensors what their names do not")] = None,
) -> None:
    """Take one network apart: embed its units, layers and windows, cluster them, list the most alike.

    Everything is compared with copies of the network with permuted parameters. A model of multipliers also looks for
    networks that it knows inside one hidden layer, and names their modes.

    \b
    Examples:
      metarep parts results/model checkpoint.safetensors --out results/parts
      metarep parts results/model results/zoo --network e09-2813536937
    """
    from metarep.parts.stage import parts as take_apart
    from metarep.runner import publish as publish_files

    which = {"network_id": network_id, "architecture": architecture}
    path = take_apart(given.settings(), model, network, given.out, **which, **given.how)
    if given.publish is not None:
        publish_files(path, given.publish, PUBLISHED, named=lambda file: f"{path.name}-{file.name}")
    print_csv(path / "tests.csv", ("part", "statistic", "value", "null_p05", "null_p95", "p"))
    say_where("parts", path)
    say_where("page", path / "report.html")
