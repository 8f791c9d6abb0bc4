"""`metarep export`: one network of a zoo as a file for PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import OutFile, Quiet
from .output import say_where


def export(
    zoo: Annotated[Path, typer.Argument(help="a zoo's folder")],
    network_id: Annotated[str, typer.Argument(help="one of its networks, as the column network_id names it")],
    out: OutFile = None,
    dtype: Annotated[str | None, typer.Option(help="convert floats to float16, bfloat16, float32 or float64")] = None,
    quiet: Quiet = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace the file at --out")] = False,
) -> None:
    """Write one network of a zoo as a PyTorch state dict (.pt, .pth) or a .safetensors file.

    \b
    Example:
      metarep export results/zoo e09-2813536937 --out multiplier.pt
    """
    from metarep.zoos.exporting import export_network

    path = out or Path("results") / f"{network_id.replace('/', '_')}.pt"
    export_network(zoo, network_id, path, dtype=dtype, overwrite=overwrite)
    if not quiet:
        say_where("network", path)
