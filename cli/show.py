"""`metarep show`: one network as a figure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import FILE, Given, command
from .output import say_where


@command(**FILE)
def show(
    given: Given,
    zoo: Annotated[Path, typer.Argument(help="a zoo's folder")],
    network_id: Annotated[str, typer.Argument(help="one of its networks, as the column network_id names it")],
    dpi: Annotated[int, typer.Option(min=40, max=600, help="pixels per inch")] = 150,
) -> None:
    """Draw one network of two inputs: the unit square through its every step.

    \b
    Example:
      metarep show results/zoo e09-2813536937 --out mode3.png
    """
    from metarep.artefact import refuse_to_replace, write_whole
    from metarep.domains.multiplier.figures.square import draw_network
    from metarep.errors import MetarepError
    from metarep.report.style import png_of
    from metarep.zoos.zoo import open_zoo

    path = given.out or Path("results") / f"{network_id.replace('/', '_')}.png"
    refuse_to_replace(path, given.overwrite)
    networks = open_zoo(zoo)
    if "spec" not in networks:
        fix = "`metarep parts MODEL ZOO --network ID` takes any network apart"
        raise MetarepError("show draws fully connected networks of two inputs", met=networks.architectures[0].title, fix=fix)
    found = networks.select([networks.row_of(network_id)])
    write_whole(path, png_of(draw_network(found.spec, found["params"][0]), dpi=dpi))
    if given.quiet:
        return
    mode = found["mode"][0] or "none" if "mode" in found else "none"
    mse = found["valid_mse"][0]
    typer.echo(f"{network_id}: {found['spec'][0]}, step {found['step'][0]}, mode {mode}, validation error {mse:.4g}")
    say_where("figure", path)
