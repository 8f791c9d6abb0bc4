"""`metarep build-digits`: a zoo of small convolutional networks."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import Given, command
from .output import say_where


@command("metarep.domains.digits.settings:DigitsConfig", out="results/digits")
def build_digits(
    given: Given,
    n_runs: Annotated[int | None, typer.Option(help="training runs, each kept at several epochs")] = None,
) -> None:
    """Train small convolutional networks on scikit-learn's digits, with hyperparameters drawn for each.

    The zoo is one of `metarep import`: any architecture, with accuracies, epoch and hyperparameters as properties. After
    Ctrl-C the same command carries on.

    \b
    Example:
      metarep build-digits --n-runs 600 --out results/digits
    """
    from metarep.domains.digits.build import build_digits as build

    say_where("zoo", build(given.settings(n_runs=n_runs), given.out, **given.how))
