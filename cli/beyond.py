"""`metarep beyond`: what a model of tiny networks says of other ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigFile, Out, Overrides, Overwrite, Publish, Quiet, Seed, progress_for
from .output import print_csv, say_where

COLUMNS = ("study", "quantity", "found")


def beyond(
    name: Annotated[str, typer.Argument(help="planted, trained, architectures, digits, large, or all")],
    model: Annotated[
        Path | None, typer.Option("--model", help="a model pretrained on 2-2-1 networks; made if left out")
    ] = None,
    zoo: Annotated[Path | None, typer.Option("--zoo", help="its zoo; where the model's manifest says if left out")] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    out: Out = Path("results/beyond"),
    publish: Publish = None,
    seed: Seed = None,
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Go beyond tiny whole networks: parts inside larger ones, other architectures, convolutions, size.

    planted: networks built of 2-2-1 blocks, are they found · trained: the parts of wide networks, ablated ·
    architectures: read for the first time · digits: accuracy, epoch and gap of convolutional networks · large: time and
    memory.

    \b
    Example:
      metarep beyond planted --model results/representation/model --out results/beyond
    """
    from metarep.settings import load_config
    from metarep.studies.running import run_series
    from metarep.studies.series import BEYOND

    paths = {key: None if path is None else str(path) for key, path in (("model", model), ("zoo", zoo))}
    settings = load_config(BEYOND.config, config, overrides, seed=seed, **paths)
    how = {"publish_to": publish, "overwrite": overwrite, "progress": progress_for(quiet)}
    path = run_series(settings, name, out, series=BEYOND, **how)
    print_csv(path / "report" / "summary.csv", COLUMNS)
    say_where("page", path / "report" / "report.html")
