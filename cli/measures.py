"""`metarep cluster`, `predict`, `transfer` and `audit`: what embeddings are worth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import DEVICE, Given, command
from .output import print_csv, print_table, say_where

CARRIED = ("representation", "target", "label", "probe", "metric", "value", "low", "high", "null", "n")

AUDITED = ("rewriting", "metric", "value", "low", "high", "function", "output_change", "n_networks", "n_runs")


@command("metarep.evaluation.settings:ClusterConfig", out="results/clusters")
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


@command("metarep.evaluation.settings:PredictConfig", out="results/predictions")
def predict(
    given: Given,
    embeddings: Annotated[list[Path], typer.Argument(help="one or more embeddings' folders, of one imported zoo")],
    targets: Annotated[str | None, typer.Option(help="numeric properties: test_accuracy,epoch; all if left out")] = None,
    zoo: Annotated[Path | None, typer.Option(help="the zoo, if it has moved since it was embedded")] = None,
) -> None:
    """Predict properties of networks from frozen embeddings, linearly and with boosted trees, beside weight statistics.

    Splits are by training run; R² and Kendall's τ are of held-out runs. Of fewer than 40 runs each is held out in its turn.

    \b
    Example:
      metarep predict results/embeddings/layers --targets test_accuracy,epoch,gap --out results/predictions
    """
    from metarep.evaluation.predict import predict as run

    settings = given.settings(targets=targets.split(",") if targets else None)
    path = run(settings, list(embeddings), given.out, zoo=zoo, **given.how)
    if (path / "predictions.csv").is_file():
        columns = ("target", "representation", "regressor", "metric", "value", "low", "high", "null", "n_networks", "n_runs")
        print_csv(path / "predictions.csv", columns)
    else:
        typer.echo("no property can be predicted; left_out.csv says why")
    say_where("predictions", path)


@command("metarep.evaluation.settings:TransferConfig", out="results/transfer", device=DEVICE)
def transfer(
    given: Given,
    model: Annotated[Path, typer.Argument(help="a model's folder")],
    zoos: Annotated[list[Path], typer.Argument(help="the zoos to carry over to")],
) -> None:
    """Test on other zoos what was learned on one.

    The model's own zoo is found through the model; its held-out networks and random initialisations come along.

    \b
    Example:
      metarep transfer results/model results/zoo-e07 --out results/transfer
    """
    from metarep.evaluation.transfer import transfer as carry_over

    path = carry_over(given.settings(), model, list(zoos), given.out, **given.how)
    say_where("transfer", path)
    print_csv(path / "transfer.csv", CARRIED)


@command("metarep.evaluation.settings:AuditConfig", out="results/audit", device=DEVICE)
def audit(
    given: Given,
    model: Annotated[Path, typer.Argument(help="a model's folder")],
    zoo: Annotated[Path, typer.Argument(help="a zoo's folder")],
    kind: Annotated[str | None, typer.Option(help="the kind of embedding")] = None,
) -> None:
    """Rewrite networks without changing their function, and see how far their embeddings move.

    Units are permuted, scaled, split and pruned, signs turned, attention rotated, as far as these symmetries are known.
    Distances are those to the nearest network of another run.

    \b
    Example:
      metarep audit results/model results/zoo --kind layers --out results/audit
    """
    from metarep.evaluation.audit import audit as run
    from metarep.evaluation.audit import sentence
    from metarep.report.audit_section import png_of_rows
    from metarep.tables import read_csv

    path = run(given.settings(kind=kind), model, zoo, given.out, draw=png_of_rows, **given.how)
    print_csv(path / "audit.csv", AUDITED)
    typer.echo(sentence(read_csv(path / "audit.csv")))
    say_where("audit", path)
