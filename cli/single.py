"""`metarep neighbours`, `parts` and `show`: one network beside others, taken apart, as a figure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metarep.errors import MetarepError

from .options import DEVICE, FILE, Given, command
from .output import print_csv, print_table, say_where

MOST_SHOWN = 40

PUBLISHED = {"tables/real": ("*.csv", "findings.md"), "figures/real": ("figures/*.png",)}


@command(out_help="a CSV file to write the whole table to", overwrite="replace the file at --out")
def neighbours(
    given: Given,
    run: Annotated[Path, typer.Argument(help="a run's folder")],
    query: Annotated[str, typer.Argument(help="a checkpoint file, or the network_id of one of the run's networks")],
    kind: Annotated[str | None, typer.Option(help="one of the run's embeddings; by default layers, or its first")] = None,
    part: Annotated[str, typer.Option(help="network, or unit: for each unit of the query the units most like it")] = "network",
    k: Annotated[int, typer.Option("-k", min=1, help="neighbours of the network, or of each unit")] = 10,
    seed: Annotated[int, typer.Option(help="of the pairs and the permuted copies that distances are set against")] = 0,
) -> None:
    """Find the networks, or units, of a run that are most like a checkpoint.

    Distances are in standard deviations of the zoo. nearer_pairs is the share of pairs of the zoo that are nearer. permuted_p
    is how often a copy of the query with permuted parameters is as near: where it is large, the distribution of the weights
    alone makes the two alike.

    \b
    Examples:
      metarep neighbours results/mine checkpoints/one.pt
      metarep neighbours results/mine mlp/net4 --part unit -k 3 --out units.csv
    """
    from metarep.artefact import write_whole
    from metarep.likeness import neighbours as find
    from metarep.tables import to_csv

    if part not in ("network", "unit"):
        raise typer.BadParameter("network or unit", param_hint="--part")
    if given.out is not None and given.out.exists() and not given.overwrite:
        raise MetarepError(f"{given.out} exists", fix="pass --overwrite, or choose another --out")
    found = find(run, query, kind=kind, part=part, k=k, seed=seed)
    heads = list(found.rows[0])
    print_table(heads, [[row[name] for name in heads] for row in found.rows[:MOST_SHOWN]])
    if len(found.rows) > MOST_SHOWN:
        typer.echo(f"and {len(found.rows) - MOST_SHOWN:,} more rows; --out writes them all")
    low, middle, high = found.others
    typer.echo(f"the nearest of another run, for {part}s of the zoo: {middle:.3g} away (5 to 95 %: {low:.3g} to {high:.3g})")
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(given.out, to_csv(found.rows))
        say_where("neighbours", given.out)


@command("metarep.parts.settings:PartsConfig", out="results/parts", device=DEVICE, publish=True)
def parts(
    given: Given,
    model: Annotated[Path, typer.Argument(help="a model's folder")],
    network: Annotated[Path, typer.Argument(help="a checkpoint file, or a zoo's folder with --network")],
    network_id: Annotated[str | None, typer.Option("--network", help="one of the zoo's networks, by its network_id")] = None,
    architecture: Annotated[Path | None, typer.Option(help="a YAML that says of tensors what their names do not")] = None,
) -> None:
    """Take one network apart: embed its units, layers and windows, cluster them, list the most alike.

    Everything is compared with copies of the network with permuted parameters. A model of multipliers also looks for
    networks that it knows inside one hidden layer, and names their modes.

    \b
    Examples:
      metarep parts results/model checkpoint.safetensors --out results/parts
      metarep parts results/model results/zoo --network e09-2813536937
    """
    from metarep.parts.stage import parts as take_apart
    from metarep.runner import publish as publish_files

    which = {"network_id": network_id, "architecture": architecture}
    path = take_apart(given.settings(), model, network, given.out, **which, **given.how)
    if given.publish is not None:
        publish_files(path, given.publish, PUBLISHED, named=lambda file: f"{path.name}-{file.name}")
    print_csv(path / "tests.csv", ("part", "statistic", "value", "null_p05", "null_p95", "p"))
    say_where("parts", path)
    say_where("page", path / "report.html")


@command(**FILE)
def show(
    given: Given,
    zoo: Annotated[Path, typer.Argument(help="a zoo's folder")],
    network_id: Annotated[str, typer.Argument(help="one of its networks, as the column network_id names it")],
    dpi: Annotated[int, typer.Option(min=40, max=600, help="pixels per inch")] = 150,
) -> None:
    """Draw one network of two inputs: the unit square through its every step.

    \b
    Example:
      metarep show results/zoo e09-2813536937 --out mode3.png
    """
    from metarep.artefact import write_whole
    from metarep.zoos.zoo import open_zoo

    path = given.out or Path("results") / f"{network_id.replace('/', '_')}.png"
    if path.exists() and not given.overwrite:
        raise MetarepError(f"{path} exists", fix="pass --overwrite, or choose another --out")
    networks = open_zoo(zoo)
    found = networks.select([networks.row_of(network_id)])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, _figure(found, dpi))
    if given.quiet:
        return
    mode, mse = found["mode"][0] or "none", found["valid_mse"][0]
    typer.echo(f"{network_id}: {found['spec'][0]}, step {found['step'][0]}, mode {mode}, validation error {mse:.4g}")
    say_where("figure", path)


def _figure(found, dpi: int) -> bytes:
    from io import BytesIO

    import matplotlib

    matplotlib.use("Agg")
    from metarep.domains.multiplier.figures.square import draw_network

    buffer = BytesIO()
    draw_network(found.spec, found["params"][0]).savefig(buffer, format="png", dpi=dpi, bbox_inches="tight")
    return buffer.getvalue()
