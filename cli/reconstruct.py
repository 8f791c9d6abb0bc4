"""`metarep reconstruct`: networks out of their vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import DEVICE, Given, command
from .output import print_csv, say_where

COLUMNS = ("code", "width", "metric", "value", "low", "high", "n", "n_runs")


@command("metarep.evaluation.settings:ReconstructConfig", out="results/reconstruction", device=DEVICE)
def reconstruct(
    given: Given,
    model: Annotated[Path, typer.Argument(help="the folder of a model with a decoder")],
    zoo: Annotated[Path, typer.Argument(help="a zoo's folder")],
) -> None:
    """Decode networks from their vectors, and see how much of them and of what they do comes back.

    The decoder stands beside principal components of the same width, the nearest training network and the mean one. Networks of
    one or two inputs are drawn: on the way from one to another, and sampled.

    \b
    Example:
      metarep pretrain results/zoo --set decoder=true --set bottleneck=4 --out results/model
      metarep reconstruct results/model results/zoo --out results/reconstruction
    """
    from metarep.evaluation.reconstruct import reconstruct as run
    from metarep.evaluation.reconstruct import sentence
    from metarep.report.outputs import png_of_networks
    from metarep.tables import read_csv

    path = run(given.settings(), model, zoo, given.out, draw=png_of_networks, **given.how)
    print_csv(path / "reconstruction.csv", COLUMNS)
    typer.echo(sentence(read_csv(path / "reconstruction.csv")))
    say_where("reconstruction", path)
