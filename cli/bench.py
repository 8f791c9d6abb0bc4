"""`metarep bench`: how fast engines and pretraining are on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import DEVICE, Given, command
from .output import print_csv, print_table, say_where
from .settings_help import WIDE, help_of

bench_app = typer.Typer(
    help="Measure speed on this machine.\n\nExample: metarep bench zoo", no_args_is_help=True, rich_markup_mode=None
)


@command("metarep.training.bench:BenchConfig", out="results/bench", device="of the batched PyTorch engine: cpu or cuda")
def zoo(
    given: Given,
    specs: Annotated[str | None, typer.Option(metavar="SPEC,SPEC,…", help="the architectures")] = None,
) -> None:
    """Time the plain PyTorch loop, batched PyTorch and the fast engine.

    All three train the same networks by the whole recipe; the table says how far their parameters differ.

    \b
    Example:
      metarep bench zoo --specs 2-2-1 --out results/bench --overwrite
    """
    from metarep.networks.spec import NetworkSpec
    from metarep.training.bench import COLUMNS, bench_zoo

    settings = given.settings(specs=specs.split(",") if specs else None)
    for spec in settings.specs:
        NetworkSpec.parse(spec)
    path = bench_zoo(settings, given.out, **given.how)
    print_csv(path / "bench.csv", COLUMNS)
    say_where("bench", path)


@command("metarep.model.settings:PretrainConfig", writes=False, device=DEVICE)
def pretrain(
    given: Given,
    zoos: Annotated[list[Path], typer.Argument(help="one or more folders of zoos")],
    seconds: Annotated[float, typer.Option(min=0.1, help="how long steps are timed, about")] = 10.0,
) -> None:
    """Time steps of pretraining, and their share of the machine's matrix products.

    \b
    Example:
      metarep bench pretrain results/zoo --set d_model=128
    """
    from metarep.model.bench import bench_pretraining

    how = {name: value for name, value in given.how.items() if name != "overwrite"}
    rows = bench_pretraining(given.settings(), zoos, seconds=seconds, **how)
    print_table(("metric", "value", "unit"), [(row["metric"], row["value"], row["unit"]) for row in rows])


for _command in (zoo, pretrain):
    bench_app.command(_command.__name__, cls=help_of(_command), context_settings=WIDE)(_command)
