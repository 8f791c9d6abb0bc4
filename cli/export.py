"""`metarep export`: one network of a zoo as a file for PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import FILE, Given, command
from .output import say_where


@command(**FILE)
def export(
    given: Given,
    zoo: Annotated[Path, typer.Argument(help="a zoo's folder")],
    network_id: Annotated[str, typer.Argument(help="one of its networks, as the column network_id names it")],
    dtype: Annotated[str | None, typer.Option(help="convert floats to float16, bfloat16, float32 or float64")] = None,
) -> None:
    """Write one network of a zoo as a PyTorch state dict (.pt, .pth) or a .safetensors file.

    \b
    Example:
      metarep export results/zoo e09-2813536937 --out multiplier.pt
    """
    from metarep.zoos.exporting import export_network

    path = given.out or Path("results") / f"{network_id.replace('/', '_')}.pt"
    export_network(zoo, network_id, path, dtype=dtype, overwrite=given.overwrite)
    if not given.quiet:
        say_where("network", path)
