"""`metarep ablations`: a series of runs side by side, one change a row."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import DEVICE, OVERRIDES, Given, command
from .output import print_csv, say_where

COLUMNS = ("run", "row", "embedding", "kmeans_ari", "gmm_ari", "linear", "masked_r2")


@command(out="results/ablations", device=DEVICE, publish=True, overwrite="make again what has changed", cluster=True)
def ablations(
    given: Given,
    configs: Annotated[Path, typer.Argument(help="a folder of YAML files: base.yaml and those that extend it")],
    overrides: OVERRIDES = None,
) -> None:
    """Run a series of configs that share a zoo and a base model, and put their models side by side.

    What is finished with the same settings and inputs is kept.

    \b
    Example:
      metarep ablations configs/ablations --out results/ablations
    """
    from metarep.series import ABLATIONS, run_configs

    path = run_configs(ABLATIONS, configs, given.out, overrides=overrides, publish_to=given.publish, **given.how)
    say_where("ablations", path)
    print_csv(path / "ablations.csv", COLUMNS)
