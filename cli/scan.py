"""`metarep scan`: the hand-built score for mode 3, measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigFile, CpuOnly, Out, Overrides, Overwrite, Quiet, Seed, progress_for, require_cpu
from .output import print_csv, say_where


def scan(
    zoo: Annotated[Path, typer.Argument(help="a zoo's folder")],
    config: ConfigFile = None,
    overrides: Overrides = None,
    out: Out = Path("results/scan"),
    seed: Seed = None,
    device: CpuOnly = "cpu",
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Measure how well the hand-built score tells mode 3 from the rest.

    \b
    Example:
      metarep scan results/zoo --out results/scan
    """
    from metarep.analysis.scan import scan as score
    from metarep.config import ScanConfig, load_config

    require_cpu(device)
    settings = load_config(ScanConfig, config, overrides, seed=seed)
    path = score(settings, zoo, out, overwrite=overwrite, progress=progress_for(quiet))
    say_where("scan", path)
    print_csv(path / "scan.csv", ("positive", "negative", "n_positive", "n_negative", "auc", "auc_low", "auc_high"))
