"""`metarep benchmark`: every representation on every zoo, label and property."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import DEVICE, OVERRIDES, Given, command
from .output import say_where

WITH = Annotated[
    list[Path] | None,
    typer.Option("--with", exists=True, dir_okay=False, help="a file of Python with further baselines; repeatable"),
]


@command(out="results/benchmark", device=DEVICE, publish=True, overwrite="make again what has changed", cluster=True)
def benchmark(
    given: Given,
    configs: Annotated[Path, typer.Argument(help="a folder of YAML files, one a zoo")],
    further: WITH = None,
    overrides: OVERRIDES = None,
) -> None:
    """Compare every representation on several zoos: labels and properties of networks and units, and what each costs.

    Each config is a run of its own, `metarep run CONFIG` makes it alone. What is finished with the same settings and inputs is
    kept.

    \b
    Example:
      metarep benchmark configs/benchmark --out results/benchmark --with my_representation.py
    """
    from metarep.series import BENCHMARK, run_configs

    files = ", ".join(str(file.resolve()) for file in further or ())
    own = [f"{stage}.further=[{files}]" for stage in ("cluster", "units")] if files else []
    path = run_configs(BENCHMARK, configs, given.out, overrides=own + (overrides or []), publish_to=given.publish, **given.how)
    typer.echo((path / "findings.md").read_text())
    say_where("benchmark", path)
