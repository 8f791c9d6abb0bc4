"""`metarep predict`: accuracy, epoch and other properties from frozen embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Given, command
from .output import print_csv, say_where


@command("metarep.evaluation.settings:PredictConfig", out="results/predictions", cluster=True)
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
