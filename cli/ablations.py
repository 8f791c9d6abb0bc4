"""`metarep ablations`: runs side by side, one change a row."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigFile, CpuOnly, Out, Overrides, Overwrite, Quiet, Seedless, progress_for, require_cpu
from .output import print_csv, say_where


def ablations(
    runs: Annotated[list[Path], typer.Argument(help="the folders of runs, such as those of configs/ablations")],
    config: ConfigFile = None,
    overrides: Overrides = None,
    out: Out = Path("results/ablations"),
    seed: Seedless = None,
    device: CpuOnly = "cpu",
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Put runs side by side, one change a row.

    \b
    Example:
      metarep run configs/ablations/masks.yaml
      metarep ablations results/ablations-masks --out results/ablations
    """
    from metarep.report.ablations import ablations as compare
    from metarep.report.settings import ReportConfig
    from metarep.settings import load_config

    require_cpu(device)
    settings = load_config(ReportConfig, config, overrides)
    path = compare(list(runs), out, config=settings, overwrite=overwrite, progress=progress_for(quiet))
    say_where("ablations", path)
    print_csv(path / "ablations.csv", ("run", "row", "embedding", "kmeans_ari", "gmm_ari", "mode_linear", "masked_r2"))
