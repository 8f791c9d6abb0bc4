"""`metarep export`: one network of a zoo as a file for PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigFile, CpuOnly, Overrides, Quiet, Seedless, require_cpu
from .output import say_where


def export(
    zoo: Annotated[Path, typer.Argument(help="a zoo's folder, built or imported")],
    network_id: Annotated[str, typer.Argument(help="one of its networks, as the column network_id names it")],
    out: Annotated[
        Path | None, typer.Option("--out", help="a .pt, .pth or .safetensors file; results/<network_id>.pt if left out")
    ] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    seed: Seedless = None,
    device: CpuOnly = "cpu",
    quiet: Quiet = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace the file at --out")] = False,
) -> None:
    """Give one network of a zoo back as a PyTorch state dict or a safetensors file.

    \b
    Example:
      metarep export results/zoo e09-2813536937 --out multiplier.pt
    """
    from metarep.settings import load_config
    from metarep.zoos.exporting import export_network
    from metarep.zoos.settings import ExportConfig

    require_cpu(device)
    settings = load_config(ExportConfig, config, overrides)
    path = out or Path("results") / f"{network_id.replace('/', '_')}.pt"
    export_network(zoo, network_id, path, overwrite=overwrite, check_hashes=settings.check_hashes)
    if not quiet:
        say_where("network", path)
