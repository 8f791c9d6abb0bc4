"""`metarep demo`: a report without training anything."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import Given, command
from .output import say_run


@command(out="results/demo", overwrite="make stages again whose settings or inputs have changed")
def demo(
    given: Given,
    example: Annotated[str, typer.Argument(help="one of the examples that come with metarep")] = "multiplier",
) -> None:
    """Write the report on a small zoo and a model that come with metarep: what a run ends in, within a minute.

    \b
    Example:
      metarep demo --out results/demo
    """
    from metarep.examples import demo as show

    say_run(show(given.out, example, **given.how))
