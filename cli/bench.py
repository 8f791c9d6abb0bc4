"""`metarep bench`: how fast the engines are, side by side on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Out, Overwrite, Quiet, progress_for
from .output import print_table, say_where

bench_app = typer.Typer(
    help="Measure speed on this machine.\n\nExample: metarep bench zoo", no_args_is_help=True, rich_markup_mode=None
)


@bench_app.callback()
def _bench() -> None:
    """A group, even with one command in it."""


@bench_app.command("zoo")
def zoo(
    specs: Annotated[str, typer.Option(metavar="SPEC,SPEC,…", help="the architectures")] = "2-2-1,2-16-1,2-2-2-1",
    n_networks: Annotated[int | None, typer.Option(help="networks for the fast engine")] = None,
    out: Out = Path("results/bench"),
    seed: Annotated[int, typer.Option(help="of the networks")] = 0,
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Train the same networks with the plain PyTorch loop, batched PyTorch and the fast engine.

    \b
    Example:
      metarep bench zoo --specs 2-2-1 --out results/bench --overwrite
    """
    from metarep.zoo.bench import bench_zoo

    chosen = {} if n_networks is None else {"n_networks": n_networks}
    rows = bench_zoo(
        out, specs=specs.split(","), seed=seed, overwrite=overwrite, progress=progress_for(quiet), **chosen
    )
    print_table(list(rows[0]), [list(row.values()) for row in rows])
    say_where("bench", out)
