"""`metarep bench`: how fast engines, pretraining, embedding, import, clustering and maps are on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from .options import DEVICE, Given, command, numbers
from .output import print_csv, print_table, say_where
from .settings_help import WIDE, help_of

bench_app = typer.Typer(
    help="Measure speed on this machine.\n\nExample: metarep bench zoo", no_args_is_help=True, rich_markup_mode=None
)
SIZES = Annotated[str | None, typer.Option(metavar="N,N,…", help="the sizes")]


@command("metarep.training.bench:BenchConfig", out="results/bench", device=DEVICE)
def zoo(
    given: Given,
    specs: Annotated[str | None, typer.Option(metavar="SPEC,SPEC,…", help="the architectures")] = None,
) -> None:
    """Time the plain PyTorch loop, batched PyTorch, the fast engine and on a GPU the fused kernel.

    All train the same networks by the whole recipe; the table says how far their parameters differ.

    \b
    Example:
      metarep bench zoo --specs 2-2-1 --out results/bench --overwrite
    """
    from metarep.networks.spec import NetworkSpec
    from metarep.training.bench import bench_zoo

    settings = given.settings(specs=specs.split(",") if specs else None)
    for spec in settings.specs:
        NetworkSpec.parse(spec)
    path = bench_zoo(settings, given.out, **given.how)
    print_csv(path / "bench.csv")
    say_where("bench", path)


@command("metarep.model.settings:PretrainConfig", writes=False, device=DEVICE)
def pretrain(
    given: Given,
    zoos: Annotated[list[Path], typer.Argument(help="one or more folders of zoos")],
    seconds: Annotated[float, typer.Option(min=0.1, help="how long steps are timed, about")] = 10.0,
    bfloat16: Annotated[bool, typer.Option("--bfloat16", help="products in bfloat16, on a GPU")] = False,
) -> None:
    """Time steps of pretraining, and their share of the machine's matrix products.

    \b
    Example:
      metarep bench pretrain results/zoo --set d_model=128
    """
    from metarep.model.bench import bench_pretraining

    _print(bench_pretraining(given.settings(), zoos, seconds=seconds, bfloat16=bfloat16, **_how(given)))


@command("metarep.embeddings.bench:EmbedBenchConfig", writes=False, device=DEVICE)
def embed(given: Given, sizes: SIZES = None) -> None:
    """Time embedding against the size of a network.

    \b
    Example:
      metarep bench embed --sizes 100000,1000000,10000000
    """
    from metarep.embeddings.bench import bench_embedding

    _print(bench_embedding(given.settings(sizes=numbers(sizes, "--sizes")), **_how(given)))


@command("metarep.zoos.bench:ImportBenchConfig", writes=False)
def import_(given: Given) -> None:
    """Time import against the size of files and their number.

    \b
    Example:
      metarep bench import --set n_files=[100,1000]
    """
    from metarep.zoos.bench import bench_import

    _print(bench_import(given.settings(), **_how(given)))


@command("metarep.evaluation.bench:ClusterBenchConfig", writes=False)
def cluster(given: Given, sizes: SIZES = None) -> None:
    """Time clustering against the number of networks.

    \b
    Example:
      metarep bench cluster --sizes 1000,4000
    """
    from metarep.evaluation.bench import bench_clustering

    _print(bench_clustering(given.settings(sizes=numbers(sizes, "--sizes")), **_how(given)))


@command("metarep.map.bench:MapBenchConfig", out="results/map-bench")
def map_(given: Given, sizes: SIZES = None) -> None:
    """Time maps in a real browser: the size of the file, its first frame, frames a second while it is moved.

    \b
    Example:
      metarep bench map --sizes 1000,100000
    """
    from metarep.map.bench import bench_map
    from metarep.tables import read_csv

    path = bench_map(given.settings(sizes=numbers(sizes, "--sizes")), given.out, **given.how)
    _print(read_csv(path / "bench.csv"))
    say_where("bench", path)


def _how(given: Given) -> dict[str, Any]:
    return {name: value for name, value in given.how.items() if name != "overwrite"}


def _print(rows: Sequence[dict[str, object]]) -> None:
    print_table(list(rows[0]), [list(row.values()) for row in rows])


for _command in (zoo, pretrain, embed, import_, cluster, map_):
    bench_app.command(_command.__name__.rstrip("_"), cls=help_of(_command), context_settings=WIDE)(_command)
