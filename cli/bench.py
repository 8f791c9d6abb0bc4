"""`metarep bench`: how fast the engines are, side by side on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigFile, Out, Overrides, Overwrite, Quiet, Seed, progress_for, usable_device
from .output import print_csv, say_where

bench_app = typer.Typer(
    help="Measure speed on this machine.\n\nExample: metarep bench zoo", no_args_is_help=True, rich_markup_mode=None
)


@bench_app.callback()
def _bench() -> None:
    """A group, even with one command in it."""


@bench_app.command("zoo")
def zoo(
    specs: Annotated[str | None, typer.Option(metavar="SPEC,SPEC,…", help="the architectures")] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    out: Out = Path("results/bench"),
    seed: Seed = None,
    device: Annotated[str, typer.Option("--device", help="of the batched PyTorch engine: cpu or cuda")] = "cpu",
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Time the plain PyTorch loop, batched PyTorch and the fast engine.

    All three train the same networks by the whole recipe; the table says how far their parameters differ.

    \b
    Example:
      metarep bench zoo --specs 2-2-1 --out results/bench --overwrite
    """
    from metarep.networks.spec import NetworkSpec
    from metarep.settings import load_config
    from metarep.training.bench import COLUMNS, BenchConfig, bench_zoo

    settings = load_config(BenchConfig, config, overrides, seed=seed, specs=specs.split(",") if specs else None)
    for spec in settings.specs:
        NetworkSpec.parse(spec)
    path = bench_zoo(settings, out, device=usable_device(device), overwrite=overwrite, progress=progress_for(quiet))
    print_csv(path / "bench.csv", COLUMNS)
    say_where("bench", path)
