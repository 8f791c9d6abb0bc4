"""`metarep bench`: how fast engines and pretraining are on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigFile, Device, Out, Overrides, Overwrite, Quiet, Seed, progress_for, usable_device
from .output import print_csv, print_table, say_where
from .settings_help import WIDE, with_settings

bench_app = typer.Typer(
    help="Measure speed on this machine.\n\nExample: metarep bench zoo", no_args_is_help=True, rich_markup_mode=None
)


@bench_app.command("zoo", cls=with_settings("metarep.training.bench:BenchConfig"), context_settings=WIDE)
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


@bench_app.command("pretrain", cls=with_settings("metarep.model.settings:PretrainConfig"), context_settings=WIDE)
def pretrain(
    zoos: Annotated[list[Path], typer.Argument(help="one or more folders of zoos")],
    seconds: Annotated[float, typer.Option(min=0.1, help="how long steps are timed, about")] = 10.0,
    config: ConfigFile = None,
    overrides: Overrides = None,
    seed: Seed = None,
    device: Device = "cpu",
    quiet: Quiet = False,
) -> None:
    """Time steps of pretraining, and their share of the machine's matrix products.

    \b
    Example:
      metarep bench pretrain results/zoo --set d_model=128
    """
    from metarep.model.bench import bench_pretraining
    from metarep.model.settings import PretrainConfig
    from metarep.settings import load_config

    settings = load_config(PretrainConfig, config, overrides, seed=seed)
    rows = bench_pretraining(settings, zoos, device=usable_device(device), seconds=seconds, progress=progress_for(quiet))
    print_table(("metric", "value", "unit"), [(row["metric"], row["value"], row["unit"]) for row in rows])
