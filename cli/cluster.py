"""`metarep cluster`: compare representations with what the networks do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Given, command
from .output import print_table, say_where


@command("metarep.evaluation.settings:ClusterConfig", out="results/clusters", cluster=True)
def cluster(
    given: Given,
    embeddings: Annotated[list[Path], typer.Argument(help="one or more embeddings' folders, of one zoo")],
    zoo: Annotated[Path | None, typer.Option(help="the zoo, if it has moved since it was embedded")] = None,
    part: Annotated[str | None, typer.Option(help="network or unit: what is compared")] = None,
) -> None:
    """Compare embeddings with what the networks do.

    Clusters and probes are fitted on training networks and measured on held-out ones.

    \b
    Example:
      metarep cluster results/embeddings/pooled results/embeddings/profile --out results/clusters
      metarep cluster results/embeddings/spread --part unit --out results/unit_clusters
    """
    import json

    from metarep.evaluation.compare import cluster as compare
    from metarep.tables import read_csv

    path = compare(given.settings(part=part), list(embeddings), given.out, zoo=zoo, **given.how)
    say_where("clusters", path)
    label = json.loads((path / "metrics.json").read_text())["label"]
    if label is None:
        typer.echo("no label can be compared; k_curve.csv, assignments.csv and probes.csv hold what was found")
        return
    typer.echo(f"ARI of k-means with the label {label}, held out, each at its own k (agreement.csv has all):")
    wanted = {"clusterer": "kmeans", "space": "native", "label": label, "metric": "ari", "chosen": 1}
    rows = [row for row in read_csv(path / "agreement.csv") if wanted.items() <= row.items()]
    columns = ("representation", "model", "untrained", "k", "value", "low", "high", "null")
    best_first = sorted(rows, key=lambda row: -float(row["value"]))
    print_table(columns, [[row[name] for name in columns] for row in best_first])
