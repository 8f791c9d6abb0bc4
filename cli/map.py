"""`metarep map`: the networks of a run as points, in one HTML file to look around in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Given, command
from .output import say_where


@command(
    "metarep.map.settings:MapConfig",
    out_help="the HTML file to write; by default map.html in the first of the folders",
    overwrite="replace the file at --out",
)
def map_(
    given: Given,
    sources: Annotated[list[Path], typer.Argument(help="a run; or embeddings, with or without their zoo")],
) -> None:
    """Draw every network as a point, in one HTML file that opens by double click and needs no network.

    \b
    Examples:
      metarep map results/quickstart
      metarep map results/embeddings --out map.html --set picture_megabytes=20
    """
    from metarep.map.page import write_map

    path = write_map(given.settings(), sources, given.out or sources[0] / "map.html", **given.how)
    say_where("map", path)
