"""`metarep neighbours`: which networks of a run are most like this one?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Given, command
from .output import print_table, say_where


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
    from metarep.artefact import refuse_to_replace, write_whole
    from metarep.likeness import neighbours as find
    from metarep.tables import to_csv

    if part not in ("network", "unit"):
        raise typer.BadParameter("network or unit", param_hint="--part")
    refuse_to_replace(given.out, given.overwrite)
    found = find(run, query, kind=kind, part=part, k=k, seed=seed)
    heads = list(found.rows[0])
    print_table(heads, [[row[name] for name in heads] for row in found.rows[:MOST_SHOWN]])
    if len(found.rows) > MOST_SHOWN:
        typer.echo(f"and {len(found.rows) - MOST_SHOWN:,} more rows; --out writes them all")
    low, middle, high = found.others
    typer.echo(f"the nearest of another run, for {part}s of the zoo: {middle:.3g} away (5 to 95 %: {low:.3g} to {high:.3g})")
    if given.out is not None:
        write_whole(given.out, to_csv(found.rows))
        say_where("neighbours", given.out)


MOST_SHOWN = 40
