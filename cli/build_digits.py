"""`metarep build-digits`: a zoo of small convolutional networks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigFile, Out, Overrides, Overwrite, Quiet, Seed, progress_for
from .output import say_where


def build_digits(
    n_runs: Annotated[int | None, typer.Option(help="training runs, each kept at several epochs")] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    out: Out = Path("results/digits"),
    seed: Seed = None,
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Train small convolutional networks on scikit-learn's digits, with hyperparameters drawn for each.

    The zoo is one of `metarep import`: any architecture, with accuracies, epoch and hyperparameters as properties. After
    Ctrl-C the same command carries on.

    \b
    Example:
      metarep build-digits --n-runs 600 --out results/digits
    """
    from metarep.domains.digits.build import build_digits as build
    from metarep.domains.digits.settings import DigitsConfig
    from metarep.settings import load_config

    settings = load_config(DigitsConfig, config, overrides, seed=seed, n_runs=n_runs)
    path = build(settings, out, overwrite=overwrite, progress=progress_for(quiet))
    say_where("zoo", path)
