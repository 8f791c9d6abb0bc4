"""`metarep push`: a model on the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Given, command


@command(writes=False)
def push(
    given: Given,
    model: Annotated[Path, typer.Argument(help="a model's folder")],
    repo: Annotated[str, typer.Argument(help="the repository, as user/name")],
    private: Annotated[bool, typer.Option("--private", help="make the repository private, if it is new")] = False,
) -> None:
    """Upload a model with a card to the Hugging Face Hub; `metarep.from_pretrained` reads it from there.

    \b
    Example:
      metarep push results/mine/model user/name
    """
    from metarep.hub import push as upload

    typer.echo(f"model: {upload(model, repo, private=private)}")
